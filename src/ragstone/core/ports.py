"""The seams: what services and pipelines ask of adapters. Adapters are held to conformance suites in ragstone.testing."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from ragstone.core.filters import Filter
from ragstone.core.models import (
    Acceptance,
    Backup,
    Collection,
    CollectionPatch,
    CollectionState,
    Deletion,
    Document,
    DocumentName,
    DocumentPatch,
    DocumentStatus,
    Embedding,
    EmbeddingInput,
    Ending,
    EngineState,
    Failure,
    IndexedVersion,
    IngestTask,
    Job,
    JobKind,
    JobState,
    KnownChunk,
    LegHits,
    ManifestCopy,
    Member,
    NewContent,
    NewUpload,
    Page,
    ParsedDocument,
    PayloadTarget,
    Point,
    Progress,
    Prompt,
    PurgeReceipt,
    PurgeTarget,
    QueueState,
    ReadDocument,
    Record,
    RecordKind,
    Scope,
    ScoredId,
    SparseVector,
    Stage,
    StoredPoint,
    Terms,
    Vector,
    Version,
    VersionContent,
    VersionEntry,
    VisibleDocument,
)
from ragstone.core.timing import Stopwatch


class Embedder(Protocol):
    """Text to unit vectors of one space."""

    @property
    def fingerprint(self) -> str:
        """Names provider, model, revision, dimension and normalisation; vectors of two fingerprints never mix.
        Speed settings that keep vectors comparable (int8 or fp32) are not part of it."""
        ...

    @property
    def dimension(self) -> int:
        """Length of every vector."""
        ...

    def legibility(self, text: str) -> float:
        """How far the encoder can read the script of a text, 0..1: where it cannot, its cosines mean nothing."""
        ...

    def count_tokens(self, text: str) -> tuple[int, bool]:
        """How many tokens of the text are read, about so many where the tokenizer is elsewhere's; and whether these are
        all of it."""
        ...

    async def embed_query(self, text: str) -> Vector:
        """Shape (dimension,), float32, unit length. Text over the limit is truncated. Raises EmbedderUnavailable,
        ExternalServiceError kinds."""
        ...

    async def embed_documents(self, inputs: Sequence[EmbeddingInput]) -> list[Embedding]:
        """One embedding per input, in order. Runs below queries in priority. Raises EmbedderUnavailable, BadEmbedding,
        ExternalServiceError kinds."""
        ...

    async def close(self) -> None:
        """Free threads and memory; idempotent."""
        ...


class Reranker(Protocol):
    """How well passages fit a question, by a model that reads both together. One attempt a call: retries and limits are
    its caller's."""

    @property
    def name(self) -> str:
        """The model, or who serves it, for traces."""
        ...

    async def rerank(self, query: str, texts: Sequence[str]) -> list[float]:
        """One finite score per text, in order; higher is better, and only scores of one call compare. Raises
        UpstreamUnavailable, UpstreamRateLimited, UpstreamTimeout, UpstreamRefused, UpstreamGarbled (not exactly one
        finite number for each text); `retry_after_s` is what the server asked for."""
        ...

    async def close(self) -> None:
        """Free connections; idempotent."""
        ...


class SparseEncoder(Protocol):
    """Text to weighted tokens for the lexical leg. Pure and quick (tens of microseconds a sentence)."""

    @property
    def fingerprint(self) -> str:
        """Names algorithm, tokenizer and parameters."""
        ...

    def language(self, text: str, otherwise: str = "") -> str:
        """The code (ISO 639-1) of the language that a text seems to be written in; `otherwise` where that cannot be
        told."""
        ...

    def terms(self, text: str, language: str = "") -> Terms:
        """The terms of a text in that language, in order."""
        ...

    def query_terms(self, text: str) -> Terms:
        """The distinct terms of a question, in order, in the language that it seems to be written in; words that say
        nothing about what is asked for are left out."""
        ...

    def encode_document(self, passages: Iterable[Terms]) -> SparseVector:
        """Term-frequency weights of all passages together; IDF is applied by the store when searching."""
        ...

    def encode_query(self, query: Terms) -> SparseVector:
        """Each word with weight 1, its further forms with less."""
        ...


