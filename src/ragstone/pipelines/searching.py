"""From a question to numbered sources, and to the events of an answer."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

from ragstone.core.filters import Filter
from ragstone.core.models import (
    AnswerEvent,
    Cited,
    Done,
    Meta,
    Scope,
    ScoredId,
    SearchMode,
    Source,
    Sources,
    SparseVector,
    StoredPoint,
    Timings,
    Token,
    Turn,
    Usage,
    Vector,
)
from ragstone.core.ports import LLM, Embedder, Manifest, SparseEncoder, VectorStore
from ragstone.core.timing import Stopwatch
from ragstone.pipelines.evidence import Evidence, Question, gather_evidence
from ragstone.pipelines.fusion import Candidate, fuse, missing_from, single_leg
from ragstone.pipelines.generation import ABSTENTIONS, UNANSWERED, AnswerChecker
from ragstone.pipelines.payload import document_version, source_of
from ragstone.pipelines.support import ClaimJudge

MIN_POOL = 50  # each leg; with exact scores for every candidate deeper pools change next to nothing
POOL_FACTOR = 4
FRESH_LOOKS = 2  # when hits vanished under our hands: the answer is then sought again from the start
STAGES = dict.fromkeys(
    (
        "embedding_ms",
        "search_ms",
        "evidence_ms",
        "first_token_ms",
        "generation_ms",
        "verification_ms",
    ),
    0.0,
)
PAYLOAD_SLACK = (
    3  # hits fetched beyond those wanted: leftovers of an update are dropped without a second round
)


@dataclass(frozen=True, slots=True)
class RetrievalParts:
    """The ports that retrieval works with."""

    embedder: Embedder
    sparse_encoder: SparseEncoder
    store: VectorStore
    manifest: Manifest


@dataclass(frozen=True, slots=True)
class Search:
    """What to look for, and where. `offset` skips that many visible hits."""

    scope: Scope
    question: str
    top_k: int
    offset: int = 0
    where: Filter | None = None
    mode: SearchMode = "hybrid"
    with_sentences: bool = False
    """Whether the sources are to be answered from."""


@dataclass(frozen=True, slots=True)
class Retrieved:
    """Sources in order, and the question's encodings for whoever weighs them."""

    sources: tuple[Source, ...]
    question: Question


async def retrieve_documents(parts: RetrievalParts, search: Search, *, stopwatch: Stopwatch) -> Retrieved:
    """The visible chunks that match best. Raises CollectionNotFound, EngineUnavailable, EmbedderUnavailable."""
    vector: Vector | None = None
    if search.mode != "sparse":
        with stopwatch.stage("embedding"):
            vector = await parts.embedder.embed_query(search.question)
    tokens = parts.sparse_encoder.encode_query(search.question)
    with stopwatch.stage("search"):
        sources = await _search(parts, search, vector, tokens)
        if not sources:
            await parts.manifest.require_collection(search.scope)
    return Retrieved(tuple(sources), Question(search.question, tokens, vector))


async def retrieve_documents_streaming(
    parts: RetrievalParts,
    llm: LLM,
    search: Search,
    *,
    history: Sequence[Turn],
    request_id: str,
    stopwatch: Stopwatch,
) -> AsyncGenerator[AnswerEvent, None]:
    """The events of one answer, in the order that clients rely on. The JSON answer is their fold."""
    retrieved = await retrieve_documents(parts, replace(search, with_sentences=True), stopwatch=stopwatch)
    with stopwatch.stage("evidence"):
        evidence = await gather_evidence(
            parts.sparse_encoder,
            parts.store,
            search.scope,
            retrieved.question,
            retrieved.sources,
            where=search.where,
        )
    yield Meta(request_id, search.question, search.scope.collection, llm.name)
    yield Sources(evidence.sources)
    judge = ClaimJudge(parts.embedder, parts.sparse_encoder, parts.store, search.scope)
    checker = AnswerChecker(evidence.sources, judge)
    async with aclosing(_answer(llm, search.question, history, evidence, checker, stopwatch)) as events:
        async for event in events:
            yield event
    reason = evidence.abstention
    if reason is None and not checker.said_something:
        reason = UNANSWERED
        yield Token(ABSTENTIONS[UNANSWERED])
    abstained = reason is not None
    verdict = checker.verdict(abstained=abstained)
    yield Timings({"request_id": request_id, **STAGES, **stopwatch.stop(), "retries": {}}, Usage())
    yield Done("stop", verdict.grounded, verdict.unsupported, abstained, reason)


