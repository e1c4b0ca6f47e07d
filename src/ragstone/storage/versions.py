"""The life of a version: added as pending with its job, then visible, and at some time retired for its purge.

A version's fields hold what its user last said: what an upload leaves out is taken over from the version before.
While a document has no visible version it shows the newest one's title and metadata, afterwards the visible one's.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from sqlalchemy import and_, insert, select, update
from sqlalchemy.sql import ColumnElement

from ragstone.core.errors import Cancelled, QueueFull
from ragstone.core.models import JobKind, JobState, VersionState
from ragstone.storage.database import AnyRow, Transaction
from ragstone.storage.tables import documents, jobs, title_key, versions

_WORKING = (JobState.QUEUED, JobState.RUNNING)

_ADD_VERSION = insert(versions).values(state=VersionState.PENDING, characters=0, chunks=0)
_ADD_JOB = insert(jobs).values(state=JobState.QUEUED, stage_ms={})
_QUEUE = select(jobs.c.id).where(jobs.c.state == JobState.QUEUED, jobs.c.due_at.is_not(None))


@dataclass(frozen=True, slots=True)
class NewVersion:
    """What a version is made of. `title` is the user's, None = from the document."""

    sha256: str
    bytes: int
    filename: str | None
    media_type: str
    title: str | None
    metadata: Mapping[str, Any]
    replaces: bool = False
    """Whether older versions go for good once this one is visible."""
    chunk_tokens: int | None = None
    """The most that a chunk may have, where the user said so."""

    @classmethod
    def like(cls, version: AnyRow) -> "NewVersion":
        """The same bytes and wishes again; `version` is a row of versions."""
        return cls(
            version.sha256,
            version.bytes,
            version.filename,
            version.media_type,
            version.title,
            version.metadata,
            chunk_tokens=version.chunk_tokens,
        )

    @property
    def first_title(self) -> str:
        """What is shown until the document was read."""
        return self.title or self.filename or "Untitled"


def add_version(
    tx: Transaction, tenant_id: str, document_id: str, number: int, content: NewVersion, kind: JobKind
) -> str:
    """Add rows of a pending version and its queued job, and return the job's id. The caller updates the document."""
    job_id = str(uuid4())
    key = {"document_id": document_id, "version": number, "created_at": tx.now}
    tx.execute(
        _ADD_VERSION,
        {
            **key,
            "job_id": job_id,
            "sha256": content.sha256,
            "bytes": content.bytes,
            "filename": content.filename,
            "media_type": content.media_type,
            "title": content.title,
            "metadata": content.metadata,
            "replaces": content.replaces,
            "chunk_tokens": content.chunk_tokens,
        },
    )
    tx.execute(_ADD_JOB, {**key, "id": job_id, "tenant_id": tenant_id, "kind": kind, "due_at": tx.now})
    return job_id


def append_version(tx: Transaction, document: AnyRow, content: NewVersion, kind: JobKind) -> str:
    """`add_version` after the newest one of `document`, a row of documents or DOCUMENTS."""
    number = document.newest_version + 1
    job_id = add_version(tx, document.tenant_id, document.id, number, content, kind)
    changes: dict[str, Any] = {"newest_version": number, "updated_at": tx.now}
    if document.visible_version is None:
        title = content.first_title
        changes |= {"title": title, "title_key": title_key(title), "metadata": content.metadata}
    tx.execute(update(documents).where(documents.c.id == document.id).values(changes))
    return job_id


def require_room(tx: Transaction, max_queued_jobs: int) -> None:
    """Raises QueueFull when as many jobs wait already."""
    if tx.execute(_QUEUE.offset(max_queued_jobs - 1).limit(1)).first() is not None:
        raise QueueFull(f"{max_queued_jobs} documents wait to be ingested already; try again later")


def cancel_jobs(tx: Transaction, which: ColumnElement[bool], reason: str) -> None:
    """Cancel queued and running jobs that pass, purges excepted."""
    tx.execute(
        update(jobs)
        .where(which, jobs.c.state.in_(_WORKING), jobs.c.kind != JobKind.PURGE)
        .values(
            state=JobState.CANCELLED,
            finished_at=tx.now,
            due_at=None,
            next_retry_at=None,
            error_code=Cancelled.code,
            error_message=reason,
        )
    )


def renew(
    tx: Transaction,
    document: AnyRow,
    content: NewVersion,
    kind: JobKind,
    *,
    confirm_blob: Callable[[], object],
    max_queued_jobs: int,
) -> None:
    """Append a version in place of one that is still pending. `document` is a row of DOCUMENTS. Raises QueueFull."""
    if document.newest_state is VersionState.PENDING:
        supersede_pending(tx, document.id, document.newest_version)
    require_room(tx, max_queued_jobs)
    confirm_blob()
    append_version(tx, document, content, kind)


def supersede_pending(tx: Transaction, document_id: str, number: int) -> None:
    """A newer version comes: the pending one `number` will not be finished."""
    version = and_(versions.c.document_id == document_id, versions.c.version == number)
    tx.execute(update(versions).where(version).values(state=VersionState.SUPERSEDED, retired_at=tx.now))
    job = and_(jobs.c.document_id == document_id, jobs.c.version == number)
    cancel_jobs(tx, job, "a newer version was uploaded")
