"""Promises about deletes: invisible at once and for good."""

from ragstone.core.errors import DocumentNotFound
from ragstone.core.models import JobKind, JobState, Progress, PurgeTarget, Stage
from ragstone.core.ports import Manifest
from ragstone.testing.manifest_contract.lists import all_documents
from ragstone.testing.manifest_contract.scenes import (
    FAILURE,
    SCOPE,
    TENANT,
    claim,
    indexed,
    make_ready,
    purge_all,
    sha256_of,
    upload,
)
from ragstone.testing.refusal import refusal


class DeletePromises:
    """What a delete promises."""

    async def test_a_deleted_document_is_seen_nowhere(self, manifest: Manifest) -> None:
        """Neither before its purge nor after it."""
        ready = await make_ready(manifest)
        (target,) = (await manifest.delete_document(TENANT, ready.id)).targets
        assert (target.document_id, target.version, target.versions) == (ready.id, None, (1,))
        for _ in range(2):
            await refusal(manifest.get_document(TENANT, ready.id), DocumentNotFound)
            await refusal(manifest.get_version(TENANT, ready.id), DocumentNotFound)
            await refusal(manifest.delete_document(TENANT, ready.id), DocumentNotFound)
            await refusal(manifest.request_reindex(TENANT, ready.id), DocumentNotFound)
            assert await manifest.visible_documents(SCOPE, [ready.id]) == {}
            assert await all_documents(manifest) == []
            assert (await manifest.get_collection(TENANT, SCOPE.collection)).documents == 0
            assert (await manifest.counts())["documents"] == 0
            assert await manifest.expected_points() == {}
            await purge_all(manifest)

    async def test_a_deleted_documents_identity_is_free_at_once(self, manifest: Manifest) -> None:
        """For another document; the purge of the old one leaves it alone."""
        old = await make_ready(manifest)
        await manifest.delete_document(TENANT, old.id)
        new = await make_ready(manifest)
        assert new.id != old.id
        assert new.version == 1
        _, blobs = await purge_all(manifest)
        assert blobs == []
        assert (await manifest.get_document(TENANT, new.id)) == new

    async def test_work_on_a_deleted_document_is_cancelled(self, manifest: Manifest) -> None:
        """Whatever its worker still brings is refused."""
        accepted = await upload(manifest)
        task = await claim(manifest)
        await manifest.delete_document(TENANT, accepted.document.id)
        assert (await manifest.get_job(TENANT, task.job.id)).state is JobState.CANCELLED
        assert not await manifest.record_progress(task.job.id, Stage.EMBED, Progress(1, 2))
        assert await manifest.switch_versions([indexed(task)]) == []
        await refusal(manifest.get_document(TENANT, task.document_id), DocumentNotFound)

    async def test_a_queued_document_can_be_deleted(self, manifest: Manifest) -> None:
        """Its job is never claimed, nor recovered."""
        accepted = await upload(manifest)
        await manifest.delete_document(TENANT, accepted.document.id)
        assert await manifest.claim_tasks(10) == []
        assert await manifest.recover(max_attempts=3) == (0, 0)

    async def test_a_delete_takes_all_versions(self, manifest: Manifest) -> None:
        """Visible, superseded, failed and pending ones."""
        ready = await make_ready(manifest, content="1")
        await upload(manifest, content="2")
        await manifest.fail_task((await claim(manifest)).job.id, FAILURE)
        await upload(manifest, content="3")
        (target,) = (await manifest.delete_document(TENANT, ready.id)).targets
        assert target.versions == (1, 2, 3)
        assert await manifest.purge_targets(10) == [target]
        _, blobs = await purge_all(manifest)
        assert {sha256_of(content) for content in "123"} <= set(blobs)
        assert (await manifest.counts())["versions"] == 0

    async def test_the_purge_job_may_be_polled_to_its_end(self, manifest: Manifest) -> None:
        """And so may the jobs of the document that is gone."""
        ready = await make_ready(manifest)
        deletion = await manifest.delete_document(TENANT, ready.id)
        waiting = await manifest.get_job(TENANT, deletion.job.id)
        assert waiting == deletion.job
        assert (waiting.kind, waiting.state, waiting.document_id) == (
            JobKind.PURGE,
            JobState.QUEUED,
            ready.id,
        )
        (receipt,), _ = await purge_all(manifest)
        assert (receipt.document_id, receipt.versions, receipt.points_deleted) == (ready.id, (1,), 3)
        assert (receipt.verified_absent, receipt.blobs_deleted) == (True, 2)
        assert receipt.job_id == waiting.id
        done = await manifest.get_job(TENANT, waiting.id)
        assert done.state is JobState.SUCCEEDED
        assert done.finished_at is not None
        assert (await manifest.counts())["purges_pending"] == 0

    async def test_finishing_a_purge_twice_is_harmless(self, manifest: Manifest) -> None:
        """The second time nothing is left to drop."""
        ready = await make_ready(manifest)
        (target,) = (await manifest.delete_document(TENANT, ready.id)).targets
        await purge_all(manifest)

        async def refuse(sha256: str) -> bool:
            raise AssertionError(sha256)

        receipt = await manifest.finish_purge(target, 0, refuse)
        assert (receipt.blobs_deleted, receipt.verified_absent) == (0, True)

    async def test_a_purge_of_a_living_document_drops_nothing(self, manifest: Manifest) -> None:
        """Only a tombstone is dropped, whatever a caller says."""
        ready = await make_ready(manifest)

        async def refuse(sha256: str) -> bool:
            raise AssertionError(sha256)

        await manifest.finish_purge(PurgeTarget(ready.id, None, (1,), None), 0, refuse)
        assert await manifest.get_document(TENANT, ready.id) == ready
