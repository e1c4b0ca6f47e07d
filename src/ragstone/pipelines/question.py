"""A question as retrieval, ranking and the gate see it."""

from collections.abc import Mapping
from dataclasses import dataclass

from ragstone.core.filters import Filter
from ragstone.core.models import Scope, SparseVector, Terms, Vector
from ragstone.core.ports import VectorStore

UNSEEN_BONUS = 0.5  # a question's word that no document has weighs more than the rarest one found


@dataclass(frozen=True, slots=True)
class Question:
    """A question's encodings: text, terms, their vector, the dense vector where there is one, and how far the encoder
    reads the question's script, 0..1."""

    text: str
    terms: Terms
    tokens: SparseVector
    vector: Vector | None
    legibility: float = 1.0


async def term_weights(
    store: VectorStore, scope: Scope, tokens: SparseVector, *, where: Filter | None = None
) -> dict[int, float]:
    """`weigh` by what the store knows."""
    return weigh(
        tokens, await store.term_weights(scope, tokens.indices, where=where) if tokens.indices else {}
    )


def weigh(tokens: SparseVector, found: Mapping[int, float]) -> dict[int, float]:
    """IDF (`found`) of each word, also of those that occur nowhere; of further forms (whose weight is below 1) the part
    that they count, where they occur."""
    unseen = max(found.values(), default=1.0) + UNSEEN_BONUS
    return {
        token: value * found.get(token, unseen)
        for token, value in zip(tokens.indices, tokens.values, strict=True)
        if value >= 1.0 or token in found
    }


def share(weights: Mapping[int, float], present: frozenset[int]) -> float:
    """Part of the terms' whole weight that is present, 0..1."""
    total = sum(weights.values())
    return sum(weight for token, weight in weights.items() if token in present) / total if total else 0.0
