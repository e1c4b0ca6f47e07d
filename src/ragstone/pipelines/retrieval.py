"""From a question to numbered sources, and to the events of an answer."""

import logging
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace

from ragstone.core.deadline import Deadline
from ragstone.core.errors import RagstoneError, UpstreamGarbled
from ragstone.core.models import AnswerEvent, Meta, Source, Sources, Vector
from ragstone.core.places import Places
from ragstone.core.ports import Embedder, SparseEncoder
from ragstone.core.retry import Dependency, is_outage
from ragstone.core.timing import Stopwatch
from ragstone.pipelines.answering import begin_answer
from ragstone.pipelines.asking import Answerers, Ask, Patience
from ragstone.pipelines.conversation import stand_alone_question
from ragstone.pipelines.evidence import gather_evidence
from ragstone.pipelines.generation import AnswerChecker
from ragstone.pipelines.question import Question
from ragstone.pipelines.reranking import Reranking, rerank_page
from ragstone.pipelines.searching import Index, Search, find_sources, widen_sources
from ragstone.pipelines.support import ClaimJudge

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RetrievalParts:
    """The ports that retrieval works with, and the limits under which they are called; without `reranking` the order
    of the ranking is the last word."""

    embedder: Embedder
    sparse_encoder: SparseEncoder
    index: Index
    embedding: Dependency
    searching: Dependency
    reranking: Reranking | None = None


@dataclass(frozen=True, slots=True)
class Retrieved:
    """Sources in order, the question's encodings and the weights of its terms for whoever is to answer (none where
    neither ranking nor an answer needs them), and what could not take part: dense, rerank."""

    sources: tuple[Source, ...]
    question: Question
    weights: Mapping[int, float]
    degraded: tuple[str, ...] = ()


async def retrieve_documents(
    parts: RetrievalParts, search: Search, *, deadline: Deadline, stopwatch: Stopwatch
) -> Retrieved:
    """The visible chunks that match best. Without an embedder a hybrid search goes by words alone, and without the
    reranker its order is that of the scores; `degraded` then says so. Raises CollectionNotFound, EngineUnavailable,
    EmbedderUnavailable, ExternalServiceError kinds, DeadlineExceeded."""
    vector: Vector | None = None
    degraded: tuple[str, ...] = ()
    if search.mode != "sparse":
        with stopwatch.stage("embedding"):
            vector = await _embed_question(parts, search, deadline, stopwatch)
        degraded = () if vector is not None else ("dense",)
    question = _read_question(parts, search.question, vector)
    reranking = parts.reranking if parts.reranking and parts.reranking.concerns(search) else None
    wanted = reranking.widened(search) if reranking else search
    with stopwatch.stage("search"):
        found = await parts.searching.call(
            lambda: find_sources(parts.index, wanted, question), deadline=deadline, stopwatch=stopwatch
        )
    sources = found.sources
    stopwatch.tell("search", collection=search.scope.collection, top_k=wanted.top_k, hits=len(sources))
    if reranking:
        sources, took_part = await rerank_page(
            reranking, search, sources, deadline=deadline, stopwatch=stopwatch
        )
        degraded = degraded if took_part else (*degraded, "rerank")
    if search.context_window:
        with stopwatch.stage("search"):
            sources = await parts.searching.call(
                lambda: widen_sources(parts.index, search, sources), deadline=deadline, stopwatch=stopwatch
            )
    return Retrieved(tuple(sources), question, found.weights, degraded)


def _read_question(parts: RetrievalParts, text: str, vector: Vector | None) -> Question:
    terms = parts.sparse_encoder.query_terms(text)
    legibility = 0.0 if vector is None else parts.embedder.legibility(text)
    return Question(text, terms, parts.sparse_encoder.encode_query(terms), vector, legibility)


async def retrieve_documents_streaming(
    parts: RetrievalParts,
    answerers: Answerers,
    ask: Ask,
    *,
    patience: Patience,
    request_id: str,
    stopwatch: Stopwatch,
    room: Places,
) -> AsyncGenerator[AnswerEvent, None]:
    """The events of one answer, in the order that clients rely on; the JSON answer is their fold. There must be `room`
    for the work of this machine, which is not taken while a model is waited for, before the search or after it.

    Raises only before the first event, which comes when the first piece of the answer is there; a failure after it
    is a `Failed` event, the last one. Closing the generator cancels what was started for it."""
    language = parts.sparse_encoder.query_terms(ask.search.question).language if ask.history else ""
    rewritten = await stand_alone_question(answerers, ask, language, patience.deadline, stopwatch)
    search = replace(ask.search, question=rewritten.question, with_sentences=True)
    async with room.taken(patience.deadline, stopwatch) as place:
        retrieved = await retrieve_documents(parts, search, deadline=patience.deadline, stopwatch=stopwatch)
        with stopwatch.stage("evidence"):
            evidence = gather_evidence(
                parts.sparse_encoder, retrieved.weights, retrieved.question, retrieved.sources
            )
        if answerers.chosen.llm.is_generative:
            place.give_back()
        answer = await begin_answer(answerers, ask, rewritten, evidence, patience, stopwatch)
        answer.degraded = (*answer.degraded, *retrieved.degraded)
        judge = ClaimJudge(parts.embedder, parts.sparse_encoder, parts.index.store, search.scope)
        checker = AnswerChecker(answer.citable, judge, link_hosts=answerers.link_hosts)
        opening = Meta(request_id, search.question, search.scope.collection, answer.model)
        stopwatch.outcome = "left"  # unless it comes to an end
        async with aclosing(answer.events(checker, request_id, opening, Sources(evidence.sources))) as events:
            async for event in events:
                with stopwatch.stage("delivery"):  # a slow client's time is not the model's
                    yield event


async def _embed_question(
    parts: RetrievalParts, search: Search, deadline: Deadline, stopwatch: Stopwatch
) -> Vector | None:
    """None where the embedder is down, or its answer of no use, and the search can do without. A refusal means wrong
    configuration, which is loud, whatever the mode."""
    embedder = parts.embedder
    stopwatch.tell(
        "embedding",
        provider=parts.embedding.provider,
        model=embedder.fingerprint,
        dimension=embedder.dimension,
    )
    try:
        return await parts.embedding.call(
            lambda: embedder.embed_query(search.question), deadline=deadline, stopwatch=stopwatch
        )
    except RagstoneError as error:
        is_needed = search.strict or search.mode == "dense"
        if is_needed or not (is_outage(error) or isinstance(error, UpstreamGarbled)):
            raise
        log.warning("searching without vectors", extra={"code": error.code})
        return None
