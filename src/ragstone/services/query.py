"""Questions: search, and answers as events."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

from ragstone.core.answers import Answer, fold
from ragstone.core.deadline import Deadline
from ragstone.core.errors import BadEmbedding, InvalidRequest, Unavailable, UpstreamGarbled
from ragstone.core.models import AnswerEvent, EmbeddingInput, Vector
from ragstone.core.places import Places
from ragstone.core.ports import LLM, Embedder
from ragstone.core.timing import Stopwatch
from ragstone.pipelines.asking import Answerer, Answerers, Ask, Patience
from ragstone.pipelines.conversation import query_for_search
from ragstone.pipelines.retrieval import (
    RetrievalParts,
    Retrieved,
    retrieve_documents,
    retrieve_documents_streaming,
)
from ragstone.pipelines.searching import Search
from ragstone.services.current import Current

MAX_ACTIVE = (
    64  # searches at work, those for answers included, where a service over the network is waited for
)
MAX_ACTIVE_HERE = (
    8  # where all of a search is work of this machine: as many end in a second, and each ends sooner
)
MAX_IN_LINE = 192  # that wait for it: about a second of work on two cores
EMBEDDED_TOGETHER = 16  # texts for a caller of `embed`: an ingest's batches come in between
MAX_EMBEDDED_TOKENS = 100_000  # for one caller: ten seconds of two cores
MAX_EMBEDDING_IN_LINE = 8
MAX_OPEN = 2_000  # answers in all; beyond its search each mostly waits for its model


@dataclass(frozen=True, slots=True)
class QueryLimits:
    """Seconds: a request's time, the pause between two pieces of a model's answer, and a whole streamed answer.
    `searches_here`: no embedder, store or reranker elsewhere is waited for."""

    request_s: float = 60.0
    idle_s: float = 20.0
    stream_s: float = 600.0
    searches_here: bool = False


@dataclass(frozen=True, slots=True)
class AnswerDefaults:
    """What a question that does not say otherwise asks of a model; `temperature` None is not sent."""

    temperature: float | None = 0.0
    max_tokens: int = 1024


class QueryService:
    """Answers within a deadline; a caller that leaves cancels everything done for it. The first of `answerers`, by
    provider, is the default."""

    def __init__(
        self,
        parts: RetrievalParts,
        answerers: Mapping[str, Answerer],
        *,
        fallback: LLM,
        limits: QueryLimits,
        defaults: AnswerDefaults,
        link_hosts: frozenset[str] = frozenset(),
    ):
        self._parts = Current(parts)
        self._answerers = answerers
        self._fallback = fallback
        self._limits = limits
        self.defaults = defaults
        self._link_hosts = link_hosts
        at_work = MAX_ACTIVE_HERE if limits.searches_here else MAX_ACTIVE
        self._active = Places("searches are being worked on", at_work=at_work, in_line=MAX_IN_LINE)
        self._open = Places("answers are being written", at_work=MAX_OPEN)
        self._embedding = Places("texts are being embedded", at_work=1, in_line=MAX_EMBEDDING_IN_LINE)

    @property
    def refusal(self) -> Unavailable | None:
        """What a question that came now would be told, if there is no room for it."""
        full = [places for places in (self._active, self._open) if places.is_full]
        return full[0].refusal() if full else None

    @property
    def models(self) -> list[tuple[str, str]]:
        """(provider, model) of all that may be named, the default first."""
        return [(name, model) for name, answerer in self._answerers.items() for model in answerer.llm.models]

    async def search_each(
        self, searches: Sequence[Search], *, rewrites: bool, stopwatch: Stopwatch
    ) -> list[Retrieved]:
        """One after the other, all within one request's time. `rewrites`: each for what the default model would search
        for, where one is configured and up. Raises as `search`, and UpstreamRefused."""
        deadline, answerer = self._deadline(None), self._chosen(None, None)
        if rewrites:
            async with self._open.taken(deadline, stopwatch):
                searches = [
                    replace(
                        search,
                        question=await query_for_search(
                            answerer, search.question, deadline=deadline, stopwatch=stopwatch
                        ),
                    )
                    for search in searches
                ]
        async with self._active.taken(deadline, stopwatch):
            with self._parts.taken() as parts:
                return [
                    await retrieve_documents(parts, search, deadline=deadline, stopwatch=stopwatch)
                    for search in searches
                ]

    @property
    def embedding_model(self) -> str:
        """The fingerprint of the encoder that questions are read with."""
        with self._parts.taken() as parts:
            return parts.embedder.fingerprint

    @property
    def embedding_dimension(self) -> int:
        """Of its vectors."""
        with self._parts.taken() as parts:
            return parts.embedder.dimension

    async def embed(self, texts: Sequence[str], *, stopwatch: Stopwatch) -> tuple[list[Vector], int]:
        """A unit vector of each text, and how many tokens were read. Questions go before it. Raises InvalidRequest for a
        text that is longer than the encoder reads and for too many tokens, EmbedderUnavailable, DeadlineExceeded,
        Unavailable and ExternalServiceError kinds."""
        deadline, vectors = self._deadline(None), list[Vector]()
        async with self._embedding.taken(deadline, stopwatch):
            with self._parts.taken() as parts:
                tokens = await asyncio.to_thread(_count_tokens, parts.embedder, texts)
                for start in range(0, len(texts), EMBEDDED_TOGETHER):
                    inputs = [EmbeddingInput(text) for text in texts[start : start + EMBEDDED_TOGETHER]]
                    with stopwatch.stage("embedding"):
                        vectors += await _embedded(parts, inputs, deadline, stopwatch)
        return vectors, tokens

    def use(self, parts: RetrievalParts) -> asyncio.Event:
        """Requests that begin from now on use these; the event is set once the last one has ended that began with
        others."""
        return self._parts.replace(parts)

    async def search(
        self, search: Search, *, stopwatch: Stopwatch, timeout_s: float | None = None
    ) -> Retrieved:
        """Sources in order. Raises CollectionNotFound, DeadlineExceeded, Unavailable and ExternalServiceError kinds."""
        deadline = self._deadline(timeout_s)
        async with self._active.taken(deadline, stopwatch):
            with self._parts.taken() as parts:
                return await retrieve_documents(parts, search, deadline=deadline, stopwatch=stopwatch)

    async def answer(
        self,
        ask: Ask,
        *,
        provider: str | None = None,
        request_id: str,
        stopwatch: Stopwatch,
        timeout_s: float | None = None,
    ) -> Answer:
        """The whole answer, the fold of its events, within the request's time. Raises as `stream`, and what broke the
        answer off."""
        patience = Patience(self._deadline(timeout_s), idle_s=self._limits.idle_s)
        async with aclosing(self._events(ask, provider, patience, request_id, stopwatch)) as events:
            answer = await fold(events)
        if answer.failure is not None:
            raise answer.failure.error
        return answer

    def stream(
        self,
        ask: Ask,
        *,
        provider: str | None = None,
        request_id: str,
        stopwatch: Stopwatch,
        timeout_s: float | None = None,
    ) -> AsyncGenerator[AnswerEvent, None]:
        """The events as they come; closing the generator cancels what it started. The request's time bounds the first
        one. Raises, before it only, InvalidRequest, CollectionNotFound, DeadlineExceeded, Unavailable and
        ExternalServiceError kinds."""
        patience = Patience(self._deadline(timeout_s), self._limits.idle_s, self._limits.stream_s)
        return self._events(ask, provider, patience, request_id, stopwatch)

    async def _events(
        self, ask: Ask, provider: str | None, patience: Patience, request_id: str, stopwatch: Stopwatch
    ) -> AsyncGenerator[AnswerEvent, None]:
        answerers = Answerers(self._chosen(provider, ask.model), self._fallback, self._link_hosts)
        async with self._open.taken(patience.deadline, stopwatch):
            with self._parts.taken() as parts:
                events = retrieve_documents_streaming(
                    parts,
                    answerers,
                    ask,
                    patience=patience,
                    request_id=request_id,
                    stopwatch=stopwatch,
                    room=self._active,
                )
                async with aclosing(events):
                    async for event in events:
                        yield event

    def _chosen(self, provider: str | None, model: str | None) -> Answerer:
        """The provider that was named, or the first one that has the model. Raises InvalidRequest."""
        if provider is not None and provider not in self._answerers:
            known = ", ".join(self._answerers)
            raise InvalidRequest(f"the provider {provider!r} is not configured; configured: {known}")
        wanted = self._answerers if provider is None else {provider: self._answerers[provider]}
        for answerer in wanted.values():
            if model is None or model in answerer.llm.models:
                return answerer
        known = ", ".join(name for answerer in wanted.values() for name in answerer.llm.models)
        raise InvalidRequest(f"the model {model!r} is not configured; configured: {known}")

    def _deadline(self, timeout_s: float | None) -> Deadline:
        limit_s = self._limits.request_s
        return Deadline.after(limit_s if timeout_s is None else min(timeout_s, limit_s))


async def _embedded(
    parts: RetrievalParts, inputs: Sequence[EmbeddingInput], deadline: Deadline, stopwatch: Stopwatch
) -> list[Vector]:
    try:
        found = await parts.embedding.call(
            lambda: parts.embedder.embed_documents(inputs), deadline=deadline, stopwatch=stopwatch
        )
    except BadEmbedding as error:  # the embedding server's fault, not that of the texts
        raise UpstreamGarbled(error.message) from error
    return [each.vector for each in found]


def _count_tokens(embedder: Embedder, texts: Sequence[str]) -> int:
    """Raises InvalidRequest: the vector of a part is not that of the text."""
    total = 0
    for place, text in enumerate(texts):
        tokens, is_whole = embedder.count_tokens(text)
        if not is_whole:
            raise InvalidRequest(
                f"input {place} is longer than the encoder reads, {tokens} tokens; cut it, or it would be told by its "
                "beginning alone"
            )
        total += tokens
        if total > MAX_EMBEDDED_TOKENS:
            raise InvalidRequest(
                f"the inputs have more than {MAX_EMBEDDED_TOKENS} tokens; send fewer at a time"
            )
    return total
