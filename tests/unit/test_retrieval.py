"""From a question to numbered sources: visibility, paging, the pool that grows, and the events of an answer."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import groupby
from typing import Any, cast

import pytest

from ragstone.core.deadline import Deadline
from ragstone.core.errors import (
    CollectionNotFound,
    EmbedderUnavailable,
    RagstoneError,
    UpstreamGarbled,
    UpstreamRefused,
    UpstreamTimeout,
)
from ragstone.core.filters import Leaf
from ragstone.core.models import (
    AnswerEvent,
    Chunk,
    Cited,
    Done,
    IngestTask,
    Meta,
    Point,
    Scope,
    Source,
    Sources,
    Timings,
    Token,
    VisibleDocument,
)
from ragstone.core.places import Places
from ragstone.core.ports import LLM
from ragstone.core.retry import Dependency, RetryPolicy
from ragstone.core.timing import Stopwatch
from ragstone.llms.extractive import ExtractiveLLM
from ragstone.pipelines import searching
from ragstone.pipelines.abstaining import words_of_abstention
from ragstone.pipelines.answering import STAGES
from ragstone.pipelines.asking import Answerer, Answerers, Ask, Patience
from ragstone.pipelines.features import pack_features
from ragstone.pipelines.payload import chunk_payload, point_id
from ragstone.pipelines.ranking import HEAD
from ragstone.pipelines.retrieval import (
    RetrievalParts,
    Retrieved,
    retrieve_documents,
    retrieve_documents_streaming,
)
from ragstone.pipelines.searching import Index, Search
from ragstone.testing.llms import FakeLLM
from tests.memory_store import MemoryStore
from tests.words import WordEmbedder, WordEncoder, direction

ONCE = RetryPolicy(attempts=1)


class Library:
    """Points in a store and the manifest's word about which are visible."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.embedder = WordEmbedder()
        self.visible: dict[str, VisibleDocument] = {}
        self.parts = RetrievalParts(
            self.embedder,
            WordEncoder(),
            Index(self.store, cast("Any", self)),
            Dependency("embedding", ONCE),
            Dependency("search", ONCE),
        )

    async def visible_documents(self, scope: Scope, ids: Sequence[str]) -> dict[str, VisibleDocument]:
        """See Manifest."""
        return {name: self.visible[name] for name in ids if name in self.visible}

    async def require_collection(self, scope: Scope) -> None:
        """See Manifest."""
        if scope.collection != "default":
            raise CollectionNotFound(scope.collection)

    def add(
        self, document_id: str, *texts: str, version: int = 1, visible: bool = True, **metadata: Any
    ) -> None:
        """One chunk a text."""
        if visible:
            self.visible[document_id] = VisibleDocument(document_id, version, document_id.title(), metadata)
        for index, text in enumerate(texts):
            point = _point(document_id, version, index, text, metadata)
            self.store.points[point.id] = point

    async def find(self, question: str, **wanted: Any) -> tuple[Source, ...]:
        """Search."""
        search = Search(Scope(), question, **{"top_k": 5, **wanted})
        return (await self.retrieve(search)).sources

    async def retrieve(self, search: Search) -> Retrieved:
        """Search, with what is missing."""
        return await retrieve_documents(self.parts, search, deadline=Deadline.after(5), stopwatch=Stopwatch())

    def ask(self, question: str, llm: LLM | None = None, **ask: Any) -> AsyncGenerator[AnswerEvent, None]:
        """The events of an answer."""
        answerers = Answerers(Answerer(llm or ExtractiveLLM(), Dependency("llm", ONCE)), ExtractiveLLM())
        return retrieve_documents_streaming(
            self.parts,
            answerers,
            Ask(Search(Scope(), question, 5, strict=ask.pop("strict", False)), **ask),
            patience=Patience(Deadline.after(5), idle_s=0.2),
            request_id="r-1",
            stopwatch=Stopwatch(),
            room=Places("searches", at_work=1),
        )

    async def texts(self, question: str, **wanted: Any) -> list[str]:
        """What is found."""
        return [found.text for found in await self.find(question, **wanted)]


