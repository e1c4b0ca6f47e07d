"""Changes of a document that is already here: other bytes, old bytes again, other words about it."""

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import and_, select, update

from ragstone.core.errors import Conflict, InvalidRequest
from ragstone.core.models import (
    MAX_METADATA_KEYS,
    Acceptance,
    Document,
    DocumentPatch,
    JobKind,
    NewContent,
    PayloadTarget,
    Scope,
    Unset,
    VersionState,
)
from ragstone.storage import idempotency
from ragstone.storage.database import AnyRow, Transaction
from ragstone.storage.reading import acceptance, document_row, load_document, version_row
from ragstone.storage.rows import DOCUMENTS, newest
from ragstone.storage.tables import documents, title_key, versions
from ragstone.storage.uploads import is_news, revised
from ragstone.storage.versions import NewVersion, append_version, renew, require_room


def replace_content(
    tx: Transaction,
    tenant_id: str,
    document_id: str,
    content: NewContent,
    *,
    confirm_blob: Callable[[], object],
    max_queued_jobs: int,
) -> Acceptance:
    """See Manifest.replace_content."""
    known = idempotency.recall(tx, tenant_id, content.idempotency)
    if known is not None:
        return known
    document = _own_document(tx, tenant_id, document_id)
    if not is_news(document, content.sha256):
        accepted = Acceptance(load_document(tx, document), None)
    else:
        version = revised(
            document,
            sha256=content.sha256,
            bytes=content.bytes,
            filename=content.filename,
            media_type=content.media_type,
            title=content.title,
            metadata=content.metadata,
        )
        renew(
            tx, document, version, JobKind.INGEST, confirm_blob=confirm_blob, max_queued_jobs=max_queued_jobs
        )
        accepted = acceptance(tx, tenant_id, document_id)
    idempotency.remember(tx, tenant_id, content.idempotency, accepted)
    return accepted


def restore_version(
    tx: Transaction, tenant_id: str, document_id: str, version: int, *, max_queued_jobs: int
) -> Acceptance:
    """See Manifest.restore_version."""
    document = _own_document(tx, tenant_id, document_id)
    stored = version_row(tx, document_id, version)
    is_newest = version == document.newest_version and stored.state is not VersionState.FAILED
    if is_newest:
        return Acceptance(load_document(tx, document), None)
    again = NewVersion.like(stored)
    renew(tx, document, again, JobKind.INGEST, confirm_blob=lambda: None, max_queued_jobs=max_queued_jobs)
    return acceptance(tx, tenant_id, document_id)


def request_reindex(tx: Transaction, tenant_id: str, document_id: str, *, max_queued_jobs: int) -> Acceptance:
    """See Manifest.request_reindex."""
    document = document_row(tx, tenant_id, document_id)
    if document.newest_state is VersionState.PENDING:
        raise Conflict(f"version {document.newest_version} of the document is in work; wait until it is done")
    require_room(tx, max_queued_jobs)
    _repeat_version(tx, document, document.newest_version)
    return acceptance(tx, tenant_id, document_id)


def repair_version(tx: Transaction, document_version: str) -> None:
    """See Manifest.repair_version."""
    document_id, _, number = document_version.rpartition(":")
    document = tx.execute(
        DOCUMENTS.where(documents.c.id == document_id, documents.c.visible_version == int(number))
    ).first()
    if document is not None and document.newest_state is not VersionState.PENDING:
        _repeat_version(tx, document, document.visible_version)


def update_document(
    tx: Transaction, tenant_id: str, document_id: str, patch: DocumentPatch
) -> tuple[Document, PayloadTarget | None]:
    """See Manifest.update_document."""
    document = document_row(tx, tenant_id, document_id)
    changes: dict[str, Any] = {"updated_at": tx.now}
    if isinstance(patch.title, str):
        changes |= {"title": patch.title, "title_key": title_key(patch.title)}
    if patch.metadata is not Unset.UNSET:
        changes["metadata"] = _merged(document.metadata, patch)
    if patch.expires_at is not Unset.UNSET:
        changes["expires_at"] = patch.expires_at
        _pass_on_expiry(tx, document_id, patch)
    is_stale = bool(changes.keys() & {"title", "metadata"})
    if is_stale:  # also without a visible version: the first one may be in work, begun with the old words
        changes["payload_stale_at"] = tx.now
    tx.execute(update(documents).where(documents.c.id == document_id).values(changes))
    _update_versions(tx, document, patch)
    changed = document_row(tx, tenant_id, document_id)
    has_points = is_stale and changed.visible_version is not None
    return load_document(tx, changed), _payload_target(changed) if has_points else None


