"""Documents, chunks, jobs, collections: requests and replies."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints

from ragstone.api.schemas.base import CollectionName, Name, ReplyModel, RequestModel, Text, Time
from ragstone.api.schemas.query import LocationModel

MAX_METADATA_KEYS = 64
MAX_METADATA_KEY = 256
MAX_METADATA_TEXT = 8_192
MAX_METADATA_LIST = 256
MAX_EXACT_INTEGER = 2**53


def check_metadata(value: dict[str, Any]) -> dict[str, Any]:
    """A flat object: scalars or lists of scalars, within bounds that filters can compare exactly."""
    if len(value) > MAX_METADATA_KEYS:
        raise ValueError(f"metadata has at most {MAX_METADATA_KEYS} keys")
    for key, item in value.items():
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

    text: Annotated[Text, StringConstraints(min_length=1), AfterValidator(_not_blank)]
    title: Name | None = None
    source: Name | None = None
    metadata: MetadataJson | None = None
    collection: CollectionName = "default"
    on_duplicate: Literal["version", "skip"] = "version"


class UploadForm(RequestModel):
    """The form fields beside a file."""

    title: Name | None = None
    source: Name | None = None
    metadata: MetadataJson | None = None
    collection: CollectionName = "default"
    on_duplicate: Literal["version", "skip"] = "version"


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


class DocumentReply(ReplyModel):
    """A document. `status`, `version`, `chunks` describe the visible version; once there is one it stays ready."""

    id: str
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


class JobReply(ReplyModel):
    """A piece of background work."""

    id: str
    document_id: str
    version: int | None
    kind: Literal["ingest", "reindex", "purge"]
    state: Literal["queued", "running", "succeeded", "failed", "cancelled"]
    stage: Literal["parse", "chunk", "embed", "index"] | None
    progress: ProgressModel
    attempts: int
    next_retry_at: Time | None
    error: FailureModel | None
    stage_ms: dict[str, float]


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
    """What went. `verified_absent`: the count of its points was read back as zero."""

    document_id: str
    versions: int
    points_deleted: int
    blobs_deleted: int
    verified_absent: bool
    job: JobReply | None = None


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


class CollectionPage(ReplyModel):
    """One page of collections."""

    items: list[CollectionReply]
    next_cursor: str | None


class CollectionDeleted(ReplyModel):
    """What went with a collection."""

    name: str
    documents_deleted: int
