"""Promises about uploads: identity, duplicates, bounds, and all or nothing."""

import asyncio

from ragstone.core.errors import BlobMissing, CollectionNotFound, QueueFull
from ragstone.core.models import DocumentStatus, JobKind, JobState, OnDuplicate, Scope
from ragstone.core.ports import Manifest
from ragstone.testing.manifest_contract.scenes import (
    FAILURE,
    SCOPE,
    TENANT,
    claim,
    indexed,
    keep_blob,
    make_ready,
    new_upload,
    sha256_of,
    upload,
)
from ragstone.testing.refusal import refusal


class UploadPromises:
    """What `accept_upload` promises."""

    async def test_first_upload_is_a_queued_document_with_a_job(self, manifest: Manifest) -> None:
        """All that was said stands in the document; times are aware."""
        accepted = await upload(manifest, metadata={"year": 2020, "tags": ["a", "b"], "nested": None})
        document, job = accepted.document, accepted.job
        assert (document.status, document.version, document.chunks) == (DocumentStatus.QUEUED, 1, 0)
        assert (document.source, document.filename, document.bytes) == ("a.txt", "a.txt", 5)
        assert document.metadata == {"year": 2020, "tags": ["a", "b"], "nested": None}
        assert document.pending is None
        assert document.error is None
        assert document.created_at.utcoffset() is not None
        assert job is not None
        assert (job.kind, job.state, job.document_id, job.version) == (
            JobKind.INGEST,
            JobState.QUEUED,
            document.id,
            1,
        )
        assert await manifest.get_document(TENANT, document.id) == document
        assert await manifest.get_job(TENANT, job.id) == job

    async def test_title_is_the_users_else_the_filename_else_untitled(self, manifest: Manifest) -> None:
        """Until the document was read."""
        named = await upload(manifest, "a", title="Mine")
        from_file = await upload(manifest, "b", filename="b.txt")
        unnamed = await upload(manifest, None, filename=None)
        titles = [accepted.document.title for accepted in (named, from_file, unnamed)]
        assert titles == ["Mine", "b.txt", "Untitled"]

    async def test_same_identity_and_bytes_leave_nothing_to_do(self, manifest: Manifest) -> None:
        """While queued, while running, and when ready; nothing that is said with it changes anything."""
        first = await upload(manifest, title="Mine")
        assert (await upload(manifest)).job is None
        task = await claim(manifest)
        assert (await upload(manifest)).job is None
        await manifest.switch_versions([indexed(task)])
        again = await upload(manifest, title="Other", metadata={"x": 1})
        assert again.job is None
        assert (again.document.id, again.document.title, again.document.metadata) == (
            first.document.id,
            "Mine",
            {},
        )

    async def test_the_same_bytes_are_tried_again_after_a_failure(self, manifest: Manifest) -> None:
        """Also with `skip`: there is nothing that the upload would duplicate."""
        first = await upload(manifest)
        await manifest.fail_task((await claim(manifest)).job.id, FAILURE)
        for version, on_duplicate in ((2, OnDuplicate.VERSION), (3, OnDuplicate.SKIP)):
            again = await upload(manifest, on_duplicate=on_duplicate)
            assert again.job is not None
            assert (again.document.id, again.document.version) == (first.document.id, version)
            assert again.document.status is DocumentStatus.QUEUED
            await manifest.fail_task((await claim(manifest)).job.id, FAILURE)

    async def test_other_bytes_make_a_version_behind_the_visible_one(self, manifest: Manifest) -> None:
        """The document goes on as it is, and says what is pending."""
        ready = await make_ready(manifest, content="old")
        accepted = await upload(manifest, content="new!")
        document, job = accepted.document, accepted.job
        assert job is not None
        assert (document.id, document.status, document.version) == (ready.id, DocumentStatus.READY, 1)
        assert (document.sha256, document.bytes) == (sha256_of("old"), 3)
        assert document.pending is not None
        assert (document.pending.version, document.pending.job_id) == (2, job.id)
        assert document.pending.status is DocumentStatus.QUEUED

    async def test_skip_leaves_a_document_with_other_bytes_as_it_is(self, manifest: Manifest) -> None:
        """No version, no job."""
        ready = await make_ready(manifest, content="old")
        accepted = await upload(manifest, content="new", on_duplicate=OnDuplicate.SKIP)
        assert accepted.job is None
        assert accepted.document == ready

    async def test_an_upload_without_source_is_always_a_new_document(self, manifest: Manifest) -> None:
        """It has no identity."""
        ids = {(await upload(manifest, None, filename="a.txt")).document.id for _ in range(3)}
        assert len(ids) == 3

    async def test_identity_is_source_within_collection_within_tenant(self, manifest: Manifest) -> None:
        """The same bytes elsewhere are another document."""
        await manifest.create_collection(TENANT, "other", "")
        await manifest.create_collection("someone", "default", "")
        scopes = (SCOPE, Scope(TENANT, "other"), Scope("someone", "default"))
        ids = {(await upload(manifest, scope=scope)).document.id for scope in scopes}
        ids.add((await upload(manifest, "b.txt")).document.id)
        assert len(ids) == 4

    async def test_an_unknown_collection_is_refused(self, manifest: Manifest) -> None:
        """And its bytes are not asked for."""
        confirmed = _Confirmation()
        unknown = new_upload(scope=Scope(TENANT, "nowhere"))
        await refusal(manifest.accept_upload(unknown, confirmed), CollectionNotFound)
        assert confirmed.calls == 0

    async def test_bytes_are_confirmed_exactly_when_they_are_those_of_a_version(
        self, manifest: Manifest
    ) -> None:
        """Of one that is there already too, since its own may have been lost; not those that nobody wants."""
        confirmed = _Confirmation()
        for content, on_duplicate in (
            ("1", OnDuplicate.VERSION),
            ("1", OnDuplicate.VERSION),
            ("2", OnDuplicate.SKIP),
            ("2", OnDuplicate.VERSION),
        ):
            await manifest.accept_upload(new_upload(content=content, on_duplicate=on_duplicate), confirmed)
        assert confirmed.calls == 3

    async def test_an_upload_whose_bytes_are_not_confirmed_leaves_nothing(self, manifest: Manifest) -> None:
        """The transaction is undone, and the next one works."""

        async def lose() -> None:
            raise BlobMissing("gone")

        await refusal(manifest.accept_upload(new_upload(), lose), BlobMissing)
        counts = await manifest.counts()
        assert (counts["documents"], counts["versions"], counts["jobs_queued"]) == (0, 0, 0)
        assert (await upload(manifest)).document.version == 1

    async def test_simultaneous_uploads_of_one_identity_are_one_document(self, manifest: Manifest) -> None:
        """Same bytes: one version and one job, too."""
        accepted = await asyncio.gather(*(upload(manifest) for _ in range(20)))
        assert len({each.document.id for each in accepted}) == 1
        assert sum(each.job is not None for each in accepted) == 1
        assert len(await manifest.claim_tasks(50)) == 1

    async def test_simultaneous_uploads_without_identity_are_all_kept(self, manifest: Manifest) -> None:
        """As many documents as uploads."""
        accepted = await asyncio.gather(*(upload(manifest, None) for _ in range(20)))
        assert len({each.document.id for each in accepted}) == 20

    async def test_simultaneous_versions_leave_the_last_acknowledged_one(self, manifest: Manifest) -> None:
        """All others are superseded; one job is left to do."""
        contents = [f"content {n}" for n in range(10)]
        accepted = await asyncio.gather(*(upload(manifest, content=content) for content in contents))
        newest = max(accepted, key=lambda each: each.job.version or 0 if each.job else 0)
        (task,) = await manifest.claim_tasks(50)
        assert newest.job is not None
        assert (task.job.id, task.version) == (newest.job.id, 10)

    async def test_more_than_the_queue_holds_is_refused(self, small_manifest: Manifest) -> None:
        """`small_manifest` is one with max_queued_jobs=3. Running jobs do not count, and repeating is free."""
        for n in range(3):
            await upload(small_manifest, f"{n}")
        error = await refusal(upload(small_manifest, "3"), QueueFull)
        assert error.retry_after_s
        assert (await upload(small_manifest, "2")).job is None
        replaced = await upload(small_manifest, "2", "newer, in the place of the older")
        assert replaced.job is not None
        await small_manifest.claim_tasks(1)
        assert (await upload(small_manifest, "3")).job is not None

    async def test_a_refused_version_leaves_its_document_as_it_was(self, small_manifest: Manifest) -> None:
        """Nothing is pending, and its identity still works."""
        ready = await make_ready(small_manifest, "ready")
        for n in range(3):
            await upload(small_manifest, f"{n}")
        await refusal(upload(small_manifest, "ready", "newer"), QueueFull)
        assert await small_manifest.get_document(TENANT, ready.id) == ready
        assert (await upload(small_manifest, "ready")).document == ready

    async def test_a_re_index_is_refused_when_the_queue_is_full(self, small_manifest: Manifest) -> None:
        """As an upload is."""
        ready = await make_ready(small_manifest)
        for n in range(3):
            await small_manifest.accept_upload(new_upload(f"{n}"), keep_blob)
        await refusal(small_manifest.request_reindex(TENANT, ready.id), QueueFull)


class _Confirmation:
    def __init__(self) -> None:
        self.calls = 0

    async def __call__(self) -> None:
        self.calls += 1
