"""Files of a vector store and batches of them, in OpenAI's words, and what of a document they tell."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field, model_validator

from ragstone.api.openai.base import DialectRequest
from ragstone.api.openai.parameters import STORE_BATCH, STORE_FILE, Parameters
from ragstone.api.schemas.base import ReplyModel, RequestModel, Text
from ragstone.api.schemas.documents import check_metadata
from ragstone.core.models import CollectionState, Document, DocumentStatus, Metadata
from ragstone.services.files import Attachment, Batch, file_id_of

Filter = Literal["in_progress", "completed", "failed", "cancelled"]
Attribute = str | bool | int | float
MOST_FILES = 500

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


def batch_model(batch: Batch) -> FileBatch:
    """How far a batch is."""
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


def file_list(data: list[StoreFile], *, has_more: bool) -> StoreFileList:
    """A page of files."""
    return StoreFileList(
        object="list",
        data=data,
        first_id=data[0].id if data else None,
        last_id=data[-1].id if data else None,
        has_more=has_more,
    )
