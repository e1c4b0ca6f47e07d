"""Changes of a document that is already here."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response

from ragstone.api.bodies import JsonRoute
from ragstone.api.deps import IdempotencyHeader, Services, Tenant
from ragstone.api.errors import error_responses
from ragstone.api.routes.documents import DocumentId
from ragstone.api.routes.uploads import CONTENT_BODY, accepted, replace_content
from ragstone.api.schemas.documents import DocumentPatchModel, DocumentReply, UploadReply, VersionList
from ragstone.core.models import DocumentPatch, Unset

router = APIRouter(prefix="/documents/{document_id}", tags=["documents"])
json_router = APIRouter(prefix="/documents/{document_id}", tags=["documents"], route_class=JsonRoute)

NOTHING_TO_DO: dict[int | str, dict[str, Any]] = {
    200: {"model": UploadReply, "description": "Nothing is to do: these are its bytes already."}
}


@router.put(
    "",
    status_code=202,
    response_model=UploadReply,
    responses={**NOTHING_TO_DO, **error_responses(400, 403, 404, 409, 413, 415, 422, 429, 503)},
    openapi_extra={"requestBody": CONTENT_BODY},
    summary="Replace a document's content",
)
async def put_document(
    document_id: DocumentId,
    request: Request,
    services: Services,
    tenant: Tenant,
    idempotency_key: IdempotencyHeader = None,
) -> Response:
    """A file or JSON text as a new version. The old one answers until all of the new one is stored."""
    return await replace_content(request, services, tenant, document_id, idempotency_key)


@json_router.patch(
    "",
    responses=error_responses(400, 403, 404, 413, 415, 422, 503),
    summary="Change what is said of a document",
)
async def patch_document(
    document_id: DocumentId, body: DocumentPatchModel, services: Services, tenant: Tenant
) -> DocumentReply:
    """Title, metadata and expiry, as a merge patch. Nothing is embedded again."""
    given = body.model_fields_set
    patch = DocumentPatch(
        title=body.title if "title" in given else Unset.UNSET,
        metadata=body.metadata if "metadata" in given else Unset.UNSET,
        expires_at=body.expires_at if "expires_at" in given else Unset.UNSET,
    )
    return DocumentReply.model_validate(await services.changes.update(tenant, document_id, patch))


@router.get("/versions", responses=error_responses(403, 404, 422, 503), summary="List the versions")
async def list_versions(document_id: DocumentId, services: Services, tenant: Tenant) -> VersionList:
    """All that are kept, newest first: their bytes and texts can be had with `?version=`."""
    items = await services.documents.versions(tenant, document_id)
    return VersionList.model_validate({"items": items})


@router.post(
    "/versions/{version}/restore",
    status_code=202,
    response_model=UploadReply,
    responses={**NOTHING_TO_DO, **error_responses(403, 404, 409, 422, 429, 503)},
    summary="Restore a version",
)
async def restore_version(
    document_id: DocumentId,
    version: Annotated[int, Path(ge=1, le=2**31 - 1)],
    services: Services,
    tenant: Tenant,
) -> Response:
    """Its bytes as a new version; the visible one answers until the switch."""
    return accepted(await services.changes.restore(tenant, document_id, version))


@router.post(
    "/reindex",
    status_code=202,
    responses=error_responses(403, 404, 409, 422, 429, 503),
    summary="Re-index a document",
)
async def reindex_document(document_id: DocumentId, services: Services, tenant: Tenant) -> UploadReply:
    """Parse, chunk and embed the stored bytes again, as a new version; the old one answers until the switch."""
    return UploadReply.model_validate(await services.changes.reindex(tenant, document_id))