def stale_payloads(tx: Transaction, limit: int) -> list[PayloadTarget]:
    """See Manifest.stale_payloads. A version in work brings its own payload, so it is waited for."""
    found = tx.execute(
        DOCUMENTS.where(
            documents.c.payload_stale_at.is_not(None),
            documents.c.visible_version.is_not(None),
            newest.c.state != VersionState.PENDING,
        )
        .order_by(documents.c.payload_stale_at)
        .limit(limit)
    )
    return [_payload_target(row) for row in found]


def finish_payload(tx: Transaction, target: PayloadTarget) -> None:
    """See Manifest.finish_payload."""
    is_it = and_(documents.c.id == target.document_id, documents.c.payload_stale_at == target.stale_at)
    document = tx.execute(DOCUMENTS.where(is_it, documents.c.visible_version == target.version)).first()
    if document is not None and document.newest_state is not VersionState.PENDING:
        tx.execute(update(documents).where(is_it).values(payload_stale_at=None))


def _own_document(tx: Transaction, tenant_id: str, document_id: str) -> AnyRow:
    """A row of DOCUMENTS whose bytes its user may change. Raises DocumentNotFound, Conflict."""
    document = document_row(tx, tenant_id, document_id)
    if document.parent_id is not None:
        raise Conflict(f"the document is a part of {document.parent_id}; change that one")
    return document


def _repeat_version(tx: Transaction, document: AnyRow, number: int) -> None:
    append_version(tx, document, NewVersion.like(version_row(tx, document.id, number)), JobKind.REINDEX)


def _merged(metadata: Mapping[str, Any], patch: DocumentPatch) -> dict[str, Any]:
    """A flat merge patch; its None removes, one that was stored stays. Raises InvalidRequest for more keys than there
    may be."""
    said = patch.metadata
    assert not isinstance(said, Unset)
    if said is None:
        return {}
    removed = {key for key, value in said.items() if value is None}
    before = {} if patch.replaces_metadata else metadata
    merged = {key: value for key, value in {**before, **said}.items() if key not in removed}
    if len(merged) > MAX_METADATA_KEYS:
        raise InvalidRequest(f"metadata has at most {MAX_METADATA_KEYS} keys")
    return merged


def _update_versions(tx: Transaction, document: AnyRow, patch: DocumentPatch) -> None:
    """The visible and the newest version say the same from now on, so that what comes after takes it over."""
    for number in {document.visible_version, document.newest_version} - {None}:
        stored = version_row(tx, document.id, number)
        changes: dict[str, Any] = {}
        if isinstance(patch.title, str):
            changes["title"] = patch.title
        if patch.metadata is not Unset.UNSET:
            changes["metadata"] = _merged(stored.metadata, patch)
        if changes:
            is_it = and_(versions.c.document_id == document.id, versions.c.version == number)
            tx.execute(update(versions).where(is_it).values(changes))


def _pass_on_expiry(tx: Transaction, document_id: str, patch: DocumentPatch) -> None:
    """What is inside expires with it, and so do its copies."""
    copies = documents.c.copy_of == document_id
    tx.execute(update(documents).where(copies).values(expires_at=patch.expires_at))
    parents = [document_id, *tx.execute(select(documents.c.id).where(copies)).scalars()]
    while parents:
        inside = documents.c.parent_id.in_(parents)
        tx.execute(update(documents).where(inside).values(expires_at=patch.expires_at))
        parents = list(tx.execute(select(documents.c.id).where(inside)).scalars())


def _payload_target(document: AnyRow) -> PayloadTarget:
    return PayloadTarget(
        scope=Scope(document.tenant_id, document.collection),
        document_id=document.id,
        version=document.visible_version,
        chunks=document.shown_chunks,
        title=document.title,
        metadata=document.metadata,
        stale_at=document.payload_stale_at,
    )
