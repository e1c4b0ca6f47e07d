"""Workbooks: XLSX (XLSM, XLSB), XLS and ODS, sheet by sheet, row by row, as their cells show it.

Formulas give the values that were stored with them. Hidden sheets and charts are left out. What calamine does not tell
is not known: hidden rows and columns are read, errors such as #DIV/0! are empty, a percentage is 0.25.
"""

import html
import io
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import MAXYEAR, date, datetime, time, timedelta
from itertools import islice

from python_calamine import (
    CalamineError,
    CalamineSheet,
    CalamineWorkbook,
    PasswordError,
    SheetMetadata,
    SheetTypeEnum,
    SheetVisibleEnum,
    load_workbook,
)

from ragstone.core.errors import Encrypted, ParseFailed
from ragstone.core.models import Location, ParsedDocument
from ragstone.parsers.blocks import BlockWriter
from ragstone.parsers.bounds import Allowance, BoundedParser
from ragstone.parsers.decoding import clean
from ragstone.parsers.rows import RowWriter, cell_text
from ragstone.parsers.zips import open_office_zip

Cell = int | float | str | bool | time | date | datetime | timedelta

_ZIP = b"PK"
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ENCRYPTED_STREAM = "EncryptedPackage".encode("utf-16-le")
_PANIC_MODULE = "pyo3_runtime"  # of PanicException, which no name can be imported for
_TITLE_MEMBERS = ("docProps/core.xml", "meta.xml")
_TITLE = re.compile(rb"<dc:title(?:\s[^<>]*+)?>([^<>]*+)</dc:title>")
_MOST_ROWS = 2**20  # of a sheet, in all programs
_HALF_SECOND = 500_000
_LARGEST_WHOLE = 10**15  # beyond it a float, and Excel, no longer knows every digit


class WorkbookParser(BoundedParser):
    """Implements `Parser` for all of them; which one it is shows in the content."""

    def parse(self, content: bytes) -> ParsedDocument:
        """Raises NoText, ParseFailed, ParseLimit, Encrypted, UnsafeArchive, UnsafeXml."""
        title = None
        if content.startswith(_ZIP):
            title = _title(open_office_zip(content, self.limits))
        elif not content.startswith(_OLE):
            raise ParseFailed("this is no workbook")
        elif _ENCRYPTED_STREAM in content:
            raise Encrypted("the workbook is protected by a password")
        writer, allowance = BlockWriter(), Allowance(self.limits.characters)
        with _failures_named():
            _write_workbook(load_workbook(io.BytesIO(content)), writer, allowance)
        writer.first_title = None  # the first sheet's name says less than the file's
        return writer.finish(title=title)


@contextmanager
def _failures_named() -> Iterator[None]:
    """Errors of the library as ours, without what it says: that may quote the document."""
    try:
        yield
    except PasswordError as error:
        raise Encrypted("the workbook is protected by a password") from error
    except (CalamineError, OSError, ValueError, OverflowError) as error:
        raise ParseFailed(f"the workbook is damaged: {type(error).__name__}") from error
    except BaseException as error:
        if type(error).__module__ != _PANIC_MODULE:
            raise
        raise ParseFailed("the workbook is damaged") from error


def _write_workbook(workbook: CalamineWorkbook, writer: BlockWriter, allowance: Allowance) -> None:
    for metadata in workbook.sheets_metadata:
        if _is_shown(metadata):
            _write_sheet(workbook.get_sheet_by_name(metadata.name), writer, allowance)


def _is_shown(sheet: SheetMetadata) -> bool:
    return sheet.visible == SheetVisibleEnum.Visible and sheet.typ == SheetTypeEnum.WorkSheet


def _write_sheet(sheet: CalamineSheet, writer: BlockWriter, allowance: Allowance) -> None:
    """Its name as a heading, then its tables; nothing if it is empty."""
    is_empty = True
    table = RowWriter(writer, allowance, is_header_expected=False)
    for row in _rows(sheet):
        if is_empty and any(row):
            is_empty = False
            writer.close_headings()
            writer.location = Location(sheet=clean(sheet.name))
            writer.add_heading(1, sheet.name)
        table.add(row)
    table.close()


# ---- rows ----


def _rows(sheet: CalamineSheet) -> Iterator[Sequence[str]]:
    """The cells' texts from the first filled row on; what is merged over several rows stands in each of them."""
    top, left = sheet.start or (0, 0)
    if top + sheet.height > _MOST_ROWS:
        raise ParseFailed("the workbook is damaged: it has more rows than there can be")
    rows = islice(sheet.iter_rows(), top, None)
    shown = ([_shown(cell) if cell != "" else "" for cell in row] for row in rows)
    merged = _merged_rows(sheet, top, left)
    return _filled_down(shown, merged) if merged else shown


def _merged_rows(sheet: CalamineSheet, top: int, left: int) -> dict[int, list[tuple[int, int]]]:
    """For each row the columns whose cell goes on below, and the last row that it covers."""
    found: dict[int, list[tuple[int, int]]] = {}
    for (first_row, column), (last_row, _) in sheet.merged_cell_ranges or ():
        if last_row > first_row >= top and column >= left:
            found.setdefault(first_row - top, []).append((column - left, last_row - top))
    return found


def _filled_down(
    rows: Iterable[list[str]], merged: Mapping[int, Sequence[tuple[int, int]]]
) -> Iterator[list[str]]:
    open_cells: dict[int, tuple[str, int]] = {}
    for number, row in enumerate(rows):
        for column, (text, last_row) in list(open_cells.items()):
            row[column] = row[column] or text
            if number == last_row:
                del open_cells[column]
        for column, last_row in merged.get(number, ()):
            if column < len(row) and row[column]:
                open_cells[column] = (row[column], last_row)
        yield row


# ---- cells ----


def _shown(cell: Cell) -> str:
    """As a reader of the sheet sees it: whole numbers without `.0`, dates in ISO order, TRUE and FALSE."""
    if isinstance(cell, str):
        return cell_text(clean(cell))
    if isinstance(cell, bool):
        return "TRUE" if cell else "FALSE"
    if isinstance(cell, int | float):
        return _number(cell)
    if isinstance(cell, datetime):
        return _moment(cell)
    if isinstance(cell, timedelta):
        return _duration(cell)
    return cell.isoformat() if isinstance(cell, date) else _clock(cell)


def _number(value: float) -> str:
    if abs(value) < _LARGEST_WHOLE and value == int(value):
        return str(int(value))
    return format(value, ".15g")


def _moment(value: datetime) -> str:
    """To the second; a day alone at midnight. Moments are fractions of days: 13:45 may come as 13:44:59.999."""
    if value.microsecond >= _HALF_SECOND and value.year < MAXYEAR:
        value += timedelta(seconds=1)
    day, clock = value.date().isoformat(), _clock(value.time())
    return day if clock == "00:00" else f"{day} {clock}"


def _clock(value: time) -> str:
    return value.isoformat(timespec="seconds" if value.second else "minutes")


def _duration(value: timedelta) -> str:
    seconds = round(value.total_seconds())
    sign, seconds = "-" if seconds < 0 else "", abs(seconds)
    return f"{sign}{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"


# ---- properties ----


def _title(archive: zipfile.ZipFile) -> str | None:
    """The title that its author gave the workbook."""
    for name in _TITLE_MEMBERS:
        if name in archive.namelist() and (found := _TITLE.search(archive.read(name))) is not None:
            return html.unescape(found[1].decode("utf-8", "replace")) or None
    return None
