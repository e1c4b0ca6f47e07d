"""The numbers and bullets that Word shows before paragraphs; the file holds only how to count them."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from ragstone.parsers.docx_styles import VALUE, WORD, is_on, value_of
from ragstone.parsers.numerals import letters, roman
from ragstone.parsers.office_xml import Element, whole_number

LEVELS = 9
BULLET = "-"
_PLACE = re.compile("%([1-9])")
_LONGEST_LABEL = 40


@dataclass(frozen=True, slots=True)
class Level:
    """How one level of a list is numbered."""

    start: int = 1
    format: str = "decimal"
    text: str = "%1."
    style: str = ""
    is_legal: bool = False  # decimal numbers of all levels, whatever their own format


@dataclass(slots=True)
class _List:
    """Lists that share an abstract definition count on together."""

    levels: Mapping[int, Level]
    counts: list[int | None]


@dataclass(frozen=True, slots=True)
class _Number:
    definition: str
    levels: Mapping[int, Level]
    restarts: Mapping[int, int]


class Numbering:
    """Counts as the paragraphs come."""

    def __init__(self, root: Element | None):
        self._lists: dict[str, _List] = {}
        self._numbers: dict[str, _Number] = {}
        self._used: set[str] = set()
        if root is not None:
            self._read(root)

    def level(self, number_id: str, level: str | None, style_id: str) -> int:
        """The level, from 0, of a paragraph whose properties may name it or leave it to its style."""
        if level is not None or number_id not in self._numbers:
            return min(max(whole_number(level), 0), LEVELS - 1)
        levels = self._numbers[number_id].levels
        return next((index for index, one in levels.items() if style_id and one.style == style_id), 0)

    def label(self, number_id: str, level: int) -> str:
        """Count one more paragraph, and say what stands before it; empty if nothing does."""
        number = self._numbers.get(number_id)
        if number is None:
            return ""
        counts = self._count(number_id, number, level)
        shape = number.levels.get(level, Level())
        if shape.format == "bullet":
            return BULLET
        if shape.format == "none" and not _PLACE.search(shape.text):
            return shape.text.strip()[:_LONGEST_LABEL]
        return _PLACE.sub(lambda place: _shown(number, counts, shape, int(place[1]) - 1), shape.text).strip()[
            :_LONGEST_LABEL
        ]

    def _count(self, number_id: str, number: _Number, level: int) -> list[int | None]:
        counts = self._lists[number.definition].counts
        if number_id not in self._used:
            self._used.add(number_id)
            for index in number.restarts:
                counts[index] = None
        before = counts[level]
        start = number.restarts.get(level, number.levels.get(level, Level()).start)
        counts[level] = start if before is None else before + 1
        counts[level + 1 :] = [None] * (LEVELS - level - 1)
        return counts

    def _read(self, root: Element) -> None:
        linked: dict[str, str] = {}
        for element in root.iterchildren(f"{WORD}abstractNum"):
            definition = element.get(f"{WORD}abstractNumId", "")
            self._lists[definition] = _List(_levels(element), [None] * LEVELS)
            if style := value_of(element, "styleLink"):
                linked[style] = definition
        for element in root.iterchildren(f"{WORD}abstractNum"):
            original = linked.get(value_of(element, "numStyleLink") or "")
            if original is not None:
                self._lists[element.get(f"{WORD}abstractNumId", "")] = self._lists[original]
        for element in root.iterchildren(f"{WORD}num"):
            definition = value_of(element, "abstractNumId") or ""
            if definition in self._lists:
                self._numbers[element.get(f"{WORD}numId", "")] = self._number(element, definition)

    def _number(self, element: Element, definition: str) -> _Number:
        levels, restarts = dict(self._lists[definition].levels), {}
        for override in element.iterchildren(f"{WORD}lvlOverride"):
            index = _index(override)
            levels |= _levels(override)
            start = value_of(override, "startOverride")
            if start is not None:
                restarts[index] = whole_number(start, 1)
                levels[index] = replace(levels.get(index, Level()), start=restarts[index])
        return _Number(definition, levels, restarts)


def _levels(parent: Element) -> dict[int, Level]:
    return {_index(element): _level(element) for element in parent.iterchildren(f"{WORD}lvl")}


def _index(element: Element) -> int:
    return min(max(whole_number(element.get(f"{WORD}ilvl")), 0), LEVELS - 1)


def _level(element: Element) -> Level:
    number_format = element.find(f".//{WORD}numFmt")
    return Level(
        start=whole_number(value_of(element, "start"), 1),
        format=number_format.get(VALUE, "decimal") if number_format is not None else "decimal",
        text=value_of(element, "lvlText") or "",
        style=value_of(element, "pStyle") or "",
        is_legal=bool(is_on(element, "isLgl")),
    )


def _shown(number: _Number, counts: list[int | None], shape: Level, index: int) -> str:
    level = number.levels.get(index, Level())
    count = counts[index]
    write = str if shape.is_legal else _FORMATS.get(level.format, str)
    return write(level.start if count is None else count)


_FORMATS: dict[str, Callable[[int], str]] = {
    "lowerRoman": roman,
    "upperRoman": lambda number: roman(number).upper(),
    "lowerLetter": letters,
    "upperLetter": lambda number: letters(number).upper(),
    "decimalZero": lambda number: f"{number:02d}",
    "none": lambda number: "",
}
