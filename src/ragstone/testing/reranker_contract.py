"""What every Reranker must do. Subclass RerankerContract in a test module and give it its two fixtures."""

import asyncio
import math

from ragstone.core.ports import Reranker

QUERY = "When are refunds paid?"
TEXTS = (
    "Parcels leave Hamburg every morning.",
    "Refunds are paid within fourteen days.",
    "Gift cards cannot be returned.",
    "Größer, schöner, über: 一二三四五 🦊 e\u0301",
)


class RerankerContract:
    """Fixtures of the subclass: `reranker`, which may be shared between tests, and `disposable_reranker`, which the
    test closes. `tolerance` bounds the difference between two scores of one text."""

    tolerance = 1e-6

    async def test_each_text_has_a_finite_score(self, reranker: Reranker) -> None:
        """Numbers, as many as there are texts."""
        scores = await reranker.rerank(QUERY, TEXTS)
        assert len(scores) == len(TEXTS)
        assert all(isinstance(score, float) and math.isfinite(score) for score in scores)

    async def test_the_text_that_answers_is_best(self, reranker: Reranker) -> None:
        """Higher is better, and the order of the scores is that of the texts."""
        for texts in (TEXTS, TEXTS[::-1]):
            scores = await reranker.rerank(QUERY, texts)
            assert texts[scores.index(max(scores))] == TEXTS[1]

    async def test_no_texts_have_no_scores(self, reranker: Reranker) -> None:
        """An empty list is answered without work."""
        assert await reranker.rerank(QUERY, []) == []

    async def test_one_text_is_enough(self, reranker: Reranker) -> None:
        """There is nothing to order, but a score all the same."""
        assert len(await reranker.rerank(QUERY, TEXTS[:1])) == 1

    async def test_equal_texts_have_equal_scores(self, reranker: Reranker) -> None:
        """Wherever they stand."""
        first, _, last = await reranker.rerank(QUERY, (TEXTS[1], TEXTS[0], TEXTS[1]))
        assert abs(first - last) <= self.tolerance

    async def test_any_text_is_taken(self, reranker: Reranker) -> None:
        """Blank, long, and with half a character."""
        scores = await reranker.rerank("a\ud83db " + QUERY, ("", " \n\t", "fox " * 10_000, "a\ud83db"))
        assert len(scores) == 4

    async def test_concurrent_calls_do_not_mix(self, reranker: Reranker) -> None:
        """One instance serves everybody."""
        queries = (QUERY, "Do parcels leave Hamburg?", "Can gift cards be returned?")
        alone = [await reranker.rerank(query, TEXTS) for query in queries]
        together = await asyncio.gather(*(reranker.rerank(query, TEXTS) for query in queries * 3))
        for position, scores in enumerate(together):
            expected = alone[position % len(queries)]
            assert all(abs(a - b) <= self.tolerance for a, b in zip(scores, expected, strict=True))

    async def test_it_has_a_name(self, reranker: Reranker) -> None:
        """Traces report it."""
        assert reranker.name
        assert reranker.name == reranker.name

    async def test_closing_twice_is_harmless(self, disposable_reranker: Reranker) -> None:
        """Idempotent."""
        await disposable_reranker.rerank(QUERY, TEXTS)
        await disposable_reranker.close()
        await disposable_reranker.close()
