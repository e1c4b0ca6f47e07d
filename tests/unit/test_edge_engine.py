"""The engine on its own: it agrees with the oracle through any history, keeps what it was given, and tidies up."""

import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from ragstone.core.errors import BadEmbedding, EngineUnavailable, InternalError
from ragstone.core.filters import And, Filter, Leaf, Not
from ragstone.core.models import Point, Scope, ScoredId
from ragstone.testing.vector_store_contract.scenes import (
    DIMENSION,
    axis,
    fresh_scope,
    ids_of,
    of_version,
    point,
    scores_of,
    token,
    tokens,
)
from ragstone.testing.vector_stores import InMemoryVectorStore
from ragstone.vectorstores import edge_engine, edge_idf, edge_shard
from ragstone.vectorstores.edge import BATCH_KEYS, BATCH_POINTS, EdgeVectorStore
from ragstone.vectorstores.edge_engine import Engine
from ragstone.vectorstores.edge_process import error_of
from ragstone.vectorstores.edge_shard import INDEXES, SCAN_SEGMENTS, EngineRefusal
from tests.engines import open_engine, quick_folder, store_of

WORDS = ("red", "blue", "grey", "fox", "dog", "owl", "runs", "sleeps")
ALL: Filter = And(())


@pytest.fixture
def folder() -> Iterator[Path]:
    with quick_folder() as made:
        yield made


@pytest.fixture
def engine(folder: Path) -> Iterator[Engine]:
    with open_engine(folder, dimension=DIMENSION) as opened:
        yield opened


def shard_of(engine: Engine) -> Any:
    return engine._shard


def same_hits(found: Sequence[ScoredId], expected: Sequence[ScoredId]) -> bool:
    """Equal scores, and each id where its own score allows it: half precision may swap neighbours."""
    return [hit.score for hit in found] == pytest.approx(
        [hit.score for hit in expected], abs=2e-3
    ) and scores_of(found) == pytest.approx(scores_of(expected), abs=2e-3)


class History:
    """The same random writes to a store and to the oracle, and the same questions to both."""

    def __init__(self, store: EdgeVectorStore, seed: int):
        self.store = store
        self.oracle = InMemoryVectorStore(dimension=DIMENSION)
        self.chance = random.Random(seed)

    async def write(self, scope: Scope) -> None:
        versions = [f"{scope.collection}{number}:1" for number in range(6)]
        if self.chance.random() < 0.3:
            where = of_version(self.chance.choice(versions))
            assert await self.store.delete(scope, where) == await self.oracle.delete(scope, where)
            return
        batch = [self._point(self.chance.choice(versions)) for _ in range(self.chance.randint(1, 12))]
        await self.store.upsert(scope, batch)
        await self.oracle.upsert(scope, batch)

    async def compare(self, scope: Scope) -> None:
        query, words = self._vector(), tokens(" ".join(self.chance.sample(WORDS, 3)) + " unheard")
        for where in (None, Leaf("metadata.n", "lt", 3), Not(Leaf("title", "eq", "even"))):
            found = await self.store.search_hybrid(scope, query, words, limit=200, where=where)
            expected = await self.oracle.search_hybrid(scope, query, words, limit=200, where=where)
            assert all(map(same_hits, found, expected))
            weights = await self.store.term_weights(scope, words.indices, where=where)
            assert weights == pytest.approx(await self.oracle.term_weights(scope, words.indices, where=where))
            assert await self.store.count(scope, where) == await self.oracle.count(scope, where)
        assert await self.store.count_versions() == await self.oracle.count_versions()

    def _point(self, version: str) -> Point:
        number = self.chance.randint(0, 6)
        return point(
            " ".join(self.chance.choices(WORDS, k=self.chance.randint(0, 6))),
            dense=self._vector(),
            document_version=version,
            title="even" if number % 2 == 0 else "odd",
            metadata={"n": number},
        )

    def _vector(self) -> Any:
        return axis(0, length=self.chance.gauss(0, 1), towards=self.chance.randint(1, 7), by=1.0)


async def test_one_scope_alone_ranks_as_the_oracle_does(engine: Engine) -> None:
    history, scope = History(store_of(engine, dimension=DIMENSION), seed=1), fresh_scope()
    for _ in range(12):
        await history.write(scope)
        await history.compare(scope)


async def test_several_scopes_rank_as_the_oracle_does(engine: Engine) -> None:
    history, tenant = History(store_of(engine, dimension=DIMENSION), seed=2), fresh_scope().tenant_id
    scopes = [Scope(tenant, "a"), Scope(tenant, "b"), Scope(f"{tenant}x", "a")]
    for number in range(12):
        await history.write(scopes[number % len(scopes)])
        await history.compare(scopes[number * 2 % len(scopes)])


async def test_everything_is_there_after_a_reload(folder: Path) -> None:
    scope, other = fresh_scope(), fresh_scope()
    with open_engine(folder, dimension=DIMENSION) as engine:
        history = History(store_of(engine, dimension=DIMENSION), seed=3)
        for _ in range(4):
            await history.write(scope)
    with open_engine(folder, dimension=DIMENSION) as engine:
        history.store = store_of(engine, dimension=DIMENSION)
        await history.compare(scope)
        await history.write(other)
        await history.compare(scope)
        await history.compare(other)


