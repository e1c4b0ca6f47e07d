"""`/v1/vector_stores/{id}/file_batches`: files that are attached together."""

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Response

from ragstone.api.bodies import JsonRoute
from ragstone.api.deps import Services, Tenant
from ragstone.api.openai.errors import openai_errors
from ragstone.api.openai.store_file_models import (
    BatchRequest,
    FileBatch,
    Filter,
    StoreFileList,
    batch_model,
    file_list,
    status_of,
    store_file,
)
from ragstone.api.openai.vector_store_files import After, Before, PageLimit, StoreId, say_when_to_poll
from ragstone.core.errors import DocumentNotFound
from ragstone.core.models import Scope
from ragstone.services.files import file_id_of

router = APIRouter(prefix="/v1/vector_stores/{store_id}", tags=["OpenAI's dialect"], route_class=JsonRoute)
BatchId = Annotated[str, Path(max_length=64, description="The batch's id.")]


@router.post(
    "/file_batches",
    responses=openai_errors(400, 403, 404, 413, 415, 422, 429, 503),
    summary="Attach many files",
)
async def create_batch(
    store_id: StoreId, body: BatchRequest, services: Services, tenant: Tenant
) -> FileBatch:
    """All of them, or none where one is unknown."""
    return batch_model(await services.files.attach_batch(Scope(tenant, store_id), body.attachments))


@router.get("/file_batches/{batch_id}", responses=openai_errors(403, 404, 422, 503), summary="Get a batch")
async def get_batch(
    store_id: StoreId, batch_id: BatchId, services: Services, tenant: Tenant, response: Response
) -> FileBatch:
    """As it stands now."""
    batch = batch_model(await services.files.batch(Scope(tenant, store_id), batch_id))
    say_when_to_poll(response, batch.status, files=batch.file_counts.total)
    return batch


@router.post(
    "/file_batches/{batch_id}/cancel",
    responses=openai_errors(403, 404, 422, 503),
    summary="Cancel a batch",
)
async def cancel_batch(store_id: StoreId, batch_id: BatchId, services: Services, tenant: Tenant) -> FileBatch:
    """What of it is not ready yet."""
    return batch_model(await services.files.cancel_batch(Scope(tenant, store_id), batch_id))


@router.get(
    "/file_batches/{batch_id}/files",
    responses=openai_errors(403, 404, 422, 503),
    summary="List a batch's files",
)
async def list_batch_files(
    store_id: StoreId,
    batch_id: BatchId,
    services: Services,
    tenant: Tenant,
    after: After = None,
    before: Before = None,
    filter: Filter | None = None,  # noqa: A002
    limit: PageLimit = 20,
    order: Literal["asc", "desc"] = "desc",
) -> StoreFileList:
    """By age."""
    batch = await services.files.batch(Scope(tenant, store_id), batch_id)
    documents = batch.files if order == "asc" else batch.files[::-1]
    ids = [file_id_of(document) for document in documents]
    for beside in (after, before):
        if beside is not None and beside not in ids:
            raise DocumentNotFound(f"the file {beside!r} is not of this batch, or was deleted")
    start = 0 if after is None else ids.index(after) + 1
    stop = len(ids) if before is None else ids.index(before)
    found = [each for each in documents[start:stop] if filter in (None, status_of(each))]
    is_backwards = after is None and before is not None
    page = found[-limit:] if is_backwards else found[:limit]
    return file_list([store_file(document) for document in page], has_more=len(found) > limit)
