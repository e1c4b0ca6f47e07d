"""Promises about reading points back: by id, by filter, by embedding."""

from typing import Any

import numpy as np

from ragstone.core.filters import And, Leaf
from ragstone.core.models import Scope
from ragstone.core.ports import VectorStore
from ragstone.testing.vector_store_contract.scenes import (
    SCORE_TOLERANCE,
    axis,
    fresh_scope,
    ids_of,
    neighbour,
    of_version,
    point,
    stranger,
)

ODD_PAYLOAD: dict[str, Any] = {
    "metadata": {
        "a.b": 1,
        'quo"te': [1, "1", True, None],
        "": {"deep": [{}]},
        "ключ": "знач\u0000ение \U0001f98a",
    },
    "numbers": [1, 1.0, -0.0, 0.1, 2**53 + 1, -(2**63), 2**64, 10**30, 1e300, 5e-324],
    "nothing": None,
    "empty": ["", [], {}],
    "half a character": "\ud800",
    "line": "a\r\nb\u2028c",
    "scope": "mine",
    "tokens": "mine",
    "body": "mine",
}


class ReadPromises:
    """What comes back, and from where."""

    async def test_a_payload_comes_back_as_it_was_written(self, store: VectorStore) -> None:
        """Types, digits, order and odd keys included."""
        scope, stored = fresh_scope(), point(**ODD_PAYLOAD)
        await store.upsert(scope, [stored])
        (found,) = await store.retrieve(scope, [stored.id])
        assert repr(found.payload) == repr(dict(stored.payload))
        (found,) = await store.find(scope, And(()), limit=1)
        assert repr(found.payload) == repr(dict(stored.payload))

    async def test_features_are_kept_apart(self, store: VectorStore) -> None:
        """They come alone, or together with vectors; of this scope's points only."""
        scope, elsewhere = fresh_scope(), fresh_scope()
        marked, plain, foreign = point(features="A+/="), point(), point(features="other")
        await store.upsert(scope, [marked, plain])
        await store.upsert(elsewhere, [foreign])
        ids = [marked.id, plain.id, foreign.id, point().id]
        assert await store.read_features(scope, ids) == {marked.id: "A+/=", plain.id: ""}
        assert await store.read_features(scope, []) == {}
        (without,) = await store.retrieve(scope, [marked.id])
        assert "features" not in without.payload
        (found,) = await store.retrieve(scope, [marked.id], with_vectors=True)
        assert found.payload["features"] == "A+/="
        found, _ = sorted(
            await store.find(scope, And(()), limit=2, with_vectors=True),
            key=lambda each: each.id != marked.id,
        )
        assert found.payload["features"] == "A+/="

    async def test_a_change_of_the_payload_keeps_the_features(self, store: VectorStore) -> None:
        """They belong to the text, which does not change."""
        scope, stored = fresh_scope(), point(features="A+/=", title="Old")
        await store.upsert(scope, [stored])
        await store.update_payloads(scope, [stored.id], {"title": "New"})
        assert await store.read_features(scope, [stored.id]) == {stored.id: "A+/="}
        (found,) = await store.retrieve(scope, [stored.id])
        assert found.payload["title"] == "New"

    async def test_points_come_in_the_order_of_the_ids(self, store: VectorStore) -> None:
        """Missing ones are left out."""
        scope, points = fresh_scope(), [point(str(n)) for n in range(5)]
        await store.upsert(scope, points)
        wanted = [points[3].id, point().id, points[0].id, points[4].id]
        assert ids_of(await store.retrieve(scope, wanted)) == [points[3].id, points[0].id, points[4].id]
        assert await store.retrieve(scope, []) == []

    async def test_vectors_come_where_they_are_asked_for(self, store: VectorStore) -> None:
        """At length one, float32."""
        scope, stored = fresh_scope(), point(dense=axis(2, length=3.0, towards=3, by=4.0))
        await store.upsert(scope, [stored])
        for found in (
            await store.retrieve(scope, [stored.id], with_vectors=True),
            await store.find(scope, And(()), limit=5, with_vectors=True),
        ):
            dense = found[0].dense
            assert dense is not None
            assert dense.dtype == np.float32
            assert np.allclose(dense, axis(2, length=0.6, towards=3, by=0.8), atol=SCORE_TOLERANCE)
        assert (await store.retrieve(scope, [stored.id]))[0].dense is None

    async def test_no_way_of_reading_leaves_its_scope(self, store: VectorStore) -> None:
        """Neither for another collection nor for another tenant."""
        scope, stored = fresh_scope(), point("red fox", document_version="a:1")
        await store.upsert(scope, [stored])
        for other in (neighbour(scope), stranger(scope)):
            assert await store.retrieve(other, [stored.id]) == []
            assert await store.find(other, of_version("a:1"), limit=5) == []
            assert await store.count(other) == 0
            legs = await store.search_hybrid(other, stored.dense, stored.sparse, limit=5)
            assert legs == ([], [])
            assert await store.search_dense(other, stored.dense, limit=5, ids=[stored.id]) == []
            assert await store.term_weights(other, stored.sparse.indices) == {}

    async def test_scopes_whose_names_run_together_are_kept_apart(self, store: VectorStore) -> None:
        """`a/b` + `c` is not `a` + `b/c`."""
        name = fresh_scope().tenant_id
        first, second = Scope(f"{name}/x", "y"), Scope(name, "y")
        await store.upsert(first, [point("red")])
        assert await store.count(second) == 0

    async def test_find_gives_at_most_the_limit(self, store: VectorStore) -> None:
        """Of those that pass."""
        scope = fresh_scope()
        await store.upsert(scope, [point(title="same") for _ in range(5)] + [point(title="other")])
        found = await store.find(scope, Leaf("title", "eq", "same"), limit=3)
        assert len(found) == 3
        assert all(item.payload["title"] == "same" for item in found)

    async def test_embeddings_are_found_across_the_collections_of_a_tenant(self, store: VectorStore) -> None:
        """One point for each key that there is, with its vector; not across tenants."""
        scope = fresh_scope()
        await store.upsert(scope, [point(embedding_key="k1", dense=axis(1)), point(embedding_key="k1")])
        await store.upsert(neighbour(scope), [point(embedding_key="k2", dense=axis(2))])
        await store.upsert(stranger(scope), [point(embedding_key="k3", dense=axis(3))])
        found = await store.find_embeddings(scope, ["k1", "k2", "k3", "k2", "k4"])
        assert found.keys() == {"k1", "k2"}
        assert found["k2"].payload["embedding_key"] == "k2"
        assert found["k2"].dense is not None
        assert np.allclose(found["k2"].dense, axis(2), atol=SCORE_TOLERANCE)
        assert await store.find_embeddings(scope, []) == {}

    async def test_an_embedding_is_found_as_long_as_one_point_has_it(self, store: VectorStore) -> None:
        """And no longer."""
        scope = fresh_scope()
        versions = ["a:1", "b:1"]
        await store.upsert(scope, [point(embedding_key="k", document_version=name) for name in versions])
        await store.delete(scope, of_version("a:1"))
        assert (await store.find_embeddings(scope, ["k"])).keys() == {"k"}
        await store.delete(scope, of_version("b:1"))
        assert await store.find_embeddings(scope, ["k"]) == {}

    async def test_many_embeddings_are_found_in_one_call(self, store: VectorStore) -> None:
        """However they travel."""
        scope = fresh_scope()
        await store.upsert(scope, [point(embedding_key=f"k{n}") for n in range(0, 100, 2)])
        found = await store.find_embeddings(scope, [f"k{n}" for n in range(100)])
        assert found.keys() == {f"k{n}" for n in range(0, 100, 2)}
