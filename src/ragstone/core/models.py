"""Frozen values that travel between rooms. Offsets are Unicode code points with exclusive ends; times are UTC."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Literal, NamedTuple, Self, TypeAlias, TypeVar

from ragstone.core.errors import RagstoneError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float32]
else:
    Vector = Any  # numpy is 15 MB and a third of a second that a parse worker does not need

T = TypeVar("T")
Head: TypeAlias = bytes
"""What a file begins with."""

Metadata = Mapping[str, Any]
"""A flat object: string keys; values are strings, numbers, booleans, null, or lists of strings/numbers/booleans."""

MAX_METADATA_KEYS = 64
UNNAMED = "content"  # a file that was compressed without its name
KNOWN_BY = 32

DEFAULT_TENANT = "default"
DEFAULT_COLLECTION = "default"


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose documents: every store operation names it, so that no query can cross tenants or collections."""

    tenant_id: str = DEFAULT_TENANT
    collection: str = DEFAULT_COLLECTION


# ---- a document's text, its parts and its chunks ----


@dataclass(frozen=True, slots=True)
class Location:
    """Where in the original a span stands; what a format does not have is None. Pages count from 1."""

    page: int | None = None
    page_end: int | None = None
    sheet: str | None = None
    slide: int | None = None

    def through(self, last: "Location") -> "Location":
        """Of the span that begins here and ends at `last`, on the same sheet or slide."""
        if self == last:
            return self
        page_end = last.page if last.page_end is None else last.page_end
        return Location(self.page, page_end, self.sheet, self.slide)


class BlockKind(StrEnum):
    """What a block is, as far as cutting it matters."""

    HEADING = "heading"
    PARAGRAPH = "paragraph"
    LIST = "list"
    TABLE = "table"
    CODE = "code"


@dataclass(frozen=True, slots=True)
class Block:
    """A span `text[start:end]` of the extracted text that belongs together, under its heading path. The path of a
    heading block ends with that heading."""

    kind: BlockKind
    start: int
    end: int
    heading: tuple[str, ...] = ()
    location: Location = Location()


@dataclass(frozen=True, slots=True)
class ChildDocument:
    """A document inside another: an attachment, a member of an archive. `media_type` as its container declares it."""

    filename: str
    content: bytes
    media_type: str | None = None


@dataclass(frozen=True, slots=True)
class ParsedDocument:
    """What a parser makes of bytes: the text that all offsets refer to, its blocks in reading order, and the documents
    that are inside it."""

    text: str
    blocks: tuple[Block, ...]
    title: str | None = None
    encoding: str | None = None
    pages: int | None = None
    children: tuple[ChildDocument, ...] = ()


@dataclass(frozen=True, slots=True)
class SpooledChild:
    """A child whose content lies, durably, in a file that the receiver owns. `media_type` as its container declares
    it; `head` is its first 8,192 bytes, from which the type is told."""

    filename: str
    media_type: str | None
    path: Path
    sha256: str
    bytes: int
    head: Head


@dataclass(frozen=True, slots=True)
class Chunk:
    """A span of the text that is embedded, found and quoted as one.

    `context` (title and heading path) is embedded in front of the text and never quoted. `sentences` are spans
    relative to the whole document's text, in order, inside `start:end`.
    """

    index: int
    start: int
    end: int
    text: str
    context: str
    heading: tuple[str, ...] = ()
    location: Location = Location()
    sentences: tuple[tuple[int, int], ...] = ()

    @property
    def embedding_text(self) -> str:
        """What the encoder and BM25 see."""
        return f"{self.context}\n{self.text}" if self.context else self.text


@dataclass(frozen=True, slots=True)
class KnownChunk:
    """What a chunk's text is known by in another version of its document."""

    beginning: str
    """Its first characters, KNOWN_BY of them."""
    length: int
    digest: bytes

    @classmethod
    def of(cls, text: str) -> Self:
        """By the chunk's text."""
        digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        return cls(text[:KNOWN_BY], len(text), digest)


@dataclass(frozen=True, slots=True)
class ReadDocument:
    """A document as its reader gives it: parsed, without its children's contents, chunked, the children in files."""

    parsed: ParsedDocument
    chunks: tuple[Chunk, ...]
    children: tuple[SpooledChild, ...] = ()


