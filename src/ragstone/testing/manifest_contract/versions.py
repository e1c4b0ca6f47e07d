"""Promises about versions: what is shown of them, when they switch, and re-indexing."""

from ragstone.core.errors import Conflict, DocumentNotFound
from ragstone.core.models import DocumentStatus, JobKind, JobState, Scope
from ragstone.core.ports import Manifest
from ragstone.testing.manifest_contract.scenes import (
    FAILURE,
    SCOPE,
    TENANT,
    claim,
    finish,
    indexed,
    make_ready,
    sha256_of,
    upload,
)
from ragstone.testing.refusal import refusal


class VersionPromises:
    """What documents and queries see of versions."""

    async def test_a_switched_version_is_shown_with_its_facts(self, manifest: Manifest) -> None:
        """In the document, the version, the job and to queries."""
        accepted = await upload(manifest, metadata={"year": 2020})
        task = await claim(manifest)
        version = indexed(task, title="Read from it", chunks=7, characters=900, pages=4)
        assert await manifest.switch_versions([version]) == [task.job.id]
        document = await manifest.get_document(TENANT, accepted.document.id)
        assert (document.status, document.version, document.title) == (
            DocumentStatus.READY,
            1,
            "Read from it",
        )
        assert (document.chunks, document.characters, document.pages) == (7, 900, 4)
        assert (document.encoding, document.pending) == ("utf-8", None)
        stored = await manifest.get_version(TENANT, document.id)
        assert (stored.version, stored.text_sha256, stored.chunks) == (1, version.text_sha256, 7)
        job = await manifest.get_job(TENANT, task.job.id)
        assert (job.state, job.stage_ms, job.error) == (JobState.SUCCEEDED, {"parse": 1.5}, None)
        assert job.finished_at is not None
        visible = (await manifest.visible_documents(SCOPE, [document.id]))[document.id]
        assert (visible.version, visible.title, visible.metadata) == (1, "Read from it", {"year": 2020})

    async def test_nothing_of_a_new_version_shows_before_its_switch(self, manifest: Manifest) -> None:
        """Title and metadata included; then all of it at once."""
        ready = await make_ready(manifest, content="old", title="Old", metadata={"v": 1})
        await upload(manifest, content="new", title="New", metadata={"v": 2}, media_type="text/html")
        before = await manifest.get_document(TENANT, ready.id)
        assert (before.title, before.metadata, before.media_type) == ("Old", {"v": 1}, "text/plain")
        await finish(manifest)
        after = await manifest.get_document(TENANT, ready.id)
        assert (after.title, after.metadata, after.media_type) == ("New", {"v": 2}, "text/html")
        assert (after.version, after.sha256, after.pending) == (2, sha256_of("new"), None)

    async def test_what_an_upload_leaves_out_is_kept(self, manifest: Manifest) -> None:
        """From the newest version, whether or not that one came to be shown."""
        ready = await make_ready(manifest, content="1", title="Mine", metadata={"v": 1})
        await upload(manifest, content="2", metadata={"v": 2})
        await upload(manifest, content="3")
        task = await claim(manifest)
        assert (task.title, task.metadata, task.version) == ("Mine", {"v": 2}, 3)
        await manifest.switch_versions([indexed(task)])
        document = await manifest.get_document(TENANT, ready.id)
        assert (document.title, document.metadata) == ("Mine", {"v": 2})

    async def test_a_document_without_visible_version_shows_the_newest(self, manifest: Manifest) -> None:
        """Each upload at once."""
        first = await upload(manifest, content="1", title="One", metadata={"v": 1})
        document = (await upload(manifest, content="two", title="Two", metadata={"v": 2})).document
        assert (document.id, document.version, document.title) == (first.document.id, 2, "Two")
        assert (document.metadata, document.bytes, document.status) == ({"v": 2}, 3, DocumentStatus.QUEUED)

    async def test_a_newer_upload_supersedes_the_pending_one(self, manifest: Manifest) -> None:
        """Its job is cancelled, and what its worker still brings is refused."""
        accepted = await upload(manifest, content="1")
        overtaken = await claim(manifest)
        await upload(manifest, content="2")
        job = await manifest.get_job(TENANT, overtaken.job.id)
        assert job.state is JobState.CANCELLED
        assert job.error is not None
        assert job.error.code == "cancelled"
        assert await manifest.switch_versions([indexed(overtaken)]) == []
        assert (await manifest.get_document(TENANT, accepted.document.id)).status is DocumentStatus.QUEUED
        assert await finish(manifest) != []
        assert (await manifest.get_document(TENANT, accepted.document.id)).version == 2

    async def test_a_failed_update_leaves_the_visible_version(self, manifest: Manifest) -> None:
        """And says so in `pending`."""
        ready = await make_ready(manifest, content="old")
        await upload(manifest, content="broken")
        task = await claim(manifest)
        await manifest.fail_task(task.job.id, FAILURE)
        document = await manifest.get_document(TENANT, ready.id)
        assert (document.status, document.version, document.error) == (DocumentStatus.READY, 1, None)
        assert document.pending is not None
        assert (document.pending.status, document.pending.error) == (DocumentStatus.FAILED, FAILURE)
        assert (await manifest.visible_documents(SCOPE, [ready.id]))[ready.id].version == 1

    async def test_a_failed_first_version_says_why(self, manifest: Manifest) -> None:
        """It is no answer to any query."""
        accepted = await upload(manifest)
        await manifest.fail_task((await claim(manifest)).job.id, FAILURE)
        document = await manifest.get_document(TENANT, accepted.document.id)
        assert (document.status, document.error, document.pending) == (DocumentStatus.FAILED, FAILURE, None)
        assert await manifest.visible_documents(SCOPE, [document.id]) == {}

    async def test_queries_see_only_visible_documents_of_their_scope(self, manifest: Manifest) -> None:
        """Any number of ids, known or not."""
        await manifest.create_collection(TENANT, "other", "")
        ready = [await make_ready(manifest, f"{n}") for n in range(3)]
        queued = await upload(manifest, "queued")
        ids = [document.id for document in ready]
        asked = [*ids, queued.document.id, *(f"unknown {n}" for n in range(500))]
        assert (await manifest.visible_documents(SCOPE, asked)).keys() == set(ids)
        assert (await manifest.visible_documents(SCOPE, ids[:2])).keys() == set(ids[:2])
        assert await manifest.visible_documents(SCOPE, []) == {}
        for scope in (Scope(TENANT, "other"), Scope("someone")):
            assert await manifest.visible_documents(scope, ids) == {}

    async def test_texts_of_all_kinds_come_back_as_they_were(self, manifest: Manifest) -> None:
        """Quotes, control characters, other planes, big and small numbers."""
        title = 'a "b" \\ \t\n \x01 \u2028 日本語 🦉'
        metadata = {
            title: title,
            "big": 2**60,
            "float": 0.1,
            "no": False,
            "none": None,
            "list": [1, "x", True],
        }
        ready = await make_ready(manifest, title=title, metadata=metadata)
        visible = (await manifest.visible_documents(SCOPE, [ready.id]))[ready.id]
        assert (ready.title, ready.metadata) == (title, metadata)
        assert (visible.title, visible.metadata) == (title, metadata)

    async def test_a_re_index_repeats_the_newest_bytes_as_a_new_version(self, manifest: Manifest) -> None:
        """With the user's title; the old one answers meanwhile."""
        ready = await make_ready(manifest, title="Mine", metadata={"v": 1})
        accepted = await manifest.request_reindex(TENANT, ready.id)
        assert accepted.job is not None
        assert (accepted.job.kind, accepted.job.version) == (JobKind.REINDEX, 2)
        assert (accepted.document.version, accepted.document.status) == (1, DocumentStatus.READY)
        task = await claim(manifest)
        assert (task.sha256, task.title, task.metadata) == (ready.sha256, "Mine", {"v": 1})
        await manifest.switch_versions([indexed(task)])
        assert (await manifest.get_document(TENANT, ready.id)).version == 2

    async def test_a_re_index_waits_for_the_version_in_work(self, manifest: Manifest) -> None:
        """Queued or running; a failed one may be repeated."""
        document = (await upload(manifest)).document
        await refusal(manifest.request_reindex(TENANT, document.id), Conflict)
        task = await claim(manifest)
        await refusal(manifest.request_reindex(TENANT, document.id), Conflict)
        await manifest.fail_task(task.job.id, FAILURE)
        accepted = await manifest.request_reindex(TENANT, document.id)
        assert (accepted.document.version, accepted.document.status) == (2, DocumentStatus.QUEUED)

    async def test_get_version_is_the_visible_one_else_the_newest(self, manifest: Manifest) -> None:
        """A text counts once its version is visible."""
        document = (await upload(manifest, content="1")).document
        task = await claim(manifest)
        await manifest.record_content(task.job.id, sha256_of("text"))
        newest = await manifest.get_version(TENANT, document.id)
        assert (newest.version, newest.text_sha256) == (1, None)
        await manifest.switch_versions([indexed(task)])
        await upload(manifest, content="2")
        visible = await manifest.get_version(TENANT, document.id)
        assert (visible.version, visible.sha256) == (1, sha256_of("1"))
        assert visible.text_sha256 == indexed(task).text_sha256

    async def test_another_tenants_document_is_not_found(self, manifest: Manifest) -> None:
        """Nor one that never was."""
        document = (await upload(manifest)).document
        for tenant_id, document_id in (("someone", document.id), (TENANT, "no-such-id"), (TENANT, "")):
            await refusal(manifest.get_document(tenant_id, document_id), DocumentNotFound)
            await refusal(manifest.get_version(tenant_id, document_id), DocumentNotFound)
            await refusal(manifest.request_reindex(tenant_id, document_id), DocumentNotFound)
            await refusal(manifest.delete_document(tenant_id, document_id), DocumentNotFound)
