"""Documents, versions and jobs, as their users see them."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import BigInteger, Text, bindparam, or_, select, tuple_
from sqlalchemy.sql import ColumnElement

from ragstone.core.errors import DocumentNotFound, JobNotFound, VersionNotFound
from ragstone.core.filters import epoch_micros
from ragstone.core.models import (
    Acceptance,
    Child,
    Document,
    Job,
    JobKind,
    JobState,
    Page,
    Version,
    VersionEntry,
    VersionState,
)
from ragstone.storage.cursors import decode_cursor, encode_cursor
from ragstone.storage.database import AnyRow, Transaction
from ragstone.storage.rows import (
    DOCUMENTS,
    JOB_COLUMNS,
    JOBS,
    child_from,
    document_from,
    entry_from,
    job_from,
    version_from,
)
from ragstone.storage.tables import documents, jobs, versions

_DOCUMENT = DOCUMENTS.where(
    documents.c.id == bindparam("id"), documents.c.tenant_id == bindparam("tenant_id")
)
_CHILDREN = DOCUMENTS.where(documents.c.parent_id.in_(bindparam("parents", expanding=True))).order_by(
    documents.c.parent_id, documents.c.member
)
_JOB = JOBS.where(jobs.c.id == bindparam("id"), jobs.c.tenant_id == bindparam("tenant_id"))
_VERSIONS = (
    select(*(column for column in versions.c if column.key != "job_id"), *JOB_COLUMNS)
    .join(jobs, jobs.c.id == versions.c.job_id)
    .where(versions.c.document_id == bindparam("id"))
    .order_by(versions.c.version.desc())
)


def document_row(tx: Transaction, tenant_id: str, document_id: str) -> AnyRow:
    """A row of DOCUMENTS. Raises DocumentNotFound, also for one that has expired."""
    found = tx.execute(_DOCUMENT, {"id": document_id, "tenant_id": tenant_id}).first()
    if found is None or has_expired(found, tx.now):
        raise unknown_document(document_id)
    return found


def unknown_document(document_id: str) -> DocumentNotFound:
    """The error with its message."""
    return DocumentNotFound(f"there is no document {document_id!r}")


def has_expired(document: AnyRow, now: datetime) -> bool:
    """Whether its time is up, be it tombstoned already or not."""
    return document.expires_at is not None and document.expires_at <= now


def is_unexpired(now: datetime) -> ColumnElement[bool]:
    """The opposite, as a condition on documents."""
    return or_(documents.c.expires_at.is_(None), documents.c.expires_at > now)


def load_documents(tx: Transaction, rows: Sequence[AnyRow]) -> tuple[Document, ...]:
    """Rows of DOCUMENTS with the documents inside them."""
    children: defaultdict[str, list[Child]] = defaultdict(list)
    if rows:
        for row in tx.execute(_CHILDREN, {"parents": [row.id for row in rows]}):
            children[row.parent_id].append(child_from(row))
    return tuple(document_from(row, tuple(children[row.id])) for row in rows)


def load_document(tx: Transaction, row: AnyRow) -> Document:
    """A row of DOCUMENTS with the documents inside it."""
    return load_documents(tx, [row])[0]


def acceptance(tx: Transaction, tenant_id: str, document_id: str) -> Acceptance:
    """The document, and the job of its newest version."""
    row = document_row(tx, tenant_id, document_id)
    return Acceptance(load_document(tx, row), job_from(row))


def get_document(tx: Transaction, tenant_id: str, document_id: str) -> Document:
    """See Manifest.get_document."""
    return load_document(tx, document_row(tx, tenant_id, document_id))


def get_version(tx: Transaction, tenant_id: str, document_id: str, version: int | None) -> Version:
    """See Manifest.get_version."""
    document = document_row(tx, tenant_id, document_id)
    if version is None or version == document.shown_version:
        return version_from(document)
    stored = version_row(tx, document_id, version)
    has_text = stored.state in (VersionState.SUPERSEDED, VersionState.VISIBLE)
    return Version(
        document_id=document_id,
        version=version,
        sha256=stored.sha256,
        bytes=stored.bytes,
        filename=stored.filename,
        media_type=stored.media_type,
        text_sha256=stored.text_sha256 if has_text and stored.chunks else None,
        chunks=stored.chunks,
        title=stored.title,
    )


def version_row(tx: Transaction, document_id: str, version: int) -> AnyRow:
    """A row of versions. Raises VersionNotFound."""
    found = tx.execute(
        select(versions).where(versions.c.document_id == document_id, versions.c.version == version)
    ).first()
    if found is None:
        raise VersionNotFound(f"the document {document_id!r} has no version {version}, or has it no longer")
    return found


def list_versions(tx: Transaction, tenant_id: str, document_id: str) -> tuple[VersionEntry, ...]:
    """See Manifest.list_versions."""
    document_row(tx, tenant_id, document_id)
    return tuple(entry_from(row) for row in tx.execute(_VERSIONS, {"id": document_id}))


def job_row(tx: Transaction, tenant_id: str, job_id: str) -> AnyRow:
    """A row of JOBS. Raises JobNotFound."""
    found = tx.execute(_JOB, {"id": job_id, "tenant_id": tenant_id}).first()
    if found is None:
        raise JobNotFound(f"there is no job {job_id!r}")
    return found


def get_job(tx: Transaction, tenant_id: str, job_id: str) -> Job:
    """See Manifest.get_job."""
    return job_from(job_row(tx, tenant_id, job_id))


def list_jobs(
    tx: Transaction,
    tenant_id: str,
    *,
    state: JobState | None,
    kind: JobKind | None,
    document_id: str | None,
    limit: int,
    cursor: str | None,
) -> Page[Job]:
    """See Manifest.list_jobs."""
    listing = JOBS.where(jobs.c.tenant_id == tenant_id).order_by(jobs.c.created_at.desc(), jobs.c.id.desc())
    wanted = ((jobs.c.state, state), (jobs.c.kind, kind), (jobs.c.document_id, document_id))
    listing = listing.where(*(column == value for column, value in wanted if value is not None))
    if cursor is not None:
        last = decode_cursor(cursor, "jobs", [int, str])
        key = tuple_(*last, types=[BigInteger(), Text()])
        listing = listing.where(tuple_(jobs.c.created_at, jobs.c.id) < key)
    found = [job_from(row) for row in tx.execute(listing.limit(limit + 1))]
    if len(found) <= limit:
        return Page(tuple(found), None)
    last_shown = found[limit - 1]
    return Page(
        tuple(found[:limit]), encode_cursor("jobs", [epoch_micros(last_shown.created_at), last_shown.id])
    )
