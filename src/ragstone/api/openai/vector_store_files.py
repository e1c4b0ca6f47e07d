"""`/v1/vector_stores/{id}/files`: documents of a collection as its files."""

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Response

from ragstone.api.bodies import JsonRoute
from ragstone.api.deps import Services, Tenant
from ragstone.api.openai.base import Deleted
from ragstone.api.openai.errors import openai_errors
from ragstone.api.openai.store_file_models import (
    AttributesRequest,
    ContentPart,
    FileContent,
    FileRequest,
    Filter,
    StoreFile,
    StoreFileList,
    file_list,
    status_of,
    store_file,
)
from ragstone.api.schemas.base import CollectionName
from ragstone.core.models import Scope

router = APIRouter(prefix="/v1/vector_stores/{store_id}", tags=["OpenAI's dialect"], route_class=JsonRoute)
StoreId = Annotated[CollectionName, Path(description="The collection's name.")]
FileId = Annotated[str, Path(max_length=64, description="The file's id.")]
Before = Annotated[str | None, Query(max_length=64, description="The page before this file.")]
After = Annotated[str | None, Query(max_length=64, description="The page behind this file.")]
PageLimit = Annotated[int, Query(ge=1, le=100)]
POLL_AFTER_MS, POLL_AFTER_MS_A_FILE = 100, 5
"""What the official SDK is told to wait before it looks again: most documents take less than a second."""


@router.post(
    "/files",
    responses=openai_errors(400, 403, 404, 413, 415, 422, 429, 503),
    summary="Attach a file",
)
async def attach_file(store_id: StoreId, body: FileRequest, services: Services, tenant: Tenant) -> StoreFile:
    """It is searched once its status is `completed`. Attaching it again changes nothing but attributes."""
    return store_file(await services.files.attach(Scope(tenant, store_id), body.attachment))


@router.get("/files", responses=openai_errors(403, 404, 422, 503), summary="List a vector store's files")
async def list_files(
    store_id: StoreId,
    services: Services,
    tenant: Tenant,
    after: After = None,
    before: Before = None,
    filter: Filter | None = None,  # noqa: A002
    limit: PageLimit = 20,
    order: Literal["asc", "desc"] = "desc",
) -> StoreFileList:
    """By age, with every document of the collection, however it came there."""
    found, has_more = await services.files.list_attached(
        Scope(tenant, store_id),
        passes=lambda document: filter in (None, status_of(document)),
        beside=before if after is None else after,
        is_descending=(order == "desc") == (after is not None or before is None),
        limit=limit,
    )
    shown = found if after is not None or before is None else found[::-1]
    return file_list([store_file(document) for document in shown], has_more=has_more)


@router.get(
    "/files/{file_id}", responses=openai_errors(403, 404, 422, 503), summary="Get a vector store's file"
)
async def get_file(
    store_id: StoreId, file_id: FileId, services: Services, tenant: Tenant, response: Response
) -> StoreFile:
    """Its state there."""
    file = store_file(await services.files.attached(Scope(tenant, store_id), file_id))
    say_when_to_poll(response, file.status)
    return file


@router.post(
    "/files/{file_id}",
    responses=openai_errors(400, 403, 404, 413, 415, 422, 503),
    summary="Change a file's attributes",
)
async def update_file(
    store_id: StoreId, file_id: FileId, body: AttributesRequest, services: Services, tenant: Tenant
) -> StoreFile:
    """All of them; nothing is embedded again."""
    scope = Scope(tenant, store_id)
    return store_file(await services.files.change_attributes(scope, file_id, body.attributes or {}))


@router.delete("/files/{file_id}", responses=openai_errors(403, 404, 409, 422, 503), summary="Detach a file")
async def detach_file(store_id: StoreId, file_id: FileId, services: Services, tenant: Tenant) -> Deleted:
    """The file itself stays. Where it was uploaded to this collection it is not taken out, or it would be lost."""
    await services.files.detach(Scope(tenant, store_id), file_id)
    return Deleted(id=file_id, object="vector_store.file.deleted", deleted=True)


@router.get(
    "/files/{file_id}/content", responses=openai_errors(403, 404, 422, 503), summary="Get a file's text"
)
async def get_file_text(
    store_id: StoreId, file_id: FileId, services: Services, tenant: Tenant
) -> FileContent:
    """The text that was read out of it."""
    document = await services.files.attached(Scope(tenant, store_id), file_id)
    text = await services.documents.text(tenant, document.id)
    data = [ContentPart(type="text", text=text)] if text else []
    return FileContent(object="vector_store.file_content.page", data=data, has_more=False, next_page=None)


def say_when_to_poll(response: Response, status: str, *, files: int = 1) -> None:
    """In the header that the official SDK heeds."""
    if status == "in_progress":
        response.headers["openai-poll-after-ms"] = str(max(POLL_AFTER_MS, POLL_AFTER_MS_A_FILE * files))
