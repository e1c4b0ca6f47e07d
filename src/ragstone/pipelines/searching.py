"""From an encoded question to visible, numbered sources: both legs, true scores, fusion, the manifest's word."""

from dataclasses import dataclass, replace

from ragstone.core.filters import Filter
from ragstone.core.models import (
    Scope,
    ScoredId,
    SearchMode,
    Source,
    SparseVector,
    StoredPoint,
    Vector,
)
from ragstone.core.ports import Manifest, VectorStore
from ragstone.pipelines.fusion import Candidate, fuse, missing_from, single_leg
from ragstone.pipelines.payload import document_version, source_of

MIN_POOL = 50  # each leg; with exact scores for every candidate deeper pools change next to nothing
POOL_FACTOR = 4
FRESH_LOOKS = 2  # when hits vanished under our hands: the answer is then sought again from the start
PAYLOAD_SLACK = (
    3  # hits fetched beyond those wanted: leftovers of an update are dropped without a second round
)


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
    strict: bool = False
    """Fail rather than search with one leg missing."""


@dataclass(frozen=True, slots=True)
class Index:
    """Where hits are found, and what says which of them are visible."""

    store: VectorStore
    manifest: Manifest


async def find_sources(
    index: Index, search: Search, vector: Vector | None, tokens: SparseVector
) -> list[Source]:
    """Visible hits offset … offset + top_k, without `vector` from BM25 alone; the pool grows until there are enough or
    the legs are exhausted. Raises CollectionNotFound, EngineUnavailable."""
    wanted = search.offset + search.top_k
    limit, looks = max(MIN_POOL, POOL_FACTOR * wanted), FRESH_LOOKS
    while True:
        candidates, exhausted = await _candidates(index.store, search, vector, tokens, limit)
        sources, dropped = await _visible(index, search, candidates, wanted)
        if len(sources) >= wanted or (exhausted and (looks == 0 or not dropped)):
            break
        if exhausted:
            looks -= 1  # a switch may have overtaken us between the legs and the manifest
        else:
            limit *= 2
    if not sources:
        await index.manifest.require_collection(search.scope)
    return [replace(hit, n=n) for n, hit in enumerate(sources[search.offset : wanted], start=1)]


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
    index: Index, search: Search, candidates: list[Candidate], wanted: int
) -> tuple[list[Source], int]:
    """The first `wanted` candidates whose version the manifest says is visible, in order; and how many were not."""
    sources: list[Source] = []
    position, size = 0, wanted + PAYLOAD_SLACK
    while len(sources) < wanted and position < len(candidates):
        batch = candidates[position : position + size]
        position, size = position + len(batch), 2 * size
        points = await index.store.retrieve(search.scope, [candidate.id for candidate in batch])
        sources += await _visible_sources(index.manifest, search, batch, points, most=wanted - len(sources))
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
