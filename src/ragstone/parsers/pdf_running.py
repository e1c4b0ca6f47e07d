"""Running headers, footers and page numbers: lines at a page's edge that come again on the pages around it."""

import re
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from ragstone.parsers.pdf_layout import Line

_REACH = 8  # pages before and after that a page is compared with
_EDGE_ROWS = 3  # at the top and at the bottom, as many rows as may be running
_LEAST_PAGES = 3
_LEAST_SHARE = 0.4  # of the pages around: left and right pages often differ
_LONGEST = 200  # characters; more is no running line
_SHORT = 100  # characters; the page's number beside a text that changes with the chapter
_APART = 1.5  # heights of a line to the text: the head of a table that comes again is not a running line
_NUMBERS = re.compile(r"\d{1,6}")
_OUTER_NUMBER = re.compile(r"\A\d{1,6}\b|(?<!\S)\d{1,6}\Z")
_ROMAN = re.compile(r"[ivxlc]+")
_ROMAN_VALUES = {"i": 1, "v": 5, "x": 10, "l": 50, "c": 100}

_Key = tuple[str, str]


@dataclass(slots=True)
class NumberedPage:
    """A page's lines in reading order, and those that run another way than most."""

    number: int
    lines: list[Line]
    turned: Sequence[str] = ()


@dataclass(slots=True)
class _Seen:
    page: NumberedPage
    keys: list[tuple[int, frozenset[_Key]]]  # of the lines at the edges, from the outside in

    def all_keys(self) -> frozenset[_Key]:
        return frozenset(key for _, keys in self.keys for key in keys)


class RunningLines:
    """Takes pages one by one and gives them back, a few pages later, without their running lines."""

    def __init__(self) -> None:
        self._window: deque[_Seen] = deque()
        self._counts: Counter[_Key] = Counter()
        self._next = 0  # place in the window of the page that is given back next

    def push(self, page: NumberedPage) -> Iterator[NumberedPage]:
        """Take a page; gives those of which enough others are known."""
        seen = _Seen(page, _edges(page))
        self._window.append(seen)
        self._counts.update(seen.all_keys())
        while len(self._window) - self._next > _REACH:
            yield self._release()

    def rest(self) -> Iterator[NumberedPage]:
        """Gives the pages that are left."""
        while self._next < len(self._window):
            yield self._release()

    def _release(self) -> NumberedPage:
        seen = self._window[self._next]
        released = replace(seen.page, lines=self._without_running(seen))
        seen.page.lines = []
        self._next += 1
        if self._next > _REACH:
            self._counts.subtract(self._window.popleft().all_keys())
            self._next -= 1
        return released

    def _without_running(self, seen: _Seen) -> list[Line]:
        least = max(_LEAST_PAGES, _LEAST_SHARE * len(self._window))
        running = {index for index, keys in seen.keys if any(self._counts[key] >= least for key in keys)}
        lines = seen.page.lines
        kept = [line for index, line in enumerate(lines) if index not in running]
        if not kept:
            return lines
        return [
            line for index, line in enumerate(lines) if index not in running or not _stands_apart(line, kept)
        ]


def _stands_apart(line: Line, body: Sequence[Line]) -> bool:
    """Whether the line keeps its distance from the page's text."""
    least = _APART * line.box.height
    return all(abs(line.box.bottom - other.box.bottom) >= least for other in body)


def _edges(page: NumberedPage) -> list[tuple[int, frozenset[_Key]]]:
    """The outer lines with all that could come again of them."""
    by_height = sorted(range(len(page.lines)), key=lambda index: page.lines[index].box.bottom)
    top = [("top", index) for index in by_height[:_EDGE_ROWS]]
    bottom = [("bottom", index) for index in by_height[-_EDGE_ROWS:]]
    return [
        (index, frozenset((edge, form) for form in _forms(page.lines[index].text, page.number)))
        for edge, index in top + bottom
    ]


def _forms(text: str, page_number: int) -> Iterator[str]:
    """The line as it stands, and with each number as its distance from the page's; a number at its end tells
    enough without the rest."""
    if len(text) > _LONGEST:
        return
    yield text
    for number in _NUMBERS.finditer(text):
        yield f"{text[: number.start()]}\0{int(number[0]) - page_number}\0{text[number.end() :]}"
    for number in _OUTER_NUMBER.finditer(text) if len(text) <= _SHORT else ():
        yield f"\0{int(number[0]) - page_number}\0"
    if _ROMAN.fullmatch(text) is not None:
        yield f"\0{_roman(text) - page_number}\0"


def _roman(text: str) -> int:
    values = [_ROMAN_VALUES[letter] for letter in text]
    following = [*values[1:], 0]
    return sum(value if value >= after else -value for value, after in zip(values, following, strict=True))
