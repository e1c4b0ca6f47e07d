"""What must go after its points went: rows, and the bytes that nothing refers to any more."""

from collections.abc import Callable, Sequence
from datetime import timedelta

from sqlalchemy import and_, bindparam, delete, select, union, update

from ragstone.core.models import JobKind, JobState, PurgeReceipt, PurgeTarget, VersionState
from ragstone.storage.database import Transaction
from ragstone.storage.records import forget_quoting
from ragstone.storage.tables import documents, jobs, members, versions

KEPT_VERSIONS = 10
"""So many superseded or failed versions of a document keep their bytes and text."""
JOBS_KEPT_FOR = timedelta(hours=24)
"""So long the jobs of purged documents and versions may be polled."""

DeleteBlobs = Callable[[Sequence[str]], int]

_DELETED = (
    select(documents.c.id, documents.c.purge_job_id)
    .where(documents.c.deleted_at.is_not(None))
    .order_by(documents.c.deleted_at, documents.c.id)
    .limit(bindparam("limit"))
)
_RETIRED = (
    select(versions.c.document_id, versions.c.version)
    .join(documents, documents.c.id == versions.c.document_id)
    .where(versions.c.retired_at.is_not(None), documents.c.deleted_at.is_(None))
    .order_by(versions.c.retired_at, versions.c.document_id, versions.c.version)
    .limit(bindparam("limit"))
)


def purge_targets(tx: Transaction, limit: int) -> list[PurgeTarget]:
    """See Manifest.purge_targets."""
    deleted = tx.execute(_DELETED, {"limit": limit}).all()
    numbers: dict[str, list[int]] = {document_id: [] for document_id, _ in deleted}
    for document_id, version in tx.execute(
        select(versions.c.document_id, versions.c.version)
        .where(versions.c.document_id.in_(numbers))
        .order_by(versions.c.version)
    ):
        numbers[document_id].append(version)
    whole = [
        PurgeTarget(document_id, None, tuple(numbers[document_id]), job_id) for document_id, job_id in deleted
    ]
    retired = tx.execute(_RETIRED, {"limit": limit - len(whole)})
    return whole + [PurgeTarget(document_id, version, (version,), None) for document_id, version in retired]


def finish_purge(
    tx: Transaction, target: PurgeTarget, points_deleted: int, *, delete_blobs: DeleteBlobs
) -> PurgeReceipt:
    """See Manifest.finish_purge. Bytes go before the commit: a crash between leaves the target to be purged again,
    and no upload can refer to them meanwhile."""
    drop = _drop_document(tx, target) if target.version is None else _retain_newest(tx, target)
    blobs_deleted = delete_unreferenced(tx, drop, delete_blobs)
    tx.execute(delete(jobs).where(jobs.c.expires_at <= tx.now))
    return PurgeReceipt(
        document_id=target.document_id,
        versions=target.versions,
        points_deleted=points_deleted,
        blobs_deleted=blobs_deleted,
        verified_absent=True,
        job_id=target.job_id,
    )


def _drop_document(tx: Transaction, target: PurgeTarget) -> set[str]:
    """Drop a tombstoned document's rows and count it in its purge job; returns the hashes it referred to."""
    is_it = and_(documents.c.id == target.document_id, documents.c.deleted_at.is_not(None))
    if tx.execute(select(documents.c.id).where(is_it)).first() is None:
        return set()
    hashes = _drop_versions(tx, target.document_id, target.versions)
    tx.execute(delete(documents).where(is_it))
    its_jobs = and_(jobs.c.document_id == target.document_id, jobs.c.kind != JobKind.PURGE)
    tx.execute(update(jobs).where(its_jobs).values(expires_at=tx.now + JOBS_KEPT_FOR))
    if target.job_id is not None:
        _count_purged(tx, target.job_id)
    return hashes


