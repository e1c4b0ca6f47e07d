"""The catalogue of failures: one small class each, with its stable code, HTTP status and whether a retry can help.

RagstoneError
├── InternalError
├── InvalidRequest ── InvalidFilter, InvalidCursor, BackupFolderRefused
├── MalformedBody, BodyTimeout, MethodNotAllowed, PayloadTooLarge, UnsupportedMediaType
├── Unauthorized, ForbiddenHost, ForbiddenOrigin
├── NotFound ── RouteNotFound, DocumentNotFound, CollectionNotFound, JobNotFound
├── Conflict ── CollectionExists, CollectionNotEmpty, BackupRunning
├── Unavailable ── EngineUnavailable, EmbedderUnavailable, BackupFailed, ChangeInDoubt
├── ExternalServiceError ── UpstreamUnavailable, UpstreamRateLimited, UpstreamTimeout, UpstreamRefused,
│                           UpstreamGarbled, UpstreamInterrupted, ContentFiltered
├── QueueFull, DeadlineExceeded, ClientGone, WorkerDied
├── IngestError ── NoText, ParseFailed, ParseLimit, Poison, BadEmbedding, Cancelled, BlobMissing,
│                  Encrypted, LegacyFormat, UnsafeArchive, UnsafeXml
└── StartupError ── DataDirectoryInUse, ForeignDatabase, ModelMissing, FingerprintChanged, VectorsElsewhere,
                    MigrationFailed, InvalidSetting, BackupUnusable, BackupDamaged, RestoreRefused

Each code has a heading in docs/troubleshooting.md (a test keeps this so).
"""

from collections.abc import Sequence
from typing import Any, ClassVar


class RagstoneError(Exception):
    """A failure with a name. `message` says what was wrong with which value and what to do."""

    code: ClassVar[str] = "internal_error"
    status: ClassVar[int] = 500
    retryable: ClassVar[bool] = False
    is_passing: ClassVar[bool] = False
    """Whether another attempt of ours may succeed within the request; see core.retry."""
    opens_circuit: ClassVar[bool] = False
    """Whether it points to an outage of the service that was asked."""

    def __init__(
        self, message: str, *, details: Sequence[dict[str, Any]] = (), retry_after_s: float | None = None
    ):
        super().__init__(message)
        self.message = message
        self.details = tuple(details)
        self.retry_after_s = retry_after_s


class InternalError(RagstoneError):
    """A defect of ours; the log has the trace, the reply only the request id."""


class InvalidRequest(RagstoneError):
    """Parsed, but a value is not acceptable."""

    code = "invalid_request"
    status = 422


class MalformedBody(RagstoneError):
    """The body cannot be parsed as what its content type says."""

    code = "malformed_body"
    status = 400


class BodyTimeout(RagstoneError):
    """The body did not arrive in time."""

    code = "body_timeout"
    status = 408
    retryable = True


class InvalidFilter(InvalidRequest):
    """The filter breaks the grammar or its bounds."""

    code = "invalid_filter"


class InvalidCursor(InvalidRequest):
    """The cursor was not issued by this list."""

    code = "invalid_cursor"


class BackupFolderRefused(InvalidRequest):
    """No backup is written into this folder."""

    code = "backup_folder_refused"


class UnsupportedParameter(RagstoneError):
    """A parameter of OpenAI's dialect that would change the answer and cannot be honoured."""

    code = "unsupported_parameter"
    status = 400


class NotFound(RagstoneError):
    """Missing, or not yours."""

    code = "not_found"
    status = 404


class RouteNotFound(NotFound):
    """No such path."""

    code = "route_not_found"


class DocumentNotFound(NotFound):
    """No such document."""

    code = "document_not_found"


class CollectionNotFound(NotFound):
    """No such collection."""

    code = "collection_not_found"


class VersionNotFound(NotFound):
    """No such version of the document, or it is kept no longer."""

    code = "version_not_found"


class JobNotFound(NotFound):
    """No such job."""

    code = "job_not_found"


