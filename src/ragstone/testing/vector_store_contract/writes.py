"""Promises about writing: upserts, refusals, deletes."""

import uuid

import numpy as np

from ragstone.core.errors import BadEmbedding
from ragstone.core.filters import Leaf
from ragstone.core.models import Point, SparseVector, Vector
from ragstone.core.ports import VectorStore
from ragstone.testing.refusal import refusal
from ragstone.testing.vector_store_contract.scenes import (
    DIMENSION,
    EVERYTHING,
    axis,
    fresh_scope,
    ids_of,
    is_absent,
    is_near,
    neighbour,
    of_version,
    point,
    scores_of,
    stranger,
    token,
    tokens,
)

UNUSABLE: dict[str, Vector] = {
    "too short": np.ones(DIMENSION - 1, np.float32),
    "too long": np.ones(DIMENSION + 1, np.float32),
    "two rows": np.ones((2, DIMENSION), np.float32),
    "NaN": axis(1, by=np.nan),
    "infinity": axis(1, by=-np.inf),
    "zero": np.zeros(DIMENSION, np.float32),
}


class WritePromises:
    """What an acknowledged write means."""

    async def test_an_upserted_point_is_found_by_every_search(self, store: VectorStore) -> None:
        """At once."""
        scope, stored = fresh_scope(), point("red fox", dense=axis(2))
        await store.upsert(scope, [stored])
        dense, sparse = await store.search_hybrid(scope, axis(2), tokens("fox"), limit=5)
        assert ids_of(dense) == ids_of(sparse) == [stored.id]
        assert await store.count(scope) == 1

    async def test_an_upsert_of_nothing_changes_nothing(self, store: VectorStore) -> None:
        """An empty batch is no error."""
        scope = fresh_scope()
        await store.upsert(scope, [])
        assert await store.count(scope) == 0

    async def test_an_updated_payload_is_found_by_its_new_values_alone(self, store: VectorStore) -> None:
        """Other fields, vectors, and the points beside it stay; a point of another scope is not touched."""
        scope, stored, other = fresh_scope(), point("red fox", title="Old"), point("red dog", title="Old")
        await store.upsert(scope, [stored, other])
        before = await store.search_hybrid(scope, axis(1), tokens("red"), limit=5)
        fields = {"title": "New", "metadata": {"year": 2021}}
        await store.update_payloads(scope, [stored.id, str(uuid.uuid4())], fields)
        await store.update_payloads(fresh_scope(), [other.id], fields)
        found = await store.find(scope, Leaf("title", "eq", "New"), limit=5)
        assert [(hit.id, hit.payload) for hit in found] == [(stored.id, {**stored.payload, **fields})]
        assert await store.count(scope, Leaf("metadata.year", "gt", 2020)) == 1
        assert await store.count(scope, Leaf("title", "eq", "Old")) == 1
        assert await store.search_hybrid(scope, axis(1), tokens("red"), limit=5) == before

    async def test_repeating_an_upsert_changes_nothing(self, store: VectorStore) -> None:
        """Neither the count nor a score."""
        scope, points = fresh_scope(), [point("red fox"), point("red dog"), point("blue dog")]
        await store.upsert(scope, points)
        before = scores_of(await store.search_sparse(scope, tokens("red dog"), limit=5))
        await store.upsert(scope, points)
        assert await store.count(scope) == 3
        assert is_near(scores_of(await store.search_sparse(scope, tokens("red dog"), limit=5)), before)

    async def test_an_upsert_replaces_all_of_a_point(self, store: VectorStore) -> None:
        """Vectors, tokens, payload, and what filters see."""
        scope, old = fresh_scope(), point("red fox", dense=axis(2), title="old")
        new = point("blue dog", dense=axis(3), id_=old.id, source="new")
        await store.upsert(scope, [old])
        await store.upsert(scope, [new])
        assert await store.search_sparse(scope, tokens("red fox"), limit=5) == []
        (hit,) = await store.search_dense(scope, axis(3), limit=5)
        assert hit.score > 0.99
        assert [found.payload for found in await store.retrieve(scope, [old.id])] == [new.payload]
        assert await store.count(scope, Leaf("title", "exists", value=True)) == 0

    async def test_a_large_batch_is_stored_whole(self, store: VectorStore) -> None:
        """However it travels."""
        scope = fresh_scope()
        points = [point(f"word{n}", dense=axis(n % DIMENSION, towards=0, by=0.01)) for n in range(150)]
        await store.upsert(scope, points)
        assert await store.count(scope) == 150
        assert ids_of(await store.search_sparse(scope, tokens("word149"), limit=5)) == [points[149].id]

    async def test_an_unusable_vector_is_refused_and_nothing_of_its_batch_is_stored(
        self, store: VectorStore
    ) -> None:
        """Wherever in the batch it stands."""
        scope = fresh_scope()
        for name, dense in UNUSABLE.items():
            batch = [*(point("fine") for _ in range(40)), point("bad", dense=dense), point("fine")]
            await refusal(store.upsert(scope, batch), BadEmbedding)
            assert await store.count(scope) == 0, name

    async def test_an_unusable_weight_is_refused_and_nothing_of_its_batch_is_stored(
        self, store: VectorStore
    ) -> None:
        """A lexical vector is a vector too."""
        scope = fresh_scope()
        unusable = [
            SparseVector((7,), (float("nan"),)),
            SparseVector((7,), (float("inf"),)),
            SparseVector((7, 8), (1.0,)),
            SparseVector((7, 7), (1.0, 2.0)),
        ]
        for sparse in unusable:
            bad = Point(point().id, axis(1), sparse, {})
            await refusal(store.upsert(scope, [point("fine"), bad]), BadEmbedding)
        assert await store.count(scope) == 0

    async def test_a_point_without_tokens_is_stored(self, store: VectorStore) -> None:
        """Punctuation has a place, too."""
        scope, stored = fresh_scope(), point("", dense=axis(4))
        await store.upsert(scope, [stored])
        assert ids_of(await store.search_dense(scope, axis(4), limit=5)) == [stored.id]

    async def test_token_ids_use_all_32_bits(self, store: VectorStore) -> None:
        """As hashes do."""
        scope, stored = fresh_scope(), Point(
            point().id, axis(1), SparseVector((0, 2**32 - 1), (1.0, 1.0)), {}
        )
        await store.upsert(scope, [stored])
        for index in (0, 2**32 - 1):
            query = SparseVector((index,), (1.0,))
            assert ids_of(await store.search_sparse(scope, query, limit=5)) == [stored.id]

    async def test_a_delete_counts_what_went_and_can_be_repeated(self, store: VectorStore) -> None:
        """The second time nothing goes."""
        scope = fresh_scope()
        points = [point("red fox", document_version="a:1"), point("red dog", document_version="a:2")]
        await store.upsert(scope, points)
        assert await store.delete(scope, of_version("a:1")) == 1
        assert await store.delete(scope, of_version("a:1")) == 0
        assert await store.count(scope) == 1

    async def test_what_was_deleted_is_never_found(self, store: VectorStore) -> None:
        """By no way of reading."""
        scope, gone, kept = fresh_scope(), point("red fox", document_id="a"), point("red dog")
        await store.upsert(scope, [gone, kept])
        await store.delete(scope, Leaf("document_id", "eq", "a"))
        assert await is_absent(store, scope, [gone])
        assert ids_of(await store.search_sparse(scope, tokens("red"), limit=5)) == [kept.id]

    async def test_what_was_deleted_can_be_written_again(self, store: VectorStore) -> None:
        """Under the same id."""
        scope, stored = fresh_scope(), point("red fox", document_id="a")
        await store.upsert(scope, [stored])
        await store.delete(scope, Leaf("document_id", "eq", "a"))
        await store.upsert(scope, [stored])
        assert ids_of(await store.search_sparse(scope, tokens("fox"), limit=5)) == [stored.id]

    async def test_a_delete_stays_in_its_scope(self, store: VectorStore) -> None:
        """Neither another collection nor another tenant loses a point."""
        scope = fresh_scope()
        others = (neighbour(scope), stranger(scope))
        for each in (scope, *others):
            await store.upsert(each, [point(document_id="a")])
        assert await store.delete(scope, Leaf("document_id", "eq", "a")) == 1
        assert [await store.count(each) for each in (scope, *others)] == [0, 1, 1]

    async def test_versions_are_counted_and_deleted_over_all_scopes(self, store: VectorStore) -> None:
        """All versions, or the given ones."""
        scope = fresh_scope()
        mine, other = f"{scope.tenant_id}:1", f"{scope.tenant_id}:2"
        await store.upsert(scope, [point("red", document_version=mine), point(document_version=other)])
        await store.upsert(stranger(scope), [point("red", document_version=mine)])
        counted = await store.count_versions()
        assert (counted[mine], counted[other]) == (2, 1)
        assert await store.count_versions([mine, "none:1"]) == {mine: 2}
        assert await store.count_versions([]) == {}
        assert await store.delete_versions([mine, "none:1"]) == 2
        assert await store.delete_versions([mine]) == 0
        assert await store.count_versions([mine, other]) == {other: 1}
        assert await store.search_sparse(scope, tokens("red"), limit=EVERYTHING) == []
        assert await store.term_weights(scope, [token("red")]) == {}

    async def test_flush_keeps_everything_and_the_store_is_healthy(self, store: VectorStore) -> None:
        """Both may be asked at any time."""
        scope, stored = fresh_scope(), point("red fox")
        await store.upsert(scope, [stored])
        await store.flush()
        assert await store.is_healthy()
        assert ids_of(await store.search_sparse(scope, tokens("fox"), limit=5)) == [stored.id]
