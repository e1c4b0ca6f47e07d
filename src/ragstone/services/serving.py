"""The collection that serves, and the one that is built beside it during a re-index."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ragstone.core.filters import Filter
from ragstone.core.models import LegHits, Point, Scope, ScoredId, SparseVector, StoredPoint, Vector
from ragstone.core.ports import Monitored, VectorStore


class ServingStore:
    """Implements `VectorStore` for those who need no embedder: all goes to the collection that serves; deletes of
    versions and changes of payloads go to both, so that what is deleted is in neither."""

    def __init__(self, serving: VectorStore, *, building: VectorStore | None = None):
        self._serving = serving
        self._building = building
        self._writing_beside = asyncio.Lock()

    @property
    def writing_beside(self) -> asyncio.Lock:
        """Held while the other collection is written to: whoever holds it asks the manifest first, and so writes
        nothing that was deleted already."""
        return self._writing_beside

    def adopt(self) -> None:
        """The collection beside becomes the one that serves."""
        assert self._building is not None
        self._serving, self._building = self._building, None

    async def upsert(self, scope: Scope, points: Sequence[Point]) -> None:
        """See the port."""
        await self._serving.upsert(scope, points)

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
        return await self._serving.search_dense(scope, vector, limit=limit, where=where, ids=ids)

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
        return await self._serving.search_hybrid(scope, dense, sparse, limit=limit, where=where, ids=ids)

    async def search_legs(
        self, scope: Scope, dense: Vector, sparse: SparseVector, *, limit: int, where: Filter | None = None
    ) -> LegHits:
        """See the port."""
        return await self._serving.search_legs(scope, dense, sparse, limit=limit, where=where)

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
        return await self._serving.search_sparse(scope, sparse, limit=limit, where=where, ids=ids)

    async def term_weights(
        self, scope: Scope, indices: Sequence[int], *, where: Filter | None = None
    ) -> dict[int, float]:
        """See the port."""
        return await self._serving.term_weights(scope, indices, where=where)

    async def retrieve(
        self, scope: Scope, ids: Sequence[str], *, with_vectors: bool = False
    ) -> list[StoredPoint]:
        """See the port."""
        return await self._serving.retrieve(scope, ids, with_vectors=with_vectors)

    async def read_features(self, scope: Scope, ids: Sequence[str]) -> dict[str, str]:
        """See the port."""
        return await self._serving.read_features(scope, ids)

    async def find(
        self, scope: Scope, where: Filter, *, limit: int, with_vectors: bool = False
    ) -> list[StoredPoint]:
        """See the port."""
        return await self._serving.find(scope, where, limit=limit, with_vectors=with_vectors)

    async def find_embeddings(self, scope: Scope, keys: Sequence[str]) -> dict[str, StoredPoint]:
        """See the port."""
        return await self._serving.find_embeddings(scope, keys)

    async def update_payloads(self, scope: Scope, ids: Sequence[str], fields: Mapping[str, Any]) -> None:
        """In both."""
        async with self._writing_beside:
            if self._building is not None:
                await self._building.update_payloads(scope, ids, fields)
            await self._serving.update_payloads(scope, ids, fields)

    async def delete(self, scope: Scope, where: Filter) -> int:
        """In both."""
        async with self._writing_beside:
            if self._building is not None:
                await self._building.delete(scope, where)
            return await self._serving.delete(scope, where)

    async def count(self, scope: Scope, where: Filter | None = None) -> int:
        """See the port."""
        return await self._serving.count(scope, where)

    async def count_versions(self, document_versions: Sequence[str] | None = None) -> dict[str, int]:
        """Of given versions in both collections together, as a purge must know it; of all, where it serves."""
        counts = await self._serving.count_versions(document_versions)
        if document_versions is None or self._building is None:
            return counts
        beside = await self._building.count_versions(document_versions)
        return {key: counts.get(key, 0) + beside.get(key, 0) for key in counts.keys() | beside.keys()}

    async def delete_versions(self, document_versions: Sequence[str]) -> int:
        """In both; how many went is told of the one that serves."""
        async with self._writing_beside:
            if self._building is not None:
                await self._building.delete_versions(document_versions)
            return await self._serving.delete_versions(document_versions)

    async def flush(self) -> None:
        """See the port."""
        await self._serving.flush()

    async def snapshot(self, target: Path) -> None:
        """Of the one that serves."""
        await self._serving.snapshot(target)

    @property
    def engine(self) -> Monitored | None:
        """Of the one that serves, where it is known how its engine is."""
        return self._serving if isinstance(self._serving, Monitored) else None

    async def is_healthy(self) -> bool:
        """Of the one that serves."""
        return await self._serving.is_healthy()

    async def close(self) -> None:
        """Both."""
        await self._serving.close()
        if self._building is not None:
            await self._building.close()
