"""Rows of cells, whatever file they come from, as records that explain themselves: `Header: value | Header: value`.

Blank rows part tables, and tables that stand beside each other are told apart. Rows on top that hold one cell are
titles; without a recognisable header the cells stand alone, with ` | ` between them.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby

from ragstone.core.models import BlockKind
from ragstone.parsers.blocks import BlockWriter, collapse_lines
from ragstone.parsers.bounds import Allowance
from ragstone.parsers.headers import SAMPLE_ROWS, find_header

BETWEEN_CELLS = " | "
Row = Sequence[str]

_PROSE_CHARACTERS = 800  # a chunk's worth: a longer record is cut, and had better be between sentences
_LONGEST_NAME = 80  # of a column, as it is repeated with every row
_SHORT_CELL = 200  # line breaks are layout in a cell that is no longer than this
# Rows that are looked at together; tables that stand beside each other are not longer in practice.
_BUFFERED_ROWS = 500
_BUFFERED_CELLS = 200_000


def cell_text(value: str) -> str:
    """What a cell shows, on one line if it is short."""
    if len(value) <= _SHORT_CELL:
        return " ".join(value.split())
    return collapse_lines(value, "\n")


class RowWriter:
    """Writes the rows of one sheet or file. `is_header_expected` says that its first row most likely is one."""

    def __init__(self, writer: BlockWriter, allowance: Allowance, *, is_header_expected: bool):
        self._writer = writer
        self._allowance = allowance
        self._is_header_expected = is_header_expected
        self._rows: list[Row] = []
        self._cells = 0
        self._open: _Columns | None = None  # of a long table that is being written
        self._last: _Columns | None = None  # of the table before

    def add(self, row: Sequence[str]) -> None:
        """The next row, each cell as `cell_text` gives it. The same column has the same place in every row."""
        row = _without_empty_end(row)
        if not row:
            self.close()
        elif self._open is not None:
            self._write_record(self._open, row)
        else:
            self._rows.append(row)
            self._cells += len(row)
            if len(self._rows) >= _BUFFERED_ROWS or self._cells >= _BUFFERED_CELLS:
                self._open = self._write_table(self._take_rows())

    def close(self) -> None:
        """End the table."""
        self._open = None
        if self._rows:
            for table in _side_by_side(self._take_rows()):
                self._write_table(table)

    def _take_rows(self) -> list[Row]:
        rows, self._rows, self._cells = self._rows, [], 0
        return rows

    def _write_table(self, rows: Sequence[Row]) -> "_Columns":
        """Titles, then records."""
        titles = _count_titles(rows)
        for row in rows[:titles]:
            self._write(BlockKind.PARAGRAPH, BETWEEN_CELLS.join(filter(None, row)))
        rows = rows[titles:]
        columns, header_rows = self._columns(rows)
        if header_rows and not columns.show_in_full(rows[header_rows:]):
            self._write(BlockKind.TABLE, BETWEEN_CELLS.join(filter(None, columns.names)))
        for row in rows[header_rows:]:
            self._write_record(columns, row)
        return columns

    def _columns(self, rows: Sequence[Row]) -> tuple["_Columns", int]:
        """The table's columns: named by its header, or by that of a table before which it continues."""
        first = min((_first_cell(row) for row in rows), default=0)
        width = max(map(len, rows), default=0)
        last = self._last
        could_continue = last is not None and last.cover(first, width)
        names, header_rows = find_header(rows, is_expected=self._is_header_expected and not could_continue)
        if names or last is None or not could_continue:
            self._last = last = _Columns(names, first, width)
        return last, header_rows

    def _write_record(self, columns: "_Columns", row: Row) -> None:
        record = columns.record(row)
        is_prose = len(record) > _PROSE_CHARACTERS or (not columns.names and _is_alone(row))
        self._write(BlockKind.PARAGRAPH if is_prose else BlockKind.TABLE, record)

    def _write(self, kind: BlockKind, text: str) -> None:
        self._writer.add(kind, self._allowance.take(text))


class _Columns:
    """The columns of a table, from `first` up to, not including, `stop`."""

    def __init__(self, names: Sequence[str], first: int, stop: int):
        self.names = names
        self._first, self._stop = first, stop
        self._labels = [_label(name) for name in names]

    def cover(self, first: int, stop: int) -> bool:
        """Whether they have names and a table of several columns, from `first` to `stop`, fits in them."""
        return bool(self.names) and self._first <= first and stop <= self._stop and stop - first > 1

    def show_in_full(self, rows: Sequence[Row]) -> bool:
        """Whether each name stands, as long as it is, in one of the rows' records."""
        filled = {at for row in rows for at, cell in enumerate(row) if cell}
        return all(
            not name or (len(name) <= _LONGEST_NAME and at in filled) for at, name in enumerate(self.names)
        )

    def record(self, row: Row) -> str:
        """The row with the columns' names. Empty cells are left out."""
        labels = self._labels
        named = [label + cell for label, cell in zip(labels, row, strict=False) if cell]
        return BETWEEN_CELLS.join([*named, *filter(None, row[len(labels) :])])


def _label(name: str) -> str:
    if len(name) > _LONGEST_NAME:
        name = name[: _LONGEST_NAME - 1].rstrip() + "…"
    return name and f"{name} " if name.endswith((":", "：", "?", "？")) else name and f"{name}: "


def _without_empty_end(row: Row) -> Row:
    stop = len(row)
    while stop and not row[stop - 1]:
        stop -= 1
    return row[:stop]


def _first_cell(row: Row) -> int:
    return next((at for at, cell in enumerate(row) if cell), len(row))


def _is_alone(row: Row) -> bool:
    return sum(1 for cell in row if cell) == 1


def _count_titles(rows: Sequence[Row]) -> int:
    """Rows of one cell above a row of several; all of them, if there is no such row."""
    return next((at for at, row in enumerate(rows) if not _is_alone(row)), 0)


# ---- tables beside each other ----


def _side_by_side(rows: list[Row]) -> list[list[Row]]:
    """The tables that empty columns part, from left to right, if each is a table of its own: of several columns, and
    with a header. An empty column may as well be there for looks."""
    spans = list(_filled_spans(rows))
    if len(spans) < 2 or any(stop - first < 2 for first, stop in spans):
        return [rows]
    columns = [list(_cut_out(rows, first, stop)) for first, stop in spans]
    for (first, _), tables in zip(spans, columns, strict=True):
        top = tables[0][_count_titles(tables[0]) :]
        if not find_header(_beginning(top, first), is_expected=False)[1]:
            return [rows]
    return [table for tables in columns for table in tables]


def _filled_spans(rows: Sequence[Row]) -> Iterator[tuple[int, int]]:
    """Runs of columns that hold anything."""
    filled = sorted({at for row in rows for at, cell in enumerate(row) if cell})
    first = 0
    for at in range(1, len(filled) + 1):
        if at == len(filled) or filled[at] > filled[at - 1] + 1:
            yield filled[first], filled[at - 1] + 1
            first = at


def _cut_out(rows: Sequence[Row], first: int, stop: int) -> Iterator[list[Row]]:
    """The tables in the columns from `first`, in the same places as before."""
    parts = ((*[""] * first, *row[first:stop]) for row in rows)
    for is_filled, run in groupby(parts, key=any):
        if is_filled:
            yield [_without_empty_end(row) for row in run]


def _beginning(rows: Sequence[Row], first: int) -> list[Row]:
    """As much of a table as tells its header."""
    return [row[first:] for row in rows[: SAMPLE_ROWS + 2]]
