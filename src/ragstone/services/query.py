"""Questions: search, and answers as events."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from datetime import timedelta

from ragstone.core.answers import Answer, fold
from ragstone.core.errors import DeadlineExceeded, Unavailable
from ragstone.core.models import AnswerEvent, Source, Turn
from ragstone.core.ports import LLM
from ragstone.core.timing import Stopwatch
from ragstone.pipelines.retrieval import (
    RetrievalParts,
    Search,
    retrieve_documents,
    retrieve_documents_streaming,
)

MAX_ACTIVE = 256  # about two seconds of work on two cores; whoever comes beyond it is told at once


class QueryService:
    """Answers within a deadline; a caller that leaves cancels everything done for it."""

    def __init__(self, parts: RetrievalParts, llm: LLM, *, timeout: timedelta):
        self._parts = parts
        self._llm = llm
        self._timeout_s = timeout.total_seconds()
        self._active = 0

    async def search(
        self, search: Search, *, stopwatch: Stopwatch, timeout_s: float | None = None
    ) -> Sequence[Source]:
        """Sources in order. Raises CollectionNotFound, DeadlineExceeded, Unavailable kinds."""
        async with self._place(), _deadline(self._limit(timeout_s)):
            retrieved = await retrieve_documents(self._parts, search, stopwatch=stopwatch)
        return retrieved.sources

    async def answer(
        self,
        search: Search,
        *,
        history: Sequence[Turn],
        request_id: str,
        stopwatch: Stopwatch,
        timeout_s: float | None = None,
    ) -> Answer:
        """The whole answer: the fold of its events."""
        async with (
            self._place(),
            _deadline(self._limit(timeout_s)),
            aclosing(
                self.stream(search, history=history, request_id=request_id, stopwatch=stopwatch)
            ) as events,
        ):
            return await fold(events)

    def stream(
        self, search: Search, *, history: Sequence[Turn], request_id: str, stopwatch: Stopwatch
    ) -> AsyncGenerator[AnswerEvent, None]:
        """The events as they come; closing the generator cancels what it started."""
        return retrieve_documents_streaming(
            self._parts, self._llm, search, history=history, request_id=request_id, stopwatch=stopwatch
        )

    @asynccontextmanager
    async def _place(self) -> AsyncIterator[None]:
        if self._active >= MAX_ACTIVE:
            raise Unavailable(f"{MAX_ACTIVE} questions are being worked on; try again in a moment")
        self._active += 1
        try:
            yield
        finally:
            self._active -= 1

    def _limit(self, timeout_s: float | None) -> float:
        return self._timeout_s if timeout_s is None else min(timeout_s, self._timeout_s)


@asynccontextmanager
async def _deadline(limit_s: float) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(limit_s) as scope:
            yield
    except TimeoutError as error:
        if not scope.expired():
            raise
        raise DeadlineExceeded(f"the answer was not ready within {limit_s:g} s") from error
