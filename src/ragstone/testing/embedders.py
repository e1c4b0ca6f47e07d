"""A fake Embedder: no model, no threads, the same vectors in every process."""

import re
import zlib
from collections.abc import Sequence

import numpy as np

from ragstone.core.models import Embedding, EmbeddingInput, Vector

_WORD = re.compile(r"\w+")


class HashingEmbedder:
    """Hashed bags of words, normalised: texts that share words are near each other, and meaning plays no part.

    A text without words has the vector (1, 0, 0, …); a span without words a row of zeros. There is no length limit.
    """

    def __init__(self, dimension: int = 64):
        self._dimension = dimension

    @property
    def fingerprint(self) -> str:
        """See Embedder."""
        return f"hashing:{self._dimension}:unit"

    @property
    def dimension(self) -> int:
        """See Embedder."""
        return self._dimension

    def legibility(self, text: str) -> float:
        """All of it."""
        return 1.0

    def count_tokens(self, text: str) -> tuple[int, bool]:
        """Words; all are read."""
        return len(text.split()), True

    async def embed_query(self, text: str) -> Vector:
        """See Embedder; raises nothing."""
        return self._embed(text)

    async def embed_documents(self, inputs: Sequence[EmbeddingInput]) -> list[Embedding]:
        """See Embedder; raises nothing."""
        return [Embedding(self._embed(each.text), self._embed_spans(each)) for each in inputs]

    async def close(self) -> None:
        """Nothing to free."""

    def _embed(self, text: str) -> Vector:
        counts = self._count_words(text)
        if not counts.any():
            counts[0] = 1
        return _unit(counts)

    def _embed_spans(self, document: EmbeddingInput) -> Vector:
        rows = np.zeros((len(document.spans), self._dimension), np.float32)
        for row, (start, end) in enumerate(document.spans):
            counts = self._count_words(document.text[start:end])
            if counts.any():
                rows[row] = _unit(counts)
        return rows

    def _count_words(self, text: str) -> Vector:
        counts = np.zeros(self._dimension, np.float32)
        for word in _WORD.findall(text.lower()):
            counts[zlib.crc32(word.encode(errors="replace")) % self._dimension] += 1
        return counts


def _unit(counts: Vector) -> Vector:
    unit: Vector = counts / np.linalg.norm(counts)
    return unit
