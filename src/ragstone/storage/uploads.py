"""Accepting uploads, with their identity and duplicate rules."""

from collections.abc import Callable
from datetime import datetime
from uuid import uuid4

from sqlalchemy import bindparam, insert

from ragstone.core.errors import DocumentExists
from ragstone.core.models import Acceptance, JobKind, Metadata, NewUpload, OnDuplicate, VersionState
from ragstone.storage import idempotency
from ragstone.storage.collections import require_collection
from ragstone.storage.database import AnyRow, Transaction
from ragstone.storage.deletion import tombstone
from ragstone.storage.files import expiry_of
from ragstone.storage.reading import acceptance, has_expired, load_document
from ragstone.storage.rows import DOCUMENTS
from ragstone.storage.tables import documents, title_key
from ragstone.storage.versions import NewVersion, add_version, renew, require_room

_BY_IDENTITY = DOCUMENTS.where(
    documents.c.tenant_id == bindparam("tenant_id"),
    documents.c.collection == bindparam("collection"),
    documents.c.source == bindparam("source"),
    documents.c.parent_id.is_(None),
)
_ADD_DOCUMENT = insert(documents).values(newest_version=1)


def accept(
    tx: Transaction, upload: NewUpload, *, confirm_blob: Callable[[], object], max_queued_jobs: int
) -> Acceptance:
    """See Manifest.accept_upload."""
    tenant_id = upload.scope.tenant_id
    known = idempotency.recall(tx, tenant_id, upload.idempotency)
    if known is not None:
        return known
    require_collection(tx, tenant_id, upload.scope.collection)
    accepted = _accept(tx, upload, confirm_blob, max_queued_jobs)
    idempotency.remember(tx, tenant_id, upload.idempotency, accepted)
    return accepted


def add_document(
    tx: Transaction,
    tenant_id: str,
    collection: str,
    content: NewVersion,
    *,
    source: str | None,
    parent: AnyRow | None = None,
    member: str | None = None,
    expires_at: datetime | None = None,
    copy_of: str | None = None,
) -> str:
    """Add a document with its first version and job; returns its id. `parent` is a row of documents, with which it
    expires."""
    document_id = str(uuid4())
    tx.execute(
        _ADD_DOCUMENT,
        {
            "id": document_id,
            "tenant_id": tenant_id,
            "collection": collection,
            "source": source,
            "title": content.first_title,
            "title_key": title_key(content.first_title),
            "metadata": content.metadata,
            "created_at": tx.now,
            "updated_at": tx.now,
            "expires_at": expires_at,
            "copy_of": copy_of,
            **_place(parent, member),
        },
    )
    add_version(tx, tenant_id, document_id, 1, content, JobKind.INGEST)
    return document_id


def revised(
    existing: AnyRow,
    *,
    sha256: str,
    bytes: int,  # noqa: A002 - as the field that it becomes
    filename: str | None,
    media_type: str,
    title: str | None,
    metadata: Metadata | None,
    replaces: bool = False,
    chunk_tokens: int | None = None,
) -> NewVersion:
    """What a change says, and where it says nothing (None), what the newest version has. `existing` is a row of
    DOCUMENTS."""
    return NewVersion(
        sha256,
        bytes,
        filename,
        media_type,
        existing.newest_title if title is None else title,
        existing.newest_metadata if metadata is None else metadata,
        replaces,
        existing.newest_chunk_tokens if chunk_tokens is None else chunk_tokens,
    )


def is_news(existing: AnyRow, sha256: str) -> bool:
    """The same bytes as the newest version's are worth another try only if that one failed."""
    return existing.newest_sha256 != sha256 or existing.newest_state is VersionState.FAILED


def _accept(
    tx: Transaction, upload: NewUpload, confirm_blob: Callable[[], object], max_queued_jobs: int
) -> Acceptance:
    tenant_id = upload.scope.tenant_id
    expires_at = None if upload.copy_of is None else expiry_of(tx, tenant_id, upload.copy_of)
    existing = _find(tx, upload)
    if existing is not None and existing.copy_of != upload.copy_of:
        raise DocumentExists(f"the source {upload.source!r} is taken by document {existing.id}")
    if existing is None:
        require_room(tx, max_queued_jobs)
        confirm_blob()
        content = NewVersion(
            upload.sha256,
            upload.bytes,
            upload.filename,
            upload.media_type,
            upload.title,
            upload.metadata or {},
            chunk_tokens=upload.chunk_tokens,
        )
        document_id = add_document(
            tx,
            tenant_id,
            upload.scope.collection,
            content,
            source=upload.source,
            expires_at=expires_at,
            copy_of=upload.copy_of,
        )
        return acceptance(tx, tenant_id, document_id)
    if not _makes_version(existing, upload):
        if existing.newest_sha256 == upload.sha256:
            confirm_blob()  # the one that is there may have been lost since
        return Acceptance(load_document(tx, existing), None)
    content = revised(
        existing,
        sha256=upload.sha256,
        bytes=upload.bytes,
        filename=upload.filename,
        media_type=upload.media_type,
        title=upload.title,
        metadata=upload.metadata,
        replaces=upload.on_duplicate is OnDuplicate.REPLACE,
        chunk_tokens=upload.chunk_tokens,
    )
    renew(tx, existing, content, JobKind.INGEST, confirm_blob=confirm_blob, max_queued_jobs=max_queued_jobs)
    return acceptance(tx, tenant_id, existing.id)


def _find(tx: Transaction, upload: NewUpload) -> AnyRow | None:
    """The document of the upload's identity; an upload without a source has none. One whose time is up makes room."""
    if upload.source is None:
        return None
    scope = upload.scope
    key = {"tenant_id": scope.tenant_id, "collection": scope.collection, "source": upload.source}
    found = tx.execute(_BY_IDENTITY, key).first()
    if found is not None and has_expired(found, tx.now):
        tombstone(tx, scope.tenant_id, [documents.c.id == found.id], document_id=found.id)
        return None
    return found


def _makes_version(existing: AnyRow, upload: NewUpload) -> bool:
    """Raises DocumentExists."""
    if existing.newest_sha256 == upload.sha256:
        return is_news(existing, upload.sha256)
    if upload.on_duplicate is OnDuplicate.ERROR:
        raise DocumentExists(f"the source {upload.source!r} is document {existing.id}, with other bytes")
    return upload.on_duplicate is not OnDuplicate.SKIP


def _place(parent: AnyRow | None, member: str | None) -> dict[str, str | int | datetime | None]:
    """Where a document stands: by itself, or inside another, with which it expires."""
    if parent is None:
        return {"parent_id": None, "member": None, "depth": 0}
    depth = parent.depth + 1
    return {"parent_id": parent.id, "member": member, "depth": depth, "expires_at": parent.expires_at}
