"""`/v1/vector_stores/{id}/files` and `/file_batches`: documents of a collection as its files."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, ClassVar, Literal

from fastapi import APIRouter, Path, Query, Response
from pydantic import AfterValidator, Field, model_validator

from ragstone.api.bodies import JsonRoute
from ragstone.api.deps import Services, Tenant
from ragstone.api.openai.base import Deleted, DialectRequest
from ragstone.api.openai.errors import openai_errors
from ragstone.api.openai.parameters import STORE_BATCH, STORE_FILE, Parameters
from ragstone.api.schemas.base import CollectionName, ReplyModel, RequestModel, Text
from ragstone.api.schemas.documents import check_metadata
from ragstone.core.errors import DocumentNotFound
from ragstone.core.models import CollectionState, Document, DocumentStatus, Metadata, Scope
from ragstone.services.files import Attachment, Batch, file_id_of

router = APIRouter(prefix="/v1/vector_stores/{store_id}", tags=["OpenAI's dialect"], route_class=JsonRoute)
StoreId = Annotated[CollectionName, Path(description="The collection's name.")]
FileId = Annotated[str, Path(max_length=64, description="The file's id.")]
BatchId = Annotated[str, Path(max_length=64, description="The batch's id.")]
Filter = Literal["in_progress", "completed", "failed", "cancelled"]
Before = Annotated[str | None, Query(max_length=64, description="The page before this file.")]
After = Annotated[str | None, Query(max_length=64, description="The page behind this file.")]
PageLimit = Annotated[int, Query(ge=1, le=100)]
Attribute = str | bool | int | float
MOST_FILES = 500
POLL_AFTER_MS, POLL_AFTER_MS_A_FILE = 100, 5
"""What the official SDK is told to wait before it looks again: most documents take less than a second."""
_UNSUPPORTED = frozenset({"unsupported_media_type", "legacy_format"})
_INVALID = frozenset(
    {"no_text", "parse_failed", "parse_limit", "encrypted", "unsafe_archive", "unsafe_xml", "poison"}
)
_IN_WORK = (DocumentStatus.QUEUED, DocumentStatus.PROCESSING)


class StaticChunking(RequestModel):
    """Chunks of at most so many tokens; there is no overlap."""

    max_chunk_size_tokens: int = Field(ge=100, le=4_096)
    chunk_overlap_tokens: int = Field(0, ge=0, le=2_048)

    @model_validator(mode="after")
    def _overlaps_by_half(self) -> "StaticChunking":
        if self.chunk_overlap_tokens * 2 > self.max_chunk_size_tokens:
            raise ValueError("chunk_overlap_tokens is at most half of max_chunk_size_tokens")
        return self


class ChunkingStrategy(RequestModel):
    """`auto`, or `static` with a size."""

    type: Literal["auto", "static"]
    static: StaticChunking | None = None

    @model_validator(mode="after")
    def _says_how(self) -> "ChunkingStrategy":
        if (self.type == "static") != (self.static is not None):
            raise ValueError("a static strategy has static, an automatic one has not")
        return self


def _attributes(value: dict[str, Any]) -> dict[str, Any]:
    for key, item in value.items():
        if len(key) > 64 or (isinstance(item, str) and len(item) > 512):
            raise ValueError("attributes have keys of at most 64 characters and texts of at most 512")
    return check_metadata(value)


Attributes = Annotated[
    dict[str, Text | bool | int | float], Field(max_length=16), AfterValidator(_attributes)
]


class FileRequest(DialectRequest):
    """A file to be attached."""

    parameters: ClassVar[Parameters] = STORE_FILE

    file_id: Annotated[Text, Field(min_length=1, max_length=64)]
    attributes: Attributes | None = None
    chunking_strategy: ChunkingStrategy | None = None

    @property
    def attachment(self) -> Attachment:
        """What is to be attached, and how."""
        return Attachment(self.file_id, self.attributes, chunk_tokens(self.chunking_strategy))


class BatchRequest(DialectRequest):
    """Files to be attached together: `file_ids`, or `files` with words of their own."""

    parameters: ClassVar[Parameters] = STORE_BATCH

    file_ids: Annotated[list[Text], Field(min_length=1, max_length=MOST_FILES)] | None = None
    files: Annotated[list[FileRequest], Field(min_length=1, max_length=MOST_FILES)] | None = None
    attributes: Attributes | None = None
    chunking_strategy: ChunkingStrategy | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> "BatchRequest":
        if (self.file_ids is None) == (self.files is None):
            raise ValueError("send file_ids or files")
        return self

    @property
    def attachments(self) -> list[Attachment]:
        """Each file once."""
        tokens = chunk_tokens(self.chunking_strategy)
        wanted = (
            [Attachment(file_id, self.attributes, tokens) for file_id in self.file_ids]
            if self.file_ids is not None
            else [each.attachment for each in self.files or ()]
        )
        return list({each.file_id: each for each in wanted}.values())


class AttributesRequest(RequestModel):
    """Attributes in place of those that are there."""

    attributes: Attributes | None


class LastError(ReplyModel):
    """Why a file failed; the message begins with the native code."""

    code: Literal["server_error", "unsupported_file", "invalid_file"]
    message: str


class StoreFile(ReplyModel):
    """A file of a vector store; `document_id` is the native id of what is searched there."""

    id: str
    object: Literal["vector_store.file"]
    created_at: int
    vector_store_id: str
    status: Filter
    last_error: LastError | None
    usage_bytes: int
    attributes: dict[str, Attribute]
    chunking_strategy: dict[str, Any]
    document_id: str


class StoreFileList(ReplyModel):
    """A page; the next one is behind `last_id`."""

    object: Literal["list"]
    data: list[StoreFile]
    first_id: str | None
    last_id: str | None
    has_more: bool


class FileCounts(ReplyModel):
    """Files by state."""

    in_progress: int
    completed: int
    failed: int
    cancelled: int
    total: int

    @classmethod
    def of(cls, state: CollectionState) -> "FileCounts":
        """Of a whole collection."""
        total = state.working + state.ready + state.failed + state.cancelled
        return cls(
            in_progress=state.working,
            completed=state.ready,
            failed=state.failed,
            cancelled=state.cancelled,
            total=total,
        )

    @classmethod
    def of_files(cls, documents: Iterable[Document]) -> "FileCounts":
        """Of these."""
        counts = Counter(status_of(document) for document in documents)
        return cls(**{name: counts[name] for name in _STATES}, total=counts.total())


_STATES: tuple[Filter, ...] = ("in_progress", "completed", "failed", "cancelled")


class FileBatch(ReplyModel):
    """Files that were attached together."""

    id: str
    object: Literal["vector_store.files_batch"]
    created_at: int
    vector_store_id: str
    status: Filter
    file_counts: FileCounts


class ContentPart(ReplyModel):
    """A text."""

    type: Literal["text"]
    text: str


class FileContent(ReplyModel):
    """The text that was read out of a file."""

    object: Literal["vector_store.file_content.page"]
    data: list[ContentPart]
    has_more: bool
    next_page: None


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
    return _file_list([store_file(document) for document in shown], has_more=has_more)


@router.get(
    "/files/{file_id}", responses=openai_errors(403, 404, 422, 503), summary="Get a vector store's file"
)
async def get_file(
    store_id: StoreId, file_id: FileId, services: Services, tenant: Tenant, response: Response
) -> StoreFile:
    """Its state there."""
    file = store_file(await services.files.attached(Scope(tenant, store_id), file_id))
    _say_when_to_poll(response, file.status)
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


@router.post(
    "/file_batches",
    responses=openai_errors(400, 403, 404, 413, 415, 422, 429, 503),
    summary="Attach many files",
)
async def create_batch(
    store_id: StoreId, body: BatchRequest, services: Services, tenant: Tenant
) -> FileBatch:
    """All of them, or none where one is unknown."""
    return _batch_model(await services.files.attach_batch(Scope(tenant, store_id), body.attachments))


@router.get("/file_batches/{batch_id}", responses=openai_errors(403, 404, 422, 503), summary="Get a batch")
async def get_batch(
    store_id: StoreId, batch_id: BatchId, services: Services, tenant: Tenant, response: Response
) -> FileBatch:
    """As it stands now."""
    batch = _batch_model(await services.files.batch(Scope(tenant, store_id), batch_id))
    _say_when_to_poll(response, batch.status, files=batch.file_counts.total)
    return batch


@router.post(
    "/file_batches/{batch_id}/cancel",
    responses=openai_errors(403, 404, 422, 503),
    summary="Cancel a batch",
)
async def cancel_batch(store_id: StoreId, batch_id: BatchId, services: Services, tenant: Tenant) -> FileBatch:
    """What of it is not ready yet."""
    return _batch_model(await services.files.cancel_batch(Scope(tenant, store_id), batch_id))


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
    return _file_list([store_file(document) for document in page], has_more=len(found) > limit)


def chunk_tokens(strategy: ChunkingStrategy | None) -> int | None:
    """The most that a chunk may have; None as the server is made."""
    return strategy.static.max_chunk_size_tokens if strategy is not None and strategy.static else None


def store_file(document: Document) -> StoreFile:
    """A document in OpenAI's words."""
    size = document.chunk_tokens
    static = {"max_chunk_size_tokens": size, "chunk_overlap_tokens": 0}
    return StoreFile(
        id=file_id_of(document),
        object="vector_store.file",
        created_at=int(document.created_at.timestamp()),
        vector_store_id=document.collection,
        status=status_of(document),
        last_error=_last_error(document),
        usage_bytes=document.bytes,
        attributes=attributes_of(document.metadata),
        chunking_strategy={"type": "other"} if size is None else {"type": "static", "static": static},
        document_id=document.id,
    )


