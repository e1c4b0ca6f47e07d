"""The embedded queue: the manifest knows what is to do; this runs it inside the API process, a few tasks at a time."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

from ragstone.core.context import begin_job
from ragstone.core.errors import InternalError
from ragstone.core.models import Failure, IngestTask
from ragstone.core.ports import Manifest

log = logging.getLogger(__name__)

IDLE_POLL_S = 5.0  # other processes may enqueue too; our own uploads wake the queue at once
SOONEST_POLL_S = 0.05
BROKEN_OFF = Failure(InternalError.code, "the job broke off; the server's log has the trace")


class InProcessQueue:
    """Claims due jobs and runs each as a task. `run` handles every failure of its job itself."""

    def __init__(
        self, manifest: Manifest, run: Callable[[IngestTask], Awaitable[None]], *, concurrency: int = 4
    ):
        self._manifest = manifest
        self._run = run
        self._concurrency = concurrency
        self._running: dict[str, tuple[IngestTask, asyncio.Task[None]]] = {}
        self._broken_off: list[str] = []
        self._wake = asyncio.Event()
        self._is_stopping = False
        self._loop: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to work, also again after `stop`."""
        self._is_stopping = False
        self._loop = asyncio.create_task(self._work(), name="ingest queue")

    def wake(self) -> None:
        """Something may be due."""
        self._wake.set()

    @property
    def is_alive(self) -> bool:
        """Whether the loop runs."""
        return self._loop is not None and not self._loop.done()

    async def stop(self) -> None:
        """Cancel what runs and hand it back to the manifest without counting the attempt."""
        self._is_stopping = True
        self._wake.set()
        if self._loop is not None:  # not cancelled: what it is just claiming must be handed back too
            await asyncio.gather(self._loop, return_exceptions=True)
        tasks = list(self._running.values())
        for _, running in tasks:
            running.cancel()
        await asyncio.gather(*(running for _, running in tasks), return_exceptions=True)
        await self._manifest.release_tasks([task.job.id for task, _ in tasks])

    async def stop_document(self, document_id: str, versions: tuple[int, ...]) -> None:
        """Cancel work on these versions and wait until it has ended, so that none of it writes afterwards."""
        found = [
            running
            for task, running in self._running.values()
            if task.document_id == document_id and task.version in versions
        ]
        for running in found:
            running.cancel()
        await asyncio.gather(*found, return_exceptions=True)

    async def _work(self) -> None:
        while not self._is_stopping:
            self._wake.clear()
            try:
                await self._give_back()
                claimed = await self._claim()
                wait_s = 0.0 if claimed else await self._until_due()
            except Exception:  # the worker loop outlives a failing database
                log.exception("claiming jobs failed")
                claimed, wait_s = [], IDLE_POLL_S
            for task in claimed:
                self._start(task)
            if not claimed:
                await self._sleep(wait_s)

    async def _claim(self) -> list[IngestTask]:
        free = self._concurrency - len(self._running)
        return await self._manifest.claim_tasks(free) if free > 0 else []

    def _start(self, task: IngestTask) -> None:
        running = asyncio.create_task(self._run_logged(task), name=f"ingest {task.job.id}")
        self._running[task.job.id] = (task, running)
        running.add_done_callback(lambda _: self._ended(task.job.id))

    def _ended(self, job_id: str) -> None:
        self._running.pop(job_id, None)
        self._wake.set()

    async def _run_logged(self, task: IngestTask) -> None:
        begin_job(task.job.id, caused_by=task.job.request_id)
        try:
            await self._run(task)
        except Exception:  # the worker loop outlives a defect in one job
            log.exception("job broke off", extra={"document_id": task.document_id})
            self._broken_off.append(task.job.id)

    async def _give_back(self) -> None:
        """Nobody else would: the manifest takes these jobs for running."""
        delay = timedelta(seconds=IDLE_POLL_S)
        while self._broken_off:
            await self._manifest.requeue(
                self._broken_off[-1], delay=delay, failure=BROKEN_OFF, is_strike=False
            )
            self._broken_off.pop()

    async def _until_due(self) -> float:
        """Seconds until the next job may be claimed."""
        due = None if self._running else await self._manifest.next_due()  # the end of a task wakes us too
        wait_s = IDLE_POLL_S if due is None else (due - datetime.now(UTC)).total_seconds()
        return min(IDLE_POLL_S, max(SOONEST_POLL_S, wait_s))

    async def _sleep(self, wait_s: float) -> None:
        try:
            async with asyncio.timeout(wait_s):
                await self._wake.wait()
        except TimeoutError:
            return
