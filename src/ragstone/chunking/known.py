"""Chunks of an earlier version, found again in a new text: their vectors need not be computed anew."""

from collections.abc import Iterable, Iterator, Sequence

from ragstone.chunking.pieces import Piece
from ragstone.core.models import KNOWN_BY, KnownChunk

_MOST_ALIKE = 16  # chunks that begin with the same characters; bounds the work for a text that repeats itself


class KnownChunks:
    """What a document's earlier version was divided into. Chunks shorter than KNOWN_BY characters do not count."""

    def __init__(self, known: Iterable[KnownChunk]):
        self._alike: dict[str, list[KnownChunk]] = {}
        for chunk in known:
            alike = self._alike.setdefault(chunk.beginning, [])
            if chunk.length >= KNOWN_BY and len(alike) < _MOST_ALIKE:
                alike.append(chunk)

    def runs(self, text: str, pieces: Sequence[Piece]) -> Iterator[tuple[int, int]]:
        """(first, one behind the last) of the pieces that were a chunk before. Linear in the pieces."""
        if not self._alike:
            return
        stops = {piece.end: index + 1 for index, piece in enumerate(pieces)}
        for first, piece in enumerate(pieces):
            for chunk in self._alike.get(text[piece.start : piece.start + KNOWN_BY], ()):
                end = piece.start + chunk.length
                if end in stops and KnownChunk.of(text[piece.start : end]) == chunk:
                    yield first, stops[end]
