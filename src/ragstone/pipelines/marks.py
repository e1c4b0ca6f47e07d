"""Citation marks in a model's text, found as it streams: `[1]`, `[1, 2]`, `[1; 2]`, `【1】`."""

import re
from collections.abc import Set as AbstractSet

LONGEST_MARK = 600  # a hundred sources, the most there are, in one list

_BLANKS = r"[ \t\u00a0\u202f\u3000]*+"
_SEPARATOR = rf"{_BLANKS}[,;，；、]{_BLANKS}"
_MARK = re.compile(rf"[\[【]{_BLANKS}(\d{{1,4}}+(?:{_SEPARATOR}\d{{1,4}}+)*+){_BLANKS}[\]】]")
_BEGUN_MARK = re.compile(r"[\[【][\d,;，；、 \t\u00a0\u202f\u3000]*+\Z")
_NUMBER = re.compile(r"\d+")
_CLINGING = frozenset(".,;:!?…)]}\n。，；：！？、")  # no blank stands before these

Mark = tuple[int, ...]
"""The numbers of one mark that were sent; none: a mark that was dropped stood here."""


class MarkReader:
    """Parts a text into text and marks; numbers that are not `known` never leave. However the text is cut, the
    parts are the same once joined."""

    def __init__(self, known: AbstractSet[int]):
        self._known = known
        self._begun = ""
        self._blank = ""
        self._is_after_dropped = False
        self._written = ""

    def feed(self, piece: str) -> list[str | Mark]:
        """As much as can be told: the beginning of a mark and one blank in front of it are held back."""
        text = self._begun + piece
        parts: list[str | Mark] = []
        done = 0
        for found in _MARK.finditer(text) if "[" in text or "【" in text else ():
            if found.end() - found.start() <= LONGEST_MARK:
                parts += self._text(text[done : found.start()])
                parts += self._mark(found[1])
                done = found.end()
        begun = _BEGUN_MARK.search(text, max(done, len(text) - LONGEST_MARK + 1))
        cut = len(text) if begun is None else begun.start()
        self._begun = text[cut:]
        return [*parts, *self._text(text[done:cut])]

    def finish(self) -> list[str]:
        """What was held back, once no more can come."""
        rest = self._text(self._begun)
        self._begun = ""
        return rest if self._is_after_dropped else [*rest, *self._release_blank()]

    def _text(self, text: str) -> list[str]:
        if self._is_after_dropped and text:
            text = self._closed_up(text)
        if not text:
            return []
        shown = self._blank + text
        self._blank = " " if shown[-1] == " " else ""
        return self._write(shown[:-1] if self._blank else shown)

    def _closed_up(self, text: str) -> str:
        """The text after a dropped mark, without the blank that would stand twice or before a full stop."""
        if self._blank or self._written[-1:] in ("", "\n"):
            text = text.lstrip(" ")
        if text and text[0] in _CLINGING:
            self._blank = ""
        self._is_after_dropped = not text
        return text

    def _mark(self, listed: str) -> list[str | Mark]:
        numbers = dict.fromkeys(int(number) for number in _NUMBER.findall(listed))
        kept = tuple(number for number in numbers if number in self._known)
        if kept:
            self._is_after_dropped = False
            blank = self._release_blank()
            self._written = "]"
            return [*blank, kept]
        if _BEGUN_MARK.search(self._written + self._blank) is not None:
            return [*self._text("[]"), kept]  # what stands around it would become a mark
        self._is_after_dropped = True
        return [kept]

    def _release_blank(self) -> list[str]:
        blank, self._blank = self._blank, ""
        return self._write(blank)

    def _write(self, text: str) -> list[str]:
        self._written = (self._written + text)[-LONGEST_MARK:]
        return [text] if text else []