async def _answer(
    llm: LLM,
    question: str,
    history: Sequence[Turn],
    evidence: Evidence,
    checker: AnswerChecker,
    stopwatch: Stopwatch,
) -> AsyncGenerator[Token | Cited, None]:
    """The answer's tokens and citations, or the words of an abstention; the model is then not asked at all."""
    if evidence.abstention is not None:
        stopwatch.mark("first_token")
        yield Token(ABSTENTIONS[evidence.abstention])
        return
    async with aclosing(llm.generate(question, evidence.sources, history)) as pieces:
        piece: str | None = ""
        while piece is not None:
            with stopwatch.stage("generation"):
                piece = await anext(pieces, None)
            with stopwatch.stage("verification"):
                events = checker.finish() if piece is None else await checker.feed(piece)
            for event in events:
                stopwatch.mark("first_token")
                yield event


async def _search(
    parts: RetrievalParts, search: Search, vector: Vector | None, tokens: SparseVector
) -> list[Source]:
    """Visible hits offset … offset + top_k; the pool grows until there are enough or the legs are exhausted."""
    wanted = search.offset + search.top_k
    limit, looks = max(MIN_POOL, POOL_FACTOR * wanted), FRESH_LOOKS
    while True:
        candidates, exhausted = await _candidates(parts.store, search, vector, tokens, limit)
        sources, dropped = await _visible(parts, search, candidates, wanted)
        if len(sources) >= wanted or (exhausted and (looks == 0 or not dropped)):
            return [replace(hit, n=n) for n, hit in enumerate(sources[search.offset : wanted], start=1)]
        if exhausted:
            looks -= 1  # a switch may have overtaken us between the legs and the manifest
        else:
            limit *= 2


async def _candidates(
    store: VectorStore, search: Search, vector: Vector | None, tokens: SparseVector, limit: int
) -> tuple[list[Candidate], bool]:
    """Candidates of the wanted legs, and whether a larger limit could not find more."""
    if vector is None:
        hits = await store.search_sparse(search.scope, tokens, limit=limit, where=search.where)
        return single_leg(hits, leg="sparse"), len(hits) < limit
    if search.mode == "dense":
        hits = await store.search_dense(search.scope, vector, limit=limit, where=search.where)
        return single_leg(hits, leg="dense"), len(hits) < limit
    dense, sparse = await store.search_hybrid(search.scope, vector, tokens, limit=limit, where=search.where)
    exhausted = len(dense) < limit and len(sparse) < limit
    return fuse(*await _complete(store, search, vector, tokens, dense, sparse)), exhausted


async def _complete(
    store: VectorStore,
    search: Search,
    vector: Vector,
    tokens: SparseVector,
    dense: list[ScoredId],
    sparse: list[ScoredId],
) -> tuple[list[ScoredId], list[ScoredId]]:
    """A hit of one leg alone gets its true score in the other: counting it as 0 costs .009 nDCG@10."""
    missing = missing_from(dense, sparse) + missing_from(sparse, dense)
    if not missing or not sparse:  # a sparse leg without any hit has nothing to give to the others either
        return dense, sparse
    more_dense, more_sparse = await store.search_hybrid(
        search.scope, vector, tokens, limit=len(missing), where=search.where, ids=missing
    )
    return [*dense, *more_dense], [*sparse, *more_sparse]


async def _visible(
    parts: RetrievalParts, search: Search, candidates: list[Candidate], wanted: int
) -> tuple[list[Source], int]:
    """The first `wanted` candidates whose version the manifest says is visible, in order; and how many were not."""
    sources: list[Source] = []
    position, size = 0, wanted + PAYLOAD_SLACK
    while len(sources) < wanted and position < len(candidates):
        batch = candidates[position : position + size]
        position, size = position + len(batch), 2 * size
        points = await parts.store.retrieve(search.scope, [candidate.id for candidate in batch])
        sources += await _visible_sources(parts.manifest, search, batch, points, most=wanted - len(sources))
    whole = _of_one_version(sources)
    return whole[:wanted], position - len(whole)


def _of_one_version(sources: list[Source]) -> list[Source]:
    """Where a document was switched between two batches, only its newer version: never a mixture."""
    newest: dict[str, int] = {}
    for source in sources:
        newest[source.document_id] = max(source.version, newest.get(source.document_id, 0))
    return [source for source in sources if source.version == newest[source.document_id]]


async def _visible_sources(
    manifest: Manifest, search: Search, batch: list[Candidate], points: list[StoredPoint], *, most: int
) -> list[Source]:
    payloads = {point.id: point.payload for point in points}
    ids = sorted({payload["document_id"] for payload in payloads.values()})
    documents = await manifest.visible_documents(search.scope, ids) if ids else {}
    sources: list[Source] = []
    for candidate in batch:
        if len(sources) == most:
            break
        payload = payloads.get(candidate.id)
        document = documents.get(payload["document_id"]) if payload else None
        if payload is None or document is None:
            continue
        if payload["document_version"] == document_version(document.id, document.version):
            sources.append(source_of(payload, candidate, document, with_sentences=search.with_sentences))
    return sources
