"""`InMemoryVectorStore`: the port `VectorStore` by its definition, without an index. The oracle of the real stores."""

import copy
import math
import pickle
import uuid
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np

from ragstone.core.errors import BadEmbedding
from ragstone.core.filters import Filter, matches, payload_fields
from ragstone.core.legs import search_legs
from ragstone.core.models import LegHits, Point, Scope, ScoredId, SparseVector, StoredPoint, Vector


@dataclass(frozen=True, slots=True)
class _Kept:
    scope: Scope
    point: Point

    def passes(self, where: Filter | None) -> bool:
        return where is None or matches(where, payload_fields(self.point.payload))

    @property
    def version(self) -> str | None:
        return self.point.payload.get("document_version")


class InMemoryVectorStore:
    """Keeps points in a dictionary and looks at every one of them. Cosines in float64, so scores differ from those of
    a store with half-precision vectors in the fourth decimal."""

    def __init__(self, *, dimension: int):
        self._dimension = dimension
        self._kept: dict[str, _Kept] = {}

    @classmethod
    def open(cls, directory: Path, *, dimension: int) -> Self:
        """What a snapshot wrote."""
        store = cls(dimension=dimension)
        store._kept = pickle.loads((directory / "points").read_bytes())  # noqa: S301 - our own
        return store

    async def upsert(self, scope: Scope, points: Sequence[Point]) -> None:
        """See the port."""
        kept = [_Kept(scope, self._checked(point)) for point in points]
        self._kept.update((item.point.id, item) for item in kept)

    async def search_dense(
        self,
        scope: Scope,
        vector: Vector,
        *,
        limit: int,
        where: Filter | None = None,
        ids: Sequence[str] | None = None,
    ) -> list[ScoredId]:
        """See the port."""
        query = self._unit(vector)
        scored = (
            (item.point.id, float(item.point.dense @ query)) for item in self._select(scope, where, ids)
        )
        return _best(scored, limit)

    async def search_hybrid(
        self,
        scope: Scope,
        dense: Vector,
        sparse: SparseVector,
        *,
        limit: int,
        where: Filter | None = None,
        ids: Sequence[str] | None = None,
    ) -> tuple[list[ScoredId], list[ScoredId]]:
        """See the port."""
        return (
            await self.search_dense(scope, dense, limit=limit, where=where, ids=ids),
            await self.search_sparse(scope, sparse, limit=limit, where=where, ids=ids),
        )

    async def search_legs(
        self, scope: Scope, dense: Vector, sparse: SparseVector, *, limit: int, where: Filter | None = None
    ) -> LegHits:
        """See the port."""
        return await search_legs(self, scope, dense, sparse, limit=limit, where=where)

    async def search_sparse(
        self,
        scope: Scope,
        sparse: SparseVector,
        *,
        limit: int,
        where: Filter | None = None,
        ids: Sequence[str] | None = None,
    ) -> list[ScoredId]:
        """Sum over shared tokens of query weight x IDF x stored weight."""
        weights = await self.term_weights(scope, sparse.indices, where=where)
        query = {
            index: value * weights.get(index, 0.0)
            for index, value in zip(sparse.indices, sparse.values, strict=True)
        }
        scored = []
        for item in self._select(scope, where, ids):
            stored = dict(zip(item.point.sparse.indices, item.point.sparse.values, strict=True))
            if shared := query.keys() & stored.keys():
                scored.append((item.point.id, math.fsum(query[index] * stored[index] for index in shared)))
        return _best(scored, limit)

    async def term_weights(
        self, scope: Scope, indices: Sequence[int], *, where: Filter | None = None
    ) -> dict[int, float]:
        """ln((N - n + 0.5) / (n + 0.5) + 1) for N points, n of which have the token."""
        corpus = self._select(scope, where)
        having = Counter(index for item in corpus for index in item.point.sparse.indices)
        return {
            index: math.log((len(corpus) - having[index] + 0.5) / (having[index] + 0.5) + 1.0)
            for index in indices
            if having[index]
        }

    async def retrieve(
        self, scope: Scope, ids: Sequence[str], *, with_vectors: bool = False
    ) -> list[StoredPoint]:
        """See the port."""
        found = (self._kept.get(id_) for id_ in ids)
        return [_stored(item.point, with_vectors) for item in found if item and item.scope == scope]

    async def read_features(self, scope: Scope, ids: Sequence[str]) -> dict[str, str]:
        """See the port."""
        found = (self._kept.get(id_) for id_ in ids)
        return {
            item.point.id: item.point.payload.get("features", "")
            for item in found
            if item and item.scope == scope
        }

    async def find(
        self, scope: Scope, where: Filter, *, limit: int, with_vectors: bool = False
    ) -> list[StoredPoint]:
        """See the port."""
        return [_stored(item.point, with_vectors) for item in self._select(scope, where)[:limit]]

    async def find_embeddings(self, scope: Scope, keys: Sequence[str]) -> dict[str, StoredPoint]:
        """See the port."""
        wanted = set(keys)
        return {
            key: _stored(item.point, with_vectors=True)
            for item in self._kept.values()
            if item.scope.tenant_id == scope.tenant_id
            and (key := item.point.payload.get("embedding_key")) in wanted
        }

    async def update_payloads(self, scope: Scope, ids: Sequence[str], fields: Mapping[str, Any]) -> None:
        """See the port."""
        for item in self._select(scope, None, ids):
            payload = {**item.point.payload, **copy.deepcopy(dict(fields))}
            self._kept[item.point.id] = _Kept(scope, replace(item.point, payload=payload))

    async def delete(self, scope: Scope, where: Filter) -> int:
        """See the port."""
        return self._drop(self._select(scope, where))

    async def count(self, scope: Scope, where: Filter | None = None) -> int:
        """See the port."""
        return len(self._select(scope, where))

    async def count_versions(self, document_versions: Sequence[str] | None = None) -> dict[str, int]:
        """See the port."""
        found = Counter(item.version for item in self._kept.values() if item.version is not None)
        return {
            version: count
            for version, count in found.items()
            if document_versions is None or version in document_versions
        }

    async def delete_versions(self, document_versions: Sequence[str]) -> int:
        """See the port."""
        return self._drop([item for item in self._kept.values() if item.version in document_versions])

    async def flush(self) -> None:
        """Nothing here survives anything."""

    async def snapshot(self, target: Path) -> None:
        """See the port."""
        _write(target, pickle.dumps(self._kept))

    async def is_healthy(self) -> bool:
        """Always."""
        return True

    async def close(self) -> None:
        """Nothing to let go of."""

    def _select(self, scope: Scope, where: Filter | None, ids: Sequence[str] | None = None) -> list[_Kept]:
        kept = self._kept.values() if ids is None else [self._kept[id_] for id_ in {*ids} & {*self._kept}]
        return [item for item in kept if item.scope == scope and item.passes(where)]

    def _drop(self, items: Sequence[_Kept]) -> int:
        for item in items:
            del self._kept[item.point.id]
        return len(items)

    def _checked(self, point: Point) -> Point:
        indices, values = point.sparse.indices, point.sparse.values
        if not len(indices) == len(values) == len(set(indices)) or not np.isfinite(values).all():
            raise BadEmbedding("a sparse vector needs one finite weight for each of its distinct tokens")
        payload = copy.deepcopy(dict(point.payload))
        return Point(str(uuid.UUID(point.id)), self._unit(point.dense), point.sparse, payload)

    def _unit(self, vector: Vector) -> Vector:
        if np.shape(vector) != (self._dimension,):
            raise BadEmbedding(f"a vector of shape {np.shape(vector)} where ({self._dimension},) belongs")
        wide = np.asarray(vector, np.float64)
        length = np.linalg.norm(wide)
        if not np.isfinite(length) or not length:
            raise BadEmbedding("a vector holds NaN or infinity, or has length zero")
        unit: Vector = (wide / length).astype(np.float32)
        return unit


def _write(target: Path, points: bytes) -> None:
    target.mkdir(parents=True)
    (target / "points").write_bytes(points)


def _best(scored: Iterable[tuple[str, float]], limit: int) -> list[ScoredId]:
    ranked = sorted(scored, key=lambda hit: (-hit[1], hit[0]))
    return [ScoredId(id_, score) for id_, score in ranked[: max(limit, 0)]]


def _stored(point: Point, with_vectors: bool) -> StoredPoint:  # noqa: FBT001
    payload = copy.deepcopy(dict(point.payload))
    if not with_vectors:
        payload.pop("features", None)
    return StoredPoint(point.id, payload, point.dense if with_vectors else None)
