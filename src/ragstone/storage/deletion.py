"""Tombstones: documents that are deleted now and purged later."""

from collections.abc import Mapping
from uuid import uuid4

from sqlalchemy import and_, insert, select, update
from sqlalchemy.sql import ColumnElement

from ragstone.core.models import JobKind, JobState, PurgeTarget
from ragstone.storage.database import Transaction
from ragstone.storage.reading import unknown_document
from ragstone.storage.tables import documents, jobs, versions
from ragstone.storage.versions import cancel_jobs

_ADD_PURGE = insert(jobs).values(kind=JobKind.PURGE, state=JobState.QUEUED, stage_ms={})


def delete_document(tx: Transaction, tenant_id: str, document_id: str) -> PurgeTarget:
    """See Manifest.delete_document."""
    purges = tombstone(tx, and_(documents.c.id == document_id, documents.c.tenant_id == tenant_id))
    if document_id not in purges:
        raise unknown_document(document_id)
    numbers = tx.execute(
        select(versions.c.version).where(versions.c.document_id == document_id).order_by(versions.c.version)
    ).scalars()
    return PurgeTarget(document_id, None, tuple(numbers), purges[document_id])


def tombstone(tx: Transaction, which: ColumnElement[bool]) -> Mapping[str, str]:
    """Make the documents that pass invisible, cancel their work and queue their purges: document id → purge job."""
    doomed = and_(which, documents.c.deleted_at.is_(None))
    purges = [
        {"id": str(uuid4()), "tenant_id": row.tenant_id, "document_id": row.id, "created_at": tx.now}
        for row in tx.execute(select(documents.c.id, documents.c.tenant_id).where(doomed))
    ]
    if not purges:
        return {}
    its_jobs = jobs.c.document_id.in_(select(documents.c.id).where(doomed))
    cancel_jobs(tx, its_jobs, "the document was deleted")
    tx.execute(_ADD_PURGE, purges)
    tx.execute(update(documents).where(doomed).values(deleted_at=tx.now, updated_at=tx.now))
    return {purge["document_id"]: purge["id"] for purge in purges}