def _point(document_id: str, version: int, index: int, text: str, metadata: dict[str, Any]) -> Point:
    chunk = Chunk(index, 0, len(text), text, "", sentences=((0, len(text)),))
    task = IngestTask(
        cast("Any", None), Scope(), document_id, version, "", None, "text/plain", None, None, metadata,
        datetime(2026, 1, 1, tzinfo=UTC),
    )  # fmt: skip
    vector = direction(text)
    terms = WordEncoder().terms(text)
    features = pack_features([terms], [len(text)], vector[None, :])
    payload = chunk_payload(task, chunk, title="T", key="k", gap=None, language="", features=features)
    return Point(
        point_id(document_id, version, index), vector, WordEncoder().encode_document([terms]), payload
    )


@pytest.fixture
def library() -> Library:
    return Library()


class TestVisibility:
    async def test_a_version_that_is_not_visible_is_never_found(self, library: Library) -> None:
        library.add("a", "cats sleep all day", version=2)
        library.add("a", "cats sleep all night", version=1, visible=False)
        library.add("b", "cats sleep", visible=False)

        assert await library.texts("cats sleep") == ["cats sleep all day"]

    async def test_title_and_metadata_are_those_of_the_manifest(self, library: Library) -> None:
        library.add("a", "cats sleep", team="x")
        library.visible["a"] = VisibleDocument("a", 1, "Renamed", {"team": "y"})

        (found,) = await library.find("cats")

        assert (found.title, found.metadata) == ("Renamed", {"team": "y"})

    @pytest.mark.parametrize("mode", ["hybrid", "dense", "sparse"])
    async def test_the_pool_grows_until_enough_visible_ones_are_found(
        self, library: Library, mode: str
    ) -> None:
        library.add("old", *["cats sleep"] * (3 * HEAD), visible=False)
        library.add("new", *[f"cats sleep in box {number}" for number in range(4)])

        assert len(await library.texts("cats sleep", top_k=4, mode=mode)) == 4

    async def test_points_that_vanish_between_search_and_look_up_are_left_out(self, library: Library) -> None:
        library.add("a", "cats sleep")
        library.add("b", "cats sleep well")
        search = library.store.search_hybrid

        async def search_then_lose(*arguments: Any, **options: Any) -> Any:
            found = await search(*arguments, **options)
            library.store.points.pop(point_id("a", 1, 0), None)
            return found

        library.store.search_hybrid = search_then_lose  # type: ignore[method-assign]

        assert await library.texts("cats sleep") == ["cats sleep well"]


