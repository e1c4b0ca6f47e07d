"""Counting word pieces, many times faster than tokenizing: white space always parts tokens, so words can be counted
one by one, and most words were counted before."""

import re
from collections.abc import Iterable
from typing import Protocol

_KNOWN_WORDS = 50_000  # about 6 MB; enough for a corpus of one language
_LONGEST_KNOWN = 32  # characters; longer ones hardly come again
_WINDOW = 32_768  # characters whose new words are counted in one call: a call costs as much as ten words
# Characters that Python takes for white space and the tokenizer removes.
_NOT_PARTING = re.compile("[\x1c-\x1f\x85]")


class Tokenizer(Protocol):
    """What is needed of the encoder's tokenizer; see core.tokenizer."""

    def offsets(self, text: str) -> list[tuple[int, int]]:
        """(start, end) of every token."""
        ...

    def count(self, text: str) -> int:
        """How many tokens the text has."""
        ...


class TokenCounter:
    """Exact token counts of texts, and offsets where they are needed. Remembers words from one document to the next."""

    def __init__(self, tokenizer: Tokenizer):
        self._tokenizer = tokenizer
        self._known: dict[str, int] = {}

    def count(self, text: str) -> int:
        """The same as the tokenizer's own count."""
        if _NOT_PARTING.search(text) is not None:
            return self._tokenizer.count(text)
        known = self._known
        return sum(known[word] if word in known else self._tokenizer.count(word) for word in text.split())

    def offsets(self, text: str) -> list[tuple[int, int]]:
        """(start, end) of every token."""
        return self._tokenizer.offsets(text)

    def learn(self, text: str) -> None:
        """Count the new words of a text at once, before they are asked for."""
        words = {word for word in text.split() if len(word) <= _LONGEST_KNOWN}
        new = words - self._known.keys()
        if len(self._known) + len(new) > _KNOWN_WORDS:
            self._known, new = {}, words
        self._remember(sorted(new))

    def _remember(self, words: Iterable[str]) -> None:
        line = "\n".join(words)
        starts = iter([start for start, _ in self._tokenizer.offsets(line)] + [len(line)])
        start, end = next(starts), -1
        for word in words:
            end += 1 + len(word)
            tokens = 0
            while start < end:
                tokens += 1
                start = next(starts)
            if _NOT_PARTING.search(word) is None:
                self._known[word] = tokens


class DocumentTokens:
    """Token counts of one document's spans."""

    def __init__(self, counter: TokenCounter, text: str):
        self._counter = counter
        self._text = text
        self._learned_to = 0

    def count(self, start: int, end: int) -> int:
        """Tokens of `text[start:end]`."""
        if end > self._learned_to:
            self._learned_to = start + _WINDOW
            self._counter.learn(self._text[start : self._learned_to])
        return self._counter.count(self._text[start:end])

    def starts(self, start: int, end: int) -> list[int]:
        """Where each token of `text[start:end]` begins."""
        return [start + token_start for token_start, _ in self._counter.offsets(self._text[start:end])]
