"""The collection that serves, and the one that is built beside it."""

from pathlib import Path

import numpy as np

from ragstone.core.models import Point, Scope, SparseVector
from ragstone.services.serving import ServingStore
from ragstone.testing.vector_stores import InMemoryVectorStore

ID = "00000000-0000-0000-0000-000000000001"
SCOPE = Scope()


def point(features: str) -> Point:
    payload = {"title": "Old", "features": features, "document_version": "d:1"}
    return Point(ID, np.array([1.0, 0.0], np.float32), SparseVector((1,), (1.0,)), payload)


async def both(*, beside: bool = True) -> tuple[InMemoryVectorStore, InMemoryVectorStore]:
    serving, building = InMemoryVectorStore(dimension=2), InMemoryVectorStore(dimension=2)
    await serving.upsert(SCOPE, [point("of the old embedder")])
    if beside:
        await building.upsert(SCOPE, [point("of the new embedder")])
    return serving, building


async def test_a_change_of_words_reaches_both_and_leaves_each_its_vectors() -> None:
    serving, building = await both()
    store = ServingStore(serving, building=building)

    await store.update_payloads(SCOPE, [ID], {"title": "New"})

    (old,) = await serving.retrieve(SCOPE, [ID], with_vectors=True)
    (new,) = await building.retrieve(SCOPE, [ID], with_vectors=True)
    assert (old.payload["title"], old.payload["features"]) == ("New", "of the old embedder")
    assert (new.payload["title"], new.payload["features"]) == ("New", "of the new embedder")


async def test_what_is_deleted_is_in_neither() -> None:
    serving, building = await both()
    store = ServingStore(serving, building=building)

    assert await store.delete_versions(["d:1"]) == 1

    assert (await serving.count(SCOPE), await building.count(SCOPE)) == (0, 0)


async def test_a_version_that_is_not_copied_yet_is_left_to_the_copier() -> None:
    serving, building = await both(beside=False)

    await ServingStore(serving, building=building).update_payloads(SCOPE, [ID], {"title": "New"})

    assert await building.count(SCOPE) == 0


async def test_a_copy_is_taken_of_the_one_that_serves(tmp_path: Path) -> None:
    serving, building = await both(beside=False)

    await ServingStore(serving, building=building).snapshot(tmp_path / "copy")

    copy = InMemoryVectorStore.open(tmp_path / "copy", dimension=2)
    assert await copy.count(SCOPE) == 1
