"""Tables of reStructuredText as lines of cells: drawn as a grid or with rules, from lists, from CSV."""

import csv
import re
from collections.abc import Iterable, Iterator, Sequence

GRID_RULE = re.compile(r"\+(?:[-=]+\+)+\s*\Z")
SIMPLE_RULE = re.compile(r"=+(?: +=+)+\s*\Z")
_SPAN_RULE = re.compile(r"-+(?: +-+)*\s*\Z")
_ITEM = re.compile(r"[*+-](?:\s|\Z)")
_MOST_COLUMNS = 200

Row = list[str]


def grid_rows(lines: Sequence[str]) -> Iterator[Row]:
    """Rows of a grid; lines between two rules are one row. Cells that span rows are cut at their lines."""
    row: Row = []
    for line in lines:
        if line.startswith("+"):
            if any(row):
                yield row
            row = []
            continue
        row = _joined(row, [cell.strip() for cell in line.strip().strip("|").split("|")[:_MOST_COLUMNS]])
    if any(row):
        yield row


def simple_rows(lines: Sequence[str]) -> Iterator[Row]:
    """Rows of a table whose columns are those of its first rule. A line whose first cell is blank goes on."""
    starts = [mark.start() for mark in re.finditer(r"=+", lines[0])][:_MOST_COLUMNS]
    bounds = list(zip(starts, (*starts[1:], None), strict=True))
    row: Row = []
    for line in lines[1:]:
        if SIMPLE_RULE.match(line) or _SPAN_RULE.match(line) or not line.strip():
            continue
        cells = [line[start:end].strip() for start, end in bounds]
        if cells[0] and row:
            yield row
            row = []
        row = _joined(row, cells)
    if row:
        yield row


def csv_rows(lines: Iterable[str]) -> Iterator[Row]:
    """Rows of a table in CSV; from a broken line on none."""
    try:
        for cells in csv.reader(lines, skipinitialspace=True):
            yield [" ".join(cell.split()) for cell in cells]
    except csv.Error:
        return


def list_rows(lines: Sequence[str]) -> Iterator[Row]:
    """Rows of a list of lists: the outer items are rows, the inner ones cells."""
    row: Row = []
    for line in lines:
        text = line.strip()
        if line[:1] in "*+-" and _ITEM.match(line) is not None:
            if row:
                yield row
            row, text = [], line[1:].strip()
        if _ITEM.match(text) is not None:
            row.append(text[1:].strip())
        elif text and row:
            row[-1] = f"{row[-1]} {text}".strip()
    if row:
        yield row


def _joined(row: Row, cells: Row) -> Row:
    """The row with another line of its cells."""
    if not row:
        return cells
    width = max(len(row), len(cells))
    padded = ([*part, *[""] * (width - len(part))] for part in (row, cells))
    return [f"{above} {below}".strip() for above, below in zip(*padded, strict=True)]
