"""The text of one PDF page as PDFium gives it, with the place of every piece of a line.

PDFium writes lines in the order in which the page draws them. A line is taken apart here where a gap in it is wide
enough for a column or a table's cell; pdf_layout decides which it is.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from ctypes import byref, c_double
from dataclasses import dataclass
from math import pi
from typing import NamedTuple

import pypdfium2 as pdfium
import pypdfium2.raw as native

from ragstone.core.errors import ParseLimit
from ragstone.parsers.pdf_letters import is_lam_alef, is_rtl, readable

MOST_CHARACTERS = 400_000  # on one page; a dense one has 10,000, a sheet printed on one page ten times that
CELL_GAP = 0.75  # of a line's height: wider than between words, narrower than between columns

_HYPHEN = "\ufffe"  # stands in PDFium's text for a hyphen, and the line break after it
_TOKENS = re.compile(f"\r?\n|{_HYPHEN}|[^\\s{_HYPHEN}]+")
_LINE_ENDS = frozenset(("\r\n", "\n", _HYPHEN))


class Box(NamedTuple):
    """A rectangle; y grows downwards."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def height(self) -> float:
        """Of a line: its size."""
        return self.bottom - self.top


class Word(NamedTuple):
    """What stands between white space, and where. Flat, since there are so many of them."""

    text: str
    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of a line without a wide gap in it."""

    text: str
    box: Box
    first_word: float  # its width
    is_hyphenated: bool = False
    is_rtl: bool = False


@dataclass(frozen=True, slots=True)
class PageText:
    """The page's segments in the order in which it draws them; `turned` are lines that run another way."""

    segments: Sequence[Segment]
    turned: Sequence[str]


@dataclass(slots=True)
class _RawLine:
    words: list[Word]
    quarter: int
    is_hyphenated: bool = False


def read_page(page: pdfium.PdfPage, number: int) -> PageText:
    """The visible text of a page. Raises ParseLimit, PdfiumError."""
    textpage = page.get_textpage()
    try:
        reader = _Reader(textpage, number)
        lines = _visible(reader.lines(), page.get_bbox())
    finally:
        textpage.close()
    upright = _main_direction(lines)
    segments: list[Segment] = []
    turned: list[str] = []
    for line in lines:
        if line.quarter == upright:
            segments.extend(_segments(line, has_rtl=reader.has_rtl))
        else:
            turned.append(readable(" ".join(word.text for word in line.words)))
    return PageText(segments, turned)


class _Reader:
    """Reads the characters of a text page and where they are."""

    def __init__(self, textpage: pdfium.PdfTextPage, number: int):
        self._handle = textpage.raw
        self._rectangle = native.FS_RECTF()
        self._rectangle_reference = byref(self._rectangle)
        self._text = self._characters(textpage, number)
        self.has_rtl = is_rtl(self._text)

    def lines(self) -> list[_RawLine]:
        """The lines, in the order of the page's content."""
        lines = [_RawLine([], 0)]
        for token in _TOKENS.finditer(self._text):
            word = token[0]
            if word in _LINE_ENDS:
                lines[-1].is_hyphenated = word == _HYPHEN
                lines.append(_RawLine([], 0))
                continue
            line = lines[-1]
            if not line.words:
                line.quarter = self._quarter(token.start())
            line.words.append(self._word(word, token.start(), token.end() - 1, line.quarter))
        return [line for line in lines if line.words]

    def _characters(self, textpage: pdfium.PdfTextPage, number: int) -> str:
        """One code unit for each character of PDFium's list, so that both have the same indices."""
        count = textpage.count_chars()
        if count > MOST_CHARACTERS:
            raise ParseLimit(f"page {number} holds {count} characters; at most {MOST_CHARACTERS} are read")
        text: str = textpage.get_text_range(errors="surrogatepass") if count else ""
        if len(text) != count:
            units = (native.FPDFText_GetUnicode(self._handle, index) for index in range(count))
            text = "".join(chr(unit) if 0 < unit < 0x110000 else " " for unit in units)
        return text

    def _quarter(self, index: int) -> int:
        """How many quarters of a turn, clockwise, the line is turned by."""
        angle: float = native.FPDFText_GetCharAngle(self._handle, index)
        return round(angle / (pi / 2)) % 4

    def _word(self, text: str, first: int, last: int, quarter: int) -> Word:
        """The word, and its box as if it ran from left to right."""
        found = self._rectangle
        native.FPDFText_GetLooseCharBox(self._handle, first, self._rectangle_reference)
        if quarter == 0:
            left, top, right, bottom = found.left, -found.top, found.right, -found.bottom
        else:
            left, top, right, bottom = _upright(found, quarter)
        if last > first:
            native.FPDFText_GetLooseCharBox(self._handle, last, self._rectangle_reference)
            if quarter == 0 and not self.has_rtl:
                right = found.right
            else:
                other = _upright(found, quarter)
                left, right = min(left, other[0]), max(right, other[2])
        if self.has_rtl and is_rtl(text):
            text = self._logical(text, first)
        return Word(text, left, top, right, bottom)

    def _logical(self, word: str, start: int) -> str:
        """The word as it is written. PDFium turns the line around, and with it the letters that one glyph stands for:
        they share their origin. Only where it takes a ligature of lam and alef apart itself, they are in order.
        """
        origins = [self._origin(start + offset) for offset in range(len(word))]
        letters: list[str] = []
        first = 0
        for after in range(1, len(word) + 1):
            if after == len(word) or origins[after] != origins[first]:
                glyph = word[first:after]
                letters.append(glyph[::-1] if is_rtl(glyph) and not is_lam_alef(glyph) else glyph)
                first = after
        return "".join(letters)

    def _origin(self, index: int) -> tuple[float, float]:
        x, y = c_double(), c_double()
        native.FPDFText_GetCharOrigin(self._handle, index, byref(x), byref(y))
        return x.value, y.value


