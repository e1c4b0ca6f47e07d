"""Questions under a deadline."""

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import pytest

from ragstone.core.errors import DeadlineExceeded, InvalidRequest, Unavailable
from ragstone.core.models import Scope, Turn, Vector
from ragstone.core.retry import Dependency
from ragstone.core.timing import Stopwatch
from ragstone.llms.extractive import ExtractiveLLM
from ragstone.pipelines.asking import Answerer, Ask
from ragstone.pipelines.retrieval import RetrievalParts
from ragstone.pipelines.searching import Index, Search
from ragstone.services import query
from ragstone.services.query import AnswerDefaults, QueryLimits, QueryService
from ragstone.testing.llms import FakeLLM
from tests.memory_store import MemoryStore
from tests.waiting import until
from tests.words import WordEmbedder, WordEncoder

SEARCH = Search(Scope(), "cats", 5)


class SlowEmbedder(WordEmbedder):
    """Never answers; notes that it was cancelled."""

    def __init__(self) -> None:
        super().__init__()
        self.cancelled = False

    async def embed_query(self, text: str) -> Vector:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        raise AssertionError


class BrokenEmbedder(WordEmbedder):
    """Has a time-out of its own."""

    async def embed_query(self, text: str) -> Vector:
        raise TimeoutError("not the request's")


class EmptyManifest:
    """Knows every collection and no document."""

    async def require_collection(self, scope: Scope) -> None: ...

    async def visible_documents(self, scope: Scope, ids: Sequence[str]) -> dict[str, Any]:
        return {}


def service(
    embedder: WordEmbedder, *, timeout_s: float = 5.0, answerers: dict[str, Answerer] | None = None
) -> QueryService:
    index = Index(MemoryStore(), cast("Any", EmptyManifest()))
    parts = RetrievalParts(embedder, WordEncoder(), index, Dependency("embedding"), Dependency("search"))
    return QueryService(
        parts,
        answerers or {"extractive": Answerer(ExtractiveLLM(), Dependency("llm"))},
        fallback=ExtractiveLLM(),
        limits=QueryLimits(request_s=timeout_s),
        defaults=AnswerDefaults(),
    )


async def ask(queries: QueryService, timeout_s: float | None = None) -> Any:
    return await queries.answer(Ask(SEARCH), request_id="r", stopwatch=Stopwatch(), timeout_s=timeout_s)


async def test_a_question_that_takes_too_long_is_cancelled_and_says_so() -> None:
    embedder = SlowEmbedder()

    with pytest.raises(DeadlineExceeded, match=r"0\.02 s"):
        await ask(service(embedder, timeout_s=0.02))

    assert embedder.cancelled


async def test_the_caller_may_lower_the_limit_but_not_raise_it() -> None:
    with pytest.raises(DeadlineExceeded, match=r"0\.01 s"):
        await ask(service(SlowEmbedder()), timeout_s=0.01)
    with pytest.raises(DeadlineExceeded, match=r"0\.02 s"):
        await ask(service(SlowEmbedder(), timeout_s=0.02), timeout_s=60)


async def test_a_search_has_the_same_limit() -> None:
    with pytest.raises(DeadlineExceeded):
        await service(SlowEmbedder(), timeout_s=0.01).search(SEARCH, stopwatch=Stopwatch())


async def test_a_time_out_inside_is_not_mistaken_for_the_deadline() -> None:
    with pytest.raises(TimeoutError, match="not the request's"):
        await ask(service(BrokenEmbedder()))


async def test_a_question_without_documents_is_an_abstention() -> None:
    answer = await ask(service(WordEmbedder()))

    assert (answer.abstained, answer.reason, answer.grounded) == (True, "no_results", "none")
    assert answer.citations == []


class TestChoice:
    """Of those that are configured, the first is the default."""

    def queries(self) -> tuple[QueryService, FakeLLM, FakeLLM]:
        first, second = FakeLLM("one"), FakeLLM("two")
        second.models = ("small", "large")
        answerers = {
            name: Answerer(llm, Dependency("llm")) for name, llm in {"first": first, "second": second}.items()
        }
        return service(WordEmbedder(), answerers=answerers), first, second

    async def model(self, provider: str | None, model: str | None) -> str:
        queries, *_ = self.queries()
        answer = await queries.answer(
            Ask(SEARCH, model=model), provider=provider, request_id="r", stopwatch=Stopwatch()
        )
        return answer.model

    @pytest.mark.parametrize(
        ("provider", "model", "chosen"),
        [
            (None, None, "fake"),
            ("second", None, "small"),
            ("second", "large", "large"),
            (None, "large", "large"),
        ],
    )
    async def test_provider_and_model_can_be_named(
        self, provider: str | None, model: str | None, chosen: str
    ) -> None:
        assert await self.model(provider, model) == chosen

    @pytest.mark.parametrize(
        ("provider", "model", "said"),
        [
            ("third", None, "'third' is not configured; configured: first, second"),
            (None, "huge", "'huge' is not configured; configured: fake, small, large"),
            ("first", "large", "'large' is not configured; configured: fake"),
        ],
    )
    async def test_what_is_not_configured_is_refused_with_what_is(
        self, provider: str | None, model: str | None, said: str
    ) -> None:
        with pytest.raises(InvalidRequest, match=said):
            await self.model(provider, model)


class TestPlaces:
    async def test_beyond_the_bound_questions_are_told_at_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(query, "MAX_ACTIVE", 2)
        monkeypatch.setattr(query, "MAX_IN_LINE", 0)
        queries = service(SlowEmbedder())
        waiting = [asyncio.create_task(ask(queries)) for _ in range(2)]
        await asyncio.sleep(0)

        with pytest.raises(Unavailable) as failure:
            await ask(queries)

        assert failure.value.retry_after_s is not None
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        with pytest.raises(DeadlineExceeded):
            await ask(queries, timeout_s=0.01)

    async def test_a_question_that_is_being_rewritten_takes_no_place_of_a_search(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(query, "MAX_ACTIVE", 1)
        monkeypatch.setattr(query, "MAX_IN_LINE", 0)
        thinking = FakeLLM("cats", pause_s=60)
        queries = service(WordEmbedder(), answerers={"fake": Answerer(thinking, Dependency("llm"))})
        history = (Turn("user", "Tell me of cats."),)
        waiting = asyncio.create_task(
            queries.answer(Ask(SEARCH, history=history), request_id="r", stopwatch=Stopwatch())
        )
        await until(lambda: asyncio.sleep(0, bool(thinking.asked)))

        assert await queries.search(SEARCH, stopwatch=Stopwatch())

        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)

    async def test_a_stream_that_is_left_gives_its_place_back(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(query, "MAX_OPEN", 1)
        queries = service(WordEmbedder())
        for _ in range(3):
            stream = queries.stream(Ask(SEARCH), request_id="r", stopwatch=Stopwatch())
            await anext(stream)
            with pytest.raises(Unavailable):
                await ask(queries)
            await stream.aclose()

        assert (await ask(queries)).abstained
