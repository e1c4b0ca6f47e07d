"""From an encoded question to visible, numbered sources: both legs, true scores, ranking, the manifest's word."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from ragstone.core.filters import Filter
from ragstone.core.models import (
    Scope,
    ScoredId,
    SearchMode,
    Source,
    StoredPoint,
)
from ragstone.core.ports import Manifest, VectorStore
from ragstone.pipelines.feature_cache import FeatureCache
from ragstone.pipelines.features import NOTHING, Packed
from ragstone.pipelines.fusion import Candidate, falling, fuse, single_leg
from ragstone.pipelines.neighbours import widen
from ragstone.pipelines.payload import document_version, source_of
from ragstone.pipelines.question import Question, term_weights, weigh
from ragstone.pipelines.ranking import HEAD, MIXTURE, Mixture, rank
from ragstone.pipelines.selection import Selection

POOL_FACTOR = 2
MOST_POOL, MOST_FACTOR = 1_000, 8  # hits of each leg that are gone through for what is not passed over
FRESH_LOOKS = 2  # when hits vanished under our hands: the answer is then sought again from the start
PAYLOAD_SLACK = (
    3  # hits fetched beyond those wanted: leftovers of an update are dropped without a second round
)

Ranking = Literal["full", "fused"]
"""`full` is the second stage (`ranking`); `fused` the two legs' scores alone (`fusion`)."""


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
    """Whether the sources are to be answered from: then passages that nearly repeat another one are left out."""
    strict: bool = False
    """Fail rather than search with one leg missing."""
    context_window: int = 0
    """Chunks before and behind each hit that are made one passage with it."""
    most_per_document: int | None = None
    is_ranked: bool = True
    """Whether more than the scores of the legs decides about the order."""


@dataclass(frozen=True, slots=True)
class Index:
    """Where hits are found, how hybrid ones are ranked, and what says which of them are visible."""

    store: VectorStore
    manifest: Manifest
    ranking: Ranking = "full"
    mixture: Mixture = MIXTURE
    features: FeatureCache = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "features", FeatureCache(self.store))


@dataclass(frozen=True, slots=True)
class Found:
    """Visible sources in order, and the weights of the question's terms (none where neither ranking nor an answer
    asks for them)."""

    sources: list[Source]
    weights: Mapping[int, float]


@dataclass(frozen=True, slots=True)
class _Pool:
    """Candidates in order, the features of those that have been read, whether a larger pool could not find more, and the
    weights of the question's terms."""

    candidates: list[Candidate]
    features: Mapping[str, Packed]
    is_exhausted: bool
    weights: Mapping[int, float]


async def find_sources(index: Index, search: Search, question: Question) -> Found:
    """Visible hits offset … offset + top_k, without a vector by their words alone; the pool grows until there are enough
    or the legs are exhausted, or, where hits are passed over, a bound is reached. Raises CollectionNotFound, EngineUnavailable.
    """
    wanted = search.offset + search.top_k
    limit, looks = max(HEAD, POOL_FACTOR * wanted), FRESH_LOOKS
    while True:
        pool = await _pool(index, search, question, limit)
        sources, dropped = await _visible(index, search, pool, wanted)
        if len(sources) >= wanted or (pool.is_exhausted and (looks == 0 or not dropped)):
            break
        if not dropped and limit >= max(MOST_POOL, MOST_FACTOR * wanted):
            break  # all were visible, and too like each other or of too few documents
        if pool.is_exhausted:
            looks -= 1  # a switch may have overtaken us between the legs and the manifest
        else:
            limit *= 2
    if not sources:
        await index.manifest.require_collection(search.scope)
    page = sources[search.offset : wanted]
    return Found([replace(hit, n=n) for n, hit in enumerate(page, start=1)], pool.weights)


async def widen_sources(index: Index, search: Search, page: Sequence[Source]) -> list[Source]:
    """The hits of a page with the chunks around them, where that is asked for."""
    if not search.context_window:
        return list(page)
    return await widen(index.store, index.features, search.scope, page, around=search.context_window)


