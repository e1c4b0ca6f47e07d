"""Promises about changes: replaced content, restored versions, patches, duplicate rules, idempotency keys, expiry."""

import asyncio
from datetime import UTC, datetime, timedelta

from ragstone.core.errors import (
    DocumentExists,
    DocumentNotFound,
    IdempotencyMismatch,
    InvalidRequest,
    VersionNotFound,
)
from ragstone.core.filters import Leaf
from ragstone.core.models import (
    MAX_METADATA_KEYS,
    DocumentPatch,
    IdempotencyKey,
    JobState,
    NewContent,
    OnDuplicate,
    VersionState,
)
from ragstone.core.ports import Manifest
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

KEY = IdempotencyKey("a key", "what was said")


def new_content(text: str, **fields: object) -> NewContent:
    """Bytes for a new version."""
    return NewContent(sha256_of(text), len(text), "text/plain", "new.txt", **fields)  # type: ignore[arg-type]


class ChangePromises:
    """What changes of a document promise."""

    async def test_replaced_content_is_the_next_version(self, manifest: Manifest) -> None:
        """Title and metadata stay where nothing else is said; the identity stays in any case."""
        ready = await make_ready(manifest, title="Mine", metadata={"v": 1})
        accepted = await manifest.replace_content(TENANT, ready.id, new_content("new"), keep_blob)
        assert (accepted.document.id, accepted.document.version) == (ready.id, 1)
        await finish(manifest)
        document = await manifest.get_document(TENANT, ready.id)
        assert (document.version, document.title, document.metadata) == (2, "Mine", {"v": 1})
        assert (document.source, document.filename, document.sha256) == ("a.txt", "new.txt", sha256_of("new"))

    async def test_the_same_content_again_changes_nothing(self, manifest: Manifest) -> None:
        """Unless the version that had it failed."""
        ready = await make_ready(manifest, content="same")
        same = new_content("same", title="Other")
        accepted = await manifest.replace_content(TENANT, ready.id, same, keep_blob)
        assert (accepted.document, accepted.job) == (ready, None)
        await upload(manifest, content="broken")
        await manifest.fail_task((await claim(manifest)).job.id, FAILURE)
        again = await manifest.replace_content(TENANT, ready.id, new_content("broken"), keep_blob)
        assert again.job is not None
        assert again.job.version == 3

    async def test_the_newest_of_replaced_contents_wins(self, manifest: Manifest) -> None:
        """What is overtaken never shows."""
        ready = await make_ready(manifest)
        await manifest.replace_content(TENANT, ready.id, new_content("2"), keep_blob)
        overtaken = await claim(manifest)
        await manifest.replace_content(TENANT, ready.id, new_content("3"), keep_blob)
        assert await manifest.switch_versions([indexed(overtaken)]) == []
        await finish(manifest)
        assert (await manifest.get_document(TENANT, ready.id)).sha256 == sha256_of("3")

    async def test_a_restored_version_is_a_new_one_with_the_old_bytes(self, manifest: Manifest) -> None:
        """And its title and metadata."""
        ready = await make_ready(manifest, content="old", title="Old", metadata={"v": 1})
        await upload(manifest, content="new", title="New", metadata={"v": 2})
        await finish(manifest)
        accepted = await manifest.restore_version(TENANT, ready.id, 1)
        assert accepted.job is not None
        await finish(manifest)
        document = await manifest.get_document(TENANT, ready.id)
        assert (document.version, document.sha256) == (3, sha256_of("old"))
        assert (document.title, document.metadata) == ("Old", {"v": 1})

    async def test_restoring_the_present_version_changes_nothing(self, manifest: Manifest) -> None:
        """One that never was is not found."""
        ready = await make_ready(manifest)
        assert (await manifest.restore_version(TENANT, ready.id, 1)).job is None
        await refusal(manifest.restore_version(TENANT, ready.id, 2), VersionNotFound)
        await refusal(manifest.restore_version(TENANT, "unknown", 1), DocumentNotFound)

    async def test_versions_are_listed_newest_first_with_what_became_of_them(
        self, manifest: Manifest
    ) -> None:
        """Until they are dropped."""
        ready = await make_ready(manifest, content="1")
        await upload(manifest, content="2")
        await manifest.fail_task((await claim(manifest)).job.id, FAILURE)
        await upload(manifest, content="3")
        await finish(manifest, chunks_reused=2)
        await upload(manifest, content="4")
        listed = await manifest.list_versions(TENANT, ready.id)
        assert [(entry.version, entry.state) for entry in listed] == [
            (4, VersionState.PENDING),
            (3, VersionState.VISIBLE),
            (2, VersionState.FAILED),
            (1, VersionState.SUPERSEDED),
        ]
        assert [entry.error for entry in listed] == [None, None, FAILURE, None]
        assert (listed[1].chunks, listed[1].chunks_reused) == (3, 2)

    async def test_an_old_version_can_be_looked_at(self, manifest: Manifest) -> None:
        """Its bytes and its text."""
        ready = await make_ready(manifest, content="1")
        await upload(manifest, content="2")
        await finish(manifest)
        await purge_all(manifest)
        old = await manifest.get_version(TENANT, ready.id, 1)
        assert (old.version, old.sha256) == (1, sha256_of("1"))
        assert old.text_sha256 == sha256_of(f"text of {sha256_of('1')}")
        await refusal(manifest.get_version(TENANT, ready.id, 9), VersionNotFound)

    async def test_a_patch_changes_words_and_nothing_else(self, manifest: Manifest) -> None:
        """Metadata is merged, null removes; what comes after takes it over."""
        ready = await make_ready(manifest, title="Old", metadata={"a": 1, "b": 2})
        patch = DocumentPatch(title="New", metadata={"b": None, "c": 3})
        document, target = await manifest.update_document(TENANT, ready.id, patch)
        assert (document.title, document.metadata, document.version) == ("New", {"a": 1, "c": 3}, 1)
        assert target is not None
        assert (target.version, target.chunks, target.title) == (1, 3, "New")
        visible = (await manifest.visible_documents(SCOPE, [ready.id]))[ready.id]
        assert (visible.title, visible.metadata) == ("New", {"a": 1, "c": 3})
        await upload(manifest, content="more")
        await finish(manifest)
        after = await manifest.get_document(TENANT, ready.id)
        assert (after.title, after.metadata) == ("New", {"a": 1, "c": 3})

    async def test_a_stored_null_stays_until_a_patch_removes_it(self, manifest: Manifest) -> None:
        """Also when other keys change."""
        ready = await make_ready(manifest, metadata={"unknown yet": None})
        document, _ = await manifest.update_document(TENANT, ready.id, DocumentPatch(metadata={"a": 1}))
        assert document.metadata == {"unknown yet": None, "a": 1}
        removal = DocumentPatch(metadata={"unknown yet": None})
        document, _ = await manifest.update_document(TENANT, ready.id, removal)
        assert document.metadata == {"a": 1}

    async def test_a_patch_without_members_changes_nothing(self, manifest: Manifest) -> None:
        """And nothing has to be written to the points."""
        ready = await make_ready(manifest, title="Old", metadata={"a": 1})
        document, target = await manifest.update_document(TENANT, ready.id, DocumentPatch())
        assert (document.title, document.metadata, target) == ("Old", {"a": 1}, None)
        assert await manifest.stale_payloads(10) == []
        await refusal(manifest.update_document(TENANT, "unknown", DocumentPatch()), DocumentNotFound)

    async def test_metadata_stays_within_its_bound(self, manifest: Manifest) -> None:
        """Also by many patches."""
        ready = await make_ready(manifest, metadata={str(n): n for n in range(MAX_METADATA_KEYS)})
        await refusal(
            manifest.update_document(TENANT, ready.id, DocumentPatch(metadata={"x": 1})), InvalidRequest
        )
        document, _ = await manifest.update_document(TENANT, ready.id, DocumentPatch(metadata=None))
        assert document.metadata == {}

    async def test_points_of_the_first_version_are_stale_if_it_was_patched_in_work(
        self, manifest: Manifest
    ) -> None:
        """It may have been begun before the patch."""
        accepted = await upload(manifest, content="first")
        _, target = await manifest.update_document(TENANT, accepted.document.id, DocumentPatch(title="New"))
        assert target is None
        assert await manifest.stale_payloads(10) == []
        await finish(manifest)
        (stale,) = await manifest.stale_payloads(10)
        assert (stale.version, stale.title) == (1, "New")

    async def test_points_are_stale_until_the_last_patch_was_written(self, manifest: Manifest) -> None:
        """And while a version is in work that may have begun before the patch."""
        ready = await make_ready(manifest)
        _, first = await manifest.update_document(TENANT, ready.id, DocumentPatch(title="1"))
        _, second = await manifest.update_document(TENANT, ready.id, DocumentPatch(title="2"))
        assert first is not None
        assert second is not None
        await manifest.finish_payload(first)
        assert await manifest.stale_payloads(10) == [second]
        await upload(manifest, content="new")
        await manifest.finish_payload(second)
        assert await manifest.stale_payloads(10) == []
        await finish(manifest)
        (target,) = await manifest.stale_payloads(10)
        assert (target.version, target.title) == (2, "2")
        await manifest.finish_payload(target)
        assert await manifest.stale_payloads(10) == []

    async def test_a_title_given_while_a_version_is_in_work_is_kept(self, manifest: Manifest) -> None:
        """Whatever the document says of itself."""
        ready = await make_ready(manifest)
        await upload(manifest, content="new")
        task = await claim(manifest)
        await manifest.update_document(TENANT, ready.id, DocumentPatch(title="Mine"))
        await manifest.switch_versions([indexed(task, title="Read from it")])
        assert (await manifest.get_document(TENANT, ready.id)).title == "Mine"

    async def test_a_replacement_takes_older_versions_once_it_is_visible(self, manifest: Manifest) -> None:
        """Not before; failed ones too."""
        ready = await make_ready(manifest, content="1")
        await upload(manifest, content="2")
        await manifest.fail_task((await claim(manifest)).job.id, FAILURE)
        await upload(manifest, content="3", on_duplicate=OnDuplicate.REPLACE)
        await purge_all(manifest)
        assert len(await manifest.list_versions(TENANT, ready.id)) == 3
        await finish(manifest)
        _, blobs = await purge_all(manifest)
        assert [entry.version for entry in await manifest.list_versions(TENANT, ready.id)] == [3]
        assert {sha256_of("1"), sha256_of("2")} <= set(blobs)

    async def test_an_upload_that_must_be_new_is_refused_over_other_bytes(self, manifest: Manifest) -> None:
        """The same bytes are no change, so they are not refused."""
        ready = await make_ready(manifest, content="1")
        await refusal(upload(manifest, content="2", on_duplicate=OnDuplicate.ERROR), DocumentExists)
        same = await upload(manifest, content="1", on_duplicate=OnDuplicate.ERROR)
        assert (same.document.id, same.job) == (ready.id, None)

    async def test_a_known_key_gives_its_result_again(self, manifest: Manifest) -> None:
        """Also where the upload has no source, and so no identity."""
        first = await upload(manifest, None, idempotency=KEY)
        again = await upload(manifest, None, idempotency=KEY)
        assert again == first
        assert len(await all_documents(manifest)) == 1
        await upload(manifest, None, idempotency=IdempotencyKey("another", KEY.fingerprint))
        assert len(await all_documents(manifest)) == 2

    async def test_a_known_key_with_another_request_is_refused(self, manifest: Manifest) -> None:
        """Nothing is changed then; a deleted document's key does not bring it back."""
        first = await upload(manifest, idempotency=KEY)
        other = IdempotencyKey(KEY.key, "something else")
        await refusal(upload(manifest, content="other", idempotency=other), IdempotencyMismatch)
        replacing = new_content("other", idempotency=other)
        await refusal(
            manifest.replace_content(TENANT, first.document.id, replacing, keep_blob), IdempotencyMismatch
        )
        await manifest.delete_document(TENANT, first.document.id)
        await refusal(upload(manifest, idempotency=KEY), DocumentNotFound)

    async def test_a_document_is_gone_from_the_moment_it_expires(self, manifest: Manifest) -> None:
        """Tombstoned or not; its identity is free, and its purge follows."""
        ready, soon = await make_ready(manifest), datetime.now(UTC) + timedelta(milliseconds=100)
        await manifest.update_document(TENANT, ready.id, DocumentPatch(expires_at=soon))
        assert await manifest.expire_documents() == 0
        await asyncio.sleep(0.12)
        await refusal(manifest.get_document(TENANT, ready.id), DocumentNotFound)
        assert await manifest.visible_documents(SCOPE, [ready.id]) == {}
        assert await all_documents(manifest) == []
        assert (await upload(manifest)).document.id != ready.id
        assert [target.document_id for target in await manifest.purge_targets(10)] == [ready.id]

    async def test_what_has_expired_is_tombstoned_and_an_expiry_can_be_lifted(
        self, manifest: Manifest
    ) -> None:
        """Each in its time."""
        ready, kept = await make_ready(manifest), await make_ready(manifest, "kept.txt")
        soon = datetime.now(UTC) + timedelta(milliseconds=400)
        for document in (ready, kept):
            await manifest.update_document(TENANT, document.id, DocumentPatch(expires_at=soon))
        await manifest.update_document(TENANT, kept.id, DocumentPatch(expires_at=None))
        await asyncio.sleep(0.42)
        assert await manifest.expire_documents() == 1
        assert await manifest.expire_documents() == 0
        assert [document.id for document in await all_documents(manifest)] == [kept.id]

    async def test_matching_documents_are_deleted_with_one_job(self, manifest: Manifest) -> None:
        """And counted the same before."""
        for name, team in (("a", "x"), ("b", "x"), ("c", "y")):
            await make_ready(manifest, name, metadata={"team": team})
        where = Leaf("metadata.team", "eq", "x")
        assert await manifest.count_matching(SCOPE, where) == 2
        deletion = await manifest.delete_matching(SCOPE, where)
        assert deletion is not None
        assert (deletion.job.document_id, deletion.job.progress.total) == (None, 2)
        assert [document.source for document in await all_documents(manifest)] == ["c"]
        assert await manifest.delete_matching(SCOPE, where) is None
        await purge_all(manifest)
        done = await manifest.get_job(TENANT, deletion.job.id)
        assert (done.state, done.progress.done) == (JobState.SUCCEEDED, 2)
