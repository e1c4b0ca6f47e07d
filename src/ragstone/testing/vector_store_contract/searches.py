"""Promises about the two legs of a search: scores, order, limits, ties, restriction to ids."""

import numpy as np

from ragstone.core.errors import BadEmbedding
from ragstone.core.filters import Leaf
from ragstone.core.models import Point, Vector
from ragstone.core.ports import VectorStore
from ragstone.testing.refusal import refusal
from ragstone.testing.vector_store_contract.scenes import (
    DIMENSION,
    EVERYTHING,
    axis,
    fresh_scope,
    idf,
    ids_of,
    is_near,
    point,
    scores_of,
    tokens,
    weighted,
)
from ragstone.testing.vector_store_contract.writes import UNUSABLE


class SearchPromises:
    """What is found, in which order, with which scores."""

    async def test_dense_hits_are_cosines_best_first(self, store: VectorStore) -> None:
        """Whatever the vectors' lengths, opposite directions included."""
        scope = fresh_scope()
        lengths = {1.0: 1.0, 0.5: 7.0, 0.0: 0.001, -1.0: 1e30}
        points = {cosine: point(dense=_at(cosine) * length) for cosine, length in lengths.items()}
        await store.upsert(scope, list(points.values()))
        hits = await store.search_dense(scope, axis(0, length=20.0), limit=EVERYTHING)
        assert ids_of(hits) == [points[cosine].id for cosine in lengths]
        assert is_near(scores_of(hits), {points[cosine].id: cosine for cosine in lengths})

    async def test_legs_are_completed_by_each_other(self, store: VectorStore) -> None:
        """In one call what the single ones say."""
        scope = fresh_scope()
        points = [
            point(text, dense=_at(cosine)) for text, cosine in (("red", 0.1), ("blue", 0.9), ("red dog", 0.5))
        ]
        await store.upsert(scope, points)
        query = tokens("red unheard")
        legs = await store.search_legs(scope, axis(0), query, limit=1)
        near, worded = await store.search_hybrid(scope, axis(0), query, limit=1)
        assert (ids_of(legs.dense), ids_of(legs.sparse)) == (ids_of(near), ids_of(worded))
        once = [legs.dense[0].id, legs.sparse[0].id]
        all_near, all_worded = await store.search_hybrid(scope, axis(0), query, limit=EVERYTHING, ids=once)
        assert is_near(scores_of([*legs.dense, *legs.more_dense]), scores_of(all_near))
        assert is_near(scores_of([*legs.sparse, *legs.more_sparse]), scores_of(all_worded))
        assert legs.idf == await store.term_weights(scope, query.indices)
        wordless = await store.search_legs(scope, axis(0), tokens("unheard"), limit=2)
        assert (len(wordless.dense), wordless.sparse, wordless.more_dense, wordless.idf) == (2, [], [], {})
        assert (await store.search_legs(scope, axis(0), tokens(""), limit=2)).sparse == []

    async def test_sparse_hits_are_bm25_best_first(self, store: VectorStore) -> None:
        """Sum over shared tokens of query weight, IDF and stored weight."""
        scope = fresh_scope()
        both, one, none = point("red red fox"), point("red dog"), point("blue dog")
        await store.upsert(scope, [both, one, none])
        query = weighted({"red": 2.0, "fox": 1.0})
        hits = await store.search_sparse(scope, query, limit=EVERYTHING)
        expected = {both.id: 2 * 2 * idf(3, 2) + idf(3, 1), one.id: 2 * idf(3, 2)}
        assert ids_of(hits) == [both.id, one.id]
        assert is_near(scores_of(hits), expected)

    async def test_points_that_share_no_token_are_not_returned(self, store: VectorStore) -> None:
        """Known tokens beside unknown ones still find."""
        scope, stored = fresh_scope(), point("red fox")
        await store.upsert(scope, [stored, point("blue dog")])
        assert ids_of(await store.search_sparse(scope, tokens("fox unheard"), limit=5)) == [stored.id]
        assert await store.search_sparse(scope, tokens("unheard"), limit=5) == []

    async def test_a_query_without_tokens_finds_nothing(self, store: VectorStore) -> None:
        """In its leg; the dense one is not touched by it."""
        scope, stored = fresh_scope(), point("red fox")
        await store.upsert(scope, [stored])
        assert await store.search_sparse(scope, tokens(""), limit=5) == []
        dense, sparse = await store.search_hybrid(scope, stored.dense, tokens(""), limit=5)
        assert (ids_of(dense), sparse) == ([stored.id], [])

    async def test_hybrid_gives_what_the_legs_give_alone(self, store: VectorStore) -> None:
        """With filter and ids, too."""
        scope, points = fresh_scope(), _mixed(30)
        await store.upsert(scope, points)
        dense, sparse = axis(1, by=0.3), tokens("red dog")
        for where in (None, Leaf("title", "eq", "even")):
            for ids in (None, ids_of(points[:12])):
                legs = await store.search_hybrid(scope, dense, sparse, limit=4, where=where, ids=ids)
                alone_dense = await store.search_dense(scope, dense, limit=4, where=where, ids=ids)
                alone_sparse = await store.search_sparse(scope, sparse, limit=4, where=where, ids=ids)
                assert tuple(map(ids_of, legs)) == (ids_of(alone_dense), ids_of(alone_sparse))
                assert is_near(scores_of(legs[0]), scores_of(alone_dense))
                assert is_near(scores_of(legs[1]), scores_of(alone_sparse))

    async def test_each_leg_gives_at_most_the_limit(self, store: VectorStore) -> None:
        """The best ones."""
        scope, points = fresh_scope(), _mixed(30)
        await store.upsert(scope, points)
        query, words = axis(1, by=0.3), tokens("red dog fox")
        all_dense, all_sparse = await store.search_hybrid(scope, query, words, limit=EVERYTHING)
        dense, sparse = await store.search_hybrid(scope, query, words, limit=3)
        assert (dense, sparse) == (all_dense[:3], all_sparse[:3])
        assert len(all_dense) == 30

    async def test_equal_scores_are_ordered_by_id(self, store: VectorStore) -> None:
        """Also where the limit cuts through many equals."""
        scope = fresh_scope()
        copies = [point("red fox", dense=axis(3)) for _ in range(60)]
        await store.upsert(scope, [*copies, point("red", dense=axis(4))])
        in_order = sorted(ids_of(copies))
        for limit in (1, 7, 30, 60):
            dense, sparse = await store.search_hybrid(scope, axis(3), tokens("fox"), limit=limit)
            assert ids_of(dense) == ids_of(sparse) == in_order[:limit]

    async def test_ids_restrict_both_legs(self, store: VectorStore) -> None:
        """Ids that do not exist are no error; no ids, no hits."""
        scope, points = fresh_scope(), [point("red fox") for _ in range(4)]
        await store.upsert(scope, points)
        some = [points[2].id, points[0].id, point().id]
        legs = await store.search_hybrid(scope, axis(1), tokens("fox"), limit=5, ids=some)
        assert [set(ids_of(leg)) for leg in legs] == [set(some[:2])] * 2
        assert await store.search_hybrid(scope, axis(1), tokens("fox"), limit=5, ids=[]) == ([], [])
        assert await store.search_dense(scope, axis(1), limit=5, ids=[]) == []
        assert await store.search_sparse(scope, tokens("fox"), limit=5, ids=[]) == []

    async def test_a_filter_restricts_both_legs(self, store: VectorStore) -> None:
        """What does not pass is not found, however near."""
        scope = fresh_scope()
        near, far = point("red fox", title="no"), point("red dog", dense=axis(1, by=0.5), title="yes")
        await store.upsert(scope, [near, far])
        where = Leaf("title", "eq", "yes")
        legs = await store.search_hybrid(scope, axis(1), tokens("red fox"), limit=5, where=where)
        assert tuple(map(ids_of, legs)) == ([far.id], [far.id])

    async def test_a_query_that_cannot_be_compared_is_refused(self, store: VectorStore) -> None:
        """As a point would be."""
        scope = fresh_scope()
        for dense in UNUSABLE.values():
            await refusal(store.search_dense(scope, dense, limit=5), BadEmbedding)
            await refusal(store.search_hybrid(scope, dense, tokens("fox"), limit=5), BadEmbedding)

    async def test_an_empty_scope_has_no_hits(self, store: VectorStore) -> None:
        """And is no error."""
        scope = fresh_scope()
        assert await store.search_hybrid(scope, axis(1), tokens("fox"), limit=5) == ([], [])


def _at(cosine: float) -> Vector:
    vector = np.zeros(DIMENSION, np.float32)
    vector[0], vector[1] = cosine, np.sqrt(1 - cosine**2)
    return vector


def _mixed(number: int) -> list[Point]:
    words = ("red fox", "red dog", "blue dog dog", "grey")
    return [
        point(
            words[n % 4],
            dense=axis(1 + n % 3, towards=0, by=0.1 * n),
            title="even" if n % 2 == 0 else "odd",
        )
        for n in range(number)
    ]
