"""The segments of a page as lines in reading order: rows put together, columns one after the other."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from ragstone.parsers.pdf_text import CELL_GAP, Box, Segment

_MOST_RUNS = 100  # ordered by their places; a page in more pieces is a drawing and stays in its own order
_COLUMN_ROWS = 4  # a gap at the same place in as many rows may be a gutter
_MOST_GAPS = 5_000  # on a page; with more of them it is a table
_PROSE = 20  # characters that a column's lines have on average, and a table's cells have not
_FLOW = 2.2  # heights of a line, at most, to the next line of the same text


@dataclass(slots=True)
class Line:
    """A line of text. `cells` are what wide gaps divide it into, `lefts` where they begin. `heading` is the level if it
    is one, else 0."""

    text: str
    box: Box
    first_word: float
    is_hyphenated: bool = False
    is_rtl: bool = False
    cells: list[str] = field(default_factory=list)
    lefts: list[float] = field(default_factory=list)
    heading: int = 0


def reading_order(segments: Sequence[Segment]) -> list[Line]:
    """The page's lines as a reader takes them."""
    if not segments:
        return []
    rows = _rows(segments)
    lines = [_line(part) for row in _split_at_gutters(rows) for part in row]
    runs = _runs(lines)
    if len(runs) > _MOST_RUNS:
        return lines
    from_right = sum(line.is_rtl for line in lines) * 2 > len(lines)
    return [line for run in _ordered(runs, from_right=from_right) for line in run.lines]


def same_height(one: Box, other: Box) -> bool:
    """Whether two pieces stand beside each other; a raised note's mark stands beside its word."""
    shared = min(one.bottom, other.bottom) - max(one.top, other.top)
    return shared > 0.5 * min(one.height, other.height)


# ---- rows ----


def _rows(segments: Sequence[Segment]) -> list[list[Segment]]:
    rows: list[list[Segment]] = []
    for segment in segments:
        if rows and _follows_in_row(rows[-1][-1], segment):
            rows[-1].append(segment)
        else:
            rows.append([segment])
    return rows


def _follows_in_row(before: Segment, after: Segment) -> bool:
    if not same_height(before.box, after.box):
        return False
    if before.is_rtl or after.is_rtl:
        return True
    return after.box.left > before.box.right - 0.3 * before.box.height


def _split_at_gutters(rows: list[list[Segment]]) -> Iterator[list[list[Segment]]]:
    """Each row in its parts: one, or several where it runs across columns that were drawn line by line."""
    gutters = _gutters(rows)
    for row in rows:
        parts = [[row[0]]]
        for before, after in pairwise(row):
            if any(before.box.right <= gutter <= after.box.left for gutter in gutters):
                parts.append([after])
            else:
                parts[-1].append(after)
        yield parts


def _gutters(rows: list[list[Segment]]) -> list[float]:
    """Where gaps of several rows lie on top of each other, with prose on both sides."""
    gaps = [(before, after) for row in rows for before, after in pairwise(row)]
    found: list[float] = []
    if len(gaps) > _MOST_GAPS:
        return found
    for middle in sorted({round((before.box.right + after.box.left) / 2) for before, after in gaps}):
        beside = [pair for pair in gaps if pair[0].box.right <= middle <= pair[1].box.left]
        is_wide = all(_is_gap(before, after) for before, after in beside)
        if (
            len(beside) >= _COLUMN_ROWS
            and is_wide
            and all(_is_prose(side) for side in zip(*beside, strict=True))
        ):
            found.append(middle)
    return found


def _is_gap(before: Segment, after: Segment) -> bool:
    return after.box.left - before.box.right >= CELL_GAP * before.box.height


def _is_prose(segments: Sequence[Segment]) -> bool:
    return sum(len(segment.text) for segment in segments) >= _PROSE * len(segments)


def _line(segments: list[Segment]) -> Line:
    """One line of a row's segments, each gap narrow or wide as it is drawn."""
    first, last = segments[0], segments[-1]
    text, cells, lefts = first.text, [first.text], [first.box.left]
    for before, after in pairwise(segments):
        gap = after.box.left - before.box.right
        if not after.is_rtl and gap >= before.box.height:
            cells.append(after.text)
            lefts.append(after.box.left)
        else:
            cells[-1] += after.text if 0 <= gap < 0.15 * before.box.height else f" {after.text}"
        text = text + after.text if 0 <= gap < 0.15 * before.box.height else f"{text} {after.text}"
    main = max(segments, key=lambda segment: len(segment.text)).box
    box = Box(
        min(segment.box.left for segment in segments),
        main.top,
        max(segment.box.right for segment in segments),
        main.bottom,
    )
    is_rtl = any(segment.is_rtl for segment in segments)
    return Line(text, box, first.first_word, last.is_hyphenated, is_rtl, cells, lefts)


