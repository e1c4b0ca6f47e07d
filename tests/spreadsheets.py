"""Spreadsheets written by hand, so that tests say what is in them: XLSX, ODS, and as much of XLS as a cell needs."""

import io
import struct
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_RELATIONSHIPS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
# Styles 0 to 5: general, day, day and time, duration, per cent, time.
_STYLES = "".join(f'<xf numFmtId="{number}"/>' for number in (0, 14, 22, 46, 10, 20))


@dataclass(frozen=True)
class Raw:
    """A cell as it stands in the XML of an XLSX sheet: attributes and content."""

    attributes: str
    content: str


Cell = str | int | float | bool | None | Raw
Rows = Sequence[Sequence[Cell]]


def xlsx(
    sheets: Mapping[str, Rows],
    *,
    merged: Mapping[str, Sequence[str]] | None = None,
    states: Mapping[str, str] | None = None,
    members: Mapping[str, str] | None = None,
) -> bytes:
    """A workbook. `merged` has ranges such as "A1:B2", `states` "hidden" or "veryHidden", by sheet; `members` are
    further files, or replace one."""
    entries = "".join(
        f'<sheet name={quoteattr(name)} sheetId="{n}" r:id="rId{n}" state="{(states or {}).get(name, "visible")}"/>'
        for n, name in enumerate(sheets, 1)
    )
    relations = [("worksheet", f"worksheets/sheet{n}.xml") for n in range(1, len(sheets) + 1)]
    files = {
        "_rels/.rels": _relations([("officeDocument", "xl/workbook.xml")]),
        "xl/workbook.xml": f'<workbook xmlns="{_MAIN}" xmlns:r="{_RELATIONSHIPS}"><sheets>{entries}</sheets></workbook>',
        "xl/_rels/workbook.xml.rels": _relations([*relations, ("styles", "styles.xml")]),
        "xl/styles.xml": f'<styleSheet xmlns="{_MAIN}"><cellXfs>{_STYLES}</cellXfs></styleSheet>',
    }
    for n, (name, rows) in enumerate(sheets.items(), 1):
        files[f"xl/worksheets/sheet{n}.xml"] = _sheet(rows, (merged or {}).get(name, ()))
    return _zip(files | dict(members or {}))


def ods(sheets: Mapping[str, Rows], *, hidden: Sequence[str] = ()) -> bytes:
    """An OpenDocument spreadsheet."""
    tables = "".join(
        f'<table:table table:name={quoteattr(name)} table:style-name="{"off" if name in hidden else "on"}">'
        + "".join(f"<table:table-row>{''.join(map(_ods_cell, row))}</table:table-row>" for row in rows)
        + "</table:table>"
        for name, rows in sheets.items()
    )
    names = " ".join(f'xmlns:{p}="urn:oasis:names:tc:opendocument:xmlns:{p}:1.0"' for p in _ODS_PREFIXES)
    styles = "".join(
        f'<style:style style:name="{name}" style:family="table"><style:table-properties table:display="{shown}"/>'
        "</style:style>"
        for name, shown in (("on", "true"), ("off", "false"))
    )
    body = f"<office:body><office:spreadsheet>{tables}</office:spreadsheet></office:body>"
    content = f"<office:document-content {names}><office:automatic-styles>{styles}</office:automatic-styles>{body}</office:document-content>"
    mimetype = "application/vnd.oasis.opendocument.spreadsheet"
    return _zip({"mimetype": mimetype, "content.xml": content, "META-INF/manifest.xml": "<manifest/>"})


_ODS_PREFIXES = ("office", "table", "text", "style")


def xls(rows: Sequence[Sequence[str | float]]) -> bytes:
    """A workbook of Excel 97 with one sheet."""
    opening = _record(0x809, struct.pack("<HHHHII", 0x600, 5, 0, 0, 0, 0))
    sheet = _record(0x809, struct.pack("<HHHHII", 0x600, 0x10, 0, 0, 0, 0))
    for r, row in enumerate(rows):
        for c, cell in enumerate(row):
            if isinstance(cell, str):
                text = struct.pack("<HB", len(cell), 1) + cell.encode("utf-16-le")
                sheet += _record(0x204, struct.pack("<HHH", r, c, 0) + text)
            else:
                sheet += _record(0x203, struct.pack("<HHHd", r, c, 0, cell))
    name = b"Sheet1"
    at = len(opening) + 4 + 8 + len(name) + 4
    bound = _record(0x85, struct.pack("<IBBBB", at, 0, 0, len(name), 0) + name)
    return ole({"Workbook": opening + bound + _record(0x0A, b"") + sheet + _record(0x0A, b"")})