class ModelNotFound(NotFound):
    """No such model in OpenAI's dialect: neither a collection nor a configured model."""

    code = "model_not_found"


class RecordNotFound(NotFound):
    """No such batch or response, or one that quotes a document which is gone."""

    code = "record_not_found"


class Conflict(RagstoneError):
    """The state does not allow it."""

    code = "conflict"
    status = 409


class DocumentExists(Conflict):
    """The identity is taken, and the upload asked not to change it."""

    code = "document_exists"


class IdempotencyMismatch(Conflict):
    """The key was used with another request."""

    code = "idempotency_mismatch"


class CollectionExists(Conflict):
    """The name is taken."""

    code = "collection_exists"


class HomeOfFile(Conflict):
    """A file cannot be taken out of the collection that it was uploaded to without being deleted."""

    code = "home_of_file"


class CollectionNotEmpty(Conflict):
    """The collection still holds documents."""

    code = "collection_not_empty"


class BackupRunning(Conflict):
    """Another backup is being made, or this folder is being read or written."""

    code = "backup_running"


class Unauthorized(RagstoneError):
    """The request carries no API key, or none that is known."""

    code = "unauthorized"
    status = 401


class ForbiddenHost(RagstoneError):
    """The Host header names neither loopback nor an allowed host."""

    code = "forbidden_host"
    status = 403


class ForbiddenOrigin(RagstoneError):
    """The Origin header is neither our own nor an allowed one."""

    code = "forbidden_origin"
    status = 403


class MethodNotAllowed(RagstoneError):
    """The path exists, the method does not."""

    code = "method_not_allowed"
    status = 405


class PayloadTooLarge(RagstoneError):
    """The body is over its limit."""

    code = "payload_too_large"
    status = 413


class UnsupportedMediaType(RagstoneError):
    """The content is of a type that is not supported."""

    code = "unsupported_media_type"
    status = 415


class Unavailable(RagstoneError):
    """A part we need is down or full; try again later."""

    code = "unavailable"
    status = 503
    retryable = True

    def __init__(
        self, message: str, *, details: Sequence[dict[str, Any]] = (), retry_after_s: float | None = 1.0
    ):
        super().__init__(message, details=details, retry_after_s=retry_after_s)


class ChangeInDoubt(Unavailable):
    """The worker that makes changes died over this one: whether it was made is not known."""

    code = "change_in_doubt"


class EngineUnavailable(Unavailable):
    """The vector store does not answer."""

    code = "engine_unavailable"
    is_passing = True
    opens_circuit = True


class EmbedderUnavailable(Unavailable):
    """The embedder does not answer."""

    code = "embedder_unavailable"
    is_passing = True
    opens_circuit = True


class BackupFailed(Unavailable):
    """The backup could not be written; the one before is whole."""

    code = "backup_failed"


class ExternalServiceError(RagstoneError):
    """A service outside of Ragstone did not do its part. The message never repeats what that service said."""

    code = "external_service_error"
    status = 502


class UpstreamUnavailable(ExternalServiceError):
    """It cannot be reached, answers 408, 409 or 5xx, or failed so often that it is not asked for a while."""

    code = "upstream_unavailable"
    status = 503
    retryable = True
    is_passing = True
    opens_circuit = True


class UpstreamRateLimited(ExternalServiceError):
    """It answers 429."""

    code = "upstream_rate_limited"
    status = 503
    retryable = True
    is_passing = True


class UpstreamTimeout(ExternalServiceError):
    """It took longer than an attempt, or a pause in its answer, may take."""

    code = "upstream_timeout"
    status = 504
    retryable = True
    is_passing = True
    opens_circuit = True


class UpstreamRefused(ExternalServiceError):
    """It answers 400, 401, 403, 404 or 422: the configuration is wrong."""

    code = "upstream_refused"


class UpstreamGarbled(ExternalServiceError):
    """What it answers is not what its protocol says."""

    code = "upstream_garbled"
    retryable = True


class UpstreamInterrupted(ExternalServiceError):
    """Its answer broke off after it had begun."""

    code = "upstream_interrupted"
    retryable = True


