"""The engine: one shard and the operations on it, in plain types. No socket and no process in here, so that it also
runs where a test wants it. Its own process is `edge_server`; the store that speaks to it is `edge`.

Every call of Edge holds the interpreter's lock, so calls run one after another whatever the caller does.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from qdrant_edge import (
    CountRequest,
    FacetRequest,
    Filter,
    FloatIndexParams,
    HasIdCondition,
    IdfParams,
    Query,
    QueryBatchRequest,
    QueryRequest,
    ScoredPoint,
    ScrollRequest,
    SearchParams,
    SparseVector,
    UpdateOperation,
)

from ragstone.core.crash import crash_point
from ragstone.core.memory import resident_bytes
from ragstone.vectorstores.edge_filters import (
    AnyCondition,
    has_value,
    to_conditions,
)
from ragstone.vectorstores.edge_idf import EMPTY_CORPUS, TermWeights
from ragstone.vectorstores.edge_records import (
    Stored,
    features_of,
    scope_of,
    to_point,
    to_row,
    to_stored,
    weight_of,
)
from ragstone.vectorstores.edge_shard import DENSE, INDEXES, SHARD, SPARSE, open_shard, sync_log
from ragstone.vectorstores.frames import Condition, number_field, number_keys
from ragstone.vectorstores.kept import FEATURES, floats, integers, to_payload
from ragstone.vectorstores.ranking import MANY_TIES, TIE_SLACK, Hits, rank, ties_reach_beyond

CRASH_POINTS = tuple(
    f"engine.{moment}_{work}" for work in ("upsert", "delete", "flush") for moment in ("before", "after")
)
IDLE_S = 5.0
"""So long without a request before files are put in order."""

_MAX_NUMBER_INDEXES = 32
_WORTH_AN_INDEX = 200  # points; a query reads their numbers several times, at 6 µs each
_MAX_REPLAY = 5_000  # points; a start after a crash replays so many in about a second
_VACUUM_AT_LEAST = 1_000  # points; Edge itself leaves a segment alone below this, or below a fifth of it

_Leg = Callable[[int], QueryRequest]
_NOTHING: list[Hits] = [([], [])]


class Engine:
    """Scopes are the keys that `fields.scope_key` makes; ids are UUIDs in their usual form."""

    def __init__(self, directory: Path, *, dimension: int) -> None:
        """Raises EngineRefusal."""
        self._shard = open_shard(directory, dimension=dimension)
        self._indexed = set(self._shard.info().payload_schema)
        self._scopes = {str(hit.value) for hit in self._facet("scope")}
        self._weights = TermWeights(self._measure_weights)
        self._deleted = 0
        self._written = 1  # for all we know the log was replayed: begin it anew when there is time
        self._directory = directory
        self._is_still = False

    def upsert(self, tenant_id: str, scope: str, points: Sequence[Sequence[Any]]) -> None:
        """Each point: id, dense, token ids and their weights (bytes of float32, uint32, float32), document version,
        tokens of 16 bytes in a row, numbers, payload as JSON, features."""
        self._make_indexes()
        crash_point("engine.before_upsert")
        self._is_still = False
        self._scopes.add(scope)
        self._weights.forget()
        fixed = {"tenant_id": tenant_id, "scope": scope}
        self._written += len(points)
        self._shard.update(UpdateOperation.upsert_points([to_point(fixed, *point) for point in points]))
        crash_point("engine.after_upsert")

    def search(
        self,
        scope: str,
        where: Condition | None,
        ids: Sequence[str] | None,
        dense: bytes | None,
        sparse: tuple[bytes, bytes] | None,
        limit: int,
    ) -> list[Hits]:
        """Hits of the legs that are given, dense first, in one batch."""
        selected = self._select(scope, where, ids)
        legs: list[_Leg | None] = []
        if dense is not None:
            query = Query.Nearest(floats(dense), using=DENSE)
            legs.append(partial(QueryRequest, query=query, filter=selected))
        if sparse is not None:
            weighted = self._weights.query(scope, where, integers(sparse[0]), floats(sparse[1]))
            legs.append(partial(_sparse_query, weighted, selected) if weighted else None)
        return self._run(legs, limit)

    def search_legs(
        self, scope: str, where: Condition | None, dense: bytes, sparse: tuple[bytes, bytes], limit: int
    ) -> list[Any]:
        """Hits of both legs, those of what only one of them found, and the IDF of the query's tokens."""
        near, worded = self.search(scope, where, None, dense, sparse, limit)
        not_near = sorted(set(worded[0]) - set(near[0]))
        not_worded = sorted(set(near[0]) - set(worded[0])) if worded[0] else []
        more_near = self.search(scope, where, not_near, dense, None, len(not_near)) if not_near else _NOTHING
        more_worded = (
            self.search(scope, where, not_worded, None, sparse, len(not_worded)) if not_worded else _NOTHING
        )
        idf = self.term_weights(scope, where, integers(sparse[0]))
        return [near, worded, *more_near, *more_worded, idf]

    def term_weights(
        self, scope: str, where: Condition | None, indices: Sequence[int]
    ) -> list[tuple[int, float]]:
        """IDF of each token that some point has."""
        return list(self._weights.of(scope, where, indices).items())

    def retrieve(self, scope: str, ids: Sequence[str], with_vectors: bool) -> list[Stored]:  # noqa: FBT001
        """In the order of `ids`."""
        wanted = ["scope", "body", *([FEATURES] if with_vectors else ())]
        records = self._shard.retrieve(list(ids), wanted, [DENSE] if with_vectors else False)
        found = {str(record.id): record for record in records if scope_of(record) == scope}
        return [to_stored(found[id_]) for id_ in ids if id_ in found]

    def read_features(self, scope: str, ids: Sequence[str]) -> list[tuple[str, str]]:
        """Ids and features."""
        records = self._shard.retrieve(list(ids), ["scope", FEATURES], with_vector=False)
        return [(str(record.id), features_of(record)) for record in records if scope_of(record) == scope]

    def find(
        self, scope: str, where: Condition, limit: int, with_vectors: bool  # noqa: FBT001
    ) -> list[Stored]:
        """Some points that pass."""
        return self._scroll(self._select(scope, where), limit, with_vectors=with_vectors)

    def read_rows(self, after: str | None, limit: int) -> tuple[list[Any], str | None]:
        """Points of all scopes from the id `after` on, as `kept.Row`s, and the id at which the next page begins."""
        request = ScrollRequest(offset=after, limit=limit, with_payload=True, with_vector=[DENSE, SPARSE])
        records, next_id = self._shard.scroll(request)
        return [to_row(record) for record in records], None if next_id is None else str(next_id)

    def find_embeddings(self, tokens: Sequence[bytes]) -> list[Stored | None]:
        """For each token one point that carries it, with its vector, or None."""
        keys = [token.hex() for token in tokens]
        if not self._scroll(Filter(must=[has_value("tokens", *keys)]), 1, with_vectors=False):
            return [None] * len(keys)  # a document that is new throughout: one look is enough
        found = (self._scroll(Filter(must=[has_value("tokens", key)]), 1, with_vectors=True) for key in keys)
        return [points[0] if points else None for points in found]

    def replace_payloads(self, tenant_id: str, scope: str, payloads: Sequence[Sequence[Any]]) -> None:
        """Each payload: the id of a point of this scope, and what `upsert` takes after the vectors."""
        self._is_still = False
        fixed = {"tenant_id": tenant_id, "scope": scope}
        self._written += len(payloads)
        for id_, *rest in payloads:
            self._shard.update(UpdateOperation.overwrite_payload([id_], to_payload(fixed, *rest)))

    def delete(self, scope: str, where: Condition) -> int:
        """How many went."""
        return self._delete(Filter(must=[has_value("scope", scope), *self._conditions(where)]))

    def delete_versions(self, versions: Sequence[str]) -> int:
        """How many went, over all scopes."""
        return self._delete(Filter(must=[has_value("document_version", *versions)]))

    def count(self, scope: str, where: Condition | None) -> int:
        """Exactly."""
        return self._count(self._select(scope, where))

    def count_versions(self, versions: Sequence[str] | None) -> list[tuple[str, int]]:
        """Document versions and their points, all or the given ones, over all scopes."""
        chosen = None if versions is None else Filter(must=[has_value("document_version", *versions)])
        return [(str(hit.value), hit.count) for hit in self._facet("document_version", chosen)]

    def flush(self) -> None:
        """Everything is on disk, power loss or not, when this returns. One or two fsyncs: Edge's own flush takes a
        hundred, in which no query is answered, and is left for a quieter moment."""
        crash_point("engine.before_flush")
        sync_log(self._directory)
        crash_point("engine.after_flush")
        if self._is_still:
            return
        if self._written > _MAX_REPLAY:
            self._settle()
        if self._deleted > max(_VACUUM_AT_LEAST, self._shard.info().points_count):
            self._vacuum()  # never idle, and by now more is gone than there is

    def begin_copy(self) -> str:
        """Change no file until `end_copy` or the next write, whatever there is to do. Returns the shard's folder: a copy
        of it is what a kill would leave now, which has every acknowledged write in the log."""
        self._is_still = True
        return str(self._directory / SHARD)

    def end_copy(self) -> bool:
        """Whether no file was changed since `begin_copy`, which this engine was asked for."""
        was_still, self._is_still = self._is_still, False
        return was_still

    def ping(self) -> bool:
        """True."""
        return True

    def state(self) -> tuple[int, int]:
        """Points of all scopes, and the bytes of memory that the process holds."""
        return self._shard.info().points_count, resident_bytes()

    def upkeep_in_s(self) -> float | None:
        """After how long without a request `upkeep` wants to be called; None if there is nothing to do."""
        if self._is_still:
            return None
        if not self._indexed.issuperset(INDEXES):
            return 0.0
        return IDLE_S if self._deleted or self._written else None

    def upkeep(self) -> None:
        """A piece of work that nobody waits for: an index of a new shard, clearing away what was deleted, a flush."""
        missing = [name for name in INDEXES if name not in self._indexed]
        if missing:
            self._make_index(missing[0])
        elif self._deleted:
            self._vacuum()
        elif self._written:
            self._settle()

    def close(self) -> None:
        """Flush and let go."""
        self._shard.flush()
        self._shard.close()

    def _select(self, scope: str, where: Condition | None, ids: Sequence[str] | None = None) -> Filter | None:
        """None = all points: a scope that has them all to itself is not asked about point by point (at 10,000 points
        a hybrid search takes 1.8 CPU ms instead of 3.2)."""
        conditions: list[AnyCondition] = [] if self._scopes == {scope} else [has_value("scope", scope)]
        if where is not None:
            conditions += self._conditions(where)
        if ids is not None:
            conditions.append(HasIdCondition(set(ids)))
        return Filter(must=conditions) if conditions else None

    def _run(self, legs: Sequence[_Leg | None], limit: int) -> list[Hits]:
        asked = [leg(limit + TIE_SLACK) for leg in legs if leg]
        answers = iter(self._shard.query_batch(QueryBatchRequest(asked)) if asked else [])
        return [self._rank(leg, next(answers), limit) if leg else ([], []) for leg in legs]

    def _rank(self, leg: _Leg, points: Sequence[ScoredPoint], limit: int) -> Hits:
        """The first `limit` by score, then id. Where equal scores reach beyond what was fetched, more are fetched; among
        more than a thousand equals the engine's own order decides."""
        if ties_reach_beyond(points, limit):
            points = self._shard.query(leg(limit + MANY_TIES))
        return rank(points, limit)

    def _measure_weights(
        self, scope: str, where: Condition | None, indices: Sequence[int]
    ) -> dict[int, float]:
        """A query of one token scores IDF times stored weight. The corpus always names its scope or filter, since
        Edge counts deleted points into a corpus without a filter."""
        selected = self._select(scope, where)
        corpus = selected or Filter(must=[has_value("scope", scope)])
        parameters = SearchParams(idf=IdfParams(corpus=corpus))
        queries = [
            QueryRequest(
                limit=1,
                query=Query.Nearest(SparseVector([index], [1.0]), using=SPARSE),
                filter=selected,
                params=parameters,
                with_vector=[SPARSE],
            )
            for index in indices
        ]
        answers = self._shard.query_batch(QueryBatchRequest(queries))
        return {
            index: hits[0].score / weight_of(hits[0], index)
            for index, hits in zip(indices, answers, strict=True)
            if hits
        }

    def _scroll(self, selected: Filter | None, limit: int, *, with_vectors: bool) -> list[Stored]:
        request = ScrollRequest(
            limit=limit,
            filter=selected,
            with_payload=["body", *([FEATURES] if with_vectors else ())],
            with_vector=[DENSE] if with_vectors else False,
        )
        records, _ = self._shard.scroll(request)
        return [to_stored(record) for record in records]

    def _delete(self, selected: Filter) -> int:
        count = self._count(selected)
        if count:
            crash_point("engine.before_delete")
            self._is_still = False
            self._weights.forget()
            self._shard.update(UpdateOperation.delete_points_by_filter(selected))
            self._deleted += count
            self._written += count
            crash_point("engine.after_delete")
        return count

    def _count(self, selected: Filter | None, *, exact: bool = True) -> int:
        return self._shard.count(CountRequest(exact=exact, filter=selected))

    def _facet(self, key: str, selected: Filter | None = None) -> list[Any]:
        points = self._shard.info().points_count
        if not points or key not in self._indexed:
            return []
        found = self._shard.facet(FacetRequest(key, limit=points, exact=True, filter=selected))
        return [hit for hit in found.hits if hit.count]

    def _make_indexes(self) -> None:
        for name in INDEXES:
            if name not in self._indexed:
                self._make_index(name)

    def _make_index(self, name: str) -> None:
        schema = INDEXES.get(name) or FloatIndexParams()
        self._shard.update(UpdateOperation.create_field_index(name, schema))
        self._indexed.add(name)

    def _conditions(self, where: Condition) -> list[AnyCondition]:
        """An ordering over a field that many points have gets an index when it is first asked for."""
        for key, token in number_keys(where).items():
            name = number_field(key)
            if (
                self._is_still
                or name in self._indexed
                or len(self._indexed) >= len(INDEXES) + _MAX_NUMBER_INDEXES
            ):
                continue
            if self._count(Filter(must=[has_value("tokens", token.hex())]), exact=False) > _WORTH_AN_INDEX:
                self._make_index(name)
        return to_conditions(where, self._indexed)

    def _vacuum(self) -> None:
        """2 CPU s at 100,000 points with half of them gone; 0.1 ms where there is nothing worth doing."""
        self._shard.optimize()
        self._deleted = 0
        self._settle()

    def _settle(self) -> None:
        """Edge's own flush: the log can begin anew, and a start need not replay it."""
        self._shard.flush()
        self._written = 0


