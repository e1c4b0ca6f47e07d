"""`QdrantVectorStore`: the port `VectorStore` on a Qdrant server or cluster, through its own client."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from qdrant_client import models

from ragstone.core.crash import crash_point
from ragstone.core.errors import EngineUnavailable, RagstoneError
from ragstone.core.filters import Filter
from ragstone.core.legs import search_legs
from ragstone.core.models import LegHits, Point, Scope, ScoredId, SparseVector, StoredPoint, Vector
from ragstone.vectorstores.codec import pack_sparse, unit_rows, unpack_hits
from ragstone.vectorstores.fields import embedding_token, encode_filter, scope_key
from ragstone.vectorstores.frames import number_field, number_keys
from ragstone.vectorstores.kept import FEATURES, Row
from ragstone.vectorstores.qdrant_collection import (
    DENSE,
    MAX_NUMBER_INDEXES,
    SPARSE,
    Layout,
    ensure_collection,
    make_index,
)
from ragstone.vectorstores.qdrant_connection import QdrantConnection, Request
from ragstone.vectorstores.qdrant_filters import select
from ragstone.vectorstores.qdrant_points import (
    features_of,
    from_row,
    ids_in_order,
    payload_of,
    to_point,
    to_row,
    to_stored,
    weight_of,
)
from ragstone.vectorstores.qdrant_requests import (
    dense_query,
    limited,
    of_versions,
    overwrite,
    sparse_query,
    token_query,
    upsert,
)
from ragstone.vectorstores.ranking import MANY_TIES, TIE_SLACK, rank, ties_reach_beyond

T = TypeVar("T")

BATCH_POINTS = 64  # half a megabyte of JSON; the server takes 32
BATCH_KEYS = 64
HEALTH_TIMEOUT_S = 1.0
CRASH_POINTS = tuple(
    f"qdrant.{moment}_{work}" for work in ("upsert", "delete") for moment in ("before", "after")
)
_STRONG = models.WriteOrdering.STRONG
"""Changes go through one leader, so that a document's delete cannot overtake its points."""