def status_of(document: Document) -> Filter:
    """`cancelled` is a failure of its own; an archive is complete when what is inside of it was read."""
    if document.status is DocumentStatus.READY:
        is_whole = all(child.status not in _IN_WORK for child in document.children)
        return "completed" if is_whole else "in_progress"
    if document.status is not DocumentStatus.FAILED:
        return "in_progress"
    return "cancelled" if document.error is not None and document.error.code == "cancelled" else "failed"


def attributes_of(metadata: Metadata | Mapping[str, Any]) -> dict[str, Attribute]:
    """What of a document's metadata OpenAI's attributes can hold: no lists, no nulls."""
    return {key: value for key, value in metadata.items() if isinstance(value, str | bool | int | float)}


def _last_error(document: Document) -> LastError | None:
    if document.error is None or status_of(document) != "failed":
        return None
    code, message = document.error.code, f"{document.error.code}: {document.error.message}"
    if code in _UNSUPPORTED:
        return LastError(code="unsupported_file", message=message)
    return LastError(code="invalid_file" if code in _INVALID else "server_error", message=message)


def _batch_model(batch: Batch) -> FileBatch:
    counts = FileCounts.of_files(batch.files)
    status: Filter = "completed"
    if counts.in_progress:
        status = "in_progress"
    elif counts.cancelled:
        status = "cancelled"
    elif counts.total and counts.failed == counts.total:
        status = "failed"
    return FileBatch(
        id=batch.id,
        object="vector_store.files_batch",
        created_at=int(batch.created_at),
        vector_store_id=batch.collection,
        status=status,
        file_counts=counts,
    )


def _file_list(data: list[StoreFile], *, has_more: bool) -> StoreFileList:
    return StoreFileList(
        object="list",
        data=data,
        first_id=data[0].id if data else None,
        last_id=data[-1].id if data else None,
        has_more=has_more,
    )


def _say_when_to_poll(response: Response, status: str, *, files: int = 1) -> None:
    if status == "in_progress":
        response.headers["openai-poll-after-ms"] = str(max(POLL_AFTER_MS, POLL_AFTER_MS_A_FILE * files))