OPERATIONS: dict[str, Callable[..., Any]] = {
    operation.__name__: operation
    for operation in (
        Engine.upsert,
        Engine.replace_payloads,
        Engine.search,
        Engine.search_legs,
        Engine.term_weights,
        Engine.retrieve,
        Engine.read_features,
        Engine.find,
        Engine.find_embeddings,
        Engine.read_rows,
        Engine.delete,
        Engine.delete_versions,
        Engine.count,
        Engine.count_versions,
        Engine.flush,
        Engine.begin_copy,
        Engine.end_copy,
        Engine.ping,
        Engine.state,
    )
}


def answer(engine: Engine, request: Sequence[Any]) -> list[Any]:
    """The reply to a request (see `frames`)."""
    number, operation, *arguments = request
    try:
        return [number, True, OPERATIONS[operation](engine, *arguments)]
    except Exception as error:  # noqa: BLE001 - Edge raises nothing more specific
        return [number, False, [_code_of(error), str(error)]]


def _code_of(error: Exception) -> str:
    text = str(error)
    if "dimension error" in text:
        return "bad_embedding"
    return "engine_unavailable" if text.startswith("Service") or "No space" in text else "internal_error"


def _sparse_query(weighted: SparseVector, selected: Filter | None, limit: int) -> QueryRequest:
    query = Query.Nearest(weighted, using=SPARSE)
    return QueryRequest(limit, query=query, filter=selected, params=EMPTY_CORPUS)