async def _pool(index: Index, search: Search, question: Question, limit: int) -> _Pool:
    store, scope, where, vector = index.store, search.scope, search.where, question.vector
    if search.mode == "hybrid" and vector is not None:
        legs = await store.search_legs(scope, vector, question.tokens, limit=limit, where=where)
        fused = fuse(
            [*legs.dense, *legs.more_dense], [*legs.sparse, *legs.more_sparse], legibility=question.legibility
        )
        candidates, head = _head_first(fused, legs.dense, legs.sparse)
        is_exhausted = len(legs.dense) < limit and len(legs.sparse) < limit
        weights = weigh(question.tokens, legs.idf)
    else:
        leg: SearchMode = "dense" if search.mode == "dense" and vector is not None else "sparse"
        searching = (
            store.search_dense(scope, vector, limit=limit, where=where)
            if vector is not None and leg == "dense"
            else store.search_sparse(scope, question.tokens, limit=limit, where=where)
        )
        if search.with_sentences or search.mode == "hybrid":
            hits, weights = await asyncio.gather(
                searching, term_weights(store, scope, question.tokens, where=where)
            )
        else:
            hits, weights = await searching, {}
        candidates, is_exhausted = single_leg(hits, leg=leg), len(hits) < limit
        head = [hit.id for hit in hits[:HEAD]]
    if search.mode != "hybrid" or not search.is_ranked or index.ranking == "fused":
        return _Pool(candidates, {}, is_exhausted, weights)
    features = await index.features.read(scope, head)
    ranked = rank(question, weights, candidates, features, index.mixture)
    return _Pool(ranked, features, is_exhausted, weights)


def _head_first(
    fused: Sequence[Candidate], dense: Sequence[ScoredId], sparse: Sequence[ScoredId]
) -> tuple[list[Candidate], list[str]]:
    """The first hits of each leg by their scores, then the others by their better place in a leg: neither changes when
    the pool grows, so that pages are parts of one list. Scores are made to fall. Returns the ids of the first ones too.
    """
    places = {hit.id: place for leg in (dense, sparse) for place, hit in reversed(list(enumerate(leg)))}
    for place, hit in enumerate(dense):
        places[hit.id] = min(place, places[hit.id])
    head = [candidate for candidate in fused if places[candidate.id] < HEAD]
    tail = sorted(
        (candidate for candidate in fused if places[candidate.id] >= HEAD),
        key=lambda candidate: (places[candidate.id], candidate.id),
    )
    return [*head, *falling(tail, head[-1].score if head else 1.0)], [candidate.id for candidate in head]


async def _visible(index: Index, search: Search, pool: _Pool, wanted: int) -> tuple[list[Source], int]:
    """The first `wanted` candidates whose version the manifest says is visible, in order; and how many were not."""
    sources: list[Source] = []
    selection = Selection(search.most_per_document, folds=search.with_sentences)
    position, size, passed_over = 0, wanted + PAYLOAD_SLACK, 0
    while len(sources) < wanted and position < len(pool.candidates):
        batch = pool.candidates[position : position + size]
        position, size = position + len(batch), 2 * size
        points, features = await _read(index, search, batch, pool.features)
        for source in await _visible_sources(index.manifest, search, batch, points, features):
            if len(sources) == wanted:
                break
            if selection.takes(source):
                sources.append(source)
            else:
                passed_over += 1
    whole = _of_one_version(sources)
    return whole[:wanted], position - len(whole) - passed_over


async def _read(
    index: Index, search: Search, batch: list[Candidate], known: Mapping[str, Packed]
) -> tuple[list[StoredPoint], Mapping[str, Packed]]:
    """Payloads; and, where they are needed, the features that have not been read yet."""
    ids = [candidate.id for candidate in batch]
    unread = [id_ for id_ in ids if id_ not in known] if search.with_sentences else []
    points, more = await asyncio.gather(
        index.store.retrieve(search.scope, ids), index.features.read(search.scope, unread)
    )
    return points, {**known, **more}


def _of_one_version(sources: list[Source]) -> list[Source]:
    """Where a document was switched between two batches, only its newer version: never a mixture."""
    newest: dict[str, int] = {}
    for source in sources:
        newest[source.document_id] = max(source.version, newest.get(source.document_id, 0))
    return [source for source in sources if source.version == newest[source.document_id]]


async def _visible_sources(
    manifest: Manifest,
    search: Search,
    batch: Sequence[Candidate],
    points: Sequence[StoredPoint],
    features: Mapping[str, Packed],
) -> Iterator[Source]:
    """Made one by one, as long as somebody wants them."""
    payloads = {point.id: point.payload for point in points}
    ids = sorted({payload["document_id"] for payload in payloads.values()})
    documents = await manifest.visible_documents(search.scope, ids) if ids else {}

    def made() -> Iterator[Source]:
        for candidate in batch:
            payload = payloads.get(candidate.id)
            document = documents.get(payload["document_id"]) if payload else None
            if payload is None or document is None:
                continue
            if payload["document_version"] == document_version(document.id, document.version):
                read = features.get(candidate.id, NOTHING) if search.with_sentences else None
                yield source_of(payload, candidate, document, read)

    return made()
