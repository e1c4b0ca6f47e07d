"""Rich Text Format: the text that is shown, in paragraphs, headings, lists and tables.

striprtf gives its tables of character sets and of groups that hold no text. Its own reading is not used: hidden text
comes through, headings do not, and 4,000 links that are left open take 3 s, four times as long when they are twice as
many.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from ragstone.core.errors import ParseFailed, ParseLimit
from ragstone.core.models import ParsedDocument
from ragstone.parsers.html import LOWEST_LEVEL
from ragstone.parsers.rtf_blocks import Paragraph, RtfBlocks
from ragstone.parsers.rtf_text import RtfText
from ragstone.parsers.rtf_words import CHARACTERS, PLACES, SHOWN_IN_WRAPPER, SIGNS, WITH_OWN_TEXT, Place

_DEEPEST = 10_000  # groups in groups; honest ones have some dozens
_START = re.compile(rb"\s*+\{\s*+\\rtf")
_TOKEN = re.compile(
    r"\\(?P<word>[A-Za-z]{1,32}+)(?P<number>-?\d{1,10}+)?[ ]?|\\'(?P<hex>[0-9A-Fa-f]{2})|\\(?P<sign>[^A-Za-z])"
    r"|(?P<brace>[{}])|[\r\n\0]++|(?P<text>[^\\{}\r\n\0]++)|\\"
)
_STYLE_LEVEL = re.compile(
    r"(?:heading|überschrift|titre|título|titolo|kop|rubrik|заголовок)\s++([1-6])\b", re.I
)


_BODY_TEXT = Paragraph()


class RtfParser:
    """Implements `Parser` for application/rtf."""

    def parse(self, content: bytes) -> ParsedDocument:
        """Raises NoText, ParseFailed, ParseLimit."""
        if _START.match(content) is None:
            raise ParseFailed("the file does not begin like a document in RTF")
        return _Reader(content.decode("latin-1")).document()


@dataclass(frozen=True, slots=True)
class _Group:
    """What a group inherits from the one around it, and gives back when it ends; but for its own text."""

    place: Place = Place.BODY
    is_hidden: bool = False
    skip_after_unicode: int = 1
    font: int | None = None
    paragraph: Paragraph = _BODY_TEXT
    has_own_text: bool = False

    @property
    def is_shown(self) -> bool:
        return not self.is_hidden and self.place not in (Place.NOWHERE, Place.WRAPPER)


class _Reader:
    """Goes through the tokens once, with a stack of groups instead of recursion."""

    def __init__(self, source: str):
        self._source = source
        self._stack: list[_Group] = []
        self._group = _Group()
        self._is_starred = False
        self._text = RtfText()
        self._blocks = RtfBlocks()
        self._styles: dict[int, int] = {}
        self._style = (0, 0)  # the number and the level of the one that is being defined
        self._title = ""

    def document(self) -> ParsedDocument:
        """Read to the end of the outermost group. Raises NoText, ParseLimit."""
        at, end = 0, len(self._source)
        while at < end and (token := _TOKEN.match(self._source, at)) is not None:
            at = token.end()
            if token["word"] == "bin":
                at += max(int(token["number"] or 0), 0)
            elif token["brace"] == "}" and len(self._stack) <= 1:
                break
            else:
                self._take(token)
        while self._stack:
            self._close()
        self._end_paragraph()
        return self._blocks.finish(self._title)

    def _take(self, token: re.Match[str]) -> None:
        if token["text"]:
            self._is_starred = False
            self._text.add_raw(token["text"], is_shown=self._group.is_shown)
        elif token["word"]:
            self._word(token["word"], token["number"])
        elif token["brace"] == "{":
            self._open()
        elif token["brace"]:
            self._close()
        elif token["hex"]:
            self._text.add_raw(chr(int(token["hex"], 16)), is_shown=self._group.is_shown)
        elif token["sign"]:
            self._sign(token["sign"])

    # ---- groups ----

    def _open(self) -> None:
        if len(self._stack) >= _DEEPEST:
            raise ParseLimit(f"groups nest deeper than {_DEEPEST}")
        self._stack.append(self._group)
        self._is_starred = False
        self._text.end_skip()
        is_style = self._group.place is Place.STYLE
        if is_style:
            self._text.push()
            self._style = (0, 0)
        if is_style or self._group.has_own_text:
            self._group = replace(self._group, has_own_text=is_style)

    def _close(self) -> None:
        ended, self._group = self._group, self._stack.pop()
        self._text.end_skip()
        if ended.has_own_text:
            self._keep(ended.place, self._text.pop())
        self._text.use_font(self._group.font)

    def _enter(self, place: Place) -> None:
        """What the group is for that has just begun."""
        has_own_text = self._group.has_own_text
        if place in WITH_OWN_TEXT and not has_own_text:
            self._text.push()
            has_own_text = True
        self._group = replace(self._group, place=place, has_own_text=has_own_text)

    def _keep(self, place: Place, text: str) -> None:
        if place is Place.NOTE:
            self._blocks.add_note(text)
        elif place is Place.MARKER:
            self._blocks.set_marker(text)
        elif place is Place.TITLE:
            self._title = self._title or text
        elif place is Place.STYLE:
            number, level = self._style
            if (named := _STYLE_LEVEL.match(text.strip())) is not None:
                level = int(named[1])
            self._styles[number] = 1 if text.strip(" ;").lower() == "title" else level

    # ---- words ----

    def _word(self, word: str, digits: str | None) -> None:
        is_starred, self._is_starred = self._is_starred, False
        self._text.end_skip()
        if (act := _ACTIONS.get(word)) is not None:
            act(self, None if digits is None else int(digits))
        elif word in CHARACTERS:
            self._show(CHARACTERS[word])
        elif self._group.place is Place.WRAPPER and word in SHOWN_IN_WRAPPER:
            self._enter(SHOWN_IN_WRAPPER[word])
        elif (place := PLACES.get(word)) is not None:
            if self._group.place is not Place.NOWHERE:
                self._enter(place)
        elif is_starred:
            self._enter(Place.NOWHERE)

    def _sign(self, sign: str) -> None:
        if sign == "*":
            self._is_starred = True
        elif sign in "\r\n":
            self._paragraph_ends(None)
        else:
            self._show(SIGNS.get(sign, ""))

    def _show(self, text: str) -> None:
        if self._group.is_shown:
            self._text.add(text)

    # ---- characters ----

    def _unicode(self, number: int | None) -> None:
        skip = self._group.skip_after_unicode
        self._text.add_unicode(number or 0, skip=skip, is_shown=self._group.is_shown and number is not None)

    def _skip_length(self, number: int | None) -> None:
        self._group = replace(self._group, skip_after_unicode=1 if number is None else number)

    def _code_page(self, number: int | None) -> None:
        self._text.set_code_page(number or 0)

    def _font(self, number: int | None) -> None:
        self._group = replace(self._group, font=number)
        self._text.use_font(number)

    def _charset(self, number: int | None) -> None:
        if self._group.place is Place.FONT and self._group.font is not None:
            self._text.define_font(self._group.font, number or 0)

    def _hide(self, number: int | None) -> None:
        self._group = replace(self._group, is_hidden=number != 0)

    def _plain(self, number: int | None) -> None:
        self._group = replace(self._group, is_hidden=False, font=None)
        self._text.use_font(None)

    # ---- paragraphs ----

    def _paragraph_ends(self, number: int | None) -> None:
        place = self._group.place
        if place is Place.BODY and not self._group.paragraph.is_in_table:
            self._end_paragraph()
        elif place in (Place.BODY, Place.NOTE):
            self._text.add("\n")

    def _end_paragraph(self) -> None:
        self._blocks.add_paragraph(self._text.take(), self._group.paragraph)

    def _cell(self, number: int | None) -> None:
        if self._group.place is Place.BODY:
            self._blocks.add_cell(self._text.take())

    def _row(self, number: int | None) -> None:
        if self._group.place is Place.BODY:
            self._blocks.end_row()

    def _new_format(self, number: int | None) -> None:
        if self._group.place is not Place.MARKER:
            self._group = replace(self._group, paragraph=_BODY_TEXT)

    def _use_style(self, number: int | None) -> None:
        if self._group.place is Place.STYLE:
            self._style = (number or 0, self._style[1])
        else:
            self._rank(self._styles.get(number or 0, 0))

    def _outline(self, number: int | None) -> None:
        level = (number or 0) + 1
        level = level if level <= LOWEST_LEVEL else 0
        if self._group.place is Place.STYLE:
            self._style = (self._style[0], level)
        else:
            self._rank(level)

    def _rank(self, level: int) -> None:
        self._group = replace(self._group, paragraph=replace(self._group.paragraph, level=level))

    def _in_table(self, number: int | None) -> None:
        paragraph = replace(self._group.paragraph, is_in_table=number != 0)
        self._group = replace(self._group, paragraph=paragraph)

    def _list_level(self, number: int | None) -> None:
        paragraph = replace(self._group.paragraph, list_level=number or 0)
        self._group = replace(self._group, paragraph=paragraph)


_ACTIONS: dict[str, Callable[[_Reader, int | None], None]] = {
    **dict.fromkeys(("par", "page", "sect", "column"), _Reader._paragraph_ends),
    **dict.fromkeys(("v", "deleted"), _Reader._hide),
    "u": _Reader._unicode,
    "uc": _Reader._skip_length,
    "ansicpg": _Reader._code_page,
    "f": _Reader._font,
    "fcharset": _Reader._charset,
    "plain": _Reader._plain,
    "cell": _Reader._cell,
    "row": _Reader._row,
    "pard": _Reader._new_format,
    "s": _Reader._use_style,
    "outlinelevel": _Reader._outline,
    "intbl": _Reader._in_table,
    "ilvl": _Reader._list_level,
}
