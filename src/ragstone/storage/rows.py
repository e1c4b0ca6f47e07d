"""From rows to models: the one place that knows which columns make a document, a version or a job."""

from typing import Any

from sqlalchemy import Label, Select, and_, func, select
from sqlalchemy.sql import ColumnElement

from ragstone.core.models import (
    Child,
    Document,
    DocumentStatus,
    Failure,
    IngestTask,
    Job,
    JobState,
    Pending,
    Progress,
    Scope,
    Version,
    VersionEntry,
    VersionState,
)
from ragstone.storage.database import AnyRow
from ragstone.storage.tables import documents, jobs, versions

shown = versions.alias("shown")
"""The version that a document's fields describe: the visible one, else the newest."""
newest = versions.alias("newest")

_STATUS = {
    JobState.QUEUED: DocumentStatus.QUEUED,
    JobState.RUNNING: DocumentStatus.PROCESSING,
    JobState.FAILED: DocumentStatus.FAILED,
    JobState.CANCELLED: DocumentStatus.FAILED,
}


def _labelled(columns: Any, prefix: str) -> list[Label[Any]]:
    return [column.label(f"{prefix}_{column.key}") for column in columns]


JOB_COLUMNS = _labelled(jobs.c, "job")
_SHOWN = (
    "sha256",
    "bytes",
    "filename",
    "media_type",
    "characters",
    "chunks",
    "pages",
    "encoding",
    "text_sha256",
    "title",
)
_NEWEST = ("state", "sha256", "bytes", "filename", "media_type", "title", "metadata", "chunk_tokens")

JOBS: Select[Any] = select(*JOB_COLUMNS)

DOCUMENTS: Select[Any] = (
    select(
        documents,
        func.coalesce(documents.c.visible_version, documents.c.newest_version).label("shown_version"),
        *_labelled([shown.c[name] for name in _SHOWN], "shown"),
        *_labelled([newest.c[name] for name in _NEWEST], "newest"),
        *JOB_COLUMNS,
    )
    .join(
        shown,
        and_(
            shown.c.document_id == documents.c.id,
            shown.c.version == func.coalesce(documents.c.visible_version, documents.c.newest_version),
        ),
    )
    .join(
        newest, and_(newest.c.document_id == documents.c.id, newest.c.version == documents.c.newest_version)
    )
    .join(jobs, jobs.c.id == newest.c.job_id)
    .where(documents.c.deleted_at.is_(None))
)
"""Documents that are not deleted, with their shown and newest versions and the newest version's job."""

TASKS: Select[Any] = (
    select(
        documents.c.collection,
        documents.c.source,
        documents.c.created_at,
        documents.c.depth,
        documents.c.visible_version,
        versions.c.sha256,
        versions.c.bytes,
        versions.c.filename,
        versions.c.media_type,
        versions.c.title,
        versions.c.metadata,
        versions.c.chunk_tokens,
        *JOB_COLUMNS,
    )
    .select_from(jobs)
    .join(versions, and_(versions.c.document_id == jobs.c.document_id, versions.c.version == jobs.c.version))
    .join(documents, documents.c.id == jobs.c.document_id)
)
"""Jobs with all that a worker must know."""


def status_is(status: DocumentStatus) -> ColumnElement[bool]:
    """What `document_from` shows, as a condition on DOCUMENTS."""
    if status is DocumentStatus.READY:
        return documents.c.visible_version.is_not(None)
    states = [state for state, shown_as in _STATUS.items() if shown_as is status]
    return and_(documents.c.visible_version.is_(None), jobs.c.state.in_(states))