class VectorStore(Protocol):
    """Points of one physical collection: named by the store's constructor, one per embedding fingerprint.

    Every read and write names its scope and the adapter adds the filter. Filters use the public field names, plus
    the internal ones `document_version` ("<document id>:<version>") and `embedding_key`. Payload keys that are
    written: `tenant_id`, `collection`, `document_id`, `document_version`, `embedding_key`, `source`, `title`,
    `filename`, `media_type`, `created_at` (microseconds), `metadata` (original keys; the adapter makes them
    addressable), and chunk fields, which the store returns untouched. One of them, `features`, is a text that ranking
    reads of many points and nobody else needs: it is kept apart, `read_features` reads it alone, and `retrieve` and
    `find` give it only together with vectors.
    """

    async def upsert(self, scope: Scope, points: Sequence[Point]) -> None:
        """Insert or replace by id; when it returns, the points are found by searches. Idempotent. Vectors with a
        wrong size, NaN, infinity or zero length raise BadEmbedding and nothing of the batch is stored. Raises
        EngineUnavailable."""
        ...

    async def search_dense(
        self,
        scope: Scope,
        vector: Vector,
        *,
        limit: int,
        where: Filter | None = None,
        ids: Sequence[str] | None = None,
    ) -> list[ScoredId]:
        """By cosine, best first, ties by id. `ids` restricts to these points. Exact, but where a server searches a large
        scope by its graph."""
        ...

    async def search_hybrid(
        self,
        scope: Scope,
        dense: Vector,
        sparse: SparseVector,
        *,
        limit: int,
        where: Filter | None = None,
        ids: Sequence[str] | None = None,
    ) -> tuple[list[ScoredId], list[ScoredId]]:
        """Both legs in one batch: (dense hits, sparse hits), each at most `limit`, best first, ties by id."""
        ...

    async def search_legs(
        self, scope: Scope, dense: Vector, sparse: SparseVector, *, limit: int, where: Filter | None = None
    ) -> LegHits:
        """`search_hybrid`, the true score of each hit in the leg that did not find it, and `term_weights` of the query's
        tokens: in one call where the store can. Where the sparse leg has no hit, nothing is looked up in it.
        """
        ...

    async def search_sparse(
        self,
        scope: Scope,
        sparse: SparseVector,
        *,
        limit: int,
        where: Filter | None = None,
        ids: Sequence[str] | None = None,
    ) -> list[ScoredId]:
        """BM25 with the IDF counted over `scope` and `where` (never over `ids`), best first, ties by id. Points that
        share no token are not returned."""
        ...

    async def term_weights(
        self, scope: Scope, indices: Sequence[int], *, where: Filter | None = None
    ) -> dict[int, float]:
        """IDF of each token over the same filter as `search_sparse`; tokens that no point has are left out."""
        ...

    async def retrieve(
        self, scope: Scope, ids: Sequence[str], *, with_vectors: bool = False
    ) -> list[StoredPoint]:
        """Points by id, in the order of `ids`; missing ones are left out."""
        ...

    async def read_features(self, scope: Scope, ids: Sequence[str]) -> dict[str, str]:
        """Id → the payload's `features`, empty where it has none; missing points are left out."""
        ...

    async def find(
        self, scope: Scope, where: Filter, *, limit: int, with_vectors: bool = False
    ) -> list[StoredPoint]:
        """Up to `limit` points that pass, in any order."""
        ...

    async def find_embeddings(self, scope: Scope, keys: Sequence[str]) -> dict[str, StoredPoint]:
        """For each embedding key that some point of the tenant (any collection) has: one such point, with vectors."""
        ...

    async def update_payloads(self, scope: Scope, ids: Sequence[str], fields: Mapping[str, Any]) -> None:
        """Set these fields of the points' payloads; the others, and the vectors, stay. Ids that are not there are left
        out. Searches see it when this returns. Idempotent."""
        ...

    async def delete(self, scope: Scope, where: Filter) -> int:
        """Delete what passes; returns how many went. Idempotent."""
        ...

    async def count(self, scope: Scope, where: Filter | None = None) -> int:
        """Exact number of points that pass."""
        ...

    async def count_versions(self, document_versions: Sequence[str] | None = None) -> dict[str, int]:
        """Points of each `document_version` that has any, of all or of the given ones, over all scopes: for purges
        and the consistency check only."""
        ...

    async def delete_versions(self, document_versions: Sequence[str]) -> int:
        """Delete all points of these `document_version`s, over all scopes: for purges and repairs. Returns how many."""
        ...

    async def flush(self) -> None:
        """All that was upserted or deleted survives a power loss when this returns."""
        ...

    async def snapshot(self, target: Path) -> None:
        """Write a durable copy into the folder `target`, which does not exist yet, in the form that the adapter opens
        again. What was acknowledged before the call is in it, whole; what is written meanwhile may be. Reads go on,
        writes may wait. Raises EngineUnavailable (the copy is of no use then), OSError (`target` cannot be written).
        """
        ...

    async def is_healthy(self) -> bool:
        """A cheap probe; never raises."""
        ...

    async def close(self) -> None:
        """Flush and let go; idempotent."""
        ...