class QdrantVectorStore:
    """Points of one collection of the server. See the port for what the methods promise.

    The collection is made by the first call that finds the server up: one that is down at the start is waited for by
    nobody, and found when it comes.
    """

    def __init__(self, connection: QdrantConnection, name: str, layout: Layout):
        self._connection = connection
        self._name = name
        self._layout = layout
        self._indexed: set[str] = set()
        self._is_prepared = False
        self._preparing = asyncio.Lock()

    async def prepare(self) -> None:
        """Make the collection unless it is there. Raises StartupError kinds, EngineUnavailable, UpstreamRefused."""
        async with self._preparing:
            if not self._is_prepared:
                self._indexed = await ensure_collection(self._connection, self._name, self._layout)
                self._is_prepared = True

    async def upsert(self, scope: Scope, points: Sequence[Point]) -> None:
        """All vectors are checked before the first is sent."""
        units = unit_rows([point.dense for point in points], self._layout.dimension)
        for point in points:
            pack_sparse(point.sparse)
        for rows in _slices(len(points), BATCH_POINTS):
            batch = [to_point(scope, points[row], units[row]) for row in rows]
            crash_point("qdrant.before_upsert")
            await self._write([upsert(batch)])
            crash_point("qdrant.after_upsert")

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
        """See the port. A query without tokens finds nothing, and the server is not asked."""
        (hits,) = await self._search(scope, limit=limit, where=where, ids=ids, sparse=sparse) or [[]]
        return hits

    async def term_weights(
        self, scope: Scope, indices: Sequence[int], *, where: Filter | None = None
    ) -> dict[int, float]:
        """See the port. A query of one token scores IDF times stored weight."""
        if not indices:
            return {}
        await self._index_numbers(where)
        corpus = select(_key(scope), where)
        queries = [
            sparse_query(SparseVector((index,), (1.0,)), corpus, corpus, limit=1, with_vector=[SPARSE])
            for index in indices
        ]
        answers = await self._query(queries)
        return {
            index: hits[0].score / weight_of(hits[0], index)
            for index, hits in zip(indices, answers, strict=True)
            if hits
        }

    async def retrieve(
        self, scope: Scope, ids: Sequence[str], *, with_vectors: bool = False
    ) -> list[StoredPoint]:
        """See the port."""
        if not ids:
            return []
        records = await self._call(
            lambda client: client.retrieve(
                self._name,
                list(ids),
                with_payload=["scope", *_payload_fields(with_vectors)],
                with_vectors=[DENSE] if with_vectors else False,
            )
        )
        return [to_stored(record) for record in ids_in_order(records, ids, _key(scope))]

    async def read_features(self, scope: Scope, ids: Sequence[str]) -> dict[str, str]:
        """See the port."""
        if not ids:
            return {}
        records = await self._call(
            lambda client: client.retrieve(self._name, list(ids), with_payload=["scope", FEATURES])
        )
        return {str(record.id): features_of(record) for record in ids_in_order(records, ids, _key(scope))}

    async def find(
        self, scope: Scope, where: Filter, *, limit: int, with_vectors: bool = False
    ) -> list[StoredPoint]:
        """See the port."""
        await self._index_numbers(where)
        records, _ = await self._call(
            lambda client: client.scroll(
                self._name,
                select(_key(scope), where),
                limit=limit,
                with_payload=_payload_fields(with_vectors),
                with_vectors=[DENSE] if with_vectors else False,
            )
        )
        return [to_stored(record) for record in records]

    async def find_embeddings(self, scope: Scope, keys: Sequence[str]) -> dict[str, StoredPoint]:
        """See the port."""
        found: dict[str, StoredPoint] = {}
        distinct = list(dict.fromkeys(keys))
        for rows in _slices(len(distinct), BATCH_KEYS):
            batch = [distinct[row] for row in rows]
            answers = await self._query([token_query(embedding_token(scope.tenant_id, key)) for key in batch])
            found.update((key, to_stored(hits[0])) for key, hits in zip(batch, answers, strict=True) if hits)
        return found

    async def read_rows(self, after: str | None, limit: int) -> tuple[list[Row], str | None]:
        """See `moving.Movable`."""
        records, next_id = await self._call(
            lambda client: client.scroll(
                self._name, limit=limit, offset=after, with_payload=True, with_vectors=[DENSE, SPARSE]
            )
        )
        return [to_row(record) for record in records], None if next_id is None else str(next_id)

    async def write_rows(self, rows: Sequence[Row]) -> None:
        """See `moving.Movable`."""
        for chosen in _slices(len(rows), BATCH_POINTS):
            await self._write([upsert([from_row(rows[position]) for position in chosen])])

    async def update_payloads(self, scope: Scope, ids: Sequence[str], fields: Mapping[str, Any]) -> None:
        """See the port."""
        for rows in _slices(len(ids), BATCH_POINTS):
            stored = await self.retrieve(scope, [ids[row] for row in rows], with_vectors=True)
            changed = [(point.id, payload_of(scope, {**point.payload, **fields})) for point in stored]
            if changed:
                await self._write([overwrite(id_, payload) for id_, payload in changed])

    async def delete(self, scope: Scope, where: Filter) -> int:
        """See the port."""
        await self._index_numbers(where)
        return await self._delete(select(_key(scope), where))

    async def count(self, scope: Scope, where: Filter | None = None) -> int:
        """See the port."""
        await self._index_numbers(where)
        return await self._count(select(_key(scope), where))

    async def count_versions(self, document_versions: Sequence[str] | None = None) -> dict[str, int]:
        """See the port. The count of all begins the consistency check, so it makes a collection again that is gone, as
        when the server lost its disk; nobody else does, since only that check fills it."""
        if document_versions is None:
            self._is_prepared = False
        chosen = None if document_versions is None else of_versions(document_versions)
        points = await self._count(chosen)
        if not points:
            return {}
        found = await self._call(
            lambda client: client.facet(
                self._name, "document_version", facet_filter=chosen, limit=points, exact=True
            )
        )
        return {str(hit.value): hit.count for hit in found.hits if hit.count}

    async def delete_versions(self, document_versions: Sequence[str]) -> int:
        """See the port. A version at a time, as nothing waits for all."""
        return sum([await self._delete(of_versions([version])) for version in document_versions])

    async def flush(self) -> None:
        """A write returns when it is in the server's log; beyond that a server has no way to be asked. What a power
        loss there takes away, the check after a lost connection finds, and it is indexed again."""

    async def snapshot(self, target: Path) -> None:
        """See the port. The copy is one of the embedded engine: it opens without a server, and can be moved to one."""
        from ragstone.vectorstores.edge import EdgeVectorStore
        from ragstone.vectorstores.moving import copy_points

        copy = await EdgeVectorStore.open(target, dimension=self._layout.dimension)
        try:
            await copy_points(self, copy)
        finally:
            await copy.close()

    async def is_healthy(self) -> bool:
        """Whether the server has the collection, and says so within a second."""
        try:
            async with asyncio.timeout(HEALTH_TIMEOUT_S):
                await self.prepare()
                return await self._connection.call(lambda client: client.collection_exists(self._name))
        except (RagstoneError, TimeoutError):
            return False

    async def close(self) -> None:
        """See the port. The connection is its owner's."""

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
        unit = None if dense is None else unit_rows([dense], self._layout.dimension)[0]
        if limit < 1 or (ids is not None and not ids):
            return []
        await self._index_numbers(where)
        selected, corpus = select(_key(scope), where, ids), select(_key(scope), where)
        asked = [] if unit is None else [dense_query(unit, selected, self._layout.search)]
        if sparse is not None and sparse.indices:
            pack_sparse(sparse)
            asked.append(sparse_query(sparse, selected, corpus))
        return [unpack_hits(hits) for hits in await self._rank(asked, limit)] if asked else []

    async def _rank(
        self, asked: Sequence[models.QueryRequest], limit: int
    ) -> list[tuple[list[str], list[float]]]:
        """Where equal scores reach beyond what was fetched, more are fetched."""
        answers = await self._query([limited(query, limit + TIE_SLACK) for query in asked])
        for leg, points in enumerate(answers):
            if ties_reach_beyond(points, limit):
                (answers[leg],) = await self._query([limited(asked[leg], limit + MANY_TIES)])
        return [rank(points, limit) for points in answers]

    async def _query(self, queries: Sequence[models.QueryRequest]) -> list[list[models.ScoredPoint]]:
        answers = await self._call(lambda client: client.query_batch_points(self._name, queries))
        return [answer.points for answer in answers]

    async def _delete(self, selected: models.Filter) -> int:
        count = await self._count(selected)
        if count:
            crash_point("qdrant.before_delete")
            chosen = models.FilterSelector(filter=selected)
            await self._write([models.DeleteOperation(delete=chosen)])
            crash_point("qdrant.after_delete")
        return count

    async def _count(self, selected: models.Filter | None) -> int:
        counted = await self._call(lambda client: client.count(self._name, selected, exact=True))
        return counted.count

    async def _write(self, operations: Sequence[models.UpdateOperation]) -> None:
        """Searches see it when this returns. Raises EngineUnavailable where the server only promises to."""
        results = await self._call(
            lambda client: client.batch_update_points(self._name, operations, wait=True, ordering=_STRONG)
        )
        if any(result.status is not models.UpdateStatus.COMPLETED for result in results):
            raise EngineUnavailable("Qdrant has not applied a change within its time; it is repeated")

    async def _call(self, request: Request[T]) -> T:
        if not self._is_prepared:
            await self.prepare()
        return await self._connection.call(request)

    async def _index_numbers(self, where: Filter | None) -> None:
        """An ordering over a field gets an index when it is first asked for: a server may refuse one without."""
        names = {number_field(key) for key in number_keys(encode_filter(where))} if where else set()
        for name in names - self._indexed:
            if len(self._indexed) < MAX_NUMBER_INDEXES:
                await self.prepare()
                await make_index(self._connection, self._name, name)
                self._indexed.add(name)


def _key(scope: Scope) -> str:
    return scope_key(scope.tenant_id, scope.collection)


def _payload_fields(with_vectors: bool) -> list[str]:  # noqa: FBT001
    return ["body", FEATURES] if with_vectors else ["body"]


def _slices(length: int, size: int) -> Iterator[range]:
    return (range(start, min(start + size, length)) for start in range(0, length, size))