class TestOrder:
    async def test_sources_are_numbered_from_one_best_first(self, library: Library) -> None:
        library.add("a", "cats sleep", "dogs bark", "cats bark")

        found = await library.find("cats sleep")

        assert [source.n for source in found] == [1, 2, 3]
        assert [source.score for source in found] == sorted((source.score for source in found), reverse=True)
        assert found[0].text == "cats sleep"

    async def test_equal_scores_are_ordered_by_id(self, library: Library) -> None:
        library.add("a", *["cats sleep"] * 10)

        ids = [source.chunk_id for source in await library.find("cats sleep", top_k=10)]

        assert ids == sorted(ids)

    @pytest.mark.parametrize("mode", ["hybrid", "dense", "sparse"])
    async def test_pages_are_the_parts_of_one_list(self, library: Library, mode: str) -> None:
        library.add("a", *[f"cats sleep in box {number}" for number in range(20)])

        whole = [source.chunk_id for source in await library.find("cats box 7", top_k=20, mode=mode)]
        pages = [
            await library.find("cats box 7", top_k=6, offset=offset, mode=mode) for offset in (0, 6, 12, 18)
        ]

        assert [source.chunk_id for page in pages for source in page] == whole
        assert [source.n for source in pages[1]] == [1, 2, 3, 4, 5, 6]

    @pytest.mark.parametrize("ranking", ["full", "fused"])
    async def test_pages_far_behind_are_parts_of_it_too(self, library: Library, ranking: str) -> None:
        parts = library.parts
        library.parts = replace(parts, index=replace(parts.index, ranking=cast("Any", ranking)))
        words = ["cats", "dogs", "owls", "boxes", "tents", "lamps", "rivers"]
        for number in range(40):
            told = [
                f"{words[number % 7]} and {words[step]} sleep {number} times in {step}" for step in range(5)
            ]
            library.add(f"d{number}", *told)

        whole = [source.chunk_id for source in await library.find("cats sleep in tents 7", top_k=100)]
        pages = [
            await library.find("cats sleep in tents 7", top_k=10, offset=10 * page) for page in range(20)
        ]

        found = [source.chunk_id for page in pages for source in page]
        assert found[:100] == whole
        assert len(found) == len(set(found)) == 200
        scores = [source.score for page in pages for source in page]
        assert scores == sorted(scores, reverse=True)

    async def test_what_is_passed_over_is_not_sought_without_end(
        self, library: Library, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(searching, "MOST_POOL", 60)
        monkeypatch.setattr(searching, "MOST_FACTOR", 1)
        library.add("a", *[f"cats sleep in box {number}" for number in range(300)])
        limits: list[int] = []
        search_legs = library.store.search_legs

        async def noting(*arguments: Any, limit: int, **named: Any) -> Any:
            limits.append(limit)
            return await search_legs(*arguments, limit=limit, **named)

        monkeypatch.setattr(library.store, "search_legs", noting)

        assert len(await library.find("cats sleep", top_k=5, most_per_document=1)) == 1
        assert max(limits) < 200

    async def test_beyond_the_last_hit_there_is_nothing(self, library: Library) -> None:
        library.add("a", "cats sleep")

        assert await library.texts("cats", offset=1) == []


class TestScores:
    async def test_a_hit_of_one_leg_alone_gets_its_true_score_in_the_other(
        self, library: Library, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(searching, "HEAD", 1)
        monkeypatch.setattr(searching, "POOL_FACTOR", 1)
        library.add("a", "cats sleep", "cats and rare dogs and many more things")
        library.add("b", *[f"filler {number}" for number in range(5)])

        found = {source.text: source for source in await library.find("cats sleep rare", top_k=1)}
        everything = {source.text: source for source in await library.find("cats sleep rare", top_k=7)}

        for text, source in found.items():
            assert source.scores == everything[text].scores

    async def test_each_mode_reports_the_legs_it_asked(self, library: Library) -> None:
        library.add("a", "cats sleep")

        (dense,), (sparse,), (both,) = [
            await library.find("cats", mode=mode) for mode in ("dense", "sparse", "hybrid")
        ]

        assert dense.scores["sparse"] is None
        assert dense.score == dense.scores["dense"]
        assert sparse.scores["dense"] is None
        assert sparse.score == sparse.scores["sparse"]
        assert both.scores.items() >= {"dense": dense.score, "sparse": sparse.score}.items()

    async def test_the_lexical_leg_alone_needs_no_embedding(self, library: Library) -> None:
        library.add("a", "cats sleep")

        await library.find("cats", mode="sparse")

        assert library.embedder.queries == []

    async def test_a_filter_holds_for_both_legs(self, library: Library) -> None:
        library.add("a", "cats sleep", team="x")
        library.add("b", "cats sleep", team="y")

        found = await library.find("cats", where=Leaf("metadata.team", "eq", "y"))

        assert [source.document_id for source in found] == ["b"]


async def test_an_unknown_collection_is_an_error_not_an_empty_result(library: Library) -> None:
    search = Search(Scope(collection="nowhere"), "cats", 5)

    with pytest.raises(CollectionNotFound):
        await library.retrieve(search)


class TestDegradation:
    @pytest.mark.parametrize(
        "failure", [EmbedderUnavailable("down"), UpstreamTimeout("late"), UpstreamGarbled("NaN")]
    )
    async def test_without_an_embedder_the_words_are_searched(
        self, library: Library, failure: RagstoneError
    ) -> None:
        library.add("a", "Refunds are paid within 14 days.")
        library.embedder.failure = failure

        found = await library.retrieve(Search(Scope(), "refunds paid", 5))

        assert [source.document_id for source in found.sources] == ["a"]
        assert found.degraded == ("dense",)
        assert found.sources[0].scores["dense"] is None

    @pytest.mark.parametrize("wanted", [{"strict": True}, {"mode": "dense"}])
    async def test_where_the_vectors_are_wanted_their_absence_is_an_error(
        self, library: Library, wanted: dict[str, Any]
    ) -> None:
        library.embedder.failure = EmbedderUnavailable("down")

        with pytest.raises(EmbedderUnavailable):
            await library.retrieve(Search(Scope(), "refunds", 5, **wanted))

    async def test_wrong_configuration_is_loud(self, library: Library) -> None:
        library.embedder.failure = UpstreamRefused("401")

        with pytest.raises(UpstreamRefused):
            await library.retrieve(Search(Scope(), "refunds", 5))

    async def test_sparse_mode_never_asks_the_embedder(self, library: Library) -> None:
        library.embedder.failure = UpstreamRefused("401")

        assert (await library.retrieve(Search(Scope(), "refunds", 5, mode="sparse"))).degraded == ()


class TestEvents:
    async def events(self, library: Library, question: str, llm: LLM | None = None) -> list[AnswerEvent]:
        return [event async for event in library.ask(question, llm)]

    async def test_events_come_in_the_order_that_clients_rely_on(self, library: Library) -> None:
        library.add("a", "Refunds are paid within 14 days.")

        events = await self.events(library, "refunds are paid within 14 days")

        kinds = [kind for kind, _ in groupby(type(event) for event in events)]
        assert kinds == [Meta, Sources, Token, Cited, Timings, Done] or kinds == [
            Meta, Sources, Token, Cited, Token, Timings, Done
        ]  # fmt: skip
        assert events[0] == Meta("r-1", "refunds are paid within 14 days", "default", "extractive")
        done = events[-1]
        assert isinstance(done, Done)
        assert (done.finish_reason, done.grounded, done.abstained) == ("stop", "full", False)

    async def test_an_abstention_does_not_ask_the_model(self, library: Library) -> None:
        llm = FakeLLM("Something. [1]")

        events = await self.events(library, "anything", llm)

        assert [type(event) for event in events] == [Meta, Sources, Token, Timings, Done]
        done = events[-1]
        assert isinstance(done, Done)
        assert (done.abstained, done.reason, done.grounded) == (True, "no_results", "none")
        assert llm.asked == []

    @pytest.mark.parametrize("pieces", [(), (" ", "\n"), ("NO_", "ANSWER")])
    async def test_a_model_that_says_nothing_is_an_abstention(
        self, library: Library, pieces: tuple[str, ...]
    ) -> None:
        library.add("a", "Refunds are paid within 14 days.")

        events = await self.events(library, "refunds are paid within 14 days", FakeLLM(*pieces))

        done = events[-1]
        assert isinstance(done, Done)
        assert (done.abstained, done.reason, done.grounded) == (True, "insufficient_context", "none")
        said = "".join(event.text for event in events if isinstance(event, Token))
        assert words_of_abstention("insufficient_context", "en") in said
        assert "NO_ANSWER" not in said

    async def test_every_stage_is_reported_also_those_that_did_not_run(self, library: Library) -> None:
        (timings,) = [event for event in await self.events(library, "x") if isinstance(event, Timings)]

        assert {"request_id", "retries", "total_ms", *STAGES} == set(timings.metadata)

    async def test_leaving_early_closes_the_model(self, library: Library) -> None:
        library.add("a", "Refunds are paid within 14 days.")
        llm = FakeLLM(*["word "] * 1_000)
        stream = library.ask("refunds are paid within 14 days", llm)

        async for event in stream:
            if isinstance(event, Token):
                break
        await stream.aclose()

        assert llm.was_stopped
