"""Features are read once, for a while."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ragstone.core.models import Point, Scope, SparseVector, Terms
from ragstone.pipelines.feature_cache import FORGET_S, FeatureCache
from ragstone.pipelines.features import NOTHING, decode, pack_features
from ragstone.testing.vector_stores import InMemoryVectorStore

SCOPE = Scope()
IDS = [f"00000000-0000-0000-0000-00000000000{n}" for n in range(4)]
PACKED = pack_features([Terms((1, 2))], [50], np.zeros((0, 2), np.float32))


@dataclass
class CountingStore(InMemoryVectorStore):
    asked: list[list[str]] = field(default_factory=list)
    pauses: bool = False

    def __post_init__(self) -> None:
        super().__init__(dimension=2)

    async def read_features(self, scope: Scope, ids: Sequence[str]) -> dict[str, str]:
        self.asked.append(list(ids))
        if self.pauses:
            await asyncio.sleep(0)  # as a store over the network does
        return await super().read_features(scope, ids)


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


async def filled() -> CountingStore:
    store = CountingStore()
    vector, sparse = np.array([1.0, 0.0], np.float32), SparseVector((), ())
    await store.upsert(SCOPE, [Point(id_, vector, sparse, {"features": PACKED}) for id_ in IDS[:2]])
    await store.upsert(SCOPE, [Point(IDS[2], vector, sparse, {})])
    return store


async def test_what_is_known_is_not_read_again() -> None:
    store = await filled()
    cache = FeatureCache(store)

    assert await cache.read(SCOPE, IDS[:1]) == {IDS[0]: decode(PACKED)}
    assert (await cache.read(SCOPE, IDS[:3])).keys() == set(IDS[:3])
    assert (await cache.read(SCOPE, IDS[:3]))[IDS[2]] == NOTHING

    assert store.asked == [IDS[:1], IDS[1:3]]


async def test_a_point_that_is_not_there_is_asked_for_again() -> None:
    store = await filled()
    cache = FeatureCache(store)

    assert await cache.read(SCOPE, IDS[3:]) == {}
    assert await cache.read(SCOPE, IDS[3:]) == {}
    assert len(store.asked) == 2


async def test_another_scope_sees_nothing_of_it() -> None:
    store = await filled()
    cache = FeatureCache(store)
    await cache.read(SCOPE, IDS[:1])

    assert await cache.read(Scope(collection="other"), IDS[:1]) == {}


async def test_the_oldest_go_first() -> None:
    store = await filled()
    cache = FeatureCache(store, most_bytes=2 * decode(PACKED).bytes)
    for id_ in (IDS[0], IDS[1], IDS[0], IDS[2]):
        await cache.read(SCOPE, [id_])
    store.asked.clear()

    await cache.read(SCOPE, IDS[:3])

    assert store.asked == [[IDS[1]]]


async def test_all_is_forgotten_after_a_while() -> None:
    store, clock = await filled(), Clock()
    cache = FeatureCache(store, clock=clock)
    await cache.read(SCOPE, IDS[:1])
    clock.now = FORGET_S + 1

    await cache.read(SCOPE, IDS[:1])

    assert store.asked == [IDS[:1], IDS[:1]]


async def test_the_same_point_read_by_many_at_once_is_counted_once() -> None:
    store = await filled()
    cache = FeatureCache(store, most_bytes=2 * decode(PACKED).bytes)
    store.pauses = True

    found = await asyncio.gather(*(cache.read(SCOPE, IDS[:2]) for _ in range(8)))
    again = await asyncio.gather(*(cache.read(SCOPE, IDS[:2]) for _ in range(8)))

    assert all(each.keys() == set(IDS[:2]) for each in (*found, *again))
    assert store.asked == [IDS[:2]] * 8, "what fits is remembered, however many asked at the same time"
