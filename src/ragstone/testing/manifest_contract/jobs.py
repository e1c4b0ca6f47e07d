"""Promises about jobs: claiming, progress, retries, hand-backs and recovery."""

import asyncio
from datetime import timedelta

from ragstone.core.context import for_request
from ragstone.core.errors import JobNotFound
from ragstone.core.models import DocumentStatus, Failure, JobState, Progress, QueueState, Stage
from ragstone.core.ports import Manifest
from ragstone.testing.manifest_contract.scenes import (
    FAILURE,
    TENANT,
    claim,
    finish,
    indexed,
    make_ready,
    sha256_of,
    upload,
)
from ragstone.testing.refusal import refusal

NOW = timedelta(0)


class JobPromises:
    """What workers rely on."""

    async def test_jobs_are_claimed_oldest_first_and_once(self, manifest: Manifest) -> None:
        """With all that the worker must know."""
        ids = [(await upload(manifest, f"{n}", metadata={"n": n})).document.id for n in range(5)]
        first = await manifest.claim_tasks(2)
        rest = await manifest.claim_tasks(50)
        assert [task.document_id for task in (*first, *rest)] == ids
        assert await manifest.claim_tasks(50) == []
        task = first[1]
        assert (task.source, task.filename, task.metadata, task.version) == ("1", "1", {"n": 1}, 1)
        assert (task.job.state, task.job.attempts) == (JobState.RUNNING, 1)
        assert task.job == await manifest.get_job(TENANT, task.job.id)
        assert (await manifest.get_document(TENANT, ids[0])).status is DocumentStatus.PROCESSING

    async def test_simultaneous_claims_share_the_jobs_out(self, manifest: Manifest) -> None:
        """Each job once."""
        for n in range(12):
            await upload(manifest, f"{n}")
        claims = await asyncio.gather(*(manifest.claim_tasks(3) for _ in range(6)))
        claimed = [task.job.id for tasks in claims for task in tasks]
        assert len(claimed) == len(set(claimed)) == 12

    async def test_the_queue_knows_what_waits_and_runs(self, manifest: Manifest) -> None:
        """Purges, and jobs that have ended, are none of it."""
        ready = await make_ready(manifest, source="ready")
        await manifest.delete_document(TENANT, ready.id)
        assert await manifest.queue_state() == QueueState(0, 0, 0.0)
        for n in range(3):
            await upload(manifest, f"{n}")
        await manifest.claim_tasks(1)
        state = await manifest.queue_state()
        assert (state.queued, state.running) == (2, 1)
        assert state.oldest_s >= 0

    async def test_a_job_knows_the_request_that_asked_for_it(self, manifest: Manifest) -> None:
        """Whatever it was that made it."""
        with for_request("r-1"):
            await upload(manifest)
        task = await claim(manifest)
        await manifest.fail_task(task.job.id, FAILURE)
        again = await manifest.request_reindex(TENANT, task.document_id)
        assert task.job.request_id == "r-1"
        assert again.job is not None
        assert again.job.request_id is None

    async def test_progress_is_readable_at_once(self, manifest: Manifest) -> None:
        """In the job, and of a newer version in the document."""
        ready = await make_ready(manifest, content="1")
        await upload(manifest, content="2")
        task = await claim(manifest)
        assert await manifest.record_progress(task.job.id, Stage.EMBED, Progress(3, 9, "chunks"))
        job = await manifest.get_job(TENANT, task.job.id)
        pending = (await manifest.get_document(TENANT, ready.id)).pending
        assert (job.stage, job.progress) == (Stage.EMBED, Progress(3, 9, "chunks"))
        assert pending is not None
        assert (pending.status, pending.stage) == (DocumentStatus.PROCESSING, Stage.EMBED)
        assert pending.progress == Progress(3, 9, "chunks")

    async def test_a_cancelled_job_hears_of_it(self, manifest: Manifest) -> None:
        """By its next progress or text, and none of its endings count."""
        await upload(manifest, content="1")
        task = await claim(manifest)
        await upload(manifest, content="2")
        assert not await manifest.record_progress(task.job.id, Stage.EMBED, Progress(1, 2))
        assert not await manifest.record_content(task.job.id, sha256_of("text"))
        await manifest.fail_task(task.job.id, FAILURE)
        await manifest.requeue(task.job.id, delay=NOW, failure=FAILURE)
        await manifest.release_tasks([task.job.id])
        job = await manifest.get_job(TENANT, task.job.id)
        assert (job.state, job.stage, job.error and job.error.code) == (
            JobState.CANCELLED,
            Stage.PARSE,
            "cancelled",
        )

    async def test_a_requeued_job_waits_for_its_time(self, manifest: Manifest) -> None:
        """And says when and why."""
        await upload(manifest)
        task = await claim(manifest)
        await manifest.requeue(task.job.id, delay=timedelta(hours=1), failure=FAILURE)
        job = await manifest.get_job(TENANT, task.job.id)
        assert (job.state, job.error, job.attempts) == (JobState.QUEUED, FAILURE, 1)
        assert job.next_retry_at == await manifest.next_due()
        assert await manifest.claim_tasks(10) == []

    async def test_a_requeued_job_runs_again_and_loses_its_error(self, manifest: Manifest) -> None:
        """Once it succeeds."""
        await upload(manifest)
        task = await claim(manifest)
        await manifest.requeue(task.job.id, delay=NOW, failure=FAILURE)
        again = await claim(manifest)
        assert (again.job.id, again.job.attempts) == (task.job.id, 2)
        await manifest.switch_versions([indexed(again)])
        job = await manifest.get_job(TENANT, task.job.id)
        assert (job.state, job.error) == (JobState.SUCCEEDED, None)

    async def test_next_due_is_that_of_the_earliest_queued_job(self, manifest: Manifest) -> None:
        """None when nothing waits; purges are not for workers."""
        assert await manifest.next_due() is None
        accepted = await upload(manifest)
        assert accepted.job is not None
        assert await manifest.next_due() == accepted.job.created_at
        await manifest.delete_document(TENANT, accepted.document.id)
        assert await manifest.next_due() is None

    async def test_a_released_job_has_not_been_attempted(self, manifest: Manifest) -> None:
        """It is due at once."""
        await upload(manifest)
        task = await claim(manifest)
        await manifest.release_tasks([task.job.id, "unknown"])
        assert (await manifest.get_job(TENANT, task.job.id)).attempts == 0
        assert (await claim(manifest)).job.attempts == 1
        await manifest.release_tasks([])

    async def test_only_running_jobs_of_a_batch_are_switched(self, manifest: Manifest) -> None:
        """The others leave no trace, and none is switched twice."""
        for n in range(4):
            await upload(manifest, f"{n}")
        tasks = await manifest.claim_tasks(10)
        await upload(manifest, "0", "overtakes")
        await manifest.delete_document(TENANT, tasks[1].document_id)
        await manifest.fail_task(tasks[2].job.id, FAILURE)
        batch = [indexed(task) for task in tasks]
        assert await manifest.switch_versions(batch) == [tasks[3].job.id]
        assert await manifest.switch_versions(batch) == []
        assert await manifest.switch_versions([]) == []
        assert (await manifest.counts())["jobs_succeeded"] == 1

    async def test_recovery_requeues_what_was_running(self, manifest: Manifest) -> None:
        """Attempts are kept; queued and finished jobs are left alone. A job that was struck runs alone, in its turn."""
        ready = await make_ready(manifest, "ready")
        await upload(manifest, "running")
        task = await claim(manifest)
        await upload(manifest, "queued")
        assert await manifest.recover(max_attempts=3) == (1, 0)
        assert (await manifest.get_job(TENANT, task.job.id)).attempts == 1
        again = await manifest.claim_tasks(10)
        assert [each.source for each in again] == ["running"]
        assert await manifest.claim_tasks(10) == []
        await manifest.fail_task(again[0].job.id, FAILURE)
        assert [each.source for each in await manifest.claim_tasks(10)] == ["queued"]
        assert (await manifest.get_document(TENANT, ready.id)).status is DocumentStatus.READY

    async def test_the_third_death_is_poison(self, manifest: Manifest) -> None:
        """The document fails and the queue goes on."""
        accepted = await upload(manifest)
        for _ in range(2):
            await claim(manifest)
            assert await manifest.recover(max_attempts=3) == (1, 0)
        await claim(manifest)
        assert await manifest.recover(max_attempts=3) == (0, 1)
        document = await manifest.get_document(TENANT, accepted.document.id)
        assert document.status is DocumentStatus.FAILED
        assert document.error is not None
        assert document.error.code == "poison"
        assert await manifest.claim_tasks(10) == []

    async def test_waiting_for_a_part_that_is_down_is_no_strike(self, manifest: Manifest) -> None:
        """So one death after many such attempts is not poison; an orderly stop is none either."""
        await upload(manifest)
        down = Failure("embedder_unavailable", "down")
        for _ in range(5):
            task = await claim(manifest)
            await manifest.requeue(task.job.id, delay=NOW, failure=down, is_strike=False)
        await manifest.release_tasks([(await claim(manifest)).job.id])
        task = await claim(manifest)
        assert (task.job.attempts, task.job.strikes) == (6, 1)
        assert await manifest.recover(max_attempts=3) == (1, 0)

    async def test_strikes_add_up_over_requeues_and_deaths(self, manifest: Manifest) -> None:
        """A killed parser counts as the death of the server does."""
        await upload(manifest)
        for _ in range(2):
            task = await claim(manifest)
            await manifest.requeue(task.job.id, delay=NOW, failure=Failure("worker_died", "killed"))
        assert (await claim(manifest)).job.strikes == 3
        assert await manifest.recover(max_attempts=3) == (0, 1)

    async def test_another_tenants_job_is_not_found(self, manifest: Manifest) -> None:
        """Nor one that never was."""
        await upload(manifest)
        task = await claim(manifest)
        await refusal(manifest.get_job("someone", task.job.id), JobNotFound)
        await refusal(manifest.get_job(TENANT, "no-such-id"), JobNotFound)

    async def test_endings_of_unknown_jobs_do_nothing(self, manifest: Manifest) -> None:
        """A worker may hold a job that is long gone."""
        await manifest.fail_task("unknown", FAILURE)
        await manifest.requeue("unknown", delay=NOW, failure=FAILURE)
        assert not await manifest.record_progress("unknown", Stage.EMBED, Progress())
        assert await finish(manifest) == []