def _count_purged(tx: Transaction, job_id: str) -> None:
    """One document less; with the last one the job is done."""
    job = jobs.c.id == job_id
    tx.execute(update(jobs).where(job).values(done=jobs.c.done + 1))
    if tx.execute(select(documents.c.id).where(documents.c.purge_job_id == job_id)).first() is None:
        tx.execute(
            update(jobs)
            .where(job)
            .values(state=JobState.SUCCEEDED, finished_at=tx.now, expires_at=tx.now + JOBS_KEPT_FOR)
        )


def _drop_versions(tx: Transaction, document_id: str, numbers: Sequence[int]) -> set[str]:
    """Drop rows of versions and of what is inside them; returns the hashes they referred to."""
    inside = _drop_members(tx, document_id, numbers)
    these = and_(versions.c.document_id == document_id, versions.c.version.in_(numbers))
    found = tx.execute(select(versions.c.sha256, versions.c.text_sha256).where(these)).all()
    tx.execute(delete(versions).where(these))
    return inside | {sha256 for row in found for sha256 in row if sha256 is not None}


def _drop_members(tx: Transaction, document_id: str, numbers: Sequence[int]) -> set[str]:
    """What was inside these versions is not needed for them any more: reading them again would find it again."""
    these = and_(members.c.document_id == document_id, members.c.version.in_(numbers))
    hashes = set(tx.execute(select(members.c.sha256).where(these)).scalars())
    tx.execute(delete(members).where(these))
    return hashes


def _retain_newest(tx: Transaction, target: PurgeTarget) -> set[str]:
    """Mark the version's points as gone and drop the rows of versions beyond the ones kept; returns their hashes."""
    tx.execute(
        update(versions)
        .where(
            versions.c.document_id == target.document_id,
            versions.c.version == target.version,
            versions.c.retired_at.is_not(None),
        )
        .values(retired_at=None, purged_at=tx.now)
    )
    hashes = _drop_members(tx, target.document_id, target.versions)
    dropped = _beyond_kept(tx, target.document_id)
    if not dropped:
        return hashes
    hashes |= _drop_versions(tx, target.document_id, dropped)
    if _were_replaced(tx, target.document_id, dropped):
        forget_quoting(tx, [target.document_id])  # what was replaced for good may be what they quote
    tx.execute(
        update(jobs)
        .where(jobs.c.document_id == target.document_id, jobs.c.version.in_(dropped))
        .values(expires_at=tx.now + JOBS_KEPT_FOR)
    )
    return hashes


def _beyond_kept(tx: Transaction, document_id: str) -> list[int]:
    """Old versions without points that are not among the newest old ones, or were replaced for good. The document's
    newest is never old."""
    old = tx.execute(
        select(versions.c.version, versions.c.purged_at, documents.c.kept_from)
        .join(documents, documents.c.id == versions.c.document_id)
        .where(
            versions.c.document_id == document_id,
            versions.c.state.in_((VersionState.SUPERSEDED, VersionState.FAILED)),
            versions.c.version < documents.c.newest_version,
        )
        .order_by(versions.c.version.desc())
    ).all()
    return [
        version
        for place, (version, purged_at, kept_from) in enumerate(old)
        if purged_at is not None and (place >= KEPT_VERSIONS or version < kept_from)
    ]


def _were_replaced(tx: Transaction, document_id: str, numbers: Sequence[int]) -> bool:
    """Whether some of these versions went because their user wanted it, and not by age."""
    replaced = select(documents.c.id).where(
        documents.c.id == document_id, documents.c.kept_from > min(numbers)
    )
    return tx.execute(replaced).first() is not None


def delete_unreferenced(tx: Transaction, hashes: set[str], delete_blobs: DeleteBlobs) -> int:
    """Delete those of `hashes` that no version of any tenant refers to; returns how many blobs went."""
    if not hashes:
        return 0
    references = (versions.c.sha256, versions.c.text_sha256, members.c.sha256)
    needed = set(
        tx.execute(union(*(select(column).where(column.in_(hashes)) for column in references))).scalars()
    )
    unreferenced = sorted(hashes - needed)
    return delete_blobs(unreferenced) if unreferenced else 0
