"""Which rows on top of a table name its columns. Decided by what the cells look like; nothing is known of the file."""

import re
from collections.abc import Callable, Sequence

SAMPLE_ROWS = 25  # of a table that are looked at

_PERIOD = re.compile(r"(?:19|20)\d\d(?:-\d\d?){0,2}(?:[ T]00:00(?::00)?)?")
_FIRST = re.compile(r"[\s(+\-−–~<>=$€£¥₹#]*+(.)", re.DOTALL)
_ANSWERS = frozenset(("true", "false", "yes", "no", "n/a", "na", "null", "none", "nan", "-"))
_LONGEST_NAME = 300
_MOSTLY = 0.8
_LONG_VALUE = 20  # characters on average; names of columns are shorter
_TIMES_LONGER = 2


def find_header(rows: Sequence[Sequence[str]], *, is_expected: bool) -> tuple[list[str], int]:
    """The columns' names and how many of the rows they stand in: 0 rows if nothing says that these are names.
    `is_expected` decides where all that is known is text above text."""
    sample = rows[: SAMPLE_ROWS + 2]
    if len(sample) > 2 and _groups_columns(sample[0], sample[1]):
        names = _combined(sample[0], sample[1])
        if all(map(_is_label, filter(None, sample[1]))) and _evidence(sample[1], sample[2:]) > 0:
            return names, 2
    if len(sample) > 1 and _is_header(sample[0], sample[1:], is_expected=is_expected):
        return list(sample[0]), 1
    return [], 0


def _is_header(names: Sequence[str], body: Sequence[Sequence[str]], *, is_expected: bool) -> bool:
    shown = [name for name in names if name]
    if not _could_be_names(shown, body) or _is_form(body):
        return False
    labels = sum(_names_column(name, _column(body, at)) for at, name in enumerate(names) if name)
    if 2 * labels < len(shown):
        return False
    evidence = _evidence(names, body)
    if evidence or len(shown) < 2:
        return evidence > 0
    has_many = len(shown) > 2 or len(body) >= SAMPLE_ROWS  # two columns and fewer rows may be a form
    return labels >= _MOSTLY * len(shown) and (is_expected or has_many)


def _could_be_names(shown: Sequence[str], body: Sequence[Sequence[str]]) -> bool:
    """Most columns have one, and hardly two the same."""
    width = max(sum(1 for cell in row if cell) for row in body)
    return (
        2 * len(shown) >= width
        and 4 * len(set(shown)) >= 3 * len(shown)
        and max(map(len, shown), default=0) <= _LONGEST_NAME
    )


def _is_form(body: Sequence[Sequence[str]]) -> bool:
    """Names on the left, their values beside them."""
    left = [row[0] for row in body if row and row[0]]
    return 2 * sum(cell.endswith((":", "：")) for cell in left) > len(left)


def _evidence(names: Sequence[str], body: Sequence[Sequence[str]]) -> int:
    """Columns whose first cell is unlike the others, less those where it is one of them."""
    return sum(_column_evidence(name, _column(body, at), at) for at, name in enumerate(names) if name)


def _column_evidence(name: str, values: Sequence[str], at: int) -> int:
    if not values:
        return 0
    holds_values = not _are_mostly(_is_label, values)
    if not _names_column(name, values):
        return -1 if holds_values else 0
    if name in values:
        return -1
    # Only on the left: in a form any value may be followed by longer ones.
    average = sum(map(len, values)) / len(values) if at == 0 else 0
    return int(_are_mostly(_is_value, values) or average >= max(_LONG_VALUE, _TIMES_LONGER * len(name)))


def _names_column(name: str, values: Sequence[str]) -> bool:
    """Years and days head columns too, unless those hold such themselves."""
    if _PERIOD.fullmatch(name):
        return not _are_mostly(_is_period, values)
    return _is_label(name)


def _groups_columns(upper: Sequence[str], lower: Sequence[str]) -> bool:
    """Whether a cell of the upper row stands over several of the lower one."""
    upper = _padded(upper, len(lower))
    return any(
        upper[at] and not upper[at + 1] and lower[at] and lower[at + 1] for at in range(len(lower) - 1)
    )


def _combined(upper: Sequence[str], lower: Sequence[str]) -> list[str]:
    """`2024 Q1`, where 2024 stands over Q1 and Q2."""
    names, group = [], ""
    width = max(len(upper), len(lower))
    for over, under in zip(_padded(upper, width), _padded(lower, width), strict=True):
        if over or not under:
            group = over if under not in ("", over) else ""
        names.append(" ".join(dict.fromkeys(part for part in (over or group, under) if part)))
    return names


def _padded(row: Sequence[str], width: int) -> list[str]:
    return [*row, *[""] * (width - len(row))]


def _column(body: Sequence[Sequence[str]], at: int) -> list[str]:
    return [row[at] for row in body if at < len(row) and row[at]]


def _are_mostly(holds: Callable[[str], bool], values: Sequence[str]) -> bool:
    return sum(map(holds, values)) >= _MOSTLY * len(values) > 0


def _is_period(cell: str) -> bool:
    return _PERIOD.fullmatch(cell) is not None


def _is_value(cell: str) -> bool:
    return not _is_label(cell)


def _is_label(cell: str) -> bool:
    """Whether it could name something: words, not a quantity, a date, an address or an answer."""
    cell = cell[:_LONGEST_NAME]
    if cell.lower() in _ANSWERS or "@" in cell or "://" in cell:
        return False
    first = _FIRST.match(cell)
    if first is None or first[1].isdigit():
        return False
    letters, digits = sum(map(str.isalpha, cell)), sum(map(str.isdigit, cell))
    return letters > 0 and digits <= letters