def _upright(found: native.FS_RECTF, quarter: int) -> tuple[float, float, float, float]:
    """A rectangle of the page as left, top, right, bottom of a line that was turned upright; y grows downwards."""
    if quarter == 0:
        return found.left, -found.top, found.right, -found.bottom
    if quarter == 1:
        return -found.top, -found.right, -found.bottom, -found.left
    if quarter == 2:
        return -found.right, found.bottom, -found.left, found.top
    return found.bottom, found.left, found.top, found.right


def _visible(lines: list[_RawLine], page: tuple[float, float, float, float]) -> list[_RawLine]:
    """Without the lines that begin outside of the page: crop marks, and what was cropped away."""
    left, bottom, right, top = page
    shown: list[_RawLine] = []
    for line in lines:
        x, y = _middle(line.words[0], line.quarter)
        if left <= x <= right and bottom <= y <= top:
            shown.append(line)
    return shown


def _middle(word: Word, quarter: int) -> tuple[float, float]:
    """Of the word's box, in the page's own coordinates."""
    x, y = (word.left + word.right) / 2, (word.top + word.bottom) / 2
    return ((x, -y), (-y, -x), (-x, y), (y, x))[quarter]


def _main_direction(lines: list[_RawLine]) -> int:
    words: Counter[int] = Counter()
    for line in lines:
        words[line.quarter] += len(line.words)
    return words.most_common(1)[0][0] if words else 0


def _segments(line: _RawLine, *, has_rtl: bool) -> Iterator[Segment]:
    """The line's pieces between wide gaps. Lines from the right stay whole: their words' order is not their place."""
    words = line.words
    if has_rtl and any(is_rtl(word.text) for word in words):
        yield _segment(words, is_hyphenated=False, is_rtl=True)
        return
    first = 0
    for index in range(1, len(words)):
        before_right = words[index - 1].right
        _, left, top, _, bottom = words[index]
        height = bottom - top
        if not -height < left - before_right < CELL_GAP * height:
            yield _segment(words[first:index])
            first = index
    yield _segment(words[first:], is_hyphenated=line.is_hyphenated)


def _segment(words: Sequence[Word], *, is_hyphenated: bool = False, is_rtl: bool = False) -> Segment:
    first = words[0]
    left, right = first.left, words[-1].right
    if is_rtl:
        left, right = min(word.left for word in words), max(word.right for word in words)
    usual = _usual(words)
    box = Box(left, usual.top, right, max(usual.bottom, usual.top + 1))
    text = readable(" ".join([word.text for word in words]))
    return Segment(text, box, first.right - first.left, is_hyphenated, is_rtl)


def _usual(words: Sequence[Word]) -> Word:
    """A word of the height that most letters have: others may be code, notes' marks or initials."""
    letters: dict[float, int] = {}
    for text, _, top, _, bottom in words:
        height = round(bottom - top, 1)
        letters[height] = letters.get(height, 0) + len(text)
    if len(letters) == 1:
        return words[0]
    usual = max(letters, key=letters.__getitem__)
    return next(word for word in words if round(word.bottom - word.top, 1) == usual)
