"""Lists and tables in the plain text of a passage, as the parsers write them: an item or a row a line.

Items begin with a mark, the lead-in stands on the line before; cells have ` | ` between them. Positions are offsets in
the text; all that is returned is spans of it.
"""

import re
from dataclasses import dataclass

from ragstone.core.sentences import LIST_MARK, Span

CELLS = " | "

_NAMED_CELL = re.compile(r"[^|:]{1,80}:\s")
_DIGIT = re.compile(r"\d")
_SENTENCE_ENDS = tuple(".!?…。．！？؟۔।")


@dataclass(frozen=True, slots=True)
class List:
    """`lead_in` is the line that announces the items, with a colon, if there is one."""

    lead_in: Span | None
    items: tuple[Span, ...]


def list_at(text: str, position: int) -> List | None:
    """The list of two or more items that the line at `position` belongs to, announces or is the heading of."""
    lines = _lines(text)
    at = _line_of(lines, position)
    if at is None:
        return None
    if not _is_item(text, lines[at]):
        if text[lines[at][0] : lines[at][1]].rstrip().endswith(_SENTENCE_ENDS):
            return None
        at = _next_shown(text, lines, at)
    first = last = at
    while first > 0 and _is_item(text, lines[first - 1]):
        first -= 1
    while last < len(lines) and _is_item(text, lines[last]):
        last += 1
    if last - first < 2:
        return None
    return List(_lead_in(text, lines, first), tuple(_shown(text, line) for line in lines[first:last]))


def header_of(text: str, position: int) -> Span | None:
    """The row that names the columns of the row at `position`; none for that row itself, or where the cells carry
    their names, or the table begins before the text."""
    lines = _lines(text)
    at = _line_of(lines, position)
    if at is None or not _is_row(text, lines[at]) or _names_its_cells(text, lines[at]):
        return None
    first = _first_row(text, lines, at)
    return _shown(text, lines[first]) if first < at and _may_be_header(text, lines[first]) else None


def is_header(text: str, position: int) -> bool:
    """Whether the row at `position` names the columns of rows below it."""
    start = text.rfind("\n", 0, position) + 1
    end = _end_of_line(text, start)
    after = (end + 1, _end_of_line(text, end + 1))
    if not _is_row(text, (start, end)) or not _is_row(text, after) or _names_its_cells(text, (start, end)):
        return False
    before = (text.rfind("\n", 0, max(0, start - 1)) + 1, max(0, start - 1))
    return not _is_row(text, before) and _may_be_header(text, (start, end))


def _end_of_line(text: str, start: int) -> int:
    end = text.find("\n", start)
    return len(text) if end < 0 else end


def _first_row(text: str, lines: list[Span], at: int) -> int:
    while at > 0 and _is_row(text, lines[at - 1]):
        at -= 1
    return at


def _may_be_header(text: str, line: Span) -> bool:
    """A text that begins with a row may begin inside of a table: names of columns have no digits."""
    return line[0] > 0 or _DIGIT.search(text, *line) is None


def _lines(text: str) -> list[Span]:
    lines, start = [], 0
    for line in text.split("\n"):
        lines.append((start, start + len(line)))
        start += len(line) + 1
    return lines


def _line_of(lines: list[Span], position: int) -> int | None:
    return next((row for row, (start, end) in enumerate(lines) if start <= position <= end), None)


def _next_shown(text: str, lines: list[Span], at: int) -> int:
    """The next line that is not blank; past the end where there is none."""
    after = range(at + 1, len(lines))
    return next((row for row in after if text[slice(*lines[row])].strip()), len(lines))


def _is_item(text: str, line: Span) -> bool:
    return LIST_MARK.match(text, *line) is not None


def _is_row(text: str, line: Span) -> bool:
    return text.find(CELLS, *line) >= 0


def _names_its_cells(text: str, line: Span) -> bool:
    """As rows of a sheet do: `Name: value | Name: value`."""
    cells = text[slice(*line)].split(CELLS)
    return 2 * sum(_NAMED_CELL.match(cell) is not None for cell in cells) > len(cells)


def _lead_in(text: str, lines: list[Span], first: int) -> Span | None:
    before = (row for row in range(first - 1, -1, -1) if text[slice(*lines[row])].strip())
    row = next(before, None)
    if row is None:
        return None
    shown = _shown(text, lines[row])
    return shown if text[shown[1] - 1] in ":：" else None


def _shown(text: str, line: Span) -> Span:
    """Without the white space behind it; that in front of an item is its depth."""
    start, end = line
    return start, start + len(text[start:end].rstrip())
