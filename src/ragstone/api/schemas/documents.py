"""Documents, chunks, jobs, collections: requests and replies."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints

from ragstone.api.schemas.base import CollectionName, Moment, Name, ReplyModel, RequestModel, Text, Time
from ragstone.api.schemas.query import LocationModel
from ragstone.core.models import MAX_METADATA_KEYS

MAX_METADATA_KEY = 256
MAX_METADATA_TEXT = 8_192
MAX_METADATA_LIST = 256
MAX_EXACT_INTEGER = 2**53


def check_metadata(value: dict[str, Any]) -> dict[str, Any]:
    """A flat object: scalars or lists of scalars, within bounds that filters can compare exactly."""
    if len(value) > MAX_METADATA_KEYS:
        raise ValueError(f"metadata has at most {MAX_METADATA_KEYS} keys")
    for key, item in value.items():
        if not key:
            raise ValueError("a metadata key is not empty")
        _check_text(key, MAX_METADATA_KEY)
        parts = item if isinstance(item, list) else [item]
        if len(parts) > MAX_METADATA_LIST:
            raise ValueError(f"a metadata list has at most {MAX_METADATA_LIST} values")
        for part in parts:
            _check_scalar(part)
    return value


def _check_scalar(value: object) -> None:
    if isinstance(value, str):
        _check_text(value, MAX_METADATA_TEXT)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        if not abs(value) <= MAX_EXACT_INTEGER:  # NaN included
            raise ValueError("metadata numbers lie between -2^53 and 2^53")
    elif value is not None and not isinstance(value, bool):
        raise ValueError("metadata values are strings, numbers, booleans, null, or lists of these")


def _check_text(value: str, most: int) -> None:
    if len(value) > most:
        raise ValueError(
            f"metadata texts have at most {MAX_METADATA_TEXT} characters, keys {MAX_METADATA_KEY}"
        )
    if any("\ud800" <= character <= "\udfff" or character == "\0" for character in value):
        raise ValueError("metadata holds a lone surrogate or NUL")


MetadataJson = Annotated[dict[str, Any], AfterValidator(check_metadata)]


def _not_blank(value: str) -> str:
    if not value.strip():
        raise ValueError("the text is blank")
    return value


def _in_future(value: datetime) -> datetime:
    if value <= datetime.now(UTC):
        raise ValueError("the time is past; delete the document instead")
    return value


DocumentText = Annotated[Text, StringConstraints(min_length=1), AfterValidator(_not_blank)]
DuplicateRule = Literal["version", "replace", "skip", "error"]


class TextUpload(RequestModel):
    """A document given as text."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "text": "Refunds are paid within 14 days.",
                    "title": "Refunds",
                    "source": "policies/refunds",
                    "metadata": {"team": "support"},
                }
            ]
        }
    )

    text: DocumentText
    title: Name | None = None
    source: Name | None = None
    metadata: MetadataJson | None = None
    collection: CollectionName = "default"
    on_duplicate: DuplicateRule = "version"


class UploadForm(RequestModel):
    """The form fields beside a file."""

    title: Name | None = None
    source: Name | None = None
    metadata: MetadataJson | None = None
    collection: CollectionName = "default"
    on_duplicate: DuplicateRule = "version"


class TextContent(RequestModel):
    """A new version given as text."""

    text: DocumentText
    title: Name | None = None
    metadata: MetadataJson | None = None


class ContentForm(RequestModel):
    """The form fields beside the file of a new version."""

    title: Name | None = None
    metadata: MetadataJson | None = None


