"""Background work as its user handles it: look, follow, cancel, try again."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import suppress
from dataclasses import dataclass

from ragstone.core.errors import Conflict, JobNotFound
from ragstone.core.models import Acceptance, Job, JobKind, JobState, Page
from ragstone.core.ports import JobQueue, Manifest

FOLLOW_EVERY_S = 0.25
FINAL = frozenset({JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED})


@dataclass(frozen=True, slots=True)
class JobReport:
    """A job at one moment of following it. `rate` is in units of its progress a second since the stage was first seen,
    `remaining_s` what is left at that rate; None while there is nothing to tell it from."""

    job: Job
    rate: float | None
    remaining_s: float | None

    @property
    def is_last(self) -> bool:
        """Whether nothing follows."""
        return self.job.state in FINAL


class JobService:
    """Thin: the rules are the manifest's."""

    def __init__(self, manifest: Manifest, queue: JobQueue):
        self._manifest = manifest
        self._queue = queue

    async def get(self, tenant_id: str, job_id: str) -> Job:
        """Raises JobNotFound."""
        return await self._manifest.get_job(tenant_id, job_id)

    async def list(
        self,
        tenant_id: str,
        *,
        state: JobState | None,
        kind: JobKind | None,
        document_id: str | None,
        limit: int,
        cursor: str | None,
    ) -> Page[Job]:
        """Newest first. Raises InvalidCursor."""
        return await self._manifest.list_jobs(
            tenant_id, state=state, kind=kind, document_id=document_id, limit=limit, cursor=cursor
        )

    async def cancel(self, tenant_id: str, job_id: str) -> Job:
        """When it returns nothing works on it any more. Raises JobNotFound, Conflict."""
        job = await self._manifest.cancel_job(tenant_id, job_id)
        if job.document_id is not None and job.version is not None:
            await self._queue.stop_document(job.document_id, (job.version,))
        return job

    async def cancel_of_document(self, tenant_id: str, document_id: str) -> None:
        """Stop what is in work of a document; nothing where it has just ended."""
        newest = await self.list(
            tenant_id, state=None, kind=None, document_id=document_id, limit=1, cursor=None
        )
        for job in newest.items:
            with suppress(Conflict, JobNotFound):
                await self.cancel(tenant_id, job.id)

    async def retry(self, tenant_id: str, job_id: str) -> Acceptance:
        """Raises JobNotFound, DocumentNotFound, Conflict, QueueFull."""
        accepted = await self._manifest.retry_job(tenant_id, job_id)
        self._queue.wake()
        return accepted

    async def follow(self, tenant_id: str, job_id: str) -> AsyncGenerator[JobReport, None]:
        """The job now, and again whenever it changed, until it has ended. Raises JobNotFound."""
        pace = _Pace()
        job = await self._manifest.get_job(tenant_id, job_id)
        yield pace.report(job)
        while job.state not in FINAL:
            await asyncio.sleep(FOLLOW_EVERY_S)
            seen, job = job, await self._manifest.get_job(tenant_id, job_id)
            if job != seen:
                yield pace.report(job)


class _Pace:
    """How fast a stage goes, from the first report of it on."""

    def __init__(self) -> None:
        self._stage: object = None
        self._since = 0.0
        self._done = 0

    def report(self, job: Job) -> JobReport:
        progress, now = job.progress, time.monotonic()
        if job.stage is not self._stage or progress.done < self._done:
            self._stage, self._since, self._done = job.stage, now, progress.done
        gained, elapsed = progress.done - self._done, now - self._since
        if job.state in FINAL or not gained or not elapsed:
            return JobReport(job, None, None)
        rate = gained / elapsed
        return JobReport(job, round(rate, 1), round((progress.total - progress.done) / rate, 1))