class Parser(Protocol):
    """Bytes to text and blocks. Pure: runs in a limited child process, opens no connection and no other file."""

    def parse(self, content: bytes) -> ParsedDocument:
        """Raises ParseFailed, NoText (nothing but white space)."""
        ...


class TypeDetector(Protocol):
    """Media type by content; raises UnsupportedMediaType."""

    def __call__(
        self, head: bytes, filename: str | None, declared: str | None, path: Path | None = None
    ) -> str:
        """See parsers.detection."""
        ...


class DocumentReader(Protocol):
    """Parses and chunks a stored original under limits, off the event loop."""

    async def read(
        self,
        path: Path,
        *,
        media_type: str,
        title: str | None,
        new_spool: Callable[[], Path],
        known: Sequence[KnownChunk] = (),
        chunk_tokens: int | None = None,
    ) -> ReadDocument:
        """`title` as the user gave it; without one the document's own opens the chunks' contexts. What is unchanged
        since the version that `known` is of is divided into the same chunks, of at most `chunk_tokens`. The document may
        come without its blocks, which only the chunker needs. Each child is written to a path of its own that
        `new_spool` gives; the caller owns these files, after an error there are none. Raises UnsupportedMediaType,
        IngestError kinds; WorkerDied when the worker was killed (not by its limits); Unavailable (the disk is full).
        """
        ...

    async def close(self) -> None:
        """End the workers; idempotent."""
        ...


class LLM(Protocol):
    """Answers from numbered sources, citing them as [n]. One attempt a call: retries and limits are its caller's."""

    @property
    def models(self) -> Sequence[str]:
        """The models that may be asked for, the default first."""
        ...

    @property
    def is_generative(self) -> bool:
        """Whether it writes what `Prompt.messages` ask for; if not, it chooses from `Prompt.sources`."""
        ...

    def generate(self, prompt: Prompt) -> AsyncGenerator[str | Ending, None]:
        """Yield the answer's text in pieces that are not empty, then exactly one Ending: without it the answer is not
        complete. Closing the generator cancels all that was started for it, the upstream request included.

        Raises UpstreamUnavailable (no connection, broken connection before the first piece, 408, 409, 5xx),
        UpstreamRateLimited, UpstreamTimeout, UpstreamRefused, UpstreamGarbled (also: an end without reason and without
        text), UpstreamInterrupted (anything that breaks it off after the first piece), ContentFiltered (the filter
        withheld all text). `retry_after_s` is what the server asked for."""
        ...

    async def close(self) -> None:
        """Free connections; idempotent."""
        ...


class BlobStore(Protocol):
    """Immutable bytes by their SHA-256 (lower-case hex)."""

    async def put_file(self, path: Path, sha256: str) -> None:
        """Take over the file at `path` (on the same file system): fsync, rename, fsync of the folder. Idempotent."""
        ...

    async def put(self, content: bytes) -> str:
        """Store durably; returns the SHA-256. Idempotent."""
        ...

    async def exists(self, sha256: str) -> bool:
        """Whether the bytes are here."""
        ...

    async def read(self, sha256: str) -> bytes:
        """All bytes. Raises BlobMissing."""
        ...

    def path(self, sha256: str) -> Path:
        """Where the bytes lie (for streaming and for the parser's child)."""
        ...

    async def delete(self, sha256: str) -> bool:
        """True if something went. Idempotent."""
        ...

    async def list(self) -> list[tuple[str, float]]:
        """(sha256, age in seconds) of every stored blob."""
        ...

    def new_spool(self) -> Path:
        """A fresh path on the store's file system for receiving an upload; leftovers are removed at start-up."""
        ...