class DocumentPatchModel(RequestModel):
    """A merge patch (RFC 7396): what is left out stays, `null` removes a metadata key or the expiry."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"title": "Refunds", "metadata": {"team": "sales"}, "expires_at": "2030-01-01T00:00:00Z"}
            ]
        }
    )

    title: Annotated[Name, StringConstraints(min_length=1)] = Field(default_factory=str)
    metadata: MetadataJson | None = None
    expires_at: Annotated[Moment, AfterValidator(_in_future)] | None = None


class FailureModel(ReplyModel):
    """Why something failed; codes are listed in the troubleshooting guide."""

    code: str
    message: str
    page: int | None = None


class ProgressModel(ReplyModel):
    """How far a stage is; total is 0 while unknown."""

    done: int
    total: int
    unit: str


class PendingModel(ReplyModel):
    """A newer version in work, or failed."""

    version: int
    job_id: str
    status: Literal["queued", "processing", "failed"]
    stage: str | None
    progress: ProgressModel
    error: FailureModel | None


class ChildModel(ReplyModel):
    """A document inside another; `member` is its path there. It is a document of its own under its id."""

    id: str
    member: str
    media_type: str
    status: Literal["queued", "processing", "ready", "failed"]
    error: FailureModel | None


class DocumentReply(ReplyModel):
    """A document. `status`, `version`, `chunks` describe the visible version; once there is one it stays ready."""

    id: str
    parent_id: str | None = Field(description="The document that it is a part of.")
    children: list[ChildModel] = Field(description="Its parts: attachments, files in an archive.")
    collection: str
    source: str | None
    title: str
    filename: str | None
    media_type: str
    bytes: int
    sha256: str
    status: Literal["queued", "processing", "ready", "failed"]
    version: int
    chunks: int
    characters: int
    pages: int | None
    encoding: str | None = Field(description="How a text file was decoded, where that had to be found out.")
    metadata: dict[str, Any]
    error: FailureModel | None
    pending: PendingModel | None
    created_at: Time
    updated_at: Time
    expires_at: Time | None


class VersionReply(ReplyModel):
    """A version that is kept. `state`: pending, visible, superseded or failed."""

    version: int
    state: Literal["pending", "visible", "superseded", "failed"]
    sha256: str
    bytes: int
    filename: str | None
    media_type: str
    characters: int
    chunks: int
    chunks_reused: int = Field(description="Chunks that were not embedded again, as an equal one was known.")
    pages: int | None
    job_id: str
    error: FailureModel | None
    created_at: Time


class VersionList(ReplyModel):
    """All versions that are kept, newest first; there are never many."""

    items: list[VersionReply]
    next_cursor: None = None


class JobReply(ReplyModel):
    """A piece of background work."""

    id: str
    document_id: str | None = Field(description="Null for the purge of many.")
    version: int | None
    kind: Literal["ingest", "reindex", "purge"]
    state: Literal["queued", "running", "succeeded", "failed", "cancelled"]
    stage: Literal["parse", "chunk", "embed", "index"] | None
    progress: ProgressModel
    attempts: int
    next_retry_at: Time | None
    error: FailureModel | None
    chunks_reused: int
    stage_ms: dict[str, float]
    created_at: Time
    finished_at: Time | None


class JobPage(ReplyModel):
    """One page of jobs."""

    items: list[JobReply]
    next_cursor: str | None


class JobEvent(ReplyModel):
    """A job at a moment of following it."""

    job: JobReply
    rate: float | None = Field(description="Units of its progress a second.")
    remaining_s: float | None = Field(description="What is left of the stage at that rate.")


class UploadReply(ReplyModel):
    """What became of an upload; job is null when nothing is to do."""

    document: DocumentReply
    job: JobReply | None


class UploadItem(ReplyModel):
    """One file of many: accepted, or refused with its error."""

    filename: str
    document: DocumentReply | None = None
    job: JobReply | None = None
    error: FailureModel | None = None


class UploadManyReply(ReplyModel):
    """One item a file, in order."""

    items: list[UploadItem]


class DocumentPage(ReplyModel):
    """One page of documents."""

    items: list[DocumentReply]
    next_cursor: str | None


class ChunkReply(ReplyModel):
    """A chunk: `text` is `[start:end]` of the extracted text."""

    id: str
    index: int
    start: int
    end: int
    heading: list[str]
    location: LocationModel
    text: str


class ChunkPageReply(ReplyModel):
    """One page of chunks, in reading order."""

    items: list[ChunkReply]
    next_cursor: str | None


class DeleteReceipt(ReplyModel):
    """What went with the document and all inside it. `verified_absent`: the count of their points was read back as
    zero."""

    document_id: str
    versions: int
    points_deleted: int
    blobs_deleted: int
    verified_absent: bool
    job: JobReply | None = None


class BulkDeleteReply(ReplyModel):
    """How many documents are deleted, or would be, and the job that purges them; null when nothing is to do."""

    documents: int
    dry_run: bool
    job: JobReply | None


class CollectionRequest(RequestModel):
    """A new collection."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"name": "handbook", "description": "The staff handbook"}]}
    )

    name: CollectionName
    description: Name = ""


class CollectionReply(ReplyModel):
    """A collection."""

    name: str
    description: str
    documents: int
    created_at: Time
    title: str = Field(description="What people call it; empty where nobody said.")
    metadata: dict[str, str] = Field(description="As OpenAI's dialect has it of a vector store.")


class CollectionPage(ReplyModel):
    """One page of collections."""

    items: list[CollectionReply]
    next_cursor: str | None


class CollectionDeleted(ReplyModel):
    """What went with a collection."""

    name: str
    documents_deleted: int
