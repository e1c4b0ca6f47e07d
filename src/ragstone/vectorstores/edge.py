"""`EdgeVectorStore`: the port `VectorStore` over Qdrant Edge, which runs in a process of its own (see `edge_link`)."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import groupby
from pathlib import Path
from typing import Any, Protocol

from ragstone.core.errors import EngineUnavailable, RagstoneError
from ragstone.core.files import copy_tree, sync_tree
from ragstone.core.filters import Filter
from ragstone.core.models import (
    EngineState,
    LegHits,
    Point,
    Scope,
    ScoredId,
    SparseVector,
    StoredPoint,
    Vector,
)
from ragstone.core.threads import in_thread
from ragstone.vectorstores.codec import (
    pack_payload,
    pack_point,
    pack_sparse,
    unit_rows,
    unpack_hits,
    unpack_point,
)
from ragstone.vectorstores.edge_link import EngineLink
from ragstone.vectorstores.edge_shared import SharedLink
from ragstone.vectorstores.fields import embedding_token, encode_filter, scope_key
from ragstone.vectorstores.frames import Condition
from ragstone.vectorstores.kept import Row

BATCH_POINTS = 16  # about 3 ms of the engine's time, in which no query is answered
BATCH_KEYS = 16
HEALTH_TIMEOUT_S = 1.0


class Link(Protocol):
    """The way to an engine."""

    async def call(self, operation: str, *arguments: object) -> Any:
        """The operation's result. Raises EngineUnavailable, or what the engine refused with."""
        ...

    @property
    def restarts(self) -> int:
        """How often the engine died and was started again."""
        ...

    async def close(self) -> None:
        """Flush and let go; idempotent."""
        ...


