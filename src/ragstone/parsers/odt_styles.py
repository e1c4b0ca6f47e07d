"""What the styles of OpenDocument text say: which paragraphs are titles, listings or hidden, how lists are numbered."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ragstone.parsers.numerals import letters, roman
from ragstone.parsers.office_xml import Element, whole_number

_OASIS = "urn:oasis:names:tc:opendocument:xmlns:"
TEXT, STYLE, TABLE = (f"{{{_OASIS}{name}:1.0}}" for name in ("text", "style", "table"))
OFFICE, DRAW = (f"{{{_OASIS}{name}:1.0}}" for name in ("office", "drawing"))
STYLE_TAGS = (f"{STYLE}style", f"{TEXT}list-style")

_TITLE, _CODE = "Title", "Preformatted_20_Text"
_NUMBERED = f"{TEXT}list-level-style-number"
_BULLET = "- "
_LONGEST_CHAIN = 30  # of styles made from styles


@dataclass(frozen=True, slots=True)
class _Style:
    parent: str
    is_hidden: bool
    outline_level: int


@dataclass(frozen=True, slots=True)
class _Level:
    format: str
    prefix: str
    suffix: str
    shown_levels: int
    start: int


class OdtStyles:
    """Styles by their names, as they are read."""

    def __init__(self) -> None:
        self._styles: dict[str, _Style] = {}
        self._lists: dict[str, dict[int, _Level]] = {}

    def add(self, element: Element) -> None:
        """A style of paragraphs, of text or of lists."""
        name = element.get(f"{STYLE}name", "")
        if element.tag == f"{TEXT}list-style":
            self._lists[name] = {
                whole_number(level.get(f"{TEXT}level"), 1): _level(level)
                for level in element.iterchildren(_NUMBERED)
            }
        elif element.get(f"{STYLE}family") in ("paragraph", "text"):
            self._styles[name] = _style(element)

    def is_title(self, name: str) -> bool:
        """Whether it is the style of the document's title, or made from it."""
        return _TITLE in self._names(name)

    def is_code(self, name: str) -> bool:
        """Whether it is the style of listings."""
        return _CODE in self._names(name)

    def is_hidden(self, name: str) -> bool:
        """Whether nobody sees text in this style."""
        return any(self._styles[one].is_hidden for one in self._names(name) if one in self._styles)

    def outline_level(self, name: str) -> int:
        """Of paragraphs that are headings by their style; 0 for others."""
        levels = (self._styles[one].outline_level for one in self._names(name) if one in self._styles)
        return next((level for level in levels if level), 0)

    def start(self, list_name: str, level: int) -> int:
        """The first number of a list."""
        shape = self._lists.get(list_name, {}).get(level)
        return shape.start if shape is not None else 1

    def marker(self, list_name: str, counts: Sequence[int]) -> str:
        """What stands before an item; `counts` are its number and those of the items around it, outermost first."""
        levels = self._lists.get(list_name, {})
        shape = levels.get(len(counts))
        if shape is None:
            return _BULLET
        if not shape.format:
            return f"{shape.prefix}{shape.suffix} ".lstrip()
        first = max(len(counts) - shape.shown_levels, 0)
        numbers = (
            _shown(levels[level].format if level in levels else "", count)
            for level, count in enumerate(counts[first:], first + 1)
        )
        return f"{shape.prefix}{'.'.join(numbers)}{shape.suffix} "

    def _names(self, name: str) -> Iterator[str]:
        """The style and those that it is made from."""
        seen: set[str] = set()
        while name and name not in seen and len(seen) < _LONGEST_CHAIN:
            seen.add(name)
            yield name
            name = self._styles[name].parent if name in self._styles else ""


def _style(element: Element) -> _Style:
    properties = element.find(f"{STYLE}text-properties")
    return _Style(
        parent=element.get(f"{STYLE}parent-style-name", ""),
        is_hidden=properties is not None and properties.get(f"{TEXT}display") == "none",
        outline_level=whole_number(element.get(f"{STYLE}default-outline-level")),
    )


def _level(element: Element) -> _Level:
    return _Level(
        format=element.get(f"{STYLE}num-format", ""),
        prefix=element.get(f"{STYLE}num-prefix", "")[:20],
        suffix=element.get(f"{STYLE}num-suffix", "")[:20],
        shown_levels=max(whole_number(element.get(f"{TEXT}display-levels"), 1), 1),
        start=whole_number(element.get(f"{TEXT}start-value"), 1),
    )


def _shown(number_format: str, number: int) -> str:
    if number_format in ("a", "A"):
        return letters(number) if number_format == "a" else letters(number).upper()
    if number_format in ("i", "I"):
        return roman(number) if number_format == "i" else roman(number).upper()
    return str(number)