# ---- vectors ----


@dataclass(frozen=True, slots=True)
class SparseVector:
    """Token ids (ascending) and their weights, of equal length."""

    indices: tuple[int, ...]
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Terms:
    """What the lexical leg sees of a text: ids of its words in order, repeated as they are in it (those of a question
    once), and of further forms of them, by which they may also be found. `language` is the code of the language whose
    rules were used, empty if it could not be told."""

    words: tuple[int, ...]
    others: tuple[int, ...] = ()
    language: str = ""


@dataclass(frozen=True, slots=True)
class EmbeddingInput:
    """A text and the character spans in it whose own vectors are wanted besides the text's."""

    text: str
    spans: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Embedding:
    """`vector` has shape (dimension,), unit length. `spans` has shape (len(spans), dimension), unit rows; a row of
    zeros where the span lies beyond the encoder's limit or the embedder cannot give span vectors."""

    vector: Vector
    spans: Vector


@dataclass(frozen=True, slots=True)
class Point:
    """What the vector store keeps of one chunk. `payload` is plain JSON."""

    id: str
    dense: Vector
    sparse: SparseVector
    payload: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class StoredPoint:
    """A point read back; vectors only where they were asked for."""

    id: str
    payload: Mapping[str, Any]
    dense: Vector | None = None


class ScoredId(NamedTuple):
    """One hit of one leg: the raw score (cosine, or BM25 with IDF). A tuple, since a query makes two hundred."""

    id: str
    score: float


class LegHits(NamedTuple):
    """What ranking begins with: each leg's best hits; the scores that those found by one leg alone have in the other; and
    the IDF of the question's tokens, without those that no point has."""

    dense: list[ScoredId]
    sparse: list[ScoredId]
    more_dense: list[ScoredId]
    more_sparse: list[ScoredId]
    idf: Mapping[int, float]


# ---- documents, versions, jobs: the manifest's rows ----


class DocumentStatus(StrEnum):
    """State of the visible version; once there is one it stays `ready`."""

    QUEUED = "queued"
    PROCESSING = "processing"
    READY = "ready"
    FAILED = "failed"


class JobKind(StrEnum):
    """What a job does."""

    INGEST = "ingest"
    REINDEX = "reindex"
    PURGE = "purge"


