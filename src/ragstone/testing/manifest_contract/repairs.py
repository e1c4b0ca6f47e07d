"""Promises that repairs and re-indexing rely on."""

from ragstone.core.models import VersionContent
from ragstone.core.ports import Manifest
from ragstone.testing.manifest_contract.scenes import (
    FAILURE,
    TENANT,
    claim,
    finish,
    make_ready,
    sha256_of,
    upload,
)


class RepairPromises:
    """What is visible, what it is made of, and what nothing refers to."""

    async def test_only_visible_versions_have_contents(self, manifest: Manifest) -> None:
        """With the number of their points and the hashes of original and text."""
        ready = await make_ready(manifest, content="1")
        await upload(manifest, content="2")
        await upload(manifest, "b.txt", content="3")
        text = sha256_of(f"text of {sha256_of('1')}")
        expected = {f"{ready.id}:1": VersionContent(3, sha256_of("1"), text)}
        assert await manifest.visible_contents() == expected
        await manifest.delete_document(TENANT, ready.id)
        assert await manifest.visible_contents() == {}

    async def test_the_newest_version_has_its_original_before_it_is_visible(self, manifest: Manifest) -> None:
        """In work or failed; not of a document that is deleted."""
        ready = await make_ready(manifest, content="1")
        assert await manifest.unfinished_originals() == {}
        await upload(manifest, content="2")
        other = (await upload(manifest, "b.txt", content="3")).document
        expected = {f"{ready.id}:2": sha256_of("2")}
        assert await manifest.unfinished_originals() == expected | {f"{other.id}:1": sha256_of("3")}
        await manifest.delete_document(TENANT, other.id)
        assert await manifest.unfinished_originals() == expected
        await manifest.fail_task((await claim(manifest)).job.id, FAILURE)
        assert await manifest.unfinished_originals() == expected

    async def test_a_visible_version_knows_its_task_again(self, manifest: Manifest) -> None:
        """As its user wanted it; a version that is not visible has none."""
        ready = await make_ready(manifest, content="1", title="Given", metadata={"kind": "one"})
        await upload(manifest, content="2")
        task = await manifest.visible_task(f"{ready.id}:1")
        assert task is not None
        assert (task.version, task.sha256, task.title) == (1, sha256_of("1"), "Given")
        assert (task.source, task.metadata) == ("a.txt", {"kind": "one"})
        assert await manifest.visible_task(f"{ready.id}:2") is None
        await finish(manifest)
        assert await manifest.visible_task(f"{ready.id}:1") is None

    async def test_only_what_nothing_refers_to_is_deleted(self, manifest: Manifest) -> None:
        """Originals and texts of all versions are kept, also of those in work."""
        await make_ready(manifest, content="1")
        await upload(manifest, "b.txt", content="2")
        text = sha256_of(f"text of {sha256_of('1')}")
        gone: list[str] = []

        async def delete_blob(sha256: str) -> bool:
            gone.append(sha256)
            return True

        hashes = [sha256_of("1"), text, sha256_of("2"), sha256_of("orphan")]
        assert await manifest.delete_unreferenced(hashes, delete_blob) == 1
        assert gone == [sha256_of("orphan")]
