"""What Word's styles say about a paragraph: heading, list, listing of code, hidden."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from ragstone.parsers.office_xml import Element, whole_number

WORD = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
VALUE = f"{WORD}val"
_T = TypeVar("_T")

LOWEST_HEADING = 6
_LONGEST_CHAIN = 30  # of styles based on styles
_BODY_TEXT = 9  # the outline level of what is no heading
# Word's own styles have these names in the file whatever its language, and other ids.
_HEADING = re.compile(r"heading ([1-9])")
_TITLE = "title"
_CONTENTS = re.compile(r"toc [1-9]")
_CODE = frozenset(
    ("html preformatted", "preformatted text", "source code", "code", "code block", "macro", "macro text")
)
_OFF = frozenset(("0", "false", "off"))


@dataclass(frozen=True, slots=True)
class Style:
    """A style as it stands in the file, without what it inherits."""

    name: str
    based_on: str
    outline_level: int | None
    number_id: str | None
    number_level: str | None
    is_hidden: bool | None


class Styles:
    """The styles by their ids. An unknown id is a style that says nothing."""

    def __init__(self, root: Element | None):
        self._styles: dict[str, Style] = {}
        self._default = ""
        for element in root.iterchildren(f"{WORD}style") if root is not None else ():
            style_id = element.get(f"{WORD}styleId", "")
            self._styles[style_id] = _style(element)
            is_default = element.get(f"{WORD}default", "0") not in _OFF
            if is_default and element.get(f"{WORD}type") == "paragraph":
                self._default = style_id
        self.hide_anything = any(style.is_hidden for style in self._styles.values())

    def of(self, properties: Element | None) -> str:
        """The style's id of a paragraph with these properties."""
        return value_of(properties, "pStyle") or self._default

    def heading_level(self, style_id: str, properties: Element | None) -> int | None:
        """From 1 to 6; None for text."""
        direct = value_of(properties, "outlineLvl")
        level = whole_number(direct, _BODY_TEXT) if direct is not None else self._outline_level(style_id)
        return min(level + 1, LOWEST_HEADING) if level is not None and 0 <= level < _BODY_TEXT else None

    def is_title(self, style_id: str) -> bool:
        """Whether it is the style of the document's title, or made from it."""
        return any(style.name == _TITLE for style in self._chain(style_id))

    def is_contents(self, style_id: str) -> bool:
        """Whether it is the style of lines in a table of contents."""
        return any(_CONTENTS.fullmatch(style.name) for style in self._chain(style_id))

    def is_code(self, style_id: str) -> bool:
        """Whether it is a style for listings."""
        return any(style.name in _CODE for style in self._chain(style_id))

    def is_hidden(self, style_id: str) -> bool | None:
        """What the style says about visibility, if it does."""
        return self._first(style_id, lambda style: style.is_hidden)

    def numbering(self, style_id: str) -> tuple[str | None, str | None]:
        """Id and level of the numbering that the style brings."""
        return (
            self._first(style_id, lambda style: style.number_id),
            self._first(style_id, lambda style: style.number_level),
        )

    def _outline_level(self, style_id: str) -> int | None:
        return self._first(style_id, lambda style: style.outline_level)

    def _first(self, style_id: str, ask: Callable[[Style], _T | None]) -> _T | None:
        return next((said for style in self._chain(style_id) if (said := ask(style)) is not None), None)

    def _chain(self, style_id: str) -> Iterator[Style]:
        """The style and those that it is based on."""
        seen: set[str] = set()
        while style_id in self._styles and style_id not in seen and len(seen) < _LONGEST_CHAIN:
            seen.add(style_id)
            yield self._styles[style_id]
            style_id = self._styles[style_id].based_on


def value_of(parent: Element | None, name: str) -> str | None:
    """The value of a property, if it is set."""
    element = parent.find(f"{WORD}{name}") if parent is not None else None
    return None if element is None else element.get(VALUE, "")


def is_on(parent: Element | None, name: str) -> bool | None:
    """Whether a property that is on or off is on; None if it is not set."""
    value = value_of(parent, name)
    return None if value is None else value not in _OFF


def _style(element: Element) -> Style:
    paragraph = element.find(f"{WORD}pPr")
    numbering = paragraph.find(f"{WORD}numPr") if paragraph is not None else None
    name = (value_of(element, "name") or "").lower()
    outline = value_of(paragraph, "outlineLvl")
    heading = _HEADING.fullmatch(name)
    level = int(heading[1]) - 1 if heading is not None else None
    return Style(
        name=name,
        based_on=value_of(element, "basedOn") or "",
        outline_level=whole_number(outline, _BODY_TEXT) if outline is not None and level is None else level,
        number_id=value_of(numbering, "numId"),
        number_level=value_of(numbering, "ilvl"),
        is_hidden=is_on(element.find(f"{WORD}rPr"), "vanish"),
    )