class JobState(StrEnum):
    """Where a job stands; the last three are final."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Stage(StrEnum):
    """The stages of an ingest, in order."""

    PARSE = "parse"
    CHUNK = "chunk"
    EMBED = "embed"
    INDEX = "index"


class VersionState(StrEnum):
    """Where a version stands. At most one version of a document is pending, and it is the newest."""

    PENDING = "pending"
    VISIBLE = "visible"
    SUPERSEDED = "superseded"
    FAILED = "failed"


class OnDuplicate(StrEnum):
    """What an upload does when its identity exists with other bytes: a new version (older ones kept, or gone once it
    is visible), nothing, or a refusal."""

    VERSION = "version"
    REPLACE = "replace"
    SKIP = "skip"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a version or a job failed."""

    code: str
    message: str
    page: int | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a stage is; `total` is 0 while unknown."""

    done: int = 0
    total: int = 0
    unit: str = "chunks"


@dataclass(frozen=True, slots=True)
class Collection:
    """A named set of documents with its own ranking statistics."""

    name: str
    description: str
    created_at: datetime
    documents: int = 0
    title: str = ""
    """What people call it, where that is more than its name."""
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CollectionPatch:
    """Other words about a collection; None leaves what is there."""

    title: str | None = None
    metadata: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class CollectionState:
    """How many documents of a collection stand where, and the bytes of their originals."""

    working: int = 0
    ready: int = 0
    failed: int = 0
    cancelled: int = 0
    bytes: int = 0


class RecordKind(StrEnum):
    """What interfaces have to remember beyond documents."""

    BATCH = "batch"
    RESPONSE = "response"


@dataclass(frozen=True, slots=True)
class Record:
    """Such a thing. `content` is plain JSON. It is gone at `expires_at`, or with the first of `document_ids`, which it
    quotes, that is deleted."""

    id: str
    kind: RecordKind
    content: Mapping[str, Any]
    created_at: datetime
    expires_at: datetime
    document_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Pending:
    """A version in work, or failed, behind the visible one."""

    version: int
    job_id: str
    status: DocumentStatus
    stage: Stage | None
    progress: Progress
    error: Failure | None


@dataclass(frozen=True, slots=True)
class Child:
    """A document inside another, as its container lists it. `member` is its path there."""

    id: str
    member: str
    media_type: str
    status: DocumentStatus
    error: Failure | None


@dataclass(frozen=True, slots=True)
class Document:
    """A document as its user sees it. `status`, `version`, `chunks`, `sha256` … describe the visible version, or,
    while there is none, the newest one."""

    id: str
    tenant_id: str
    collection: str
    source: str | None
    title: str
    filename: str | None
    media_type: str
    bytes: int
    sha256: str
    status: DocumentStatus
    version: int
    chunks: int
    characters: int
    pages: int | None
    encoding: str | None
    metadata: Metadata
    error: Failure | None
    pending: Pending | None
    created_at: datetime
    updated_at: datetime
    expires_at: datetime | None
    parent_id: str | None = None
    children: tuple[Child, ...] = ()
    chunk_tokens: int | None = None
    copy_of: str | None = None


class DocumentName(NamedTuple):
    """What a version of a document is called, as far as a citation has to say it."""

    id: str
    version: int
    copy_of: str | None
    filename: str | None


@dataclass(frozen=True, slots=True)
class VersionEntry:
    """A version in the list of a document's versions. `status` is that of its job: `ready` once it was visible."""

    version: int
    state: VersionState
    sha256: str
    bytes: int
    filename: str | None
    media_type: str
    characters: int
    chunks: int
    chunks_reused: int
    pages: int | None
    job_id: str
    error: Failure | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Version:
    """One immutable version's stored facts. `text_sha256` is None until it was parsed."""

    document_id: str
    version: int
    sha256: str
    bytes: int
    filename: str | None
    media_type: str
    text_sha256: str | None
    chunks: int
    title: str | None = None
    """As the user gave it; None = taken from the document."""


@dataclass(frozen=True, slots=True)
class Job:
    """One unit of background work. `document_id` is None for the purge of many documents."""

    id: str
    tenant_id: str
    document_id: str | None
    version: int | None
    kind: JobKind
    state: JobState
    stage: Stage | None
    progress: Progress
    attempts: int
    next_retry_at: datetime | None
    error: Failure | None
    stage_ms: Mapping[str, float]
    created_at: datetime
    finished_at: datetime | None
    chunks_reused: int = 0
    """Chunks of the version whose vectors were taken over from an equal chunk."""
    strikes: int = 0
    """Attempts that did not end in an orderly way, the one at work included."""
    request_id: str | None = None
    """Of the request that asked for it; None where none did."""


@dataclass(frozen=True, slots=True)
class NewUpload:
    """An upload whose bytes are already durable in the blob store. `title` None means: take it from the document."""

    scope: Scope
    sha256: str
    bytes: int
    media_type: str
    source: str | None
    filename: str | None
    title: str | None
    metadata: Metadata | None
    on_duplicate: OnDuplicate = OnDuplicate.VERSION
    idempotency: "IdempotencyKey | None" = None
    chunk_tokens: int | None = None
    """The most that a chunk may have; None as the server is made."""
    copy_of: str | None = None
    """The document whose bytes these are, and with which this one expires; it is still there when the upload is
    accepted, or that is not."""


@dataclass(frozen=True, slots=True)
class NewContent:
    """Bytes for a new version of a document, already durable in the blob store. None = as the version before."""

    sha256: str
    bytes: int
    media_type: str
    filename: str | None
    title: str | None = None
    metadata: Metadata | None = None
    idempotency: "IdempotencyKey | None" = None


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """The client's key, and the hash of all that the request said."""

    key: str
    fingerprint: str


class Unset(Enum):
    """Marks what a patch does not mention."""

    UNSET = "unset"