class ContentFiltered(ExternalServiceError):
    """Its content filter withheld the whole answer."""

    code = "content_filtered"


class QueueFull(RagstoneError):
    """The ingestion queue is at its bound."""

    code = "queue_full"
    status = 429
    retryable = True

    def __init__(
        self, message: str, *, details: Sequence[dict[str, Any]] = (), retry_after_s: float | None = 5.0
    ):
        super().__init__(message, details=details, retry_after_s=retry_after_s)


class ClientGone(RagstoneError):
    """The client closed the connection before its answer; only the log sees this."""

    code = "client_gone"
    status = 499


class DeadlineExceeded(RagstoneError):
    """The request's time is up."""

    code = "deadline_exceeded"
    status = 504
    retryable = True


class IngestError(RagstoneError):
    """A document version cannot become ready. The code lands in the document's `error`."""

    code = "ingest_failed"
    status = 422

    def __init__(self, message: str, *, page: int | None = None):
        super().__init__(message)
        self.page = page


class NoText(IngestError):
    """The document holds no text."""

    code = "no_text"


class ParseFailed(IngestError):
    """The document is damaged."""

    code = "parse_failed"


class ParseLimit(IngestError):
    """Parsing hit its limit of memory, CPU, wall time or output."""

    code = "parse_limit"


class Encrypted(IngestError):
    """The document is protected by a password."""

    code = "encrypted"


class LegacyFormat(IngestError):
    """A binary format of old office programs that is not read."""

    code = "legacy_format"


class UnsafeArchive(IngestError):
    """An archive, or an office document, that inflates beyond all proportion."""

    code = "unsafe_archive"


class UnsafeXml(IngestError):
    """XML with a document type declaration, which can pull in files or grow without bound."""

    code = "unsafe_xml"


class Poison(IngestError):
    """Three attempts ended with the death of the worker."""

    code = "poison"


class BadEmbedding(IngestError):
    """The embedder returned vectors that cannot be stored."""

    code = "bad_embedding"


class Cancelled(IngestError):
    """The job was cancelled."""

    code = "cancelled"


class WorkerDied(RagstoneError):
    """The parse worker was killed by a signal that its limits did not send; the attempt counts."""

    code = "worker_died"
    retryable = True


class BlobMissing(IngestError):
    """The stored original is gone from the data directory."""

    code = "blob_missing"
    status = 500


class StartupError(RagstoneError):
    """The process cannot start as configured; the message says what to do."""

    code = "startup_failed"


class DataDirectoryInUse(StartupError):
    """Another process owns the data directory."""

    code = "data_directory_in_use"


class ForeignDatabase(StartupError):
    """The database holds tables that are not Ragstone's."""

    code = "foreign_database"


class ModelMissing(StartupError):
    """The packaged encoder is not installed, or is not the one expected."""

    code = "model_missing"


class FingerprintChanged(StartupError):
    """The data was embedded with another configuration."""

    code = "fingerprint_changed"


class VectorsElsewhere(StartupError):
    """The vectors of the data directory are not where the configuration says."""

    code = "vectors_elsewhere"


class MigrationFailed(StartupError):
    """What arrived on the other side is not what was sent; nothing was switched."""

    code = "migration_failed"


class InvalidSetting(StartupError):
    """A setting is unknown or unusable."""

    code = "invalid_setting"


class BackupUnusable(StartupError):
    """The folder holds no complete backup of a known format."""

    code = "backup_unusable"


class BackupDamaged(StartupError):
    """Files of the backup are missing, or not what they were."""

    code = "backup_damaged"


class RestoreRefused(StartupError):
    """The directory to restore into is not empty."""

    code = "restore_refused"


def catalogue() -> list[type[RagstoneError]]:
    """Every class of this module, sorted by code."""
    found: dict[str, type[RagstoneError]] = {}
    pending: list[type[RagstoneError]] = [RagstoneError]
    while pending:
        kind = pending.pop()
        pending.extend(kind.__subclasses__())
        found.setdefault(kind.code, kind)
    return [found[code] for code in sorted(found)]