# ---- columns ----


@dataclass(slots=True)
class _Run:
    """Lines drawn one below the other."""

    lines: list[Line]
    box: Box


def _runs(lines: Sequence[Line]) -> list[_Run]:
    runs: list[_Run] = []
    for line in lines:
        if runs and _flows(runs[-1].lines[-1].box, line.box) and not _bridges(runs[-1].box, line.box):
            runs[-1].lines.append(line)
            runs[-1].box = _around(runs[-1].box, line.box)
        else:
            runs.append(_Run([line], line.box))
    return runs


def _flows(before: Box, after: Box) -> bool:
    """Whether a line stands right below another."""
    overlaps = min(before.right, after.right) > max(before.left, after.left)
    return overlaps and 0 < after.bottom - before.bottom < _FLOW * max(before.height, after.height)


def _bridges(run: Box, line: Box) -> bool:
    """Whether one is so much wider that the line may stand across columns of which the run is one."""
    narrow, wide = sorted((run.right - run.left, line.right - line.left))
    return wide > 1.7 * narrow and (
        line.right > run.right + narrow * 0.6 or line.left < run.left - narrow * 0.6
    )


def _around(one: Box, other: Box) -> Box:
    return Box(
        min(one.left, other.left),
        min(one.top, other.top),
        max(one.right, other.right),
        max(one.bottom, other.bottom),
    )


def _ordered(runs: list[_Run], *, from_right: bool) -> Iterator[_Run]:
    """Cut the page at white space: into columns where one goes all the way down, else into upper and lower parts."""
    open_parts = [runs]
    while open_parts:
        part = open_parts.pop()
        if len(part) == 1:
            yield part[0]
        elif len(columns := _columns(part)) > 1:
            open_parts.extend(columns if from_right else reversed(columns))
        elif halves := _halves(part):
            open_parts.extend(reversed(halves))
        else:
            yield from part


def _columns(runs: list[_Run]) -> list[list[_Run]]:
    """The runs by columns, from the left; within one in their own order. Without columns, one list."""
    bands = _bands([(run.box.left, run.box.right) for run in runs], least_gap=2.0)
    columns = [[run for run in runs if left <= run.box.left <= right] for left, right in bands]
    stand_beside = all(_share_height(*pair) for pair in pairwise(columns))
    return columns if stand_beside else [runs]


def _share_height(one: list[_Run], other: list[_Run]) -> bool:
    """Whether columns stand beside each other, rather than one above the other and shifted."""
    tops = [min(run.box.top for run in column) for column in (one, other)]
    bottoms = [max(run.box.bottom for run in column) for column in (one, other)]
    shortest = min(bottom - top for top, bottom in zip(tops, bottoms, strict=True))
    return min(bottoms) - max(tops) > 0.3 * shortest


def _halves(runs: list[_Run]) -> list[list[_Run]] | None:
    """The upper and the lower part, cut where the upper one falls into columns and is as large as can be; else where the
    lower one does; else below the first band. None if there is no gap."""
    # Boxes of lines may touch or overlap a little.
    slack = 0.25 * min(run.lines[0].box.height for run in runs)
    bands = _bands([(run.box.top + slack, run.box.bottom - slack) for run in runs], least_gap=0.0)
    if len(bands) == 1:
        return None
    cuts = [cut for _, cut in bands[:-1]]
    divisions = [_divided(runs, cut, slack) for cut in cuts]
    for division in reversed(divisions):
        if len(_columns(division[0])) > 1:
            return division
    for division in divisions:
        if len(_columns(division[1])) > 1:
            return division
    return divisions[0]


def _divided(runs: list[_Run], cut: float, slack: float) -> list[list[_Run]]:
    upper = [run for run in runs if run.box.bottom - slack <= cut]
    lower = [run for run in runs if run.box.bottom - slack > cut]
    return [upper, lower]


def _bands(spans: list[tuple[float, float]], *, least_gap: float) -> list[tuple[float, float]]:
    """What the spans cover, as spans that do not touch."""
    bands: list[tuple[float, float]] = []
    for start, end in sorted(spans):
        if bands and start < bands[-1][1] + least_gap:
            bands[-1] = (bands[-1][0], max(bands[-1][1], end))
        else:
            bands.append((start, max(start, end)))
    return bands
