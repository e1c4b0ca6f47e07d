"""What stands in front of a chunk when it is embedded: the document's title and the headings above it."""

from collections.abc import Sequence

from ragstone.chunking.tokens import TokenCounter

SEPARATOR = " > "
_PART_CHARACTERS = 200  # a word of any length is one unknown token, so tokens alone bound nothing


class ContextBuilder:
    """Title and heading path as one line of at most `max_tokens` word pieces."""

    def __init__(self, counter: TokenCounter, title: str | None, *, max_tokens: int):
        self._counter = counter
        self._title = title
        self._max_tokens = max_tokens
        self._lines: dict[tuple[str, ...], str] = {}
        self._bounds: dict[tuple[str, ...], int] = {}

    def line(self, path: tuple[str, ...], *, shown: Sequence[str] = ()) -> str:
        """The context below `path`. Headings that the chunk's own text begins with (`shown`) are left out."""
        begins_with = {heading.casefold() for heading in shown}
        parts = tuple(part for part in self._parts(path) if part.casefold() not in begins_with)
        if parts not in self._lines:
            self._lines[parts] = self._fit(list(parts))
        return self._lines[parts]

    def most_tokens(self, path: tuple[str, ...]) -> int:
        """No context below `path`, or below a part of it, has more tokens than this."""
        if path not in self._bounds:
            tokens = self._counter.count(SEPARATOR.join(self._parts(path)))
            self._bounds[path] = min(tokens, self._max_tokens)
        return self._bounds[path]

    def _parts(self, path: tuple[str, ...]) -> list[str]:
        """Title and headings; one that says no more than the part before it is left out."""
        parts: list[str] = []
        for part in (self._title or "", *path):
            part = " ".join(part[:_PART_CHARACTERS].split())
            if part and not (parts and part.casefold() in parts[-1].casefold()):
                parts.append(part)
        return parts

    def _fit(self, parts: list[str]) -> str:
        """Middle parts go first, then the title; what is left of the last heading is cut behind a token."""
        while len(parts) > 1 and self._counter.count(SEPARATOR.join(parts)) > self._max_tokens:
            parts.pop(1 if len(parts) > 2 else 0)
        line = SEPARATOR.join(parts)
        tokens = self._max_tokens
        while self._counter.count(line) > self._max_tokens:  # again: a character can be more than one token
            line = line[: self._counter.offsets(line)[tokens - 1][1]]
            tokens -= 1
        return line
