"""`/v1/files`: documents as files."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import FileResponse
from pydantic import Field
from starlette.datastructures import UploadFile

from ragstone.api.bodies import media_type
from ragstone.api.deps import Services, Tenant
from ragstone.api.openai.base import Deleted
from ragstone.api.openai.citations import filename_of
from ragstone.api.openai.errors import openai_errors
from ragstone.api.openai.parameters import unsupported
from ragstone.api.routes.documents import original_of
from ragstone.api.routes.uploads import form_of, received_file, validated
from ragstone.api.schemas.base import ReplyModel, RequestModel
from ragstone.core.errors import InvalidRequest, UnsupportedMediaType
from ragstone.core.models import Document, DocumentStatus
from ragstone.services.files import file_id_of

router = APIRouter(prefix="/v1/files", tags=["OpenAI's dialect"])
FileId = Annotated[str, Path(max_length=64, description="The file's id, which is a document's.")]
MOST_ON_A_PAGE = 200
PURPOSES = ("assistants", "user_data")
_STATUS = {DocumentStatus.READY: "processed", DocumentStatus.FAILED: "error"}
_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["file", "purpose"],
                "properties": {
                    "file": {"type": "string", "format": "binary"},
                    "purpose": {"type": "string", "enum": list(PURPOSES)},
                    "expires_after[anchor]": {"type": "string", "const": "created_at"},
                    "expires_after[seconds]": {"type": "string", "pattern": "^[0-9]{4,7}$"},
                },
                "additionalProperties": False,
            }
        }
    },
}


class FileForm(RequestModel):
    """The fields beside the file, as OpenAI's SDK spells them in a form."""

    purpose: str
    anchor: Literal["created_at"] | None = Field(None, alias="expires_after[anchor]")
    seconds: Annotated[int, Field(ge=3_600, le=2_592_000, strict=False)] | None = Field(
        None, alias="expires_after[seconds]"
    )


class FileModel(ReplyModel):
    """A document as OpenAI's file. `collection` and `source` are the native ones."""

    id: str
    object: Literal["file"]
    bytes: int
    created_at: int
    expires_at: int | None
    filename: str
    purpose: str
    status: Literal["uploaded", "processed", "error"]
    status_details: str | None
    collection: str
    source: str | None


class FileList(ReplyModel):
    """A page; the next one is behind `last_id`."""

    object: Literal["list"]
    data: list[FileModel]
    first_id: str | None
    last_id: str | None
    has_more: bool


@router.post(
    "",
    responses=openai_errors(400, 403, 408, 413, 415, 422, 429, 503),
    openapi_extra={"requestBody": _BODY},
    summary="Upload a file",
)
async def create_file(request: Request, services: Services, tenant: Tenant) -> FileModel:
    """A document of the collection `default`, on disk when this returns. The same name and bytes again are the same
    file, so that a repeated request makes nothing twice."""
    if media_type(request) != "multipart/form-data":
        raise UnsupportedMediaType("send multipart/form-data with a file")
    async with form_of(request) as form:
        texts = {name: value for name, value in form.multi_items() if isinstance(value, str)}
        fields = validated(FileForm, texts)
        _check_purpose(fields.purpose)
        parts = [part for _, part in form.multi_items() if isinstance(part, UploadFile)]
        if len(parts) != 1 or not isinstance(form.get("file"), UploadFile):
            raise InvalidRequest("send exactly one part `file`")
        async with received_file(parts[0], services) as file:
            document = await services.files.upload(
                file, tenant_id=tenant, label=_label(fields.purpose), expires_at=_expires_at(fields.seconds)
            )
    return file_model(document)


@router.get("", responses=openai_errors(403, 404, 422, 503), summary="List files")
async def list_files(
    services: Services,
    tenant: Tenant,
    after: Annotated[str | None, Query(max_length=64)] = None,
    limit: Annotated[int, Query(ge=1, le=10_000, description="A page has at most 200.")] = MOST_ON_A_PAGE,
    order: Literal["asc", "desc"] = "desc",
    purpose: Annotated[str | None, Query(max_length=64)] = None,
) -> FileList:
    """Documents of all collections, without copies that were attached."""
    found, has_more = await services.files.uploaded(
        tenant,
        after=after,
        is_descending=order == "desc",
        limit=min(limit, MOST_ON_A_PAGE),
        passes=lambda document: purpose in (None, purpose_of(document)),
    )
    data = [file_model(document) for document in found]
    return FileList(
        object="list",
        data=data,
        first_id=data[0].id if data else None,
        last_id=data[-1].id if data else None,
        has_more=has_more,
    )


@router.get("/{file_id}", responses=openai_errors(403, 404, 422, 503), summary="Get a file")
async def get_file(file_id: FileId, services: Services, tenant: Tenant) -> FileModel:
    """What is known of it."""
    return file_model(await services.files.get(tenant, file_id))


@router.get(
    "/{file_id}/content",
    response_class=FileResponse,
    responses={
        200: {"content": {"application/octet-stream": {}}, "description": "The original bytes."},
        **openai_errors(403, 404, 422, 503),
    },
    summary="Download a file",
)
async def get_file_content(file_id: FileId, services: Services, tenant: Tenant) -> Response:
    """Always an attachment of a neutral type."""
    document = await services.files.get(tenant, file_id)
    return await original_of(services, tenant, document.id)


@router.delete("/{file_id}", responses=openai_errors(403, 404, 422, 503), summary="Delete a file")
async def delete_file(file_id: FileId, services: Services, tenant: Tenant) -> Deleted:
    """With every copy that was attached to a vector store; none of it is seen again."""
    await services.files.delete(tenant, file_id)
    return Deleted(id=file_id, object="file", deleted=True)


def file_model(document: Document) -> FileModel:
    """A document in OpenAI's words."""
    expires_at = document.expires_at
    return FileModel(
        id=file_id_of(document),
        object="file",
        bytes=document.bytes,
        created_at=int(document.created_at.timestamp()),
        expires_at=None if expires_at is None else int(expires_at.timestamp()),
        filename=filename_of(document),
        purpose=purpose_of(document),
        status=_STATUS.get(document.status, "uploaded"),
        status_details=None if document.error is None else f"{document.error.code}: {document.error.message}",
        collection=document.collection,
        source=document.source,
    )


def purpose_of(document: Document) -> str:
    """What was said at the upload; a document that came another way is there to be asked."""
    source = document.source or ""
    return next((each for each in PURPOSES if source.startswith(f"{_label(each)}:")), PURPOSES[0])


def _expires_at(seconds: int | None) -> datetime | None:
    """Counted from now, also where the file is there already."""
    return None if seconds is None else datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=seconds)


def _label(purpose: str) -> str:
    return f"openai:{purpose}"


def _check_purpose(purpose: str) -> None:
    if purpose not in PURPOSES:
        raise unsupported(
            "purpose", f"files are kept for {' and '.join(PURPOSES)} only, not for {purpose[:64]!r}"
        )
