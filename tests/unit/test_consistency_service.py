"""Whether manifest, blobs and vectors agree, and what a start repairs."""

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from ragstone.core.models import DEFAULT_TENANT, DocumentStatus, KnownChunk, ReadDocument
from ragstone.services import switching
from ragstone.services.consistency import ORPHAN_BLOB_AGE_S
from tests.memory_store import MemoryStore
from tests.parts import ParagraphReader, World, open_world
from tests.waiting import until


@pytest.fixture(autouse=True)
def _flush_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(switching, "FLUSH_EVERY_S", 0.0)


async def filled(folder: Path) -> tuple[MemoryStore, str, World]:
    """A data directory at rest with one document of two chunks."""
    async with open_world(folder) as world:
        document = await world.ready("Refunds are paid.\n\nCats sleep.", "a")
        assert (await world.container.consistency.check()).is_consistent
    return world.store, document.id, world


async def test_a_healthy_directory_agrees_and_is_counted(tmp_path: Path) -> None:
    store, _, _ = await filled(tmp_path / "data")

    async with open_world(tmp_path / "data", store=store) as again:
        found = again.repaired

    assert found.is_consistent
    assert (found.documents, found.points) == (1, 2)


async def test_lost_points_are_indexed_again(tmp_path: Path) -> None:
    store, document_id, _ = await filled(tmp_path / "data")
    store.points.popitem()

    async with open_world(tmp_path / "data", store=store) as again:
        assert again.repaired.incomplete_versions == (f"{document_id}:1",)

        async def is_whole() -> bool:
            return (await again.container.consistency.check()).is_consistent

        await until(is_whole)
        assert (await again.get(document_id)).status is DocumentStatus.READY
        assert sorted(await again.texts("cats refunds")) == ["Cats sleep.", "Refunds are paid."]


async def test_points_of_no_version_are_deleted(tmp_path: Path) -> None:
    store, _, _ = await filled(tmp_path / "data")
    stray, *_ = store.points.values()
    store.points["stray"] = replace(
        stray, id="stray", payload={**stray.payload, "document_version": "nobody:1", "document_id": "nobody"}
    )

    async with open_world(tmp_path / "data", store=store) as again:
        assert again.repaired.orphan_versions == ("nobody:1",)
        assert "stray" not in store.points


async def test_bytes_of_no_version_are_deleted_at_a_start_since_nobody_uploads_yet(tmp_path: Path) -> None:
    store, _, _ = await filled(tmp_path / "data")
    orphan = leave_orphan(tmp_path / "data")

    async with open_world(tmp_path / "data", store=store) as again:
        assert again.repaired.orphan_blobs == (orphan.parent.name + orphan.name,)

    assert not orphan.exists()


async def test_while_uploads_arrive_fresh_bytes_of_no_version_are_no_difference(tmp_path: Path) -> None:
    store, _, _ = await filled(tmp_path / "data")
    async with open_world(tmp_path / "data", store=store) as again:
        orphan = leave_orphan(tmp_path / "data")
        assert (await again.container.consistency.check()).is_consistent

        os.utime(orphan, (time.time() - ORPHAN_BLOB_AGE_S - 1,) * 2)
        assert not (await again.container.consistency.check()).is_consistent


def leave_orphan(data_dir: Path) -> Path:
    """A blob that nothing refers to."""
    folder = data_dir / "blobs" / "ab"
    folder.mkdir(exist_ok=True)
    orphan = folder / ("c" * 62)
    orphan.write_text("left behind")
    return orphan


async def test_missing_originals_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store, document_id, _ = await filled(tmp_path / "data")
    async with open_world(tmp_path / "data", store=store) as world:
        _, path = await world.container.documents.content(DEFAULT_TENANT, document_id)
    path.unlink()

    async with open_world(tmp_path / "data", store=store) as again:
        assert again.repaired.missing_originals == (f"{document_id}:1",)
        assert await again.texts("cats")

    assert any("missing" in record.message for record in caplog.records)


async def test_the_original_of_a_failed_document_is_missed_as_well(tmp_path: Path) -> None:
    async with open_world(tmp_path / "data") as world:
        accepted = await world.upload("  ", "a")
        assert accepted.job is not None
        await world.finished(accepted.job.id)
        document = await world.get(accepted.document.id)
        assert document.status is DocumentStatus.FAILED
        await world.blobs.delete(document.sha256)

        found = await world.container.consistency.check()

        assert found.missing_originals == (f"{document.id}:1",)


@pytest.mark.parametrize("spoil", [Path.unlink, lambda path: path.write_bytes(b"spoilt")])
async def test_an_upload_of_the_same_bytes_brings_a_lost_original_back(
    tmp_path: Path, spoil: Callable[[Path], object]
) -> None:
    async with open_world(tmp_path / "data") as world:
        document = await world.ready("Refunds are paid.", "a")
        spoil(world.blobs.path(document.sha256))

        again = await world.upload("Refunds are paid.", "a")

        assert (again.document.id, again.document.version, again.job) == (document.id, 1, None)
        assert await world.blobs.read(document.sha256) == b"Refunds are paid."
        assert (await world.container.consistency.check()).missing_originals == ()


