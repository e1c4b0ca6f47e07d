"""Splits a sentence, row or line that is too long: at a line break or clause, else at a space, else between
characters."""

import re
from collections.abc import Iterator

from ragstone.chunking.graphemes import boundary_before, is_boundary
from ragstone.chunking.tokens import DocumentTokens

_CLAUSE_ENDS = (". ", "; ", ": ", ", ", ") ", " — ", " – ", "。", "；", "：", "，", "、", "！", "？")
_WHITE_SPACE = (" ", "\n", "\t", "\u00a0", "\u3000")
_WORD = re.compile(r"\S+")
_LONGEST_WORD = 64  # characters, of words that are spaced
_CHARACTERS_A_TOKEN = 6  # seldom more on average: looking further ahead would only cost time


class Splitter:
    """Cuts spans of one document into parts of at most `max_tokens` and `max_characters`."""

    def __init__(self, text: str, tokens: DocumentTokens, *, max_tokens: int, max_characters: int):
        self._text = text
        self._tokens = tokens
        self._max_tokens = max_tokens
        self._window = min(max_characters, _CHARACTERS_A_TOKEN * max_tokens)

    def split(self, start: int, end: int) -> Iterator[tuple[int, int, bool]]:
        """(start, end, whether its tokens and those of the part before it add up to the tokens of both together)."""
        text, adds_up = self._text, True
        while start < end:
            cut = self._cut(start, end)
            part_end = cut
            while part_end > start and text[part_end - 1].isspace():
                part_end -= 1
            if part_end > start:
                yield start, part_end, adds_up
                adds_up = cut == end or _parts_words(text, cut)
            start = cut
            while start < end and text[start].isspace():
                start += 1

    def _cut(self, start: int, end: int) -> int:
        reach = self._reach(start, end)
        if reach == end:
            return end
        cut = _clause_end(self._text, start + (reach - start) // 2, reach)
        if cut <= start or not is_boundary(self._text, cut):
            cut = max(self._text.rfind(space, start, reach + 1) for space in _WHITE_SPACE)
        return cut if cut > start else self._cut_in_word(start, reach)

    def _reach(self, start: int, end: int) -> int:
        """How far a part can go at most."""
        stop = min(end, start + self._window)
        left = self._max_tokens
        for word in _WORD.finditer(self._text, start, stop):
            if word.start() > start and word.end() - word.start() <= _LONGEST_WORD:
                tokens = self._tokens.count(word.start(), word.end())
                if tokens > left:
                    return word.start()
            else:
                starts = self._starts(word.start(), word.end(), left)
                tokens = len(starts)
                if tokens > left:
                    return starts[left]
            left -= tokens
        return stop

    def _starts(self, start: int, end: int, wanted: int) -> list[int]:
        """Where the tokens of a word begin, at least those up to number `wanted`. In scripts without spaces, where
        words are long, a token is about a character, so the first look is a short one."""
        stop = min(end, start + max(2 * wanted, 2 * _LONGEST_WORD))
        starts = self._tokens.starts(start, stop)
        return starts if stop == end or len(starts) > wanted else self._tokens.starts(start, end)

    def _cut_in_word(self, start: int, reach: int) -> int:
        """A character's boundary. Half a word may have more tokens than all of it (over 100 characters are one)."""
        cut = boundary_before(self._text, max(reach, start + 1), start)
        while cut - start > 1 and self._tokens.count(start, cut) > self._max_tokens:
            cut = boundary_before(self._text, start + (cut - start) // 2, start)
        return cut


def _clause_end(text: str, low: int, high: int) -> int:
    """Behind the last line break, else the last clause between `low` and `high`; 0 if there is none."""
    line_end = text.rfind("\n", low, high + 1)
    if line_end > low:
        return line_end
    return max(
        found + len(mark) if (found := text.rfind(mark, low, high)) >= 0 else 0 for mark in _CLAUSE_ENDS
    )


def _parts_words(text: str, cut: int) -> bool:
    """Whether no word runs over the cut."""
    return text[cut - 1].isspace() or text[cut].isspace() or text[cut - 1] in "。；：，、！？"
