"""`/v1/vector_stores`: collections as vector stores, and their search."""

import re
from collections.abc import Sequence
from contextlib import suppress
from typing import Annotated, ClassVar, Literal
from uuid import uuid4

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import Field, StringConstraints

from ragstone.api.bodies import JsonRoute
from ragstone.api.deps import Clock, Services, Tenant
from ragstone.api.disconnect import while_connected
from ragstone.api.openai.base import Deleted, DialectRequest
from ragstone.api.openai.errors import openai_errors
from ragstone.api.openai.filters import AttributeFilter, native_filter
from ragstone.api.openai.parameters import STORE, STORE_SEARCH, STORE_UPDATE, Parameters
from ragstone.api.openai.store_file_models import (
    Attribute,
    ChunkingStrategy,
    FileCounts,
    attributes_of,
    chunk_tokens,
)
from ragstone.api.schemas.base import CollectionName, ReplyModel, RequestModel, Text
from ragstone.api.schemas.query import QuestionText, SourceModel
from ragstone.bootstrap import Container
from ragstone.core.errors import CollectionExists, RagstoneError
from ragstone.core.filters import parse_filter
from ragstone.core.models import Collection, CollectionPatch, CollectionState, DocumentName, Scope, Source
from ragstone.core.timing import Stopwatch
from ragstone.pipelines.searching import Search
from ragstone.services.files import Attachment, file_id_of

router = APIRouter(prefix="/v1/vector_stores", tags=["OpenAI's dialect"], route_class=JsonRoute)
StoreId = Annotated[CollectionName, Path(description="The collection's name.")]
_SLUG = re.compile(r"[^a-z0-9_-]+")
_TRIES = 20

StoreMetadata = Annotated[
    dict[
        Annotated[Text, StringConstraints(min_length=1, max_length=64)],
        Annotated[Text, StringConstraints(max_length=512)],
    ],
    Field(max_length=16),
]
Title = Annotated[Text, StringConstraints(max_length=256)]


class StoreRequest(DialectRequest):
    """A vector store to be made."""

    parameters: ClassVar[Parameters] = STORE

    name: Title | None = None
    description: Annotated[Text, StringConstraints(max_length=1_000)] | None = None
    metadata: StoreMetadata | None = None
    file_ids: Annotated[list[Text], Field(max_length=500)] | None = None
    chunking_strategy: ChunkingStrategy | None = None


class StoreUpdate(DialectRequest):
    """Other words about a vector store."""

    parameters: ClassVar[Parameters] = STORE_UPDATE

    name: Title | None = None
    metadata: StoreMetadata | None = None


class RankingOptions(RequestModel):
    """How results are ordered, and which are good enough."""

    ranker: Annotated[Text, StringConstraints(max_length=64)] = "auto"
    score_threshold: float = Field(0.0, ge=0, le=1, allow_inf_nan=False)


class StoreSearch(DialectRequest):
    """A search in one vector store."""

    parameters: ClassVar[Parameters] = STORE_SEARCH

    query: QuestionText | Annotated[list[QuestionText], Field(min_length=1, max_length=10)]
    max_num_results: int = Field(10, ge=1, le=50)
    filters: AttributeFilter = None
    ranking_options: RankingOptions = RankingOptions()
    rewrite_query: bool = False


class StoreModel(ReplyModel):
    """A collection as OpenAI's vector store; the id is its name."""

    id: str
    object: Literal["vector_store"]
    created_at: int
    name: str
    description: str
    usage_bytes: int
    file_counts: FileCounts
    status: Literal["completed", "in_progress"]
    expires_after: None
    expires_at: None
    last_active_at: int | None
    metadata: dict[str, str]


class StoreList(ReplyModel):
    """A page; the next one is behind `last_id`."""

    object: Literal["list"]
    data: list[StoreModel]
    first_id: str | None
    last_id: str | None
    has_more: bool


class ResultContent(ReplyModel):
    """The passage."""

    type: Literal["text"]
    text: str


class SearchResult(ReplyModel):
    """A passage; `ragstone` is the native source, with its place and scores."""

    file_id: str
    filename: str
    score: float
    attributes: dict[str, Attribute]
    content: list[ResultContent]
    ragstone: SourceModel


class SearchResults(ReplyModel):
    """Best first. `search_query` is what was searched."""

    object: Literal["vector_store.search_results.page"]
    search_query: list[str]
    data: list[SearchResult]
    has_more: bool
    next_page: None
    degraded: list[str]


@router.post(
    "",
    responses=openai_errors(400, 403, 404, 409, 413, 415, 422, 429, 503),
    summary="Create a vector store",
)
async def create_store(body: StoreRequest, services: Services, tenant: Tenant) -> StoreModel:
    """A collection whose name is made of the store's."""
    tokens = chunk_tokens(body.chunking_strategy)
    for file_id in body.file_ids or ():
        await services.files.get(tenant, file_id)
    collection = await _create(services, tenant, body)
    try:
        for file_id in body.file_ids or ():
            await services.files.attach(Scope(tenant, collection.name), Attachment(file_id, None, tokens))
    except RagstoneError:  # nothing half done stays, or every retry would leave another one
        await services.collections.delete_copies(tenant, collection.name)
        raise
    return await _shown(services, tenant, collection)


