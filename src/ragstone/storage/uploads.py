"""Accepting work: uploads with their identity and duplicate rules, and re-indexing."""

from collections.abc import Callable
from uuid import uuid4

from sqlalchemy import and_, bindparam, insert, select

from ragstone.core.errors import Conflict
from ragstone.core.models import Acceptance, JobKind, NewUpload, OnDuplicate
from ragstone.storage.collections import require_collection
from ragstone.storage.database import AnyRow, Transaction
from ragstone.storage.reading import document_row
from ragstone.storage.rows import DOCUMENTS, document_from, job_from
from ragstone.storage.tables import VersionState, documents, title_key, versions
from ragstone.storage.versions import (
    NewVersion,
    add_version,
    append_version,
    require_room,
    supersede_pending,
)

_BY_IDENTITY = DOCUMENTS.where(
    documents.c.tenant_id == bindparam("tenant_id"),
    documents.c.collection == bindparam("collection"),
    documents.c.source == bindparam("source"),
)
_ADD_DOCUMENT = insert(documents).values(newest_version=1)


def accept(
    tx: Transaction, upload: NewUpload, *, confirm_blob: Callable[[], object], max_queued_jobs: int
) -> Acceptance:
    """See Manifest.accept_upload."""
    scope = upload.scope
    require_collection(tx, scope.tenant_id, scope.collection)
    existing = _find(tx, upload)
    if existing is None:
        require_room(tx, max_queued_jobs)
        confirm_blob()
        return _acceptance(tx, scope.tenant_id, _add_document(tx, upload))
    if not _makes_version(existing, upload):
        return Acceptance(document_from(existing), None)
    if existing.newest_state is VersionState.PENDING:
        supersede_pending(tx, existing.id, existing.newest_version)
    require_room(tx, max_queued_jobs)
    confirm_blob()
    append_version(tx, existing, _revised(existing, upload), JobKind.INGEST)
    return _acceptance(tx, scope.tenant_id, existing.id)


def request_reindex(tx: Transaction, tenant_id: str, document_id: str, *, max_queued_jobs: int) -> Acceptance:
    """See Manifest.request_reindex."""
    document = document_row(tx, tenant_id, document_id)
    if document.newest_state is VersionState.PENDING:
        raise Conflict(f"version {document.newest_version} of the document is in work; wait until it is done")
    require_room(tx, max_queued_jobs)
    _repeat_version(tx, document, document.newest_version)
    return _acceptance(tx, tenant_id, document_id)


def repair_version(tx: Transaction, document_version: str) -> None:
    """See Manifest.repair_version."""
    document_id, _, number = document_version.rpartition(":")
    document = tx.execute(
        select(documents, versions.c.state.label("newest_state"))
        .join(
            versions,
            and_(versions.c.document_id == documents.c.id, versions.c.version == documents.c.newest_version),
        )
        .where(
            documents.c.id == document_id,
            documents.c.visible_version == int(number),
            documents.c.deleted_at.is_(None),
        )
    ).first()
    if document is not None and document.newest_state is not VersionState.PENDING:
        _repeat_version(tx, document, document.visible_version)


def _find(tx: Transaction, upload: NewUpload) -> AnyRow | None:
    """The document of the upload's identity; an upload without a source has none."""
    if upload.source is None:
        return None
    scope = upload.scope
    key = {"tenant_id": scope.tenant_id, "collection": scope.collection, "source": upload.source}
    return tx.execute(_BY_IDENTITY, key).first()


def _makes_version(existing: AnyRow, upload: NewUpload) -> bool:
    """The same bytes as the newest version's are worth another try only if that one failed."""
    if existing.newest_sha256 == upload.sha256:
        return existing.newest_state is VersionState.FAILED
    return upload.on_duplicate is not OnDuplicate.SKIP


def _add_document(tx: Transaction, upload: NewUpload) -> str:
    content = NewVersion(
        upload.sha256, upload.bytes, upload.filename, upload.media_type, upload.title, upload.metadata or {}
    )
    document_id = str(uuid4())
    tx.execute(
        _ADD_DOCUMENT,
        {
            "id": document_id,
            "tenant_id": upload.scope.tenant_id,
            "collection": upload.scope.collection,
            "source": upload.source,
            "title": content.first_title,
            "title_key": title_key(content.first_title),
            "metadata": content.metadata,
            "created_at": tx.now,
            "updated_at": tx.now,
        },
    )
    add_version(tx, upload.scope.tenant_id, document_id, 1, content, JobKind.INGEST)
    return document_id


def _revised(existing: AnyRow, upload: NewUpload) -> NewVersion:
    """What the upload says, and where it says nothing, what was said before."""
    return NewVersion(
        upload.sha256,
        upload.bytes,
        upload.filename,
        upload.media_type,
        existing.newest_title if upload.title is None else upload.title,
        existing.newest_metadata if upload.metadata is None else upload.metadata,
    )


def _repeat_version(tx: Transaction, document: AnyRow, number: int) -> None:
    stored = tx.execute(
        select(versions).where(versions.c.document_id == document.id, versions.c.version == number)
    ).one()
    append_version(tx, document, NewVersion.like(stored), JobKind.REINDEX)


def _acceptance(tx: Transaction, tenant_id: str, document_id: str) -> Acceptance:
    row = document_row(tx, tenant_id, document_id)
    return Acceptance(document_from(row), job_from(row))