class JobQueue(Protocol):
    """Drives the jobs that the manifest holds."""

    def wake(self) -> None:
        """Something may be due."""
        ...

    async def stop_document(self, document_id: str, versions: tuple[int, ...]) -> None:
        """Cancel work on these versions and wait until it has ended: none of it writes afterwards."""
        ...

    @property
    def is_alive(self) -> bool:
        """Whether jobs are being worked on."""
        ...


class JobObserver(Protocol):
    """Is told what became of each attempt at an ingest job."""

    def attempt_ended(self, task: IngestTask, stopwatch: Stopwatch, outcome: str, code: str) -> None:
        """`outcome` is indexed, failed, postponed or gone; `code` that of the error, else empty."""
        ...


class RequestTrace(Protocol):
    """The trace of a request that is being answered."""

    @property
    def trace_id(self) -> str:
        """32 hexadecimal digits; the caller's, where it sent one."""
        ...

    def end(self, *, route: str, status: int, request_id: str, stopwatch: Stopwatch) -> None:
        """The request has ended; its stages are those of the stopwatch. Called once."""
        ...


class Tracer(JobObserver, Protocol):
    """Records what requests and jobs did when."""

    def begin(self, method: str, headers: Mapping[str, str]) -> RequestTrace:
        """A request begins. Its `traceparent`, if there is one, says whose part it is."""
        ...

    async def close(self) -> None:
        """Send what is left; soon given up."""
        ...


@runtime_checkable
class Monitored(Protocol):
    """A vector store that knows how its engine is."""

    async def engine_state(self) -> EngineState:
        """As of now. Raises EngineUnavailable."""
        ...

    @property
    def restarts(self) -> int:
        """How often the engine died and was started again."""
        ...