@router.get("", responses=openai_errors(403, 404, 422, 503), summary="List vector stores")
async def list_stores(
    services: Services,
    tenant: Tenant,
    after: Annotated[CollectionName | None, Query()] = None,
    before: Annotated[CollectionName | None, Query()] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    order: Literal["asc", "desc"] = "desc",
) -> StoreList:
    """All collections, by age."""
    beside = before if after is None else after
    is_backwards = after is None and before is not None
    found, has_more = await services.collections.beside(
        tenant, beside=beside, is_descending=(order == "desc") != is_backwards, limit=limit
    )
    data = [await _shown(services, tenant, each) for each in (found[::-1] if is_backwards else found)]
    return StoreList(
        object="list",
        data=data,
        first_id=data[0].id if data else None,
        last_id=data[-1].id if data else None,
        has_more=has_more,
    )


@router.get("/{store_id}", responses=openai_errors(403, 404, 422, 503), summary="Get a vector store")
async def get_store(store_id: StoreId, services: Services, tenant: Tenant) -> StoreModel:
    """With its files counted by state."""
    return await _shown(services, tenant, await services.collections.get(tenant, store_id))


@router.post(
    "/{store_id}",
    responses=openai_errors(400, 403, 404, 413, 415, 422, 503),
    summary="Change a vector store",
)
async def update_store(
    store_id: StoreId, body: StoreUpdate, services: Services, tenant: Tenant
) -> StoreModel:
    """Its name or metadata; the id stays."""
    patch = CollectionPatch(title=body.name, metadata=body.metadata)
    return await _shown(services, tenant, await services.collections.update(tenant, store_id, patch))


@router.delete(
    "/{store_id}", responses=openai_errors(403, 404, 409, 422, 503), summary="Delete a vector store"
)
async def delete_store(store_id: StoreId, services: Services, tenant: Tenant) -> Deleted:
    """With its copies; the files stay. One that files were uploaded to is not deleted, or they would be lost."""
    await services.collections.delete_copies(tenant, store_id)
    return Deleted(id=store_id, object="vector_store.deleted", deleted=True)


@router.post(
    "/{store_id}/search",
    responses=openai_errors(400, 403, 404, 413, 415, 422, 502, 503, 504),
    response_model=SearchResults,
    summary="Search a vector store",
)
async def search_store(
    request: Request, store_id: StoreId, body: StoreSearch, services: Services, tenant: Tenant, clock: Clock
) -> Response:
    """Passages that match, best first."""
    found = await while_connected(request, _search(Scope(tenant, store_id), body, services, clock))
    return Response(found.model_dump_json(), media_type="application/json")


async def _search(scope: Scope, body: StoreSearch, services: Container, clock: Stopwatch) -> SearchResults:
    queries = [body.query] if isinstance(body.query, str) else list(body.query)
    searches = [_search_of(scope, query, body) for query in queries]
    each_found = await services.query.search_each(searches, rewrites=body.rewrite_query, stopwatch=clock)
    best, degraded = dict[str, Source](), set[str]()
    for found in each_found:
        degraded.update(found.degraded)
        for source in found.sources:
            known = best.get(source.chunk_id)
            if known is None or known.score < source.score:
                best[source.chunk_id] = source
    ordered = sorted(best.values(), key=lambda source: -source.score)[: body.max_num_results]
    good = [source for source in ordered if source.score >= body.ranking_options.score_threshold]
    documents = await services.files.names(scope, good)
    return SearchResults(
        object="vector_store.search_results.page",
        search_query=[found.question.text for found in each_found],
        data=[_result(source, documents.get(source.document_id)) for source in good],
        has_more=False,
        next_page=None,
        degraded=sorted(degraded),
    )


def _search_of(scope: Scope, query: str, body: StoreSearch) -> Search:
    return Search(
        scope=scope,
        question=query,
        top_k=body.max_num_results,
        where=None if body.filters is None else parse_filter(native_filter(body.filters)),
        is_ranked=body.ranking_options.ranker != "none",
    )


def _result(source: Source, document: DocumentName | None) -> SearchResult:
    return SearchResult(
        file_id=source.document_id if document is None else file_id_of(document),
        filename=(document and document.filename) or source.title,
        score=source.score,
        attributes=attributes_of(source.metadata),
        content=[ResultContent(type="text", text=source.text)],
        ragstone=SourceModel.model_validate(source),
    )


async def _create(services: Container, tenant: str, body: StoreRequest) -> Collection:
    """The last of the names is nobody's."""
    *nice, hidden = _names(body.name or "")
    said = (body.description or "", body.name or "", body.metadata or {})
    for name in nice:
        with suppress(CollectionExists):
            return await services.collections.create(tenant, name, *said)
    return await services.collections.create(tenant, hidden, *said)


def _names(title: str) -> Sequence[str]:
    """Names for the collection, the nicest first: two stores may be called the same."""
    slug = _SLUG.sub("-", title.lower()).strip("-_")[:50]
    hidden = f"vs_{uuid4().hex}"
    return [slug, *(f"{slug}-{number}" for number in range(2, _TRIES)), hidden] if slug else [hidden]


async def _shown(services: Container, tenant: str, collection: Collection) -> StoreModel:
    return _store_model(collection, await services.collections.state(tenant, collection.name))


def _store_model(collection: Collection, state: CollectionState) -> StoreModel:
    return StoreModel(
        id=collection.name,
        object="vector_store",
        created_at=int(collection.created_at.timestamp()),
        name=collection.title or collection.name,
        description=collection.description,
        usage_bytes=state.bytes,
        file_counts=FileCounts.of(state),
        status="in_progress" if state.working else "completed",
        expires_after=None,
        expires_at=None,
        last_active_at=None,
        metadata=dict(collection.metadata),
    )
