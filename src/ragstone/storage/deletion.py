"""Tombstones: documents that are deleted now, those inside them with them, and purged later."""

from uuid import uuid4

from sqlalchemy import and_, func, insert, select, update
from sqlalchemy.sql import ColumnElement

from ragstone.core.filters import Filter
from ragstone.core.models import Deletion, JobKind, JobState, PurgeTarget, Scope
from ragstone.storage.database import Transaction
from ragstone.storage.listing import passing_ids
from ragstone.storage.reading import document_row, get_job
from ragstone.storage.records import forget_quoting
from ragstone.storage.tables import documents, jobs, versions
from ragstone.storage.versions import cancel_jobs

_ADD_PURGE = insert(jobs).values(kind=JobKind.PURGE, state=JobState.QUEUED, stage_ms={}, unit="documents")
_SLICE = 1_000  # ids in one statement


def delete_document(tx: Transaction, tenant_id: str, document_id: str) -> Deletion:
    """See Manifest.delete_document."""
    document_row(tx, tenant_id, document_id)
    job_id = tombstone(tx, tenant_id, [documents.c.id == document_id], document_id=document_id)
    assert job_id is not None  # it was there a moment ago, in this transaction
    return deletion_of(tx, tenant_id, job_id)


def deletion_of(tx: Transaction, tenant_id: str, job_id: str) -> Deletion:
    """What a purge has to do, document by document."""
    doomed = select(versions.c.document_id, versions.c.version).join(
        documents, documents.c.id == versions.c.document_id
    )
    numbers: dict[str, list[int]] = {}
    for owner, version in tx.execute(
        doomed.where(documents.c.purge_job_id == job_id).order_by(versions.c.version)
    ):
        numbers.setdefault(owner, []).append(version)
    targets = tuple(PurgeTarget(owner, None, tuple(found), job_id) for owner, found in numbers.items())
    return Deletion(get_job(tx, tenant_id, job_id), targets)


def count_matching(tx: Transaction, scope: Scope, where: Filter) -> int:
    """See Manifest.count_matching."""
    return len(passing_ids(tx, scope, where))


def delete_matching(tx: Transaction, scope: Scope, where: Filter) -> Deletion | None:
    """See Manifest.delete_matching."""
    ids = passing_ids(tx, scope, where)
    slices = [ids[start : start + _SLICE] for start in range(0, len(ids), _SLICE)]
    job_id = tombstone(tx, scope.tenant_id, [documents.c.id.in_(some) for some in slices])
    return None if job_id is None else Deletion(get_job(tx, scope.tenant_id, job_id), ())


def has_expired_documents(tx: Transaction) -> bool:
    """Whether `expire_documents` has work."""
    return tx.execute(select(documents.c.id).where(_is_due(tx)).limit(1)).first() is not None


def expire_documents(tx: Transaction) -> int:
    """See Manifest.expire_documents."""
    is_due = _is_due(tx)
    tenants = tx.execute(select(documents.c.tenant_id).where(is_due).distinct()).scalars().all()
    jobs_made = [
        tombstone(tx, tenant_id, [and_(is_due, documents.c.tenant_id == tenant_id)]) for tenant_id in tenants
    ]
    return sum(tombstoned(tx, job_id) for job_id in jobs_made if job_id is not None)


def tombstone(
    tx: Transaction, tenant_id: str, which: list[ColumnElement[bool]], *, document_id: str | None = None
) -> str | None:
    """Make the documents that pass any of `which` invisible, and all that is inside them; cancel their work and queue
    one purge of them. Returns the purge's job id, None if there were none."""
    job_id = str(uuid4())
    for condition in which:
        _mark(tx, condition, job_id)
    its_documents = select(documents.c.id).where(documents.c.purge_job_id == job_id)
    while _mark(tx, documents.c.parent_id.in_(its_documents), job_id):
        continue
    total = tombstoned(tx, job_id)
    if total == 0:
        return None
    forget_quoting(tx, its_documents)
    cancel_jobs(tx, jobs.c.document_id.in_(its_documents), "the document was deleted")
    key = {"id": job_id, "tenant_id": tenant_id, "document_id": document_id}
    tx.execute(_ADD_PURGE, {**key, "total": total, "created_at": tx.now})
    return job_id


def tombstoned(tx: Transaction, job_id: str) -> int:
    """How many documents wait for this purge."""
    counted: int = tx.execute(select(func.count()).where(documents.c.purge_job_id == job_id)).scalar_one()
    return counted


def _is_due(tx: Transaction) -> ColumnElement[bool]:
    return and_(documents.c.expires_at <= tx.now, documents.c.deleted_at.is_(None))


def _mark(tx: Transaction, which: ColumnElement[bool], job_id: str) -> int:
    return tx.execute(
        update(documents)
        .where(which, documents.c.deleted_at.is_(None))
        .values(deleted_at=tx.now, updated_at=tx.now, purge_job_id=job_id)
    ).rowcount
