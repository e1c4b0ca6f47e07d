"""The queue as rows: claiming, progress, and every way for a job to end but the switch of its version."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Any

from sqlalchemy import and_, bindparam, delete, func, insert, select, update
from sqlalchemy.sql import ColumnElement

from ragstone.core.errors import Conflict, Poison
from ragstone.core.models import (
    Acceptance,
    Failure,
    IngestTask,
    Job,
    JobKind,
    JobState,
    Member,
    Progress,
    QueueState,
    Stage,
    VersionState,
)
from ragstone.storage.database import AnyRow, Transaction
from ragstone.storage.reading import acceptance, document_row, get_job, job_row, version_row
from ragstone.storage.rows import TASKS, task_from
from ragstone.storage.tables import documents, jobs, members, versions
from ragstone.storage.versions import NewVersion, append_version, cancel_jobs, require_room

_is_queued = and_(jobs.c.state == JobState.QUEUED, jobs.c.due_at.is_not(None))

_DUE = (
    TASKS.where(jobs.c.state == JobState.QUEUED, jobs.c.due_at <= bindparam("now"))
    .order_by(jobs.c.due_at, jobs.c.id)
    .limit(bindparam("limit"))
)
_START = (
    update(jobs)
    .where(jobs.c.id == bindparam("job_id"))
    .values(
        state=JobState.RUNNING,
        attempts=jobs.c.attempts + 1,
        strikes=jobs.c.strikes + 1,
        started_at=bindparam("now"),
        next_retry_at=None,
        stage=Stage.PARSE,
        done=0,
        total=0,
    )
)
_PROGRESS = (
    update(jobs)
    .where(jobs.c.id == bindparam("job_id"), jobs.c.state == JobState.RUNNING)
    .values(
        stage=bindparam("new_stage"),
        done=bindparam("new_done"),
        total=bindparam("new_total"),
        unit=bindparam("new_unit"),
    )
)
_RUNNING = select(func.count(), func.max(jobs.c.strikes)).where(jobs.c.state == JobState.RUNNING)
_NEXT_DUE = select(func.min(jobs.c.due_at)).where(_is_queued)


_WAITING = select(jobs.c.state, func.count(), func.min(jobs.c.created_at)).where(
    jobs.c.state.in_((JobState.QUEUED, JobState.RUNNING)), jobs.c.due_at.is_not(None)
)


def queue_state(tx: Transaction) -> QueueState:
    """See Manifest.queue_state."""
    found = {state: (count, oldest) for state, count, oldest in tx.execute(_WAITING.group_by(jobs.c.state))}
    ages_s = [(tx.now - oldest).total_seconds() for _, oldest in found.values()]
    counts = {state: count for state, (count, _) in found.items()}
    return QueueState(counts.get(JobState.QUEUED, 0), counts.get(JobState.RUNNING, 0), max(0.0, *ages_s, 0.0))


def claim(tx: Transaction, limit: int) -> list[IngestTask]:
    """See Manifest.claim_tasks."""
    due = _runnable(tx, [task_from(row) for row in tx.execute(_DUE, {"now": tx.now, "limit": limit})])
    if due:
        tx.execute(_START, [{"job_id": task.job.id, "now": tx.now} for task in due])
    return [_started(task) for task in due]


def _runnable(tx: Transaction, due: list[IngestTask]) -> list[IngestTask]:
    """A job that was struck before runs alone, in its turn: whoever runs beside it when the process dies would be
    struck with it, and three strikes are final."""
    running, most_strikes = tx.execute(_RUNNING).one()
    if running and most_strikes > 1:
        return []
    if due and due[0].job.strikes:
        return [] if running else due[:1]
    return list(takewhile(lambda task: not task.job.strikes, due))


def _started(task: IngestTask) -> IngestTask:
    job = replace(
        task.job,
        state=JobState.RUNNING,
        attempts=task.job.attempts + 1,
        strikes=task.job.strikes + 1,
        next_retry_at=None,
        stage=Stage.PARSE,
        progress=Progress(),
    )
    return replace(task, job=job)


def next_due(tx: Transaction) -> datetime | None:
    """See Manifest.next_due."""
    found: datetime | None = tx.execute(_NEXT_DUE).scalar()
    return found


def record_progress(tx: Transaction, job_id: str, stage: Stage, progress: Progress) -> bool:
    """See Manifest.record_progress."""
    values = {
        "new_stage": stage,
        "new_done": progress.done,
        "new_total": progress.total,
        "new_unit": progress.unit,
    }
    return tx.execute(_PROGRESS, {"job_id": job_id, **values}).rowcount == 1


def record_content(tx: Transaction, job_id: str, text_sha256: str, inside: Sequence[Member]) -> bool:
    """See Manifest.record_content."""
    job = tx.execute(
        select(jobs.c.document_id, jobs.c.version).where(
            jobs.c.id == job_id, jobs.c.state == JobState.RUNNING
        )
    ).first()
    if job is None:
        return False
    tx.execute(update(versions).where(_version_of(job)).values(text_sha256=text_sha256))
    key = {"document_id": job.document_id, "version": job.version}
    tx.execute(
        delete(members).where(members.c.document_id == job.document_id, members.c.version == job.version)
    )
    if inside:
        tx.execute(insert(members), [{**key, **asdict(member)} for member in inside])
    return True


def requeue(tx: Transaction, job_id: str, *, delay: timedelta, failure: Failure, is_strike: bool) -> None:
    """See Manifest.requeue."""
    due_at = tx.now + delay
    tx.execute(
        update(jobs)
        .where(jobs.c.id == job_id, jobs.c.state == JobState.RUNNING)
        .values(
            state=JobState.QUEUED,
            due_at=due_at,
            next_retry_at=due_at,
            strikes=jobs.c.strikes - (0 if is_strike else 1),
            **_error(failure),
        )
    )


def release(tx: Transaction, job_ids: Sequence[str]) -> None:
    """See Manifest.release_tasks."""
    tx.execute(
        update(jobs)
        .where(jobs.c.id.in_(job_ids), jobs.c.state == JobState.RUNNING)
        .values(
            state=JobState.QUEUED, attempts=jobs.c.attempts - 1, strikes=jobs.c.strikes - 1, started_at=None
        )
    )


def fail(tx: Transaction, job_id: str, failure: Failure) -> None:
    """See Manifest.fail_task."""
    _fail(tx, and_(jobs.c.id == job_id, jobs.c.state == JobState.RUNNING), failure)


def cancel(tx: Transaction, tenant_id: str, job_id: str) -> Job:
    """See Manifest.cancel_job."""
    job = job_row(tx, tenant_id, job_id)
    if job.job_kind is JobKind.PURGE:
        raise Conflict("a purge cannot be cancelled: what was deleted stays deleted")
    if job.job_state not in (JobState.QUEUED, JobState.RUNNING):
        raise Conflict(f"the job has ended already: it {job.job_state.value}")
    cancel_jobs(tx, jobs.c.id == job_id, "cancelled by its user")
    _fail_version(tx, job.job_document_id, job.job_version)
    return get_job(tx, tenant_id, job_id)


def retry(tx: Transaction, tenant_id: str, job_id: str, *, max_queued_jobs: int) -> Acceptance:
    """See Manifest.retry_job."""
    job = job_row(tx, tenant_id, job_id)
    if job.job_kind is JobKind.PURGE or job.job_state in (JobState.RUNNING, JobState.SUCCEEDED):
        raise Conflict(f"there is nothing to try again: the {job.job_kind.value} {job.job_state.value}")
    document = document_row(tx, tenant_id, job.job_document_id)
    if job.job_version != document.newest_version:
        raise Conflict(f"version {job.job_version} was overtaken by version {document.newest_version}")
    if job.job_state is JobState.QUEUED:
        tx.execute(update(jobs).where(jobs.c.id == job_id).values(due_at=tx.now, next_retry_at=None))
    else:
        require_room(tx, max_queued_jobs)
        again = NewVersion.like(version_row(tx, document.id, job.job_version))
        append_version(tx, document, again, job.job_kind)
    return acceptance(tx, tenant_id, document.id)


def recover(tx: Transaction, *, max_attempts: int) -> tuple[int, int]:
    """See Manifest.recover."""
    is_running = jobs.c.state == JobState.RUNNING
    poison = Failure(Poison.code, f"the server died {max_attempts} times while it read this document")
    failed = _fail(tx, and_(is_running, jobs.c.strikes >= max_attempts), poison)
    requeued = tx.execute(
        update(jobs).where(is_running).values(state=JobState.QUEUED, started_at=None)
    ).rowcount
    return requeued, failed


def _fail(tx: Transaction, which: ColumnElement[bool], failure: Failure) -> int:
    """Fail jobs that pass, with their versions; returns how many."""
    failing = tx.execute(select(jobs.c.id, jobs.c.document_id, jobs.c.version).where(which)).all()
    for job in failing:
        tx.execute(
            update(jobs)
            .where(jobs.c.id == job.id)
            .values(
                state=JobState.FAILED, finished_at=tx.now, due_at=None, next_retry_at=None, **_error(failure)
            )
        )
        _fail_version(tx, job.document_id, job.version)
    return len(failing)


def _fail_version(tx: Transaction, document_id: str, version: int) -> None:
    is_it = and_(versions.c.document_id == document_id, versions.c.version == version)
    tx.execute(update(versions).where(is_it).values(state=VersionState.FAILED, retired_at=tx.now))
    tx.execute(update(documents).where(documents.c.id == document_id).values(updated_at=tx.now))


def _version_of(job: AnyRow) -> ColumnElement[bool]:
    return and_(versions.c.document_id == job.document_id, versions.c.version == job.version)


def _error(failure: Failure) -> dict[str, Any]:
    return {"error_code": failure.code, "error_message": failure.message, "error_page": failure.page}
