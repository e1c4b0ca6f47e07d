"""Promises about documents inside documents."""

import asyncio
from datetime import UTC, datetime, timedelta

from ragstone.core.context import for_request
from ragstone.core.errors import Conflict, DocumentNotFound
from ragstone.core.models import DEFAULT_TENANT, Document, DocumentPatch, DocumentStatus, IngestTask, Member
from ragstone.core.ports import Manifest
from ragstone.testing.manifest_contract.changes import new_content
from ragstone.testing.manifest_contract.lists import all_documents
from ragstone.testing.manifest_contract.scenes import (
    FAILURE,
    SCOPE,
    TENANT,
    claim,
    finish,
    indexed,
    keep_blob,
    make_ready,
    purge_all,
    sha256_of,
    upload,
)
from ragstone.testing.refusal import refusal


def inside(**contents: str) -> list[Member]:
    """Members by name."""
    return [
        Member(f"{name}.txt", sha256_of(text), len(text), "text/plain") for name, text in contents.items()
    ]


async def switch_container(manifest: Manifest, members: list[Member]) -> IngestTask:
    """Claim the container's task and switch to it with these members."""
    task = await claim(manifest)
    version = indexed(task)
    assert await manifest.record_content(task.job.id, version.text_sha256, members)
    await manifest.switch_versions([version])
    return task


async def make_container(manifest: Manifest, **contents: str) -> Document:
    """A ready container whose parts are queued."""
    accepted = await upload(manifest, "mail.eml", metadata={"team": "a"})
    await switch_container(manifest, inside(**contents))
    return await manifest.get_document(DEFAULT_TENANT, accepted.document.id)