class ShoutingReader(ParagraphReader):
    """Reads in upper case, so that a text is not its original."""

    async def read(
        self,
        path: Path,
        *,
        media_type: str,
        title: str | None,
        new_spool: Callable[[], Path],
        known: Sequence[KnownChunk] = (),
        chunk_tokens: int | None = None,
    ) -> ReadDocument:
        """See the port."""
        read = await super().read(
            path,
            media_type=media_type,
            title=title,
            new_spool=new_spool,
            known=known,
            chunk_tokens=chunk_tokens,
        )
        return replace(read, parsed=replace(read.parsed, text=read.parsed.text.upper()))


async def test_a_text_lost_while_serving_is_extracted_again(tmp_path: Path) -> None:
    async with open_world(tmp_path / "data", reader=ShoutingReader()) as world:
        document = await world.ready("Refunds are paid.", "a")
        version = await world.container.manifest.get_version(DEFAULT_TENANT, document.id)
        assert version.text_sha256 is not None
        world.blobs.path(version.text_sha256).unlink()

        found = await world.container.consistency.repair()

        assert found.missing_texts == (f"{document.id}:1",)
        await until(lambda: agrees(world))
        assert await world.container.documents.text(DEFAULT_TENANT, document.id) == "REFUNDS ARE PAID."


async def agrees(world: World) -> bool:
    """Whether nothing differs now."""
    return (await world.container.consistency.check()).is_consistent


async def test_a_repair_while_serving_says_afterwards_what_it_did(tmp_path: Path) -> None:
    async with open_world(tmp_path / "data") as world:
        await world.ready("Refunds are paid.\n\nCats sleep.", "a")
        world.store.points.popitem()
        orphan = leave_orphan(tmp_path / "data")
        os.utime(orphan, (time.time() - ORPHAN_BLOB_AGE_S - 1,) * 2)
        assert await world.container.consistency.last_repair() is None

        await world.container.consistency.repair()

        repair = await world.container.consistency.last_repair()
        assert repair is not None
        assert (repair.points_deleted, repair.versions_queued, repair.blobs_deleted) == (0, 1, 1)
        await until(lambda: agrees(world))


async def test_uploads_and_deletes_during_checks_are_no_differences(tmp_path: Path) -> None:
    async with open_world(tmp_path / "data") as world:

        async def change() -> None:
            for number in range(20):
                document = await world.ready(f"Number {number}.", "changing")
            await world.container.documents.delete(DEFAULT_TENANT, document.id)

        changing = asyncio.create_task(change())
        while not changing.done():
            found = await world.container.consistency.repair()
            assert found.incomplete_versions == found.missing_texts == found.missing_originals == ()

        await changing
        assert await world.container.consistency.last_repair() is None


async def test_points_that_a_purge_takes_while_they_are_counted_are_no_difference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_world(tmp_path / "data") as world:
        document = await world.ready("Refunds are paid.", "a")
        count = world.store.count_versions

        async def count_then_purge(versions: Sequence[str] | None = None) -> dict[str, int]:
            counted = await count(versions)
            if versions is None:
                monkeypatch.undo()
                await world.container.documents.delete(DEFAULT_TENANT, document.id)
            return counted

        monkeypatch.setattr(world.store, "count_versions", count_then_purge)
        found = await world.container.consistency.check()

        assert found.orphan_versions == ()


async def test_old_bytes_that_an_upload_just_came_to_need_are_kept(tmp_path: Path) -> None:
    async with open_world(tmp_path / "data") as world:
        text = "Refunds are paid."
        await world.blobs.put(text.encode())
        sha256, _ = (await world.blobs.list())[0]
        os.utime(world.blobs.path(sha256), (time.time() - 2 * ORPHAN_BLOB_AGE_S,) * 2)
        found = await world.container.consistency.check()
        assert found.orphan_blobs == (sha256,)

        document = await world.ready(text, "a")
        await world.container.consistency._repair(found)

        assert await world.container.documents.text(DEFAULT_TENANT, document.id) == text


async def test_a_version_without_its_original_is_not_queued(tmp_path: Path) -> None:
    store, document_id, _ = await filled(tmp_path / "data")
    async with open_world(tmp_path / "data", store=store) as world:
        _, path = await world.container.documents.content(DEFAULT_TENANT, document_id)
    path.unlink()
    store.points.popitem()

    async with open_world(tmp_path / "data", store=store) as again:
        assert again.repaired.incomplete_versions == (f"{document_id}:1",)
        assert again.repaired.missing_originals == (f"{document_id}:1",)
        assert (await again.get(document_id)).pending is None


async def test_work_that_a_crash_interrupted_is_taken_up_again(tmp_path: Path) -> None:
    async with open_world(tmp_path / "data") as world:
        await world.container.documents._queue.stop()  # type: ignore[attr-defined]
        acceptance = await world.upload("Refunds are paid.")
        (task,) = await world.container.manifest.claim_tasks(1)

    async with open_world(tmp_path / "data") as again:
        job = await again.finished(task.job.id)

    assert (job.document_id, job.attempts) == (acceptance.document.id, 2)
