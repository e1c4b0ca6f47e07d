"""Questions under a deadline."""

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import pytest

from ragstone.core.errors import DeadlineExceeded
from ragstone.core.models import Scope, Vector
from ragstone.core.retry import Dependency
from ragstone.core.timing import Stopwatch
from ragstone.llms.extractive import ExtractiveLLM
from ragstone.pipelines.asking import Answerer, Ask
from ragstone.pipelines.retrieval import RetrievalParts
from ragstone.pipelines.searching import Index, Search
from ragstone.services.query import AnswerDefaults, QueryLimits, QueryService
from tests.memory_store import MemoryStore
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


def service(embedder: WordEmbedder, *, timeout_s: float = 5.0) -> QueryService:
    index = Index(MemoryStore(), cast("Any", EmptyManifest()))
    parts = RetrievalParts(embedder, WordEncoder(), index, Dependency("embedding"), Dependency("search"))
    return QueryService(
        parts,
        {"extractive": Answerer(ExtractiveLLM(), Dependency("llm"))},
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