def ole(streams: Mapping[str, bytes]) -> bytes:
    """A compound file. Streams are made long enough to stand in sectors of their own."""
    sectors, entries = b"", [_entry("Root Entry", 5, -2, 0, child=1)]
    table: list[int] = []
    for n, (name, content) in enumerate(streams.items(), 1):
        content = content.ljust(4096, b"\0")
        content += b"\0" * (-len(content) % 512)
        first, count = len(table), len(content) // 512
        table += [*range(first + 1, first + count), -2]
        sectors += content
        entries.append(_entry(name, 2, first, len(content), right=n + 1 if n < len(streams) else -1))
    directory = b"".join(entries)
    directory += b"\0" * (-len(directory) % 512)
    directory_at, count = len(table), len(directory) // 512
    table += [*range(directory_at + 1, directory_at + count), -2, -3]
    fat = struct.pack("<128i", *table, *[-1] * (128 - len(table)))
    header = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16)
    header += struct.pack("<HHHHH6x", 0x3E, 3, 0xFFFE, 9, 6)
    header += struct.pack("<iiiiiiiiii", 0, 1, directory_at, 0, 4096, -2, 0, -2, 0, len(table) - 1)
    return header + struct.pack("<108i", *[-1] * 108) + sectors + directory + fat


def _entry(name: str, kind: int, first: int, size: int, *, child: int = -1, right: int = -1) -> bytes:
    raw = name.encode("utf-16-le")
    links = struct.pack("<64sHBBiii", raw, len(raw) + 2, kind, 1, -1, right, child)
    return links + bytes(36) + struct.pack("<iQ", first, size)


def _record(kind: int, content: bytes) -> bytes:
    return struct.pack("<HH", kind, len(content)) + content


def _relations(targets: Sequence[tuple[str, str]]) -> str:
    entries = "".join(
        f'<Relationship Id="rId{n}" Type="{_RELATIONSHIPS}/{kind}" Target="{target}"/>'
        for n, (kind, target) in enumerate(targets, 1)
    )
    return f'<Relationships xmlns="{_PACKAGE}/relationships">{entries}</Relationships>'


def _sheet(rows: Rows, merged: Sequence[str]) -> str:
    lines = "".join(
        f'<row r="{r}">{"".join(_cell(cell, f"{column_name(c)}{r}") for c, cell in enumerate(row))}</row>'
        for r, row in enumerate(rows, 1)
    )
    ranges = "".join(f'<mergeCell ref="{place}"/>' for place in merged)
    merges = f"<mergeCells>{ranges}</mergeCells>" if ranges else ""
    return f'<worksheet xmlns="{_MAIN}"><sheetData>{lines}</sheetData>{merges}</worksheet>'


def _cell(cell: Cell, place: str) -> str:
    match cell:
        case None | "":
            return ""
        case Raw():
            return f'<c r="{place}" {cell.attributes}>{cell.content}</c>'
        case bool():
            return f'<c r="{place}" t="b"><v>{int(cell)}</v></c>'
        case str():
            return f'<c r="{place}" t="inlineStr"><is><t xml:space="preserve">{escape(cell)}</t></is></c>'
        case _:
            return f'<c r="{place}"><v>{cell}</v></c>'


def _ods_cell(cell: Cell) -> str:
    match cell:
        case None | "":
            return "<table:table-cell/>"
        case bool():
            return (
                f'<table:table-cell office:value-type="boolean" office:boolean-value="{str(cell).lower()}"/>'
            )
        case int() | float():
            return f'<table:table-cell office:value-type="float" office:value="{cell}"/>'
        case _:
            text = escape(str(cell))
            return f'<table:table-cell office:value-type="string"><text:p>{text}</text:p></table:table-cell>'


def column_name(index: int) -> str:
    """A for 0, AA for 26."""
    name, index = "", index + 1
    while index:
        index, letter = divmod(index - 1, 26)
        name = chr(65 + letter) + name
    return name


def _zip(files: Mapping[str, str]) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return target.getvalue()