async def test_points_are_spread_over_segments_that_are_scanned_in_parallel(engine: Engine) -> None:
    store, scope = store_of(engine, dimension=DIMENSION), fresh_scope()
    await store.upsert(scope, [point(str(n)) for n in range(200)])
    await store.flush()

    assert shard_of(engine).info().segments_count == SCAN_SEGMENTS
    assert await store.count(scope) == 200


async def test_a_vacuum_changes_no_result(engine: Engine) -> None:
    history, scope = History(store_of(engine, dimension=DIMENSION), seed=4), fresh_scope()
    many = [point("red fox", document_version="gone:1") for _ in range(3000)]
    for store in (history.store, history.oracle):
        await store.upsert(scope, many)
    for _ in range(4):
        await history.write(scope)
    for store in (history.store, history.oracle):
        assert await store.delete_versions(["gone:1"]) == 3000
    assert engine.upkeep_in_s() == edge_engine.IDLE_S

    engine.upkeep()

    assert engine.upkeep_in_s() is None
    assert shard_of(engine).info().segments_count == SCAN_SEGMENTS
    await history.compare(scope)
    await history.write(scope)
    await history.compare(scope)


async def test_an_engine_that_is_never_idle_clears_up_at_a_flush(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edge_engine, "_VACUUM_AT_LEAST", 10)
    store, scope = store_of(engine, dimension=DIMENSION), fresh_scope()
    await store.upsert(scope, [point(document_version="gone:1") for _ in range(11)] + [point()])
    await store.delete_versions(["gone:1"])

    await store.flush()

    assert engine.upkeep_in_s() is None
    assert await store.count(scope) == 1


async def test_a_flush_puts_the_whole_log_on_disk(
    engine: Engine, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Path] = []
    monkeypatch.setattr(edge_shard, "sync", synced.append)
    store = store_of(engine, dimension=DIMENSION)
    await store.upsert(fresh_scope(), [point()])

    await store.flush()

    log = folder / "shard" / "edge" / "wal"
    assert set(synced) == {*log.iterdir(), log}


async def test_files_are_put_in_order_when_nobody_asks_or_the_log_grows_long(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edge_engine, "_MAX_REPLAY", 10)
    store, scope = store_of(engine, dimension=DIMENSION), fresh_scope()
    await store.upsert(scope, [point() for _ in range(9)])
    await store.flush()
    assert engine.upkeep_in_s() == edge_engine.IDLE_S
    engine.upkeep()
    assert engine.upkeep_in_s() is None

    await store.upsert(scope, [point() for _ in range(11)])
    await store.flush()

    assert engine.upkeep_in_s() is None
    assert await store.count(scope) == 20


async def test_a_new_shard_gets_its_indexes_while_it_waits(engine: Engine) -> None:
    for _ in INDEXES:
        assert engine.upkeep_in_s() == 0.0
        engine.upkeep()

    assert engine.upkeep_in_s() == edge_engine.IDLE_S
    engine.upkeep()
    assert engine.upkeep_in_s() is None
    engine.upkeep()
    assert set(shard_of(engine).info().payload_schema) == set(INDEXES)


async def test_a_new_shard_answers_before_it_has_indexes(engine: Engine) -> None:
    store, scope = store_of(engine, dimension=DIMENSION), fresh_scope()

    assert await store.count_versions() == {}
    assert await store.search_hybrid(scope, axis(1), tokens("fox"), limit=5) == ([], [])
    assert engine.upkeep_in_s() == 0.0
    await store.upsert(scope, [point("fox")])
    assert engine.upkeep_in_s() == edge_engine.IDLE_S


async def test_an_ordering_gets_an_index_once_many_points_have_the_field(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edge_engine, "_WORTH_AN_INDEX", 20)
    store, scope = store_of(engine, dimension=DIMENSION), fresh_scope()
    await store.upsert(scope, [point(metadata={"few": n % 2, "many": n}) for n in range(10)])
    where = Not(And((Leaf("metadata.many", "lt", 15), Leaf("metadata.few", "gte", 0))))
    assert await store.count(scope, where) == 0
    assert len(engine._indexed) == len(INDEXES)

    await store.upsert(scope, [point(metadata={"many": n}) for n in range(10, 30)])

    assert await store.count(scope, where) == 20
    assert len(engine._indexed) == len(INDEXES) + 1
    assert await store.count(scope, Leaf("metadata.many", "gte", 28)) == 2
    await store.upsert(scope, [point(metadata={"many": [1, 99]})])
    assert await store.count(scope, Leaf("metadata.many", "gte", 28)) == 3


async def test_the_number_of_such_indexes_is_bounded(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edge_engine, "_WORTH_AN_INDEX", 0)
    monkeypatch.setattr(edge_engine, "_MAX_NUMBER_INDEXES", 1)
    store, scope = store_of(engine, dimension=DIMENSION), fresh_scope()
    await store.upsert(scope, [point(metadata={"a": 1, "b": 2})])

    for key in ("a", "b"):
        assert await store.count(scope, Leaf(f"metadata.{key}", "gt", 0)) == 1

    assert len(engine._indexed) == len(INDEXES) + 1


