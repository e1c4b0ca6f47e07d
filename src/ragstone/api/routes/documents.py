"""Documents."""

import asyncio
from typing import Annotated, Any, Literal
from urllib.parse import quote

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import FileResponse, PlainTextResponse

from ragstone.api.bodies import parse_json
from ragstone.api.deps import Cursor, IdempotencyHeader, Limit, Services, Tenant
from ragstone.api.errors import error_responses
from ragstone.api.routes.uploads import OPENAPI_BODY, upload
from ragstone.api.schemas.base import CollectionName
from ragstone.api.schemas.documents import (
    BulkDeleteReply,
    ChunkPageReply,
    ChunkReply,
    DeleteReceipt,
    DocumentPage,
    DocumentReply,
    JobReply,
    UploadManyReply,
    UploadReply,
)
from ragstone.api.schemas.error import ErrorReply
from ragstone.bootstrap import Container
from ragstone.core.errors import DocumentNotFound, InvalidCursor, InvalidFilter, MalformedBody
from ragstone.core.filters import Filter, parse_filter
from ragstone.core.models import DocumentStatus, Scope

router = APIRouter(prefix="/documents", tags=["documents"])
DocumentId = Annotated[str, Path(max_length=64, description="The document's id.")]
VersionQuery = Annotated[
    int | None, Query(ge=1, le=2**31 - 1, description="Of this version, not the visible one.")
]
MAX_FILTER_TEXT = 65_536

# Many files are answered with an item each, also where none of them was accepted.
_ITEMS = {
    "anyOf": [{"$ref": f"#/components/schemas/{model.__name__}"} for model in (ErrorReply, UploadManyReply)]
}
MANY_ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"description": reply["description"], "content": {"application/json": {"schema": _ITEMS}}}
    for status, reply in error_responses(400, 404, 409, 413, 415, 422, 429, 503).items()
} | error_responses(403)


@router.post(
    "",
    status_code=202,
    response_model=UploadReply | UploadManyReply,
    responses={
        200: {
            "model": UploadReply | UploadManyReply,
            "description": "Nothing is to do: the document is already here.",
        },
        **MANY_ERRORS,
    },
    openapi_extra={"requestBody": OPENAPI_BODY},
    summary="Upload documents",
)
async def create_documents(
    request: Request, services: Services, tenant: Tenant, idempotency_key: IdempotencyHeader = None
) -> Response:
    """One file (`file`), many (`files`), or JSON text. Acknowledged means durable; `job` tells how far it is."""
    return await upload(request, services, tenant, idempotency_key)


@router.get("", responses=error_responses(403, 404, 422, 503), summary="List documents")
async def list_documents(
    services: Services,
    tenant: Tenant,
    collection: Annotated[CollectionName, Query()] = "default",
    status: DocumentStatus | None = None,
    title: Annotated[str | None, Query(max_length=1024, description="Part of the title, any case.")] = None,
    parent_id: Annotated[
        str | None, Query(max_length=64, description="Only the parts of this document.")
    ] = None,
    filter: Annotated[str | None, Query(description="A filter as URL-encoded JSON.")] = None,  # noqa: A002
    sort: Literal["created_at", "-created_at", "title"] = "-created_at",
    limit: Limit = 50,
    cursor: Cursor = None,
) -> DocumentPage:
    """Newest first unless sorted otherwise."""
    page = await services.documents.list(
        Scope(tenant, collection),
        status=status,
        title=title,
        parent_id=parent_id,
        where=filter_of(filter),
        sort=sort,
        limit=limit,
        cursor=cursor,
    )
    return DocumentPage.model_validate(page)


@router.get("/{document_id}", responses=error_responses(403, 404, 422, 503), summary="Get a document")
async def get_document(document_id: DocumentId, services: Services, tenant: Tenant) -> DocumentReply:
    """Its state, and what is pending behind it."""
    return DocumentReply.model_validate(await services.documents.get(tenant, document_id))


@router.get(
    "/{document_id}/content",
    response_class=FileResponse,
    responses={
        200: {"content": {"application/octet-stream": {}}, "description": "The original bytes."},
        **error_responses(403, 404, 422, 503),
    },
    summary="Download the original",
)
async def get_content(
    document_id: DocumentId, services: Services, tenant: Tenant, version: VersionQuery = None
) -> Response:
    """Always an attachment of a neutral type: nothing that was uploaded runs in a browser."""
    return await original_of(services, tenant, document_id, version)