class EdgeVectorStore:
    """Points of one physical collection, in one directory. See the port for what the methods promise."""

    def __init__(self, link: Link, *, dimension: int):
        self._link = link
        self._dimension = dimension
        self._may_write = asyncio.Event()
        self._may_write.set()
        self._copying = asyncio.Lock()

    @classmethod
    async def open(cls, directory: Path, *, dimension: int, lock_wait_s: float = 10.0) -> "EdgeVectorStore":
        """Start the engine on `directory`, which is made if missing. Raises DataDirectoryInUse when another engine
        still holds it after `lock_wait_s`, FingerprintChanged when its vectors have another dimension, StartupError.
        """
        link = EngineLink(directory, dimension=dimension, lock_wait_s=lock_wait_s)
        await link.start()
        return cls(link, dimension=dimension)

    @classmethod
    async def attach(cls, directory: Path, *, dimension: int) -> "EdgeVectorStore":
        """Share the engine that another process has started on `directory`. Searches and reads see each of its writes
        at once; writing is the other's affair. Raises EngineUnavailable."""
        link = SharedLink(directory)
        await link.start()
        return cls(link, dimension=dimension)

    async def upsert(self, scope: Scope, points: Sequence[Point]) -> None:
        """In small batches, between which queries are answered. All vectors are checked before the first is sent."""
        units = unit_rows([point.dense for point in points], self._dimension)
        sparse = [pack_sparse(point.sparse) for point in points]
        for rows in _slices(len(points), BATCH_POINTS):
            batch = [pack_point(scope.tenant_id, points[row], units[row], sparse[row]) for row in rows]
            await self._may_write.wait()
            await self._link.call("upsert", scope.tenant_id, _key(scope), batch)

    async def search_dense(
        self,
        scope: Scope,
        vector: Vector,
        *,
        limit: int,
        where: Filter | None = None,
        ids: Sequence[str] | None = None,
    ) -> list[ScoredId]:
        """See the port. Raises BadEmbedding for a vector that cannot be compared."""
        (dense,) = await self._search(scope, limit=limit, where=where, ids=ids, dense=vector) or [[]]
        return dense

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
        """See the port. Raises BadEmbedding for vectors that cannot be compared."""
        legs = await self._search(scope, limit=limit, where=where, ids=ids, dense=dense, sparse=sparse)
        found = [*legs, [], []]
        return found[0], found[1]

    async def search_legs(
        self, scope: Scope, dense: Vector, sparse: SparseVector, *, limit: int, where: Filter | None = None
    ) -> LegHits:
        """See the port. Raises BadEmbedding for vectors that cannot be compared."""
        if limit < 1 or not sparse.indices:
            near = await self.search_dense(scope, dense, limit=limit, where=where)
            return LegHits(near, [], [], [], {})
        packed = unit_rows([dense], self._dimension).tobytes()
        *legs, idf = await self._link.call(
            "search_legs", _key(scope), _condition(where), packed, pack_sparse(sparse), limit
        )
        near, worded, more_near, more_worded = (unpack_hits(hits) for hits in legs)
        return LegHits(near, worded, more_near, more_worded, dict(idf))

    async def search_sparse(
        self,
        scope: Scope,
        sparse: SparseVector,
        *,
        limit: int,
        where: Filter | None = None,
        ids: Sequence[str] | None = None,
    ) -> list[ScoredId]:
        """See the port. A query without tokens finds nothing, and the engine is not asked."""
        if not sparse.indices:
            return []
        (hits,) = await self._search(scope, limit=limit, where=where, ids=ids, sparse=sparse) or [[]]
        return hits

    async def term_weights(
        self, scope: Scope, indices: Sequence[int], *, where: Filter | None = None
    ) -> dict[int, float]:
        """See the port."""
        if not indices:
            return {}
        return dict(await self._link.call("term_weights", _key(scope), _condition(where), list(indices)))

    async def retrieve(
        self, scope: Scope, ids: Sequence[str], *, with_vectors: bool = False
    ) -> list[StoredPoint]:
        """See the port."""
        if not ids:
            return []
        found = await self._link.call("retrieve", _key(scope), list(ids), with_vectors)
        return [unpack_point(stored) for stored in found]

    async def read_features(self, scope: Scope, ids: Sequence[str]) -> dict[str, str]:
        """See the port."""
        if not ids:
            return {}
        return dict(await self._link.call("read_features", _key(scope), list(ids)))

    async def find(
        self, scope: Scope, where: Filter, *, limit: int, with_vectors: bool = False
    ) -> list[StoredPoint]:
        """See the port."""
        found = await self._link.call("find", _key(scope), encode_filter(where), limit, with_vectors)
        return [unpack_point(stored) for stored in found]

    async def find_embeddings(self, scope: Scope, keys: Sequence[str]) -> dict[str, StoredPoint]:
        """See the port."""
        found: dict[str, StoredPoint] = {}
        distinct = list(dict.fromkeys(keys))
        for rows in _slices(len(distinct), BATCH_KEYS):
            batch = [distinct[row] for row in rows]
            tokens = [embedding_token(scope.tenant_id, key) for key in batch]
            points = await self._link.call("find_embeddings", tokens)
            found.update(
                (key, unpack_point(point)) for key, point in zip(batch, points, strict=True) if point
            )
        return found

    async def read_rows(self, after: str | None, limit: int) -> tuple[list[Row], str | None]:
        """See `moving.Movable`."""
        rows, next_id = await self._link.call("read_rows", after, limit)
        return [(tenant_id, scope, kept) for tenant_id, scope, kept in rows], next_id

    async def write_rows(self, rows: Sequence[Row]) -> None:
        """See `moving.Movable`."""
        for (tenant_id, scope), found in groupby(rows, key=lambda row: row[:2]):
            await self._may_write.wait()
            await self._link.call("upsert", tenant_id, scope, [kept for _, _, kept in found])

    async def update_payloads(self, scope: Scope, ids: Sequence[str], fields: Mapping[str, Any]) -> None:
        """See the port. In small batches, between which queries are answered."""
        for rows in _slices(len(ids), BATCH_POINTS):
            await self._may_write.wait()
            stored = await self.retrieve(scope, [ids[row] for row in rows], with_vectors=True)
            batch = [
                [point.id, *pack_payload(scope.tenant_id, {**point.payload, **fields})] for point in stored
            ]
            await self._link.call("replace_payloads", scope.tenant_id, _key(scope), batch)

    async def delete(self, scope: Scope, where: Filter) -> int:
        """See the port."""
        await self._may_write.wait()
        deleted: int = await self._link.call("delete", _key(scope), encode_filter(where))
        return deleted

    async def count(self, scope: Scope, where: Filter | None = None) -> int:
        """See the port."""
        counted: int = await self._link.call("count", _key(scope), _condition(where))
        return counted

    async def count_versions(self, document_versions: Sequence[str] | None = None) -> dict[str, int]:
        """See the port."""
        chosen = None if document_versions is None else list(document_versions)
        return dict(await self._link.call("count_versions", chosen))

    async def delete_versions(self, document_versions: Sequence[str]) -> int:
        """See the port. A version at a time, so that queries are answered in between."""
        deleted = 0
        for version in document_versions:
            await self._may_write.wait()
            deleted += await self._link.call("delete_versions", [version])
        return deleted

    async def flush(self) -> None:
        """See the port."""
        await self._link.call("flush")

    async def snapshot(self, target: Path) -> None:
        """See the port. The engine answers queries meanwhile: it leaves its files alone, and this process copies them."""
        async with self._copying, self._still_files() as shard:
            await in_thread(copy_tree, shard, target / shard.name)
        await in_thread(sync_tree, target)

    async def is_healthy(self) -> bool:
        """Whether the engine answers within a second."""
        try:
            async with asyncio.timeout(HEALTH_TIMEOUT_S):
                return bool(await self._link.call("ping"))
        except (RagstoneError, TimeoutError):
            return False

    async def engine_state(self) -> EngineState:
        """See `Monitored`."""
        return EngineState(*await self._link.call("state"))

    @property
    def restarts(self) -> int:
        """See `Monitored`."""
        return self._link.restarts

    async def close(self) -> None:
        """See the port."""
        await self._link.close()

    @asynccontextmanager
    async def _still_files(self) -> AsyncIterator[Path]:
        """Hold writes back. Raises EngineUnavailable at the end if the files were changed all the same: the engine died
        and was restarted, or somebody else wrote."""
        self._may_write.clear()
        try:
            shard = Path(await self._link.call("begin_copy"))
            try:
                yield shard
            finally:
                was_still = await self._link.call("end_copy")
        finally:
            self._may_write.set()
        if not was_still:
            raise EngineUnavailable("the vector store was changed while it was being copied; try again")

    async def _search(
        self,
        scope: Scope,
        *,
        limit: int,
        where: Filter | None,
        ids: Sequence[str] | None,
        dense: Vector | None = None,
        sparse: SparseVector | None = None,
    ) -> list[list[ScoredId]]:
        """The hits of the legs that have a query; nothing at all where `ids` or `limit` leaves nothing to find."""
        packed_dense = None if dense is None else unit_rows([dense], self._dimension).tobytes()
        packed_sparse = pack_sparse(sparse) if sparse and sparse.indices else None
        if limit < 1 or (ids is not None and not ids):
            return []
        chosen = None if ids is None else list(ids)
        legs = await self._link.call(
            "search", _key(scope), _condition(where), chosen, packed_dense, packed_sparse, limit
        )
        return [unpack_hits(hits) for hits in legs]


def _key(scope: Scope) -> str:
    return scope_key(scope.tenant_id, scope.collection)


def _condition(where: Filter | None) -> Condition | None:
    return None if where is None else encode_filter(where)


def _slices(length: int, size: int) -> Iterator[range]:
    return (range(start, min(start + size, length)) for start in range(0, length, size))
