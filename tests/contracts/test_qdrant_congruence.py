"""The same calls on the embedded engine and on the client of a server give the same ids and scores."""

import random
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from ragstone.core.filters import And, Filter, Leaf, Not, Or
from ragstone.core.models import Point, Scope, ScoredId, SparseVector, Vector
from ragstone.core.ports import VectorStore
from tests.engines import open_engine, quick_folder, store_of
from tests.qdrant_stores import NO_INDEXES, on_local_mode, over_the_wire

pytestmark = pytest.mark.filterwarnings(NO_INDEXES)

DIMENSION = 16
STEPS = 30
LIMIT = 7
TOLERANCE = 2e-3  # the engine keeps vectors in half precision, local mode in single
SCOPES = (Scope("a", "notes"), Scope("a", "letters"), Scope("b", "notes"))


@dataclass
class Calls:
    """Random ones, reproducible by the seed."""

    chance: random.Random

    def point(self) -> Point:
        version = f"doc{self.chance.randrange(6)}:{self.chance.randrange(2)}"
        payload: dict[str, Any] = {
            "text": "x",
            "document_version": version,
            "document_id": version.partition(":")[0],
            "embedding_key": f"k{self.chance.randrange(9)}",
            "created_at": self.chance.randrange(5),
            "metadata": {"year": self.chance.choice([2020, 2021.5, "2020", None, [1, "a"]])},
        }
        id_ = f"00000000-0000-4000-8000-{self.chance.randrange(40):012d}"
        return Point(id_, self.vector(), self.words(self.chance.randrange(6)), payload)

    def vector(self) -> Vector:
        drawn = [self.chance.gauss(0, 1) for _ in range(DIMENSION)]
        return np.array(drawn, np.float32)

    def words(self, number: int) -> SparseVector:
        indices = sorted(self.chance.sample(range(12), number))
        return SparseVector(tuple(indices), tuple(self.chance.uniform(0.2, 2.0) for _ in indices))

    def filter(self, depth: int = 2) -> Filter:
        kind = self.chance.choice(["leaf", "and", "or", "not"]) if depth else "leaf"
        if kind == "not":
            return Not(self.filter(depth - 1))
        if kind != "leaf":
            parts = tuple(self.filter(depth - 1) for _ in range(self.chance.randrange(3)))
            return And(parts) if kind == "and" else Or(parts)
        return self.chance.choice(
            [
                Leaf("document_id", "eq", f"doc{self.chance.randrange(6)}"),
                Leaf("created_at", self.chance.choice(["gt", "lte"]), self.chance.randrange(5)),
                Leaf("metadata.year", self.chance.choice(["eq", "ne", "gte"]), 2020),
                Leaf("metadata.year", "exists", value=True),
            ]
        )

    def scope(self) -> Scope:
        return self.chance.choice(SCOPES)


async def write(calls: Calls, stores: tuple[VectorStore, VectorStore]) -> None:
    """The same change to both, with the same count of what went."""
    kind, scope = (
        calls.chance.choice(["upsert", "upsert", "upsert", "delete", "purge", "update"]),
        calls.scope(),
    )
    points = [calls.point() for _ in range(calls.chance.randrange(1, 8))]
    where, version = calls.filter(), points[0].payload["document_version"]
    for store in stores:
        if kind == "upsert":
            await store.upsert(scope, points)
        elif kind == "update":
            await store.update_payloads(scope, [point.id for point in points], {"title": "changed"})
    if kind == "delete":
        assert (
            len({await store.delete(scope, And((where, Leaf("created_at", "eq", 1)))) for store in stores})
            == 1
        )
    if kind == "purge":
        assert len({await store.delete_versions([version]) for store in stores}) == 1


async def read(calls: Calls, stores: tuple[VectorStore, VectorStore]) -> None:
    """The same questions to both."""
    scope, vector, words = calls.scope(), calls.vector(), calls.words(4)
    where = calls.filter() if calls.chance.random() < 0.6 else None
    ids = [calls.point().id for _ in range(20)]
    engine, client = stores
    first = await engine.search_hybrid(scope, vector, words, limit=LIMIT, where=where)
    second = await client.search_hybrid(scope, vector, words, limit=LIMIT, where=where)
    for one, other in zip(first, second, strict=True):
        require_same_hits(one, other)
    for one, other in zip(
        await engine.search_hybrid(scope, vector, words, limit=LIMIT, where=where, ids=ids),
        await client.search_hybrid(scope, vector, words, limit=LIMIT, where=where, ids=ids),
        strict=True,
    ):
        require_same_hits(one, other)
    weights = [await store.term_weights(scope, words.indices, where=where) for store in stores]
    assert weights[0] == pytest.approx(weights[1], abs=TOLERANCE)
    counts = [await store.count(scope, where) for store in stores]
    assert counts[0] == counts[1]
    found = [await store.retrieve(scope, ids) for store in stores]
    assert [(point.id, point.payload) for point in found[0]] == [
        (point.id, point.payload) for point in found[1]
    ]
    assert await engine.count_versions() == await client.count_versions()
    keys = [set(await store.find_embeddings(scope, ["k1", "k5", "none"])) for store in stores]
    assert keys[0] == keys[1]


def require_same_hits(one: list[ScoredId], other: list[ScoredId]) -> None:
    """Same length and scores; the same ids, but where scores lie nearer together than their precision."""
    scores = [[hit.score for hit in hits] for hits in (one, other)]
    assert scores[0] == pytest.approx(scores[1], abs=TOLERANCE)
    for position, (hit, same) in enumerate(zip(one, other, strict=True)):
        if hit.id != same.id:
            others = [score for n, score in enumerate(scores[0]) if n != position]
            nearest = min((abs(hit.score - score) for score in others), default=1.0)
            is_last = position == len(one) - 1 == LIMIT - 1
            assert nearest <= TOLERANCE or is_last, (position, one, other)


@pytest.mark.parametrize("opened", [on_local_mode, over_the_wire])
@pytest.mark.parametrize("seed", range(3))
async def test_the_same_calls_give_the_same_answers(opened: Any, seed: int) -> None:
    calls = Calls(random.Random(seed))
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(quick_folder())
        engine = stack.enter_context(open_engine(folder, dimension=DIMENSION))
        client = await stack.enter_async_context(opened(DIMENSION))
        stores = (store_of(engine, dimension=DIMENSION), client)
        for _ in range(STEPS):
            await write(calls, stores)
            await read(calls, stores)
