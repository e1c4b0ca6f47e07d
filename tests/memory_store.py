"""Points in a dictionary: a vector store for tests of what stands above one, with an outage that can be switched on."""

import math
import pickle
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ragstone.core.errors import EngineUnavailable
from ragstone.core.filters import Filter, matches
from ragstone.core.legs import search_legs
from ragstone.core.models import LegHits, Point, Scope, ScoredId, SparseVector, StoredPoint, Vector


class MemoryStore:
    """Implements `VectorStore` by scanning. `is_down` makes every call but `close` raise EngineUnavailable."""

    def __init__(self) -> None:
        self.points: dict[str, Point] = {}
        self.is_down = False
        self.flushes = 0
        self.keeps_points = False
        """Deletes are acknowledged and forgotten."""

    @classmethod
    def open(cls, directory: Path) -> "MemoryStore":
        """What a snapshot wrote."""
        store = cls()
        store.points = pickle.loads((directory / "points").read_bytes())
        return store

    async def upsert(self, scope: Scope, points: Sequence[Point]) -> None:
        """See the port."""
        self._require_up()
        self.points.update((point.id, point) for point in points)

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
        self._require_up()
        found = self._select(scope, where, ids)
        return _best(((point.id, float(point.dense @ vector)) for point in found), limit)

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
        """See the port."""
        weights = await self.term_weights(scope, sparse.indices, where=where)
        scores = {
            point.id: sum(weights.get(token, 0.0) for token in point.sparse.indices)
            for point in self._select(scope, where, ids)
        }
        return _best(((point_id, score) for point_id, score in scores.items() if score > 0), limit)

    async def term_weights(
        self, scope: Scope, indices: Sequence[int], *, where: Filter | None = None
    ) -> dict[int, float]:
        """See the port."""
        self._require_up()
        found = [frozenset(point.sparse.indices) for point in self._select(scope, where)]
        counts = {token: sum(token in tokens for tokens in found) for token in indices}
        return {
            token: math.log(1 + (len(found) - count + 0.5) / (count + 0.5))
            for token, count in counts.items()
            if count
        }

    async def retrieve(
        self, scope: Scope, ids: Sequence[str], *, with_vectors: bool = False
    ) -> list[StoredPoint]:
        """See the port."""
        self._require_up()
        within = {point.id for point in self._select(scope, None)}
        return [_stored(self.points[point_id], with_vectors) for point_id in ids if point_id in within]

    async def read_features(self, scope: Scope, ids: Sequence[str]) -> dict[str, str]:
        """See the port."""
        self._require_up()
        within = {point.id for point in self._select(scope, None)}
        return {id_: self.points[id_].payload.get("features", "") for id_ in ids if id_ in within}

    async def find(
        self, scope: Scope, where: Filter, *, limit: int, with_vectors: bool = False
    ) -> list[StoredPoint]:
        """See the port."""
        return [_stored(point, with_vectors) for point in self._select(scope, where)][:limit]

    async def find_embeddings(self, scope: Scope, keys: Sequence[str]) -> dict[str, StoredPoint]:
        """See the port."""
        self._require_up()
        return {
            point.payload["embedding_key"]: _stored(point, True)
            for point in self.points.values()
            if point.payload["tenant_id"] == scope.tenant_id and point.payload["embedding_key"] in keys
        }

    async def update_payloads(self, scope: Scope, ids: Sequence[str], fields: Mapping[str, Any]) -> None:
        """See the port."""
        self._require_up()
        for point in list(self._select(scope, None, ids)):
            self.points[point.id] = replace(point, payload={**point.payload, **fields})

    async def delete(self, scope: Scope, where: Filter) -> int:
        """See the port."""
        return self._drop(point.id for point in list(self._select(scope, where)))

    async def count(self, scope: Scope, where: Filter | None = None) -> int:
        """See the port."""
        return len(self._select(scope, where))

    async def count_versions(self, document_versions: Sequence[str] | None = None) -> dict[str, int]:
        """See the port."""
        self._require_up()
        counts: dict[str, int] = {}
        for point in self.points.values():
            key = point.payload["document_version"]
            if document_versions is None or key in document_versions:
                counts[key] = counts.get(key, 0) + 1
        return counts

    async def delete_versions(self, document_versions: Sequence[str]) -> int:
        """See the port."""
        self._require_up()
        return self._drop(
            point.id
            for point in self.points.values()
            if point.payload["document_version"] in document_versions
        )

    async def flush(self) -> None:
        """See the port."""
        self._require_up()
        self.flushes += 1

    async def snapshot(self, target: Path) -> None:
        """See the port."""
        self._require_up()
        _write(target, pickle.dumps(self.points))

    async def is_healthy(self) -> bool:
        """See the port."""
        return not self.is_down

    async def close(self) -> None:
        """See the port."""

    def _require_up(self) -> None:
        if self.is_down:
            raise EngineUnavailable("the engine is down")

    def _select(self, scope: Scope, where: Filter | None, ids: Sequence[str] | None = None) -> list[Point]:
        return [
            point
            for point in self.points.values()
            if (ids is None or point.id in ids) and _is_within(point, scope, where)
        ]

    def _drop(self, ids: Iterable[str]) -> int:
        doomed = list(ids)
        if not self.keeps_points:
            for point_id in doomed:
                del self.points[point_id]
        return len(doomed)


def _write(target: Path, points: bytes) -> None:
    target.mkdir(parents=True)
    (target / "points").write_bytes(points)


def _is_within(point: Point, scope: Scope, where: Filter | None) -> bool:
    mine = (point.payload["tenant_id"], point.payload["collection"]) == (scope.tenant_id, scope.collection)
    return mine and (where is None or matches(where, _fields(point.payload)))


def _fields(payload: Any) -> dict[str, Any]:
    return {**payload, **{f"metadata.{key}": value for key, value in payload["metadata"].items()}}


def _stored(point: Point, with_vectors: bool) -> StoredPoint:
    return StoredPoint(point.id, point.payload, np.array(point.dense) if with_vectors else None)


def _best(scores: Iterable[tuple[str, float]], limit: int) -> list[ScoredId]:
    ranked = sorted(scores, key=lambda pair: (-pair[1], pair[0]))
    return [ScoredId(point_id, score) for point_id, score in ranked[:limit]]