class ChildPromises:
    """What containers and their parts promise."""

    async def test_parts_become_documents_at_the_switch(self, manifest: Manifest) -> None:
        """Not before; each with a job of its own."""
        accepted = await upload(manifest, "mail.eml", metadata={"team": "a"})
        task = await claim(manifest)
        await manifest.record_content(task.job.id, sha256_of("text"), inside(a="one"))
        assert (await manifest.get_document(TENANT, accepted.document.id)).children == ()
        await manifest.switch_versions([indexed(task)])
        document = await manifest.get_document(TENANT, accepted.document.id)
        (child,) = document.children
        assert (child.member, child.status, child.media_type) == (
            "a.txt",
            DocumentStatus.QUEUED,
            "text/plain",
        )
        part = await manifest.get_document(TENANT, child.id)
        assert (part.parent_id, part.filename, part.source) == (document.id, "a.txt", "mail.eml!/a.txt")
        assert (part.metadata, part.sha256) == ({"team": "a"}, sha256_of("one"))

    async def test_a_part_has_a_status_of_its_own(self, manifest: Manifest) -> None:
        """Shown with its reason in the container."""
        container = await make_container(manifest, a="one", b="two")
        good, bad = await manifest.claim_tasks(10)
        assert (good.depth, bad.depth) == (1, 1)
        await manifest.switch_versions([indexed(good)])
        await manifest.fail_task(bad.job.id, FAILURE)
        children = (await manifest.get_document(TENANT, container.id)).children
        assert {(child.status, child.error) for child in children} == {
            (DocumentStatus.READY, None),
            (DocumentStatus.FAILED, FAILURE),
        }

    async def test_a_new_version_renews_the_parts_that_changed(self, manifest: Manifest) -> None:
        """Keeps the others as they are, and deletes those that are there no more."""
        container = await make_container(manifest, same="1", other="2", gone="3")
        await finish(manifest)
        before = {child.member: child.id for child in container.children}
        await upload(manifest, "mail.eml", content="second")
        await switch_container(manifest, inside(same="1", other="changed", new="4"))
        await finish(manifest)
        after = (await manifest.get_document(TENANT, container.id)).children
        assert {child.member for child in after} == {"same.txt", "other.txt", "new.txt"}
        versions = {child.member: (await manifest.get_document(TENANT, child.id)).version for child in after}
        assert versions == {"same.txt": 1, "other.txt": 2, "new.txt": 1}
        assert {before[name] for name in ("same.txt", "other.txt")} <= {child.id for child in after}
        await refusal(manifest.get_document(TENANT, before["gone.txt"]), DocumentNotFound)

    async def test_a_part_whose_time_is_up_is_made_anew_by_the_next_version(self, manifest: Manifest) -> None:
        """Tombstoned or not by then, as one that was deleted."""
        container = await make_container(manifest, a="1")
        await finish(manifest)
        (child,), soon = container.children, datetime.now(UTC) + timedelta(milliseconds=100)
        await manifest.update_document(TENANT, child.id, DocumentPatch(expires_at=soon))
        await upload(manifest, "mail.eml", content="second")
        await asyncio.sleep(0.12)
        await switch_container(manifest, inside(a="1"))
        (again,) = (await manifest.get_document(TENANT, container.id)).children
        assert (again.member, again.id != child.id) == ("a.txt", True)
        await manifest.expire_documents()
        assert await manifest.get_document(TENANT, again.id)

    async def test_a_failed_part_is_tried_again_with_the_next_version(self, manifest: Manifest) -> None:
        """Although its bytes are the same."""
        container = await make_container(manifest, a="1")
        await manifest.fail_task((await claim(manifest)).job.id, FAILURE)
        await upload(manifest, "mail.eml", content="second")
        await switch_container(manifest, inside(a="1"))
        (child,) = (await manifest.get_document(TENANT, container.id)).children
        assert child.status is DocumentStatus.QUEUED

    async def test_the_work_of_a_part_is_that_of_the_request_that_brought_the_container(
        self, manifest: Manifest
    ) -> None:
        """Though the switch belongs to no request."""
        with for_request("r-1"):
            await upload(manifest, "mail.eml")
        task = await claim(manifest)
        await manifest.record_content(task.job.id, sha256_of("text"), inside(a="one"))
        await manifest.switch_versions([indexed(task, request_id=task.job.request_id)])
        assert (await claim(manifest)).job.request_id == "r-1"

    async def test_deleting_a_container_takes_all_that_is_inside(self, manifest: Manifest) -> None:
        """At every depth, with one job."""
        container = await make_container(manifest, inner="an archive")
        await switch_container(manifest, inside(leaf="text"))
        (leaf_task,) = await manifest.claim_tasks(10)
        assert leaf_task.depth == 2
        deletion = await manifest.delete_document(TENANT, container.id)
        assert len(deletion.targets) == 3
        assert deletion.job.progress.total == 3
        assert await all_documents(manifest) == []
        assert await manifest.switch_versions([indexed(leaf_task)]) == []
        receipts, blobs = await purge_all(manifest)
        assert len(receipts) == 3
        assert {sha256_of("an archive"), sha256_of("text")} <= set(blobs)
        assert await manifest.referenced_blobs() == {}

    async def test_a_part_may_be_deleted_alone(self, manifest: Manifest) -> None:
        """The container stays, and its next version brings the part again."""
        container = await make_container(manifest, a="1", b="2")
        await manifest.delete_document(TENANT, container.children[0].id)
        await purge_all(manifest)
        left = (await manifest.get_document(TENANT, container.id)).children
        assert [child.member for child in left] == ["b.txt"]
        await finish(manifest)
        await upload(manifest, "mail.eml", content="second")
        await switch_container(manifest, inside(a="1", b="2"))
        assert len((await manifest.get_document(TENANT, container.id)).children) == 2

    async def test_the_bytes_of_a_part_are_referred_to_before_it_is_a_document(
        self, manifest: Manifest
    ) -> None:
        """And by nothing any more once the container's version is purged and the part is gone."""
        await upload(manifest, "mail.eml")
        task = await claim(manifest)
        await manifest.record_content(task.job.id, sha256_of("text"), inside(a="1"))
        assert sha256_of("1") in await manifest.referenced_blobs()
        await manifest.fail_task(task.job.id, FAILURE)
        await purge_all(manifest)
        assert sha256_of("1") not in await manifest.referenced_blobs()

    async def test_a_part_has_no_bytes_of_its_users(self, manifest: Manifest) -> None:
        """Its container brings them; a re-index, a patch and a delete are its own affair."""
        container = await make_container(manifest, a="1")
        await finish(manifest)
        child_id = container.children[0].id
        await refusal(manifest.replace_content(TENANT, child_id, new_content("x"), keep_blob), Conflict)
        await refusal(manifest.restore_version(TENANT, child_id, 1), Conflict)
        await manifest.request_reindex(TENANT, child_id)
        document, _ = await manifest.update_document(TENANT, child_id, DocumentPatch(title="Mine"))
        assert document.title == "Mine"

    async def test_a_source_like_a_parts_is_another_document(self, manifest: Manifest) -> None:
        """Identity is the container and the path in it."""
        container = await make_container(manifest, a="1")
        await finish(manifest)
        other = await make_ready(manifest, "mail.eml!/a.txt")
        assert other.id != container.children[0].id
        parts = await all_documents(manifest, parent_id=container.id)
        assert [part.id for part in parts] == [container.children[0].id]
        assert len(await manifest.visible_documents(SCOPE, [other.id, parts[0].id])) == 2