def document_from(row: AnyRow, children: tuple[Child, ...] = ()) -> Document:
    """A row of DOCUMENTS, and the documents inside it."""
    is_visible = row.visible_version is not None
    status = DocumentStatus.READY if is_visible else _STATUS[row.job_state]
    return Document(
        id=row.id,
        tenant_id=row.tenant_id,
        collection=row.collection,
        source=row.source,
        title=row.title,
        filename=row.shown_filename,
        media_type=row.shown_media_type,
        bytes=row.shown_bytes,
        sha256=row.shown_sha256,
        status=status,
        version=row.shown_version,
        chunks=row.shown_chunks,
        characters=row.shown_characters,
        pages=row.shown_pages,
        encoding=row.shown_encoding,
        metadata=row.metadata,
        error=_failure(row) if status is DocumentStatus.FAILED else None,
        pending=_pending(row) if is_visible else None,
        created_at=row.created_at,
        updated_at=row.updated_at,
        expires_at=row.expires_at,
        parent_id=row.parent_id,
        children=children,
        chunk_tokens=row.newest_chunk_tokens,
        copy_of=row.copy_of,
    )


def child_from(row: AnyRow) -> Child:
    """A row of DOCUMENTS that has a parent."""
    is_visible = row.visible_version is not None
    status = DocumentStatus.READY if is_visible else _STATUS[row.job_state]
    error = _failure(row) if status is DocumentStatus.FAILED else None
    return Child(row.id, row.member, row.shown_media_type, status, error)


def version_from(row: AnyRow) -> Version:
    """The shown version of a row of DOCUMENTS. A text is referred to before it is stored, so it counts once visible."""
    return Version(
        document_id=row.id,
        version=row.shown_version,
        sha256=row.shown_sha256,
        bytes=row.shown_bytes,
        filename=row.shown_filename,
        media_type=row.shown_media_type,
        text_sha256=None if row.visible_version is None else row.shown_text_sha256,
        chunks=row.shown_chunks,
        title=row.shown_title,
    )


def job_from(row: AnyRow) -> Job:
    """A row that has JOB_COLUMNS."""
    return Job(
        id=row.job_id,
        tenant_id=row.job_tenant_id,
        document_id=row.job_document_id,
        version=row.job_version,
        kind=row.job_kind,
        state=row.job_state,
        stage=row.job_stage,
        progress=_progress(row),
        attempts=row.job_attempts,
        next_retry_at=row.job_next_retry_at,
        error=_failure(row),
        stage_ms=row.job_stage_ms,
        created_at=row.job_created_at,
        finished_at=row.job_finished_at,
        chunks_reused=row.job_chunks_reused,
        strikes=row.job_strikes,
        request_id=row.job_request_id,
    )


def task_from(row: AnyRow) -> IngestTask:
    """A row of TASKS."""
    return IngestTask(
        job=job_from(row),
        scope=Scope(row.job_tenant_id, row.collection),
        document_id=row.job_document_id,
        version=row.job_version,
        sha256=row.sha256,
        filename=row.filename,
        media_type=row.media_type,
        title=row.title,
        source=row.source,
        metadata=row.metadata,
        created_at=row.created_at,
        depth=row.depth,
        visible_version=row.visible_version,
        bytes=row.bytes,
        chunk_tokens=row.chunk_tokens,
    )


def entry_from(row: AnyRow) -> VersionEntry:
    """A row of versions with JOB_COLUMNS."""
    return VersionEntry(
        version=row.version,
        state=row.state,
        sha256=row.sha256,
        bytes=row.bytes,
        filename=row.filename,
        media_type=row.media_type,
        characters=row.characters,
        chunks=row.chunks,
        chunks_reused=row.job_chunks_reused,
        pages=row.pages,
        job_id=row.job_id,
        error=_failure(row) if row.state is VersionState.FAILED else None,
        created_at=row.created_at,
    )


def _pending(row: AnyRow) -> Pending | None:
    """The newest version, unless it is the visible one."""
    if row.newest_state is VersionState.VISIBLE:
        return None
    status = _STATUS[row.job_state]
    return Pending(
        version=row.newest_version,
        job_id=row.job_id,
        status=status,
        stage=row.job_stage,
        progress=_progress(row),
        error=_failure(row) if status is DocumentStatus.FAILED else None,
    )


def _progress(row: AnyRow) -> Progress:
    return Progress(row.job_done, row.job_total, row.job_unit)


def _failure(row: AnyRow) -> Failure | None:
    if row.job_error_code is None:
        return None
    return Failure(row.job_error_code, row.job_error_message, row.job_error_page)
