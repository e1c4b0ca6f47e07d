"""A tiny world of words for unit tests of retrieval: each distinct word is a token and a direction."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from zlib import crc32

import numpy as np

from ragstone.core.errors import RagstoneError
from ragstone.core.filters import Filter
from ragstone.core.models import (
    Embedding,
    EmbeddingInput,
    Location,
    Scope,
    Sentence,
    Source,
    SparseVector,
    Terms,
    Vector,
)
from ragstone.pipelines.question import Question

DIMENSION = 64


def tokens(text: str) -> list[int]:
    """Ids of the distinct words, ascending; equal words have equal ids in every run."""
    words = set(re.findall(r"\w+", text.lower()))
    return sorted(crc32(word.encode()) for word in words)


def question(text: str, vector: Vector | None = None) -> Question:
    """With its encodings; `vector` None: without the dense one."""
    terms = WordEncoder().query_terms(text)
    return Question(text, terms, WordEncoder().encode_query(terms), vector)


class WordEncoder:
    """Implements `SparseEncoder`."""

    fingerprint = "words"

    def language(self, text: str, otherwise: str = "") -> str:
        """Nothing is known of languages."""
        return otherwise

    def terms(self, text: str, language: str = "") -> Terms:
        """Each distinct word once."""
        return Terms(tuple(tokens(text)), (), language)

    def query_terms(self, text: str) -> Terms:
        """Each distinct word once."""
        return self.terms(text)

    def encode_document(self, passages: Iterable[Terms]) -> SparseVector:
        """Each distinct word once."""
        found = tuple(sorted({word for passage in passages for word in passage.words}))
        return SparseVector(found, (1.0,) * len(found))

    def encode_query(self, query: Terms) -> SparseVector:
        """Each distinct word once."""
        return self.encode_document([query])


class WordEmbedder:
    """Implements `Embedder`: the sum of the words' directions, so that shared words are a larger cosine."""

    fingerprint = "words"
    dimension = DIMENSION

    def __init__(self) -> None:
        self.queries: list[str] = []
        self.failure: RagstoneError | None = None

    def legibility(self, text: str) -> float:
        """All of it."""
        return 1.0

    def count_tokens(self, text: str) -> tuple[int, bool]:
        """Words; all are read."""
        return len(text.split()), True

    async def embed_query(self, text: str) -> Vector:
        """Unit length; raises `failure` while there is one."""
        self.queries.append(text)
        if self.failure is not None:
            raise self.failure
        return direction(text)

    async def embed_documents(self, inputs: Sequence[EmbeddingInput]) -> list[Embedding]:
        """With a row a span."""
        return [
            Embedding(
                direction(item.text), np.stack([direction(item.text[start:end]) for start, end in item.spans])
            )
            for item in inputs
        ]

    async def close(self) -> None:
        """Nothing to free."""


class TermWeights:
    """The one method of `VectorStore` that weighing needs: IDF by word."""

    def __init__(self, weights: Mapping[str, float]):
        self._weights = {tokens(word)[0]: weight for word, weight in weights.items()}

    async def term_weights(
        self, scope: Scope, indices: Sequence[int], *, where: Filter | None = None
    ) -> dict[int, float]:
        """Of the words that are known."""
        return {index: self._weights[index] for index in indices if index in self._weights}


def direction(text: str) -> Vector:
    """A unit vector; zeros for a text without words."""
    total = np.zeros(DIMENSION, np.float32)
    for token in tokens(text):
        total += np.random.default_rng(token).standard_normal(DIMENSION).astype(np.float32)
    norm = float(np.linalg.norm(total))
    return total / norm if norm else total


def source(text: str, *, n: int = 1, start: int = 0, title: str = "Title", **changes: Any) -> Source:
    """A source whose sentences end at full stops and have their vectors."""
    spans = [match.span() for match in re.finditer(r"[^.?!\s][^.?!]*[.?!]?", text)]
    sentences = tuple(
        Sentence(start + first, start + last, text[first:last], direction(text[first:last]))
        for first, last in spans
    )
    fields: dict[str, Any] = {"score": 0.8, "scores": {"dense": 0.8, "sparse": 3.0}, "heading": (), **changes}
    return Source(
        n=n,
        document_id=f"document-{n}",
        version=1,
        chunk_id=f"chunk-{n}",
        title=title,
        location=Location(),
        start=start,
        end=start + len(text),
        text=text,
        metadata={},
        sentences=sentences,
        **fields,
    )
