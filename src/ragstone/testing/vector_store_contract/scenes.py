"""Short words for the scenes of the vector store's contract: a scope nobody else uses, a point, what was found."""

import math
import uuid
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ragstone.core.filters import Filter, Leaf
from ragstone.core.models import Point, Scope, ScoredId, SparseVector, StoredPoint, Vector
from ragstone.core.ports import VectorStore

DIMENSION = 8
SCORE_TOLERANCE = 2e-3
"""Stores may keep vectors in half precision."""
EVERYTHING = 100


def fresh_scope() -> Scope:
    """A tenant that no other test has."""
    return Scope(f"tenant-{uuid.uuid4().hex}", "notes")


def neighbour(scope: Scope) -> Scope:
    """Another collection of the same tenant."""
    return Scope(scope.tenant_id, "letters")


def stranger(scope: Scope) -> Scope:
    """Another tenant's collection of the same name."""
    return Scope(scope.tenant_id + "-other", scope.collection)


def axis(number: int, *, length: float = 1.0, towards: int = 0, by: float = 0.0) -> Vector:
    """A vector along one axis, bent towards another."""
    vector = np.zeros(DIMENSION, np.float32)
    vector[number] = length
    vector[towards] += by
    return vector


def token(word: str) -> int:
    """A word's id."""
    return zlib.crc32(word.encode())


def weighted(words: Mapping[str, float]) -> SparseVector:
    """These words with these weights."""
    weights = {token(word): weight for word, weight in words.items()}
    return SparseVector(tuple(sorted(weights)), tuple(weights[index] for index in sorted(weights)))


def tokens(text: str) -> SparseVector:
    """Each distinct word, weighted by how often it occurs."""
    return weighted(Counter(text.split()))


def point(text: str = "", *, dense: Vector | None = None, id_: str | None = None, **payload: Any) -> Point:
    """A point of these words; what is not given is arbitrary."""
    return Point(
        id=id_ or str(uuid.uuid4()),
        dense=axis(1) if dense is None else dense,
        sparse=tokens(text),
        payload={"text": text, **payload},
    )


def idf(points: int, having: int) -> float:
    """BM25's inverse document frequency as this project defines it."""
    return math.log((points - having + 0.5) / (having + 0.5) + 1.0)


def ids_of(found: Iterable[ScoredId | StoredPoint | Point]) -> list[str]:
    """In order."""
    return [item.id for item in found]


def scores_of(hits: Iterable[ScoredId]) -> dict[str, float]:
    """By id."""
    return {hit.id: hit.score for hit in hits}


def is_near(found: Mapping[str, float], expected: Mapping[str, float]) -> bool:
    """Same ids, and scores as near as half precision allows."""
    return found.keys() == expected.keys() and all(
        math.isclose(found[id_], expected[id_], rel_tol=SCORE_TOLERANCE, abs_tol=SCORE_TOLERANCE)
        for id_ in expected
    )


def of_version(version: str) -> Filter:
    """The points of a document version."""
    return Leaf("document_version", "eq", version)


async def found_ids(store: VectorStore, scope: Scope, where: Filter) -> set[str]:
    """What passes."""
    return set(ids_of(await store.find(scope, where, limit=EVERYTHING)))


async def is_absent(store: VectorStore, scope: Scope, gone: Sequence[Point]) -> bool:
    """Whether no way of reading finds one of these points."""
    hidden = set(ids_of(gone))
    seen = set(ids_of(await store.retrieve(scope, sorted(hidden))))
    for item in gone:
        seen.update(ids_of(await store.search_dense(scope, item.dense, limit=EVERYTHING)))
        seen.update(ids_of(await store.search_sparse(scope, item.sparse, limit=EVERYTHING)))
        dense, sparse = await store.search_hybrid(scope, item.dense, item.sparse, limit=EVERYTHING)
        seen.update(ids_of([*dense, *sparse]))
    return not seen & hidden