async def test_term_weights_are_counted_once_until_something_is_written(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: list[int] = []
    measure = engine._measure_weights

    def counting(scope: str, where: Any, indices: Sequence[int]) -> dict[int, float]:
        counted.extend(indices)
        return measure(scope, where, indices)

    monkeypatch.setattr(engine, "_weights", edge_idf.TermWeights(counting))
    store, scope = store_of(engine, dimension=DIMENSION), fresh_scope()
    await store.upsert(scope, [point("red fox")])
    for _ in range(3):
        await store.search_sparse(scope, tokens("red fox unheard"), limit=5)
        await store.term_weights(scope, tokens("red unheard").indices)
    assert sorted(counted) == sorted(tokens("red fox unheard").indices)

    await store.upsert(scope, [point("red")])
    await store.term_weights(scope, [token("red")])

    assert counted[3:] == [token("red")]


def test_remembered_weights_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edge_idf, "_MAX_REMEMBERED", 10)
    asked: list[int] = []

    def measure(_scope: str, _where: Any, indices: Sequence[int]) -> dict[int, float]:
        asked.extend(indices)
        return dict.fromkeys(indices, 1.0)

    weights = edge_idf.TermWeights(measure)
    for start in range(0, 30, 6):
        assert weights.of("scope", None, range(start, start + 6)) == dict.fromkeys(
            range(start, start + 6), 1.0
        )
    assert weights.of("scope", None, [0]) == {0: 1.0}

    assert asked.count(0) == 2


async def test_more_than_a_thousand_equal_scores_still_fill_the_limit(engine: Engine) -> None:
    store, scope = store_of(engine, dimension=DIMENSION), fresh_scope()
    await store.upsert(scope, [point("red") for _ in range(1100)])

    dense, sparse = await store.search_hybrid(scope, axis(1), tokens("red"), limit=10)

    assert len({*ids_of(dense)}) == len({*ids_of(sparse)}) == 10
    assert ids_of(dense) == sorted(ids_of(dense))


def test_another_dimension_is_refused(folder: Path) -> None:
    with open_engine(folder, dimension=8):
        pass
    with pytest.raises(EngineRefusal, match="'dimension': 8") as refusal:
        Engine(folder, dimension=9)
    assert refusal.value.code == "fingerprint_changed"


def test_a_damaged_shard_is_refused_with_its_place(folder: Path) -> None:
    with open_engine(folder, dimension=8):
        pass
    (folder / "shard" / "edge" / "edge_config.json").write_text("{")
    with pytest.raises(EngineRefusal, match="cannot be opened") as refusal:
        Engine(folder, dimension=8)
    assert refusal.value.code == "startup_failed"
    assert str(folder) in refusal.value.message


def test_a_creation_that_was_interrupted_is_begun_anew(folder: Path) -> None:
    unfinished = folder / "shard.new" / "edge" / "segments"
    unfinished.mkdir(parents=True)
    (unfinished / "half").write_text("made")
    with open_engine(folder, dimension=8) as engine:
        assert engine.ping()
    assert json.loads((folder / "shard" / "layout.json").read_text()) == {"version": 1, "dimension": 8}
    assert not unfinished.exists()


async def test_what_the_engine_refuses_has_a_name(engine: Engine) -> None:
    store = store_of(engine, dimension=DIMENSION)
    with pytest.raises(InternalError, match="abc"):
        await store.upsert(fresh_scope(), [point(id_="abc")])
    with pytest.raises(BadEmbedding, match="expected dim: 8, got 3"):
        await store._link.call("search", "s", None, None, b"\0" * 12, None, 5)
    with pytest.raises(InternalError, match="unheard"):
        await store._link.call("unheard")
    with pytest.raises(InternalError, match="unknown condition"):
        await store._link.call("count", "s", ["unheard"])
    assert isinstance(error_of("engine_unavailable", "No space left on device"), EngineUnavailable)


async def test_nothing_is_asked_of_the_engine_where_nothing_can_be_found(engine: Engine) -> None:
    store, scope = store_of(engine, dimension=DIMENSION), fresh_scope()

    assert await store.search_sparse(scope, tokens(""), limit=5) == []
    assert await store.search_dense(scope, axis(1), limit=0) == []
    assert await store.search_hybrid(scope, axis(1), tokens("a"), limit=5, ids=[]) == ([], [])
    assert await store.term_weights(scope, []) == {}
    assert await store.retrieve(scope, []) == []
    await store.upsert(scope, [])

    assert store._link.calls == []  # type: ignore[attr-defined]


async def test_large_writes_travel_in_small_batches(engine: Engine) -> None:
    store, scope = store_of(engine, dimension=DIMENSION), fresh_scope()
    await store.upsert(scope, [point() for _ in range(2 * BATCH_POINTS + 1)])
    await store.find_embeddings(scope, [str(n) for n in range(BATCH_KEYS + 1)])

    assert store._link.calls == ["upsert"] * 3 + ["find_embeddings"] * 2  # type: ignore[attr-defined]