class Manifest(Protocol):
    """What exists, in which state, and what is visible: the one source of truth. Each method is one transaction,
    durable when it returns."""

    # collections
    async def create_collection(
        self, tenant_id: str, name: str, description: str, title: str = "", metadata: Mapping[str, str] = {}
    ) -> Collection:
        """Raises CollectionExists."""
        ...

    async def update_collection(self, tenant_id: str, name: str, patch: CollectionPatch) -> Collection:
        """Raises CollectionNotFound."""
        ...

    async def collection_state(self, tenant_id: str, name: str) -> CollectionState:
        """What its documents come to; zeros for a collection that is not there."""
        ...

    async def get_collection(self, tenant_id: str, name: str) -> Collection:
        """With its number of documents. Raises CollectionNotFound."""
        ...

    async def require_collection(self, scope: Scope) -> None:
        """Cheap existence check for the query path. Raises CollectionNotFound."""
        ...

    async def list_collections(self, tenant_id: str, *, limit: int, cursor: str | None) -> Page[Collection]:
        """By name. Raises InvalidCursor."""
        ...

    async def collections_beside(
        self, tenant_id: str, *, beside: str | None, is_descending: bool, limit: int
    ) -> tuple[list[Collection], bool]:
        """The next ones by age behind the one named `beside`, and whether more follow. Raises CollectionNotFound."""
        ...

    async def delete_collection_of_copies(self, tenant_id: str, name: str) -> int:
        """As `delete_collection` with cascade, but no file is lost by it. Raises CollectionNotFound, HomeOfFile, Conflict."""
        ...

    async def delete_collection(self, tenant_id: str, name: str, *, cascade: bool) -> int:
        """Tombstones its documents (each with a purge job) and the collection in one commit; returns how many.
        Raises CollectionNotFound, CollectionNotEmpty, Conflict (for `default`)."""
        ...

    # documents
    async def accept_upload(
        self, upload: NewUpload, confirm_blob: Callable[[], Awaitable[object]]
    ) -> Acceptance:
        """Identity and duplicate rules, new version and job in one commit. `confirm_blob` runs inside the
        transaction (which excludes blob deletion), only when the bytes are those of a version, new or known, and must
        leave the blob in place. A known idempotency key gives its document and job again. Raises CollectionNotFound,
        QueueFull, DocumentExists, IdempotencyMismatch, DocumentNotFound and JobNotFound (of a known key)."""
        ...

    async def replace_content(
        self,
        tenant_id: str,
        document_id: str,
        content: NewContent,
        confirm_blob: Callable[[], Awaitable[object]],
    ) -> Acceptance:
        """A new version of this document, as `accept_upload` makes them; the same bytes change nothing. Raises
        DocumentNotFound, Conflict (a part of another document), QueueFull, IdempotencyMismatch."""
        ...

    async def restore_version(self, tenant_id: str, document_id: str, version: int) -> Acceptance:
        """A new version from the bytes, title and metadata of that one. Raises DocumentNotFound, VersionNotFound,
        Conflict (a part of another document), QueueFull."""
        ...

    async def update_document(
        self, tenant_id: str, document_id: str, patch: DocumentPatch
    ) -> tuple[Document, PayloadTarget | None]:
        """Apply the patch; with it what must be written to the points, if anything. Raises DocumentNotFound,
        InvalidRequest (too many metadata keys)."""
        ...

    async def stale_payloads(self, limit: int) -> list[PayloadTarget]:
        """Visible versions whose points may lag behind the document, oldest change first."""
        ...

    async def finish_payload(self, target: PayloadTarget) -> None:
        """The points were written; settled unless the document changed again, or a version is in work."""
        ...

    async def list_versions(self, tenant_id: str, document_id: str) -> tuple[VersionEntry, ...]:
        """All that are kept, newest first. Raises DocumentNotFound."""
        ...

    async def get_document(self, tenant_id: str, document_id: str) -> Document:
        """Raises DocumentNotFound; tombstoned = not found."""
        ...

    async def list_documents(
        self,
        scope: Scope,
        *,
        status: DocumentStatus | None,
        title: str | None,
        parent_id: str | None,
        where: Filter | None,
        sort: str,
        limit: int,
        cursor: str | None,
    ) -> Page[Document]:
        """`sort` is created_at, -created_at or title; `title` is a case-insensitive substring; `parent_id` asks for
        the parts of one document. Raises InvalidCursor."""
        ...

    async def documents_beside(
        self, scope: Scope, *, beside: str | None, is_descending: bool, limit: int
    ) -> tuple[list[Document], bool]:
        """The next documents of a collection by age behind the one with the id `beside`, which may have been deleted
        within a day, and whether more follow; without those inside others. Raises DocumentNotFound."""
        ...

    async def list_files(
        self, tenant_id: str, *, beside: str | None, is_descending: bool, limit: int
    ) -> tuple[list[Document], bool]:
        """The same of all collections, each file once: a copy only where the document that it was copied from is gone.
        Raises DocumentNotFound."""
        ...

    async def get_file(self, tenant_id: str, file_id: str) -> Document:
        """The document, or its oldest copy where it is gone. Raises DocumentNotFound."""
        ...

    async def attached_files(self, scope: Scope, file_ids: Sequence[str]) -> list[Document]:
        """These files, or their copies, in one collection, the oldest first."""
        ...

    async def delete_file(self, tenant_id: str, file_id: str) -> Deletion:
        """Tombstones a document and all its copies in one commit, with one purge job. Raises DocumentNotFound."""
        ...

    async def detach_file(self, scope: Scope, file_id: str) -> Deletion:
        """Tombstones what a collection has of a file. Raises DocumentNotFound, and HomeOfFile where it is nowhere else."""
        ...

    async def document_names(self, scope: Scope, ids: Sequence[str]) -> list[DocumentName]:
        """Of the visible, or newest, versions of those of these documents that are there: cheap, for the query path."""
        ...

    async def get_version(self, tenant_id: str, document_id: str, version: int | None = None) -> Version:
        """That version; None = the visible one, else the newest. Raises DocumentNotFound, VersionNotFound."""
        ...

    async def delete_document(self, tenant_id: str, document_id: str) -> Deletion:
        """Tombstones of the document and all inside it, and their purge job, in one commit: invisible at once. Running
        jobs of them are cancelled. Raises DocumentNotFound."""
        ...

    async def count_matching(self, scope: Scope, where: Filter) -> int:
        """How many documents pass."""
        ...

    async def delete_matching(self, scope: Scope, where: Filter) -> Deletion | None:
        """As `delete_document` for all that pass, with one job and without targets; None if there are none."""
        ...

    async def expire_documents(self) -> int:
        """Tombstone documents whose time is up (they are invisible from that moment on); returns how many."""
        ...

    async def request_reindex(self, tenant_id: str, document_id: str) -> Acceptance:
        """A new version from the newest version's stored bytes. Raises DocumentNotFound, Conflict while a version is
        in work, QueueFull."""
        ...

    async def visible_documents(self, scope: Scope, ids: Sequence[str]) -> dict[str, VisibleDocument]:
        """Those of `ids` that exist, are not deleted and have a visible version, in this scope."""
        ...

    # jobs
    async def get_job(self, tenant_id: str, job_id: str) -> Job:
        """Raises JobNotFound."""
        ...

    async def list_jobs(
        self,
        tenant_id: str,
        *,
        state: JobState | None,
        kind: JobKind | None,
        document_id: str | None,
        limit: int,
        cursor: str | None,
    ) -> Page[Job]:
        """Newest first. Raises InvalidCursor."""
        ...

    async def cancel_job(self, tenant_id: str, job_id: str) -> Job:
        """Ends a queued or running job; its version has failed then. Raises JobNotFound, Conflict (has ended, or is a
        purge)."""
        ...

    async def retry_job(self, tenant_id: str, job_id: str) -> Acceptance:
        """A job that waits for its next attempt is due now; a failed or cancelled one is repeated as a new version.
        Raises JobNotFound, DocumentNotFound, QueueFull, Conflict (runs, has succeeded, is a purge, was overtaken).
        """
        ...

    async def claim_tasks(self, limit: int) -> list[IngestTask]:
        """Due ingest and reindex jobs, oldest first, set to running with one more attempt."""
        ...

    async def next_due(self) -> datetime | None:
        """When the earliest queued job becomes due; None if there is none."""
        ...

    async def queue_state(self) -> QueueState:
        """How much ingest work waits and runs."""
        ...

    async def record_progress(self, job_id: str, stage: Stage, progress: Progress) -> bool:
        """False when the job is no longer running (cancelled, document deleted): stop working on it."""
        ...

    async def record_content(self, job_id: str, text_sha256: str, inside: Sequence[Member] = ()) -> bool:
        """Refer to the extracted text, and to the documents inside, before they are put into the blob store: from here
        on no purge of another document takes them away, and the purge of this one does. False as `record_progress`:
        then do not put them."""
        ...

    async def requeue(
        self, job_id: str, *, delay: timedelta, failure: Failure, is_strike: bool = True
    ) -> None:
        """Back to queued after a passing failure. `is_strike` False: no fault of this document (a part was down), so
        the attempt brings it no nearer to `poison`."""
        ...

    async def fail_task(self, job_id: str, failure: Failure) -> None:
        """Job and version failed for good; the visible version stays. The version's points are left to a purge."""
        ...

    async def switch_versions(self, indexed: Sequence[IndexedVersion]) -> list[str]:
        """Make all of them visible in one commit; the ones they replace are left to a purge. What is recorded inside
        them becomes documents of its own, in work; parts that are inside no more are tombstoned. Versions that were
        overtaken, cancelled or deleted meanwhile are not switched. Returns the job ids that were."""
        ...

    async def release_tasks(self, job_ids: Sequence[str]) -> None:
        """Hand running jobs back to the queue without counting the attempt (orderly stop)."""
        ...

    async def recover(self, *, max_attempts: int) -> tuple[int, int]:
        """At start-up: running jobs back to queued, or failed `poison` when `strikes` reached `max_attempts`. Returns
        (requeued, failed)."""
        ...

    # purges and consistency
    async def purge_targets(self, limit: int) -> list[PurgeTarget]:
        """Deleted documents and superseded, failed or cancelled versions whose points are not yet known to be gone."""
        ...

    async def finish_purge(
        self, target: PurgeTarget, points_deleted: int, delete_blob: Callable[[str], Awaitable[bool]]
    ) -> PurgeReceipt:
        """The points are gone: in one transaction drop the rows (whole document) or mark the version purged, and
        call `delete_blob` for each hash whose last reference went. The newest 10 superseded versions keep bytes and
        text. Closes the purge job, if there is one, as succeeded."""
        ...

    async def expected_points(self) -> dict[str, int]:
        """`document_version` → number of chunks, of all visible versions."""
        ...

    async def live_versions(self) -> set[str]:
        """`document_version`s that may have points: visible, in work, or waiting for their purge."""
        ...

    async def visible_contents(self) -> dict[str, VersionContent]:
        """`document_version` → what it is made of, of all visible versions."""
        ...

    async def unfinished_originals(self) -> dict[str, str]:
        """`document_version` → SHA-256 of its original, of the newest versions that are in work or have failed."""
        ...

    async def visible_task(self, document_version: str) -> IngestTask | None:
        """What was to be done for this version, so that it can be done again; None once it is not visible."""
        ...

    async def delete_unreferenced(
        self, hashes: Sequence[str], delete_blob: Callable[[str], Awaitable[bool]]
    ) -> int:
        """Call `delete_blob` for each hash that no version refers to, inside the transaction (which excludes that an
        upload begins to refer to it); returns how many went."""
        ...

    async def repair_version(self, document_version: str) -> None:
        """The store lost points of this visible version: queue a reindex of its document."""
        ...

    async def referenced_blobs(self) -> dict[str, bool]:
        """SHA-256 → whether a visible version needs it; originals and extracted texts of all versions."""
        ...

    # records
    async def put_record(self, tenant_id: str, record: Record) -> None:
        """Remember it, unless a document that it quotes is gone. Raises RecordNotFound."""
        ...

    async def get_record(self, tenant_id: str, kind: RecordKind, record_id: str) -> Record:
        """Raises RecordNotFound, also where a document that it quotes is gone."""
        ...

    async def delete_record(self, tenant_id: str, kind: RecordKind, record_id: str) -> None:
        """Raises RecordNotFound."""
        ...

    async def get_property(self, key: str) -> str | None:
        """A fact about the data directory, such as the embedding fingerprint."""
        ...

    async def set_property(self, key: str, value: str) -> None:
        """Idempotent."""
        ...

    async def snapshot(self, target: Path) -> ManifestCopy:
        """Write all that is committed now to the new file `target`, durably; readers and writers go on meanwhile.
        Raises Unavailable."""
        ...

    async def counts(self) -> Mapping[str, int]:
        """Documents, versions, jobs by state, pending purges."""
        ...

    async def is_healthy(self) -> bool:
        """A cheap probe; never raises."""
        ...

    async def close(self) -> None:
        """Idempotent."""
        ...


class BackupFolder(Protocol):
    """A folder that is filled with a backup, by one process at a time. The backup that it held before stays whole until
    `seal`. All methods block; they raise OSError where they cannot write."""

    def open(self) -> None:
        """Before all else. Raises BackupFolderRefused (not a place for a backup), BackupRunning (somebody reads or
        writes it)."""
        ...

    @property
    def manifest_path(self) -> Path:
        """Where the copy of the manifest belongs."""
        ...

    def vectors_path(self, name: str) -> Path:
        """Where the vectors of an embedding fingerprint belong; its parent may be missing."""
        ...

    def place_blobs(self, paths: Mapping[str, Path]) -> tuple[int, list[str]]:
        """Take in blobs, SHA-256 → where they lie, durably. Returns how many are new here, and which are neither here
        nor, with these bytes, where they should be."""
        ...

    def seal(self, backup: Backup) -> Backup:
        """Write down which files there are, with their hashes, then, as the last step, that the backup is complete.
        Returns `backup` with the hashes filled in."""
        ...

    def clear_away(self) -> int:
        """After `seal`: remove what only the backup before needed. Returns how many blobs went."""
        ...

    def close(self) -> None:
        """Let go; what was not sealed is removed. Idempotent."""
        ...
