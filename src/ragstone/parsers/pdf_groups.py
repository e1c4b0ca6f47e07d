"""The lines of a page in groups: columns, lines of one size at one distance, rows of a table."""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from statistics import quantiles

from ragstone.parsers.pdf_layout import Line

_SAME_SIZE = 0.15  # relative; marks of notes and other fonts make a line a little higher
_WIDER_PITCH = 1.3  # times the usual distance of two lines: another paragraph
_WIDEST_PITCH = 2.3  # heights of a line
_SURE_CELLS = 5  # in two rows: nothing but tables has as many
_MARK = re.compile(r"[•◦▪‣·∙●○■□▶➢✓*–—-]|[\[(]?(?:\d{1,3}|[a-zA-Z]|[ivx]{1,4})[.)\]]*")


def columns_of(lines: Sequence[Line]) -> Iterator[list[Line]]:
    """Lines down to where the next one stands higher on the page again."""
    column: list[Line] = []
    for line in lines:
        if column and line.box.top < column[-1].box.top - column[-1].box.height:
            yield column
            column = []
        column.append(line)
    if column:
        yield column


def groups_of(column: Sequence[Line]) -> Iterator[list[Line]]:
    """The column cut where the size or the distance of its lines changes; a table stays in one."""
    usual_pitch = _usual_pitch(column)
    group = [column[0]]
    for before, after in pairwise(column):
        is_apart = before.heading or after.heading or _is_apart(before, after, usual_pitch)
        if is_apart and not _continues_table(before, after):
            yield group
            group = []
        group.append(after)
    yield group


def _usual_pitch(column: Sequence[Line]) -> float:
    """In heights of a line. Rather a small one: between paragraphs it is larger."""
    pitches = [
        (after.box.bottom - before.box.bottom) / before.box.height
        for before, after in pairwise(column)
        if _is_same_size(before, after)
    ]
    pitches = [pitch for pitch in pitches if 0.5 < pitch < _WIDEST_PITCH]
    if not pitches:
        return 1.4
    return quantiles(pitches, n=4)[0] if len(pitches) > 3 else min(pitches)


def _is_apart(before: Line, after: Line, usual_pitch: float) -> bool:
    if not _is_same_size(before, after):
        return True
    pitch = (after.box.bottom - before.box.bottom) / before.box.height
    return pitch > min(_WIDER_PITCH * usual_pitch, _WIDEST_PITCH)


def _is_same_size(before: Line, after: Line) -> bool:
    return abs(before.box.height - after.box.height) <= _SAME_SIZE * max(before.box.height, after.box.height)


def _is_row(line: Line) -> bool:
    """Whether wide gaps divide it, and not only a number or bullet from its text."""
    return len(line.cells) > 2 or (len(line.cells) == 2 and _MARK.fullmatch(line.cells[0]) is None)


def _continues_table(before: Line, after: Line) -> bool:
    """Whether two rows have many cells, or one besides the first at the same place."""
    if before.heading or after.heading or not (_is_row(before) and _is_row(after)):
        return False
    near = 0.5 * before.box.height
    if after.box.bottom - before.box.bottom > 4 * before.box.height:
        return False
    if len(before.cells) + len(after.cells) >= _SURE_CELLS:
        return True
    pairs = ((left, other) for left in before.lefts for other in after.lefts)
    return any(
        abs(left - other) < near for left, other in pairs if left > before.box.left or other > after.box.left
    )


def tables_apart(group: Sequence[Line]) -> Iterator[tuple[list[Line], bool]]:
    """The group's parts, each with whether its lines are rows of a table."""
    part, is_table = [group[0]], False
    for before, after in pairwise(group):
        goes_on = _continues_table(before, after)
        if goes_on and not is_table:
            if len(part) > 1:
                yield part[:-1], False
            part = [before]
        elif is_table and not goes_on:
            yield part, True
            part = []
        part.append(after)
        is_table = goes_on
    yield part, is_table
