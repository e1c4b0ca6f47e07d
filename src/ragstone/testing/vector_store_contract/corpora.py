"""Promises about the corpus that IDF is counted over: one scope and one filter, never more, never less."""

import math

from ragstone.core.filters import Leaf
from ragstone.core.models import Scope
from ragstone.core.ports import VectorStore
from ragstone.testing.vector_store_contract.scenes import (
    SCORE_TOLERANCE,
    fresh_scope,
    idf,
    ids_of,
    is_near,
    neighbour,
    of_version,
    point,
    scores_of,
    stranger,
    token,
    tokens,
)


class CorpusPromises:
    """Whose documents a ranking depends on."""

    async def test_weights_of_terms_are_their_idf(self, store: VectorStore) -> None:
        """Over all points of the scope, those without any token included."""
        scope = fresh_scope()
        await store.upsert(scope, [point("red red fox"), point("red dog"), point("blue"), point("")])
        weights = await store.term_weights(scope, [token("red"), token("fox"), token("unheard")])
        assert is_near(_named(weights), {str(token("red")): idf(4, 2), str(token("fox")): idf(4, 1)})
        assert await store.term_weights(scope, []) == {}

    async def test_scores_do_not_depend_on_other_scopes(self, store: VectorStore) -> None:
        """Before and after others get and lose documents."""
        scope = fresh_scope()
        points = [point("red fox"), point("red dog"), point("blue dog")]
        await store.upsert(scope, points)
        alone = await _ranking(store, scope)
        for other in (neighbour(scope), stranger(scope)):
            await store.upsert(other, [point("red fox dog", document_id="x") for _ in range(20)])
            assert await _ranking(store, scope) == alone
            await store.delete(other, Leaf("document_id", "eq", "x"))
            assert await _ranking(store, scope) == alone

    async def test_scores_do_not_depend_on_what_was_deleted(self, store: VectorStore) -> None:
        """As if it had never been there."""
        scope = fresh_scope()
        kept = [point("red fox"), point("red dog"), point("blue dog")]
        gone = [point("red fox", document_version="gone:1") for _ in range(20)]
        await store.upsert(scope, [*kept, *gone])
        await store.delete(scope, of_version("gone:1"))
        weights = await store.term_weights(scope, [token("fox")])
        assert math.isclose(weights[token("fox")], idf(3, 1), rel_tol=SCORE_TOLERANCE)
        hits = await store.search_sparse(scope, tokens("fox"), limit=5)
        assert is_near(scores_of(hits), {kept[0].id: idf(3, 1)})

    async def test_scores_follow_every_write(self, store: VectorStore) -> None:
        """What was counted before is counted again."""
        scope = fresh_scope()
        first = point("red fox")
        await store.upsert(scope, [first])
        assert is_near(await _scores(store, scope, "fox"), {first.id: idf(1, 1)})
        second = point("red dog", document_version="b:1")
        await store.upsert(scope, [second])
        assert is_near(await _scores(store, scope, "fox"), {first.id: idf(2, 1)})
        assert is_near(await _scores(store, scope, "dog"), {second.id: idf(2, 1)})
        await store.delete_versions(["b:1"])
        assert is_near(await _scores(store, scope, "fox"), {first.id: idf(1, 1)})
        assert await _scores(store, scope, "dog") == {}

    async def test_idf_is_counted_over_the_filter(self, store: VectorStore) -> None:
        """In scores and in weights alike."""
        scope, where = fresh_scope(), Leaf("title", "eq", "yes")
        inside = point("red fox", title="yes")
        outside = [point("red fox", title="no") for _ in range(5)]
        await store.upsert(scope, [inside, point("red", title="yes"), *outside])
        hits = await store.search_sparse(scope, tokens("fox"), limit=5, where=where)
        assert is_near(scores_of(hits), {inside.id: idf(2, 1)})
        weights = await store.term_weights(scope, [token("fox"), token("red")], where=where)
        assert is_near(_named(weights), {str(token("fox")): idf(2, 1), str(token("red")): idf(2, 2)})

    async def test_idf_is_never_counted_over_ids(self, store: VectorStore) -> None:
        """A point's score is the same, alone or among all."""
        scope = fresh_scope()
        points = [point("red fox"), point("red dog"), point("blue dog"), point("dog")]
        await store.upsert(scope, points)
        among_all = await _scores(store, scope, "red dog")
        for stored in points[:3]:
            hits = await store.search_sparse(scope, tokens("red dog"), limit=5, ids=[stored.id])
            assert is_near(scores_of(hits), {stored.id: among_all[stored.id]})

    async def test_terms_of_other_scopes_have_no_weight(self, store: VectorStore) -> None:
        """Nor do they betray that they exist."""
        scope = fresh_scope()
        await store.upsert(scope, [point("red")])
        await store.upsert(neighbour(scope), [point("secret")])
        assert await store.term_weights(scope, [token("secret")]) == {}
        assert await store.search_sparse(scope, tokens("secret"), limit=5) == []


async def _scores(store: VectorStore, scope: Scope, words: str) -> dict[str, float]:
    return scores_of(await store.search_sparse(scope, tokens(words), limit=50))


async def _ranking(store: VectorStore, scope: Scope) -> list[tuple[str, float]]:
    hits = await store.search_sparse(scope, tokens("red fox dog"), limit=50)
    weights = await store.term_weights(scope, sorted(tokens("red fox dog").indices))
    scores = [round(hit.score, 3) for hit in hits] + [
        round(weight, 3) for _, weight in sorted(weights.items())
    ]
    return list(zip([*ids_of(hits), *map(str, sorted(weights))], scores, strict=True))


def _named(weights: dict[int, float]) -> dict[str, float]:
    return {str(index): weight for index, weight in weights.items()}