@dataclass(frozen=True, slots=True)
class DocumentPatch:
    """Changes that need no embedding. `metadata` is merged (RFC 7396): None removes a key, or, for the whole, all; with
    `replaces_metadata` it takes the place of what was there."""

    title: str | Unset = Unset.UNSET
    metadata: Metadata | Unset | None = Unset.UNSET
    expires_at: datetime | Unset | None = Unset.UNSET
    replaces_metadata: bool = False


@dataclass(frozen=True, slots=True)
class Member:
    """A document inside a version: its path there, unique, and its bytes' hash."""

    member: str
    sha256: str
    bytes: int
    media_type: str


@dataclass(frozen=True, slots=True)
class Acceptance:
    """What became of an upload; `job` is None when nothing is to do."""

    document: Document
    job: Job | None


@dataclass(frozen=True, slots=True)
class QueueState:
    """The ingest jobs of all processes."""

    queued: int
    running: int
    oldest_s: float
    """Since the oldest one that waits or runs was asked for; 0 where none does."""


@dataclass(frozen=True, slots=True)
class EngineState:
    """A vector engine: its points, and the memory of its process."""

    points: int
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class IngestTask:
    """All that the ingest pipeline must know of a claimed job."""

    job: Job
    scope: Scope
    document_id: str
    version: int
    sha256: str
    filename: str | None
    media_type: str
    title: str | None
    """As the user gave it; None = to be taken from the document."""
    source: str | None
    metadata: Metadata
    created_at: datetime
    depth: int = 0
    """How many documents it is inside of."""
    visible_version: int | None = None
    """The one that is to be replaced, if there is one."""
    bytes: int = 0
    """Of the original."""
    chunk_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class PayloadTarget:
    """A visible version whose points may not carry the document's present title and metadata, since `stale_at`."""

    scope: Scope
    document_id: str
    version: int
    chunks: int
    title: str
    metadata: Metadata
    stale_at: datetime


@dataclass(frozen=True, slots=True)
class IndexedVersion:
    """A version whose points are all confirmed by the store: ready to be switched to after a flush."""

    job_id: str
    document_id: str
    version: int
    title: str
    text_sha256: str
    characters: int
    chunks: int
    pages: int | None
    encoding: str | None
    stage_ms: Mapping[str, float]
    chunks_reused: int = 0
    bytes: int = 0
    """Of the original."""
    request_id: str | None = None
    """Of the request that asked for the version."""


@dataclass(frozen=True, slots=True)
class VisibleDocument:
    """What a query needs to know of a hit's document."""

    id: str
    version: int
    title: str
    metadata: Metadata


@dataclass(frozen=True, slots=True)
class VersionContent:
    """What a visible version is made of: how many points, and whose bytes."""

    chunks: int
    sha256: str
    text_sha256: str | None


@dataclass(frozen=True, slots=True)
class PurgeTarget:
    """Points and rows that must go. `version` None = the whole (deleted) document."""

    document_id: str
    version: int | None
    versions: tuple[int, ...]
    job_id: str | None


@dataclass(frozen=True, slots=True)
class Deletion:
    """Documents that were tombstoned in one commit, those inside others included, and the job of their purge."""

    job: Job
    targets: tuple[PurgeTarget, ...]


