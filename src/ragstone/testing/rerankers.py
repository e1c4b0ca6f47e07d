"""A fake Reranker: no model, the same scores in every process."""

import re
from collections.abc import Sequence

from ragstone.core.errors import RagstoneError

_WORD = re.compile(r"\w+")


class OverlapReranker:
    """The share of the query's words that a text has, 0..1; meaning plays no part. Remembers what it was asked, and
    raises `failure` where one is set."""

    name = "overlap"

    def __init__(self, failure: RagstoneError | None = None):
        self.failure = failure
        self.asked: list[tuple[str, tuple[str, ...]]] = []

    async def rerank(self, query: str, texts: Sequence[str]) -> list[float]:
        """See Reranker."""
        self.asked.append((query, tuple(texts)))
        if self.failure is not None:
            raise self.failure
        return [overlap(query, text) for text in texts]

    async def close(self) -> None:
        """Nothing to free."""


def overlap(query: str, text: str) -> float:
    """The share of the query's distinct words that the text has; 0 where the query has none."""
    wanted = _words(query)
    return len(wanted & _words(text)) / len(wanted) if wanted else 0.0


def _words(text: str) -> frozenset[str]:
    return frozenset(_WORD.findall(text.lower()))
