"""The embedded queue."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from ragstone.core.errors import Unavailable
from ragstone.core.models import IngestTask, JobState, NewUpload, Scope
from ragstone.queues import in_process
from ragstone.queues.in_process import InProcessQueue
from ragstone.storage.manifest import SqlManifest, open_manifest
from tests.waiting import until


class Runner:
    """Runs tasks until they are let go."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.gate = asyncio.Event()
        self.cleanup_s = 0.0
        self.ended: list[str] = []

    async def __call__(self, task: IngestTask) -> None:
        self.begun.append(task.document_id)
        try:
            await self.gate.wait()
        finally:
            await asyncio.sleep(self.cleanup_s)
            self.ended.append(task.document_id)


@pytest.fixture
async def manifest(tmp_path: Path) -> AsyncIterator[SqlManifest]:
    opened = await open_manifest(tmp_path / "manifest.db")
    yield opened
    await opened.close()


async def enqueue(manifest: SqlManifest, source: str) -> tuple[str, str]:
    """Returns the ids of document and job."""

    async def confirm() -> None:
        return None

    upload = NewUpload(Scope(), "0" * 64, 1, "text/plain", source, None, None, None)
    acceptance = await manifest.accept_upload(upload, confirm)
    assert acceptance.job is not None
    return acceptance.document.id, acceptance.job.id


async def begun(runner: Runner, number: int) -> None:
    async def enough() -> bool:
        return len(runner.begun) >= number

    await until(enough)


async def test_due_jobs_run_a_few_at_a_time(manifest: SqlManifest) -> None:
    runner = Runner()
    queue = InProcessQueue(manifest, runner, concurrency=2)
    for number in range(5):
        await enqueue(manifest, str(number))
    queue.start()
    await begun(runner, 2)
    await asyncio.sleep(0.05)

    assert len(runner.begun) == 2
    runner.gate.set()
    await begun(runner, 5)
    await queue.stop()


async def test_a_wake_starts_a_new_job_at_once(manifest: SqlManifest) -> None:
    runner = Runner()
    queue = InProcessQueue(manifest, runner)
    queue.start()
    await asyncio.sleep(0.05)
    document_id, _ = await enqueue(manifest, "a")
    queue.wake()

    await begun(runner, 1)

    assert runner.begun == [document_id]
    await queue.stop()


async def test_a_stop_hands_running_jobs_back_uncounted(manifest: SqlManifest) -> None:
    runner = Runner()
    queue = InProcessQueue(manifest, runner)
    _, job_id = await enqueue(manifest, "a")
    queue.start()
    await begun(runner, 1)
    assert queue.is_alive

    await queue.stop()

    job = await manifest.get_job("default", job_id)
    assert (job.state, job.attempts) == (JobState.QUEUED, 0)
    assert not queue.is_alive


async def test_stopping_a_document_waits_until_its_work_has_ended(manifest: SqlManifest) -> None:
    runner = Runner()
    runner.cleanup_s = 0.05
    queue = InProcessQueue(manifest, runner)
    first, _ = await enqueue(manifest, "a")
    second, _ = await enqueue(manifest, "b")
    queue.start()
    await begun(runner, 2)

    await queue.stop_document(first, (2, 3))
    assert runner.ended == []
    await queue.stop_document(first, (1,))

    assert runner.ended == [first]
    await queue.stop()
    assert set(runner.ended) == {first, second}


async def test_a_job_that_broke_off_stops_nothing_and_is_run_again_later(
    manifest: SqlManifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(in_process, "IDLE_POLL_S", 0.05)
    seen: list[str] = []

    async def breaks_at_first(task: IngestTask) -> None:
        seen.append(task.document_id)
        if len(seen) == 1:
            raise RuntimeError("defect")

    queue = InProcessQueue(manifest, breaks_at_first, concurrency=1)
    first, _ = await enqueue(manifest, "a")
    second, _ = await enqueue(manifest, "b")
    queue.start()

    async def all_three() -> bool:
        return len(seen) == 3

    await until(all_three)
    assert seen == [first, second, first]
    assert queue.is_alive
    await queue.stop()


async def test_the_loop_outlives_a_failing_database(
    manifest: SqlManifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(in_process, "IDLE_POLL_S", 0.05)
    claim, failures = manifest.claim_tasks, [Unavailable("locked")]

    async def fails_once(limit: int) -> Any:
        if failures:
            raise failures.pop()
        return await claim(limit)

    monkeypatch.setattr(manifest, "claim_tasks", fails_once)
    runner = Runner()
    queue = InProcessQueue(manifest, runner)
    await enqueue(manifest, "a")
    queue.start()

    await begun(runner, 1)

    await queue.stop()


async def test_the_loop_outlives_a_database_that_cannot_say_what_is_due(
    manifest: SqlManifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    next_due, failures = manifest.next_due, [Unavailable("locked")]

    async def fails_once() -> Any:
        if failures:
            raise failures.pop()
        return await next_due()

    monkeypatch.setattr(manifest, "next_due", fails_once)
    runner = Runner()
    queue = InProcessQueue(manifest, runner)
    queue.start()
    await asyncio.sleep(0.1)
    await enqueue(manifest, "a")
    queue.wake()

    await begun(runner, 1)

    await queue.stop()


async def test_stopping_a_queue_that_never_started_is_harmless(manifest: SqlManifest) -> None:
    queue = InProcessQueue(manifest, Runner())
    await queue.stop()
    assert not queue.is_alive
