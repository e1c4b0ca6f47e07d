"""Re-ranking: the best of the whole ranking in the reranker's order, whichever page is asked for, and what happens
without it."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import pytest

from ragstone.core.deadline import Deadline
from ragstone.core.errors import (
    DeadlineExceeded,
    RagstoneError,
    UpstreamGarbled,
    UpstreamRateLimited,
    UpstreamRefused,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from ragstone.core.models import Scope, Source
from ragstone.core.ports import Reranker
from ragstone.core.retry import OPENS_AFTER, Dependency, RetryPolicy
from ragstone.core.timing import Stopwatch
from ragstone.pipelines.reranking import MAX_CHARACTERS, MAX_QUESTION_CHARACTERS, Reranking
from ragstone.pipelines.retrieval import Retrieved, retrieve_documents
from ragstone.pipelines.searching import Search
from ragstone.testing.rerankers import OverlapReranker
from tests.unit.test_retrieval import Library

OUTAGES = [
    UpstreamUnavailable("down"),
    UpstreamRateLimited("429", retry_after_s=60),
    UpstreamTimeout("late"),
    UpstreamGarbled("NaN"),
]


class LastFirst(OverlapReranker):
    """The later a text came, the better it is."""

    async def rerank(self, query: str, texts: Sequence[str]) -> list[float]:
        await super().rerank(query, texts)
        return [float(place) for place in range(len(texts))]


class Indifferent(OverlapReranker):
    """All are equal."""

    async def rerank(self, query: str, texts: Sequence[str]) -> list[float]:
        return [0.5] * len(await super().rerank(query, texts))


class Hanging(OverlapReranker):
    """Never answers; notes that it was cancelled."""

    was_cancelled = False

    async def rerank(self, query: str, texts: Sequence[str]) -> list[float]:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            self.was_cancelled = True
            raise
        raise AssertionError


class Shelf(Library):
    """Chunks of one visible document, and searches in it with and without a reranker."""

    def __init__(self, *texts: str, heading: Sequence[str] = ()) -> None:
        super().__init__()
        self.add("a", *texts)
        for point in self.store.points.values():
            cast("dict[str, Any]", point.payload)["heading"] = list(heading)
        self.stopwatch = Stopwatch()
        self.dependency = Dependency("rerank", RetryPolicy(2, 0.0, 0.0, 1.0), "tei")

    async def search(
        self, reranker: Reranker | None, *, top_n: int = 10, limit_s: float = 5.0, **wanted: Any
    ) -> Retrieved:
        """Search, with what is missing."""
        reranking = None if reranker is None else Reranking(reranker, self.dependency, top_n)
        return await retrieve_documents(
            replace(self.parts, reranking=reranking),
            Search(Scope(), **{"question": "cats box", "top_k": 5, **wanted}),
            deadline=Deadline.after(limit_s),
            stopwatch=self.stopwatch,
        )

    async def ids(self, reranker: Reranker | None, **wanted: Any) -> list[str]:
        """The chunks that are found, in order."""
        return [source.chunk_id for source in (await self.search(reranker, **wanted)).sources]


@pytest.fixture
def shelf() -> Shelf:
    return Shelf(*[f"cats sleep in box {'x ' * number}" for number in range(20)])


class TestOrder:
    async def test_the_best_are_in_the_order_of_the_reranker_and_the_rest_follow(self, shelf: Shelf) -> None:
        before = await shelf.ids(None, top_k=20)

        after = await shelf.ids(LastFirst(), top_k=20)

        assert after == [*before[9::-1], *before[10:]]

    async def test_sources_are_numbered_anew(self, shelf: Shelf) -> None:
        found = await shelf.search(LastFirst(), offset=3)

        assert [source.n for source in found.sources] == [1, 2, 3, 4, 5]

    async def test_equal_scores_keep_the_order_before(self, shelf: Shelf) -> None:
        assert await shelf.ids(Indifferent(), top_k=20) == await shelf.ids(None, top_k=20)

    async def test_a_passage_from_beyond_the_page_can_come_first(self, shelf: Shelf) -> None:
        whole = await shelf.ids(None, top_k=20)

        assert await shelf.ids(LastFirst(), top_k=1) == [whole[9]]

    @pytest.mark.parametrize("size", [3, 7, 10])
    async def test_pages_are_the_parts_of_one_list(self, shelf: Shelf, size: int) -> None:
        whole = await shelf.ids(LastFirst(), top_k=20)

        pages = [await shelf.ids(LastFirst(), top_k=size, offset=at) for at in range(0, 20, size)]

        assert [chunk for page in pages for chunk in page] == whole

    async def test_each_page_sends_the_same_passages(self, shelf: Shelf) -> None:
        reranker = LastFirst()
        for offset in (0, 5, 9):
            await shelf.search(reranker, offset=offset)

        assert len(set(reranker.asked)) == 1
        assert len(reranker.asked[0][1]) == 10

    async def test_fewer_hits_than_that_are_all_sent(self, shelf: Shelf) -> None:
        reranker = LastFirst()
        await shelf.search(reranker, top_n=30)

        assert len(reranker.asked[0][1]) == 20


class TestScores:
    async def test_what_was_reranked_says_so_and_keeps_its_score(self, shelf: Shelf) -> None:
        plain = {source.chunk_id: source for source in (await shelf.search(None, top_k=20)).sources}

        found = (await shelf.search(LastFirst(), top_k=20)).sources

        assert [source.scores.get("rerank") for source in found] == [*map(float, range(9, -1, -1))] + [
            None
        ] * 10
        assert all("rerank" not in source.scores for source in found[10:])
        for source in found:
            before: Source = plain[source.chunk_id]
            assert source.score == before.score
            assert (source.scores["dense"], source.scores["sparse"]) == (
                before.scores["dense"],
                before.scores["sparse"],
            )


class TestWhatIsSent:
    async def test_title_and_headings_stand_above_the_text(self) -> None:
        reranker = OverlapReranker()
        await Shelf("cats sleep", heading=("Cats", "Sleep")).search(reranker)

        assert reranker.asked == [("cats box", ("A › Cats › Sleep\ncats sleep",))]

    async def test_question_and_passages_have_a_bound(self) -> None:
        reranker = OverlapReranker()
        await Shelf("cats " * 2_000).search(reranker, question="cats " * 1_000)

        ((question, (text,)),) = reranker.asked
        assert (len(question), len(text)) == (MAX_QUESTION_CHARACTERS, MAX_CHARACTERS)

    async def test_control_tokens_of_models_are_taken_apart(self) -> None:
        reranker = OverlapReranker()
        await Shelf("cats <|im_end|>").search(reranker, question="cats <|im_start|>")

        ((question, (text,)),) = reranker.asked
        assert "<|" not in question + text


class TestNotAsked:
    @pytest.mark.parametrize("mode", ["dense", "sparse"])
    async def test_one_leg_alone_is_told_as_it_is(self, shelf: Shelf, mode: str) -> None:
        reranker = OverlapReranker(UpstreamRefused("401"))

        found = await shelf.search(reranker, mode=mode)

        assert reranker.asked == []
        assert (found.degraded, len(found.sources)) == ((), 5)
        assert "rerank_ms" not in shelf.stopwatch.stages()

    @pytest.mark.parametrize("wanted", [{"offset": 10}, {"question": "unheard of", "mode": "sparse"}])
    async def test_nor_where_there_is_nothing_to_put_in_order(
        self, shelf: Shelf, wanted: dict[str, Any]
    ) -> None:
        reranker = OverlapReranker()
        await shelf.search(reranker, **wanted)

        assert reranker.asked == []

    async def test_an_empty_collection_asks_nobody(self) -> None:
        reranker = OverlapReranker()

        assert (await Shelf().search(reranker)).sources == ()
        assert reranker.asked == []

    async def test_without_one_there_is_no_stage(self, shelf: Shelf) -> None:
        await shelf.search(None)

        assert "rerank_ms" not in shelf.stopwatch.stages()


class TestDegradation:
    @pytest.mark.parametrize("failure", OUTAGES, ids=lambda failure: str(failure.code))
    async def test_without_it_the_order_is_the_one_before(self, shelf: Shelf, failure: RagstoneError) -> None:
        for offset in (0, 7):
            before = await shelf.search(None, offset=offset)

            found = await shelf.search(OverlapReranker(failure), offset=offset)

            assert found.sources == before.sources
            assert found.degraded == ("rerank",)

    async def test_it_is_asked_again_first(self, shelf: Shelf) -> None:
        reranker = OverlapReranker(UpstreamUnavailable("down"))

        await shelf.search(reranker)

        assert (len(reranker.asked), shelf.stopwatch.retries) == (2, {"rerank": 1})
        assert "rerank_ms" in shelf.stopwatch.stages()

    async def test_an_open_circuit_is_not_asked(self, shelf: Shelf) -> None:
        reranker = OverlapReranker(UpstreamUnavailable("down"))
        for _ in range(OPENS_AFTER):
            await shelf.search(reranker)
        reranker.asked.clear()

        assert (await shelf.search(reranker)).degraded == ("rerank",)
        assert reranker.asked == []

    async def test_vectors_and_reranker_may_both_be_missing(self, shelf: Shelf) -> None:
        shelf.embedder.failure = UpstreamUnavailable("down")

        found = await shelf.search(OverlapReranker(UpstreamUnavailable("down")))

        assert found.degraded == ("dense", "rerank")

    async def test_without_vectors_it_puts_the_words_hits_in_order(self, shelf: Shelf) -> None:
        shelf.embedder.failure = UpstreamUnavailable("down")

        found = await shelf.search(LastFirst())

        assert found.degraded == ("dense",)
        assert found.sources[0].scores["rerank"] == 9.0

    @pytest.mark.parametrize("failure", OUTAGES, ids=lambda failure: str(failure.code))
    async def test_who_insists_is_told(self, shelf: Shelf, failure: RagstoneError) -> None:
        with pytest.raises(type(failure)):
            await shelf.search(OverlapReranker(failure), strict=True)

    async def test_wrong_configuration_is_loud(self, shelf: Shelf) -> None:
        with pytest.raises(UpstreamRefused):
            await shelf.search(OverlapReranker(UpstreamRefused("401")))

    async def test_an_attempt_has_its_limit(self, shelf: Shelf) -> None:
        shelf.dependency.policy = RetryPolicy(1, attempt_timeout_s=0.02)
        reranker = Hanging()

        assert (await shelf.search(reranker)).degraded == ("rerank",)
        assert reranker.was_cancelled


class TestTime:
    async def test_half_of_the_time_is_left_for_the_answer(self, shelf: Shelf) -> None:
        started = time.monotonic()

        found = await shelf.search(Hanging(), limit_s=0.4)

        assert found.degraded == ("rerank",)
        assert 0.1 < time.monotonic() - started < 0.35

    async def test_who_insists_is_told_that_it_was_late(self, shelf: Shelf) -> None:
        with pytest.raises(UpstreamTimeout, match="half"):
            await shelf.search(Hanging(), limit_s=0.1, strict=True)

    async def test_at_the_deadline_the_request_is_late(self, shelf: Shelf) -> None:
        class Blocking(OverlapReranker):
            async def rerank(self, query: str, texts: Sequence[str]) -> list[float]:
                time.sleep(0.15)  # noqa: ASYNC251 - as if the machine were busy
                raise UpstreamUnavailable("down")

        shelf.dependency.policy = RetryPolicy(2, 0.0, 0.0, 1.0)
        with pytest.raises(DeadlineExceeded):
            await shelf.search(Blocking(), limit_s=0.1)
