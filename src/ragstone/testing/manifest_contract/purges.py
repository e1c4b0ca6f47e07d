"""Promises about what must go, what is kept, and what the consistency check compares."""

from ragstone.core.models import JobKind, PurgeTarget, Scope
from ragstone.core.ports import Manifest
from ragstone.testing.manifest_contract.scenes import (
    FAILURE,
    TENANT,
    claim,
    finish,
    indexed,
    make_ready,
    purge_all,
    sha256_of,
    upload,
)


class PurgePromises:
    """What the purger and the consistency check rely on."""

    async def test_a_replaced_version_waits_for_its_purge(self, manifest: Manifest) -> None:
        """Until that is finished; its bytes and text stay."""
        ready = await make_ready(manifest, content="1")
        assert await manifest.purge_targets(10) == []
        await make_ready(manifest, content="2")
        assert await manifest.purge_targets(10) == [PurgeTarget(ready.id, 1, (1,), None)]
        assert f"{ready.id}:1" in await manifest.live_versions()
        _, blobs = await purge_all(manifest)
        assert blobs == []
        assert await manifest.purge_targets(10) == []
        assert await manifest.live_versions() == {f"{ready.id}:2"}
        assert sha256_of("1") in await manifest.referenced_blobs()

    async def test_a_failed_or_overtaken_version_waits_for_its_purge(self, manifest: Manifest) -> None:
        """Its worker may have stored points; its bytes stay for another try."""
        document = (await upload(manifest, content="1")).document
        await manifest.fail_task((await claim(manifest)).job.id, FAILURE)
        await upload(manifest, content="2")
        await upload(manifest, content="3")
        targets = await manifest.purge_targets(10)
        assert {target.version for target in targets} == {1, 2}
        assert len(await manifest.purge_targets(1)) == 1
        await purge_all(manifest)
        assert await manifest.live_versions() == {f"{document.id}:3"}
        assert {sha256_of(content) for content in "123"} <= (await manifest.referenced_blobs()).keys()

    async def test_the_newest_ten_old_versions_keep_their_bytes(self, manifest: Manifest) -> None:
        """Older ones lose bytes and text that nothing else refers to."""
        await make_ready(manifest, "other.txt", "content 2")
        for n in range(15):
            await make_ready(manifest, content=f"content {n}")
        _, blobs = await purge_all(manifest)
        originals = {sha256_of(f"content {n}"): n for n in range(15)}
        assert sorted(originals[blob] for blob in blobs if blob in originals) == [0, 1, 3]
        assert len(blobs) == 6
        assert (await manifest.counts())["versions"] == 1 + 1 + 10

    async def test_a_version_is_not_forgotten_before_its_points_are_gone(self, manifest: Manifest) -> None:
        """Whatever the order of the purges."""
        for n in range(13):
            await make_ready(manifest, content=f"content {n}")
        targets = await manifest.purge_targets(100)
        newest_first = sorted(targets, key=lambda target: -(target.version or 0))

        async def delete_blob(_sha256: str) -> bool:
            return True

        for target in newest_first[:-1]:
            await manifest.finish_purge(target, 3, delete_blob)
        assert await manifest.purge_targets(100) == newest_first[-1:]
        assert len(await manifest.live_versions()) == 2
        await manifest.finish_purge(newest_first[-1], 3, delete_blob)
        assert (await manifest.counts())["versions"] == 1 + 10

    async def test_shared_bytes_go_with_their_last_reference(self, manifest: Manifest) -> None:
        """Of any document, collection and tenant, as original or as text."""
        await manifest.create_collection("someone", "default", "")
        mine = await make_ready(manifest, content="shared")
        theirs = await make_ready(manifest, content="shared", scope=Scope("someone"))
        text_like = (await upload(manifest, "c", "other")).document
        await finish(manifest, text_sha256=sha256_of("shared"))
        gone: list[set[str]] = []
        for tenant_id, document_id in ((TENANT, mine.id), ("someone", theirs.id), (TENANT, text_like.id)):
            await manifest.delete_document(tenant_id, document_id)
            gone.append(set((await purge_all(manifest))[1]))
        assert sha256_of("shared") not in gone[0] | gone[1]
        assert sha256_of("shared") in gone[2]

    async def test_a_recorded_text_is_kept_for_its_version_and_goes_with_it(self, manifest: Manifest) -> None:
        """From before it is stored, so that no other document's purge takes it away."""
        text = sha256_of("the same text")
        first = (await upload(manifest, "a", "1")).document
        await finish(manifest, text_sha256=text)
        second = (await upload(manifest, "b", "2")).document
        assert await manifest.record_content((await claim(manifest)).job.id, text)
        await manifest.delete_document(TENANT, first.id)
        assert text not in (await purge_all(manifest))[1]
        await manifest.delete_document(TENANT, second.id)
        assert text in (await purge_all(manifest))[1]

    async def test_only_visible_versions_need_points_and_bytes(self, manifest: Manifest) -> None:
        """The rest is kept while it is referred to."""
        ready = await make_ready(manifest, content="1")
        await upload(manifest, content="2")
        assert await manifest.expected_points() == {f"{ready.id}:1": 3}
        assert await manifest.live_versions() == {f"{ready.id}:1", f"{ready.id}:2"}
        text = sha256_of(f"text of {sha256_of('1')}")
        assert await manifest.referenced_blobs() == {
            sha256_of("1"): True,
            text: True,
            sha256_of("2"): False,
        }
        await manifest.delete_document(TENANT, ready.id)
        assert set((await manifest.referenced_blobs()).values()) == {False}

    async def test_a_repair_re_indexes_the_visible_version(self, manifest: Manifest) -> None:
        """From its own bytes, though a newer one failed; and only once."""
        ready = await make_ready(manifest, content="good")
        await upload(manifest, content="broken")
        await manifest.fail_task((await claim(manifest)).job.id, FAILURE)
        for _ in range(2):
            await manifest.repair_version(f"{ready.id}:1")
        task = await claim(manifest)
        assert (task.job.kind, task.version, task.sha256) == (JobKind.REINDEX, 3, sha256_of("good"))
        await manifest.switch_versions([indexed(task)])

    async def test_what_is_not_visible_is_not_repaired(self, manifest: Manifest) -> None:
        """Superseded, deleted, unknown."""
        ready = await make_ready(manifest, content="1")
        await make_ready(manifest, content="2")
        await manifest.repair_version(f"{ready.id}:1")
        await manifest.delete_document(TENANT, ready.id)
        await manifest.repair_version(f"{ready.id}:2")
        await manifest.repair_version("unknown:1")
        assert await manifest.claim_tasks(10) == []

    async def test_properties_are_kept(self, manifest: Manifest) -> None:
        """The last value holds."""
        assert await manifest.get_property("fingerprint") is None
        for value in ("one", "two", "two"):
            await manifest.set_property("fingerprint", value)
        assert await manifest.get_property("fingerprint") == "two"

    async def test_counts_name_every_state(self, manifest: Manifest) -> None:
        """Zeros included."""
        ready = await make_ready(manifest, "a")
        await upload(manifest, "b")
        await manifest.delete_document(TENANT, ready.id)
        counts = await manifest.counts()
        expected = {"documents": 1, "versions": 2, "purges_pending": 1}
        states = {"queued": 2, "running": 0, "succeeded": 1, "failed": 0, "cancelled": 0}
        assert counts == expected | {f"jobs_{state}": number for state, number in states.items()}
        assert await manifest.is_healthy()