@dataclass(frozen=True, slots=True)
class PurgeReceipt:
    """What a finished purge removed; `blobs` are the content hashes whose last reference went."""

    document_id: str
    versions: tuple[int, ...]
    points_deleted: int
    blobs_deleted: int
    verified_absent: bool
    job_id: str | None = None


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a list."""

    items: tuple[T, ...]
    next_cursor: str | None


# ---- backups ----


@dataclass(frozen=True, slots=True)
class ManifestCopy:
    """What a copy of the manifest refers to."""

    documents: int
    """Those that are visible."""
    needed: frozenset[str]
    """SHA-256 of the originals of versions that stay, and of the texts of the visible ones."""
    optional: frozenset[str]
    """What may be gone (deleted, its purge not yet noted) or not yet there (the text of a version in work)."""


@dataclass(frozen=True, slots=True)
class Backup:
    """A complete backup, as its folder tells."""

    state: str
    """Name of the folder in it that holds manifest and vectors."""
    directory_id: str
    """Which data directory it is of; a restored one keeps it."""
    created_at: datetime
    api_version: str
    embedding_fingerprint: str
    documents: int
    blobs: int
    missing_blobs: tuple[str, ...]
    """Originals and texts that were gone from the data directory already, or damaged there."""
    manifest_sha256: str
    sums_sha256: str
    """Of the list of all files with their hashes."""


# ---- questions and answers ----

SearchMode = Literal["hybrid", "dense", "sparse"]
Grounding = Literal["full", "partial", "none"]


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of a conversation."""

    role: Literal["user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of a source: offsets in the document's text, its stored vector (zeros if none), how well it answers
    the question (0..1, see pipelines.evidence), and its token ids where they were stored."""

    start: int
    end: int
    text: str
    vector: Vector
    score: float = 0.0
    tokens: frozenset[int] | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """One chunk of a source that was widened by its neighbours."""

    chunk_id: str
    start: int
    end: int
    heading: tuple[str, ...]
    location: Location


@dataclass(frozen=True, slots=True)
class Source:
    """A retrieved chunk, numbered as the answer cites it."""

    n: int
    document_id: str
    version: int
    chunk_id: str
    title: str
    heading: tuple[str, ...]
    location: Location
    start: int
    end: int
    text: str
    score: float
    scores: Mapping[str, float | None]
    metadata: Metadata
    sentences: tuple[Sentence, ...] = field(default=(), repr=False)
    index: int = 0
    """Of the chunk in its version."""
    parts: tuple[Part, ...] = ()
    """The chunks that it is made of, where there are several."""
    language: str = ""
    """Code of the language that the chunk seems to be written in; empty if it could not be told."""


@dataclass(frozen=True, slots=True)
class Span:
    """Offsets, exclusive end."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class CitedSource:
    """The source side of a citation: `quote` is exactly `text[start:end]` of that version."""

    document_id: str
    version: int
    chunk_id: str
    title: str
    heading: tuple[str, ...]
    location: Location
    start: int
    end: int
    quote: str


@dataclass(frozen=True, slots=True)
class Citation:
    """A claim of the answer tied to the place it came from."""

    n: int
    answer: Span
    source: CitedSource
    verified: bool
    support: float


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as the model's server counted them; zero where no model was asked."""

    prompt_tokens: int = 0
    completion_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        """Both together."""
        return self.prompt_tokens + self.completion_tokens

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            self.prompt_tokens + other.prompt_tokens, self.completion_tokens + other.completion_tokens
        )


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a chat, as models take it."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """What an answerer is asked. Models that write take `messages`; extractive ones choose from `sources`.

    `language` is that of the question's terms, for those who choose. `model` None is the answerer's
    first; `temperature` and `max_tokens` None are not sent."""

    question: str
    sources: Sequence[Source] = ()
    messages: Sequence[Message] = ()
    model: str | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    language: str = ""


@dataclass(frozen=True, slots=True)
class Ending:
    """The proof that an answer is complete: why the model stopped (`stop`, `length`, `content_filter` …)."""

    finish_reason: str
    usage: Usage = field(default_factory=Usage)


# ---- the events of an answer, in the order of DESIGN.md section 4 ----


@dataclass(frozen=True, slots=True)
class Meta:
    """Opens every stream."""

    request_id: str
    question: str
    collection: str
    model: str


@dataclass(frozen=True, slots=True)
class Sources:
    """What was retrieved."""

    sources: Sequence[Source]


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of the answer's text."""

    text: str


@dataclass(frozen=True, slots=True)
class Cited:
    """A citation, as soon as it is checked."""

    citation: Citation


@dataclass(frozen=True, slots=True)
class Timings:
    """Stage times and token counts, before the terminal event."""

    metadata: Mapping[str, Any]
    usage: Usage


@dataclass(frozen=True, slots=True)
class Done:
    """The answer is complete."""

    finish_reason: str
    grounded: Grounding
    unsupported: tuple[Span, ...]
    abstained: bool
    reason: str | None
    degraded: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Failed:
    """The answer broke off after it had begun."""

    error: RagstoneError
    request_id: str


AnswerEvent = Meta | Sources | Token | Cited | Timings | Done | Failed