async def original_of(
    services: Container, tenant: str, document_id: str, version: int | None = None
) -> Response:
    """The bytes of a document, as a reply. Raises DocumentNotFound, VersionNotFound, BlobMissing."""
    found, path = await services.documents.content(tenant, document_id, version)
    name = found.filename or f"{document_id}.txt"
    try:
        status = await asyncio.to_thread(path.stat)
    except FileNotFoundError as error:  # deleted in between
        raise DocumentNotFound(f"there is no document {document_id}") from error
    return FileResponse(
        path,
        stat_result=status,
        media_type="application/octet-stream",
        headers={
            "Content-Disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}",
            "Content-Security-Policy": "default-src 'none'; sandbox",
        },
    )


@router.get(
    "/{document_id}/text",
    response_class=Response,
    responses={
        200: {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "UTF-8."},
        **error_responses(403, 404, 422, 503),
    },
    summary="Get the extracted text",
)
async def get_text(
    document_id: DocumentId, services: Services, tenant: Tenant, version: VersionQuery = None
) -> PlainTextResponse:
    """The text that all offsets refer to; empty while the document was not parsed yet."""
    return PlainTextResponse(await services.documents.text(tenant, document_id, version))


@router.get("/{document_id}/chunks", responses=error_responses(403, 404, 422, 503), summary="List the chunks")
async def list_chunks(
    document_id: DocumentId, services: Services, tenant: Tenant, limit: Limit = 50, cursor: Cursor = None
) -> ChunkPageReply:
    """Of the visible version, in reading order."""
    page = await services.documents.chunks(tenant, document_id, first=_first_chunk(cursor), limit=limit)
    items = [ChunkReply.model_validate({**point.payload, "id": point.id}) for point in page.points]
    return ChunkPageReply(items=items, next_cursor=None if page.next_index is None else str(page.next_index))


@router.delete(
    "/{document_id}",
    response_model=DeleteReceipt,
    responses={
        202: {"model": DeleteReceipt, "description": "Invisible already; the purge goes on as `job`."},
        **error_responses(403, 404, 422, 503),
    },
    summary="Delete a document",
)
async def delete_document(document_id: DocumentId, services: Services, tenant: Tenant) -> Response:
    """Works in every state; invisible at once. The receipt says what went."""
    receipt = await services.documents.delete(tenant, document_id)
    reply = DeleteReceipt.model_validate(receipt)
    status = 200 if receipt.verified_absent else 202
    return Response(reply.model_dump_json(), status_code=status, media_type="application/json")


@router.delete(
    "",
    status_code=202,
    response_model=BulkDeleteReply,
    responses={
        200: {"model": BulkDeleteReply, "description": "A dry run, or nothing is to do."},
        **error_responses(403, 404, 422, 503),
    },
    summary="Delete documents by filter",
)
async def delete_documents(
    services: Services,
    tenant: Tenant,
    filter: Annotated[str, Query(description="A filter as URL-encoded JSON.")],  # noqa: A002
    collection: Annotated[CollectionName, Query()] = "default",
    *,
    dry_run: Annotated[bool, Query(description="Only count them.")] = False,
) -> Response:
    """All that pass are invisible at once, with all that is inside them; the job purges them."""
    scope, where = Scope(tenant, collection), filter_of(filter)
    assert where is not None  # a filter is required
    if dry_run:
        documents, job = await services.documents.count_matching(scope, where), None
    else:
        job = await services.documents.delete_matching(scope, where)
        documents = 0 if job is None else job.progress.total
    shown = None if job is None else JobReply.model_validate(job)
    reply = BulkDeleteReply(documents=documents, dry_run=dry_run, job=shown)
    status = 200 if job is None else 202
    return Response(reply.model_dump_json(), status_code=status, media_type="application/json")


def filter_of(raw: str | None) -> Filter | None:
    """A filter in a URL. Raises InvalidFilter."""
    if raw is None:
        return None
    if len(raw) > MAX_FILTER_TEXT:
        raise InvalidFilter(f"the filter has more than {MAX_FILTER_TEXT} characters")
    try:
        return parse_filter(parse_json(raw.encode("utf-8", "replace")))
    except MalformedBody as error:
        raise InvalidFilter("the filter is not JSON") from error


def _first_chunk(cursor: str | None) -> int:
    if cursor is None:
        return 0
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) < 10):
        raise InvalidCursor("this cursor was not issued by this list")
    return int(cursor)
