"""Backups of a running container, and what a restore makes of them. Real manifest, blobs and folders."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ragstone.core.errors import (
    BackupFailed,
    BackupFolderRefused,
    BackupRunning,
    DocumentNotFound,
    EngineUnavailable,
)
from ragstone.core.models import DEFAULT_TENANT, DocumentStatus
from ragstone.core.timing import Stopwatch
from ragstone.services import documents, switching
from ragstone.services.backup import BackupReport
from ragstone.storage.backup_folder import read_record
from ragstone.storage.data_directory import MANIFEST_FILE, vectors_path
from ragstone.storage.restoring import restore
from tests.memory_store import MemoryStore
from tests.parts import World, open_world
from tests.waiting import until


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(switching, "FLUSH_EVERY_S", 0.0)
    monkeypatch.setattr(documents, "PURGE_WAIT_S", 0.1)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path / "data") as opened:
        yield opened


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "backup"


async def back_up(world: World, folder: Path) -> BackupReport:
    return await world.container.backups.make(str(folder), stopwatch=Stopwatch())


def restored_store(data_dir: Path) -> MemoryStore:
    """The points that lie in a restored directory."""
    (vectors,) = vectors_path(data_dir, "").iterdir()
    return MemoryStore.open(vectors)


def put(file: Path, content: str) -> None:
    file.parent.mkdir(exist_ok=True)
    file.write_text(content)


def names_in(place: Path, pattern: str = "*") -> list[str]:
    return sorted(path.name for path in place.glob(pattern))


def blob_files(folder: Path) -> set[Path]:
    return {path for path in (folder / "blobs").rglob("*") if path.is_file()}


class Gate(MemoryStore):
    """A store whose snapshot waits until it is let go on."""

    def __init__(self) -> None:
        super().__init__()
        self.reached, self.may_go = asyncio.Event(), asyncio.Event()

    async def snapshot(self, target: Path) -> None:
        """See the port."""
        self.reached.set()
        await self.may_go.wait()
        await super().snapshot(target)


async def test_what_was_ready_is_there_after_a_restore(world: World, folder: Path, tmp_path: Path) -> None:
    document = await world.ready("Refunds are paid.\n\nCats sleep.", "a", metadata={"year": 2024})
    await back_up(world, folder)

    restore(folder, tmp_path / "new", command="test")

    async with open_world(tmp_path / "new", store=restored_store(tmp_path / "new")) as again:
        assert again.repaired.is_consistent
        assert await again.get(document.id) == document
        assert await again.container.documents.text(DEFAULT_TENANT, document.id) == (
            "Refunds are paid.\n\nCats sleep."
        )
        assert await again.texts("cats") == await world.texts("cats")


async def test_an_upload_that_was_only_acknowledged_is_ingested_after_a_restore(
    world: World, folder: Path, tmp_path: Path
) -> None:
    gate = world.reader.gates["slow"] = asyncio.Event()
    acceptance = await world.upload("A slow text.", "a")
    await back_up(world, folder)
    gate.set()

    restore(folder, tmp_path / "new", command="test")

    assert acceptance.job is not None
    async with open_world(tmp_path / "new", store=restored_store(tmp_path / "new")) as again:
        await again.finished(acceptance.job.id)
        assert (await again.get(acceptance.document.id)).status is DocumentStatus.READY


async def test_a_delete_during_a_backup_hides_at_once_and_is_purged_afterwards(
    tmp_path: Path, folder: Path
) -> None:
    store = Gate()
    async with open_world(tmp_path / "data", store=store) as world:
        document = await world.ready("Refunds are paid.", "a")
        backing_up = asyncio.create_task(back_up(world, folder))
        await store.reached.wait()

        receipt = await world.container.documents.delete(DEFAULT_TENANT, document.id)
        assert not receipt.verified_absent
        with pytest.raises(DocumentNotFound):
            await world.get(document.id)
        assert store.points
        store.may_go.set()
        await backing_up

        async def is_purged() -> bool:
            return not store.points and not await world.blobs.list()

        await until(is_purged)

    restore(folder, tmp_path / "new", command="test")
    async with open_world(tmp_path / "new", store=restored_store(tmp_path / "new")) as again:
        assert await again.texts("refunds") == ["Refunds are paid."]
        assert await again.container.documents.text(DEFAULT_TENANT, document.id) == "Refunds are paid."


async def test_what_comes_during_a_backup_is_an_orphan_that_the_next_start_removes(
    tmp_path: Path, folder: Path
) -> None:
    store = Gate()
    async with open_world(tmp_path / "data", store=store) as world:
        kept = await world.ready("Refunds are paid.", "a")
        backing_up = asyncio.create_task(back_up(world, folder))
        await store.reached.wait()
        later = await world.ready("Cats sleep.", "b")
        store.may_go.set()
        await backing_up

    restore(folder, tmp_path / "new", command="test")

    async with open_world(tmp_path / "new", store=restored_store(tmp_path / "new")) as again:
        assert again.repaired.orphan_versions == (f"{later.id}:1",)
        assert again.repaired.incomplete_versions == ()
        assert (await again.container.consistency.check()).is_consistent
        assert await again.texts("refunds cats") == ["Refunds are paid."]
        assert (await again.get(kept.id)).status is DocumentStatus.READY


async def test_a_second_backup_adds_what_is_new_and_removes_what_is_not_needed(
    world: World, folder: Path
) -> None:
    gone = await world.ready("Refunds are paid.", "a")
    await world.ready("Cats sleep.", "b")
    first = await back_up(world, folder)
    await world.container.documents.delete(DEFAULT_TENANT, gone.id)
    await world.ready("Dogs bark.", "c")

    second = await back_up(world, folder)

    assert (first.backup.documents, first.blobs_added, first.blobs_removed) == (2, 2, 0)
    assert (second.backup.documents, second.blobs_added, second.blobs_removed) == (2, 1, 1)
    assert {path.read_text() for path in blob_files(folder)} == {"Cats sleep.", "Dogs bark."}
    assert len(names_in(folder, "state-*")) == 1


async def test_a_backup_that_fails_leaves_the_one_before(world: World, folder: Path, tmp_path: Path) -> None:
    await world.ready("Refunds are paid.", "a")
    await back_up(world, folder)
    record = read_record(folder)
    await world.ready("Cats sleep.", "b")
    world.store.is_down = True

    with pytest.raises(EngineUnavailable):
        await back_up(world, folder)

    assert read_record(folder) == record
    assert len(names_in(folder, "state-*")) == 1
    assert restore(folder, tmp_path / "new", command="test").documents == 1
    world.store.is_down = False
    assert (await back_up(world, folder)).backup.documents == 2


async def test_there_is_one_backup_at_a_time(tmp_path: Path, folder: Path) -> None:
    store = Gate()
    async with open_world(tmp_path / "data", store=store) as world:
        first = asyncio.create_task(back_up(world, folder))
        await store.reached.wait()

        with pytest.raises(BackupRunning):
            await back_up(world, tmp_path / "elsewhere")

        store.may_go.set()
        await first
        assert (await back_up(world, tmp_path / "elsewhere")).backup.documents == 0


async def test_a_cancelled_backup_lets_go_of_everything(tmp_path: Path, folder: Path) -> None:
    store = Gate()
    async with open_world(tmp_path / "data", store=store) as world:
        document = await world.ready("Refunds are paid.", "a")
        backing_up = asyncio.create_task(back_up(world, folder))
        await store.reached.wait()

        backing_up.cancel()
        await asyncio.wait([backing_up])

        assert not names_in(folder, "state-*")
        assert (await world.container.documents.delete(DEFAULT_TENANT, document.id)).verified_absent
        store.may_go.set()
        await back_up(world, folder)


async def test_originals_that_were_lost_before_are_named(
    world: World, folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    document = await world.ready("Refunds are paid.", "a")
    await world.ready("Cats sleep.", "b")
    await world.blobs.delete(document.sha256)

    report = await back_up(world, folder)

    assert report.backup.missing_blobs == (document.sha256,)
    assert report.backup.blobs == 1
    assert any("missing" in record.message for record in caplog.records)
    assert restore(folder, tmp_path / "new", command="test").documents == 2


async def test_an_original_that_was_spoilt_is_named_and_left_out(
    world: World, folder: Path, tmp_path: Path
) -> None:
    document = await world.ready("Refunds are paid.", "a")
    path = world.blobs.path(document.sha256)
    path.chmod(0o600)
    path.write_bytes(b"Refunds are paib.")

    report = await back_up(world, folder)

    assert report.backup.missing_blobs == (document.sha256,)
    assert restore(folder, tmp_path / "new", command="test").documents == 1


async def test_a_copy_that_was_spoilt_is_made_anew_and_a_good_one_stays(world: World, folder: Path) -> None:
    document = await world.ready("Refunds are paid.", "a")
    await back_up(world, folder)
    path = world.blobs.path(document.sha256)
    copy = folder / "blobs" / path.parent.name / path.name
    copy.unlink()
    copy.write_bytes(b"Refunds are paib.")

    mended = await back_up(world, folder)
    copy.unlink()
    copy.write_bytes(path.read_bytes())
    path.write_bytes(b"Refunds are paib.")
    kept = await back_up(world, folder)

    assert (mended.blobs_added, mended.backup.missing_blobs) == (1, ())
    assert (kept.blobs_added, kept.backup.missing_blobs) == (0, ())
    assert copy.read_bytes() == b"Refunds are paid."


async def test_a_purge_that_died_between_bytes_and_row_is_no_loss(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_world(tmp_path / "data") as world:
        document = await world.ready("Refunds are paid.", "a")
        world.store.is_down = True
        await world.container.documents.delete(DEFAULT_TENANT, document.id)
        await world.blobs.delete(document.sha256)
        monkeypatch.setattr(world.container.backups._purger, "_purge", asyncio.Event().wait)
        world.store.is_down = False

        report = await back_up(world, folder)

    assert report.backup.missing_blobs == ()


async def test_a_full_disk_is_said_and_nothing_is_left(world: World, folder: Path) -> None:
    await world.ready("Refunds are paid.", "a")

    async def fill_up(target: Path) -> None:
        raise OSError(28, os.strerror(28))

    world.store.snapshot = fill_up  # type: ignore[method-assign]
    with pytest.raises(BackupFailed, match="No space left"):
        await back_up(world, folder)

    assert not names_in(folder, "state-*")
    assert "backup.json" not in names_in(folder)


class TestPlace:
    async def test_a_relative_path_is_refused(self, world: World) -> None:
        with pytest.raises(BackupFolderRefused, match="relative"):
            await world.container.backups.make("backup", stopwatch=Stopwatch())

    async def test_no_backup_goes_into_the_data_directory(self, world: World, tmp_path: Path) -> None:
        (tmp_path / "link").symlink_to(tmp_path / "data")
        for place in ("data", "data/backup", "link/backup", "data/../data/blobs"):
            with pytest.raises(BackupFolderRefused, match="in the data directory"):
                await back_up(world, tmp_path / place)

    async def test_what_is_no_backup_is_not_touched(self, world: World, folder: Path) -> None:
        put(folder / "precious.txt", "keep me")

        with pytest.raises(BackupFolderRefused, match="no backup"):
            await back_up(world, folder)

        assert names_in(folder) == ["precious.txt"]

    async def test_an_empty_folder_is_taken(
        self, world: World, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        folder = tmp_path_factory.mktemp("empty")
        assert (await back_up(world, folder)).backup.documents == 0

    async def test_paths_that_cannot_be_folders_are_refused(self, world: World, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        (tmp_path / "loop").symlink_to(tmp_path / "loop")
        for place in ("file", "file/backup", "loop/backup", "a" * 300):
            with pytest.raises(BackupFolderRefused):
                await back_up(world, tmp_path / place)

    async def test_the_backup_of_another_directory_is_not_written_over(
        self, world: World, folder: Path, tmp_path: Path
    ) -> None:
        await back_up(world, folder)

        async with open_world(tmp_path / "other") as other:
            with pytest.raises(BackupFolderRefused, match="another data directory"):
                await back_up(other, folder)

    async def test_a_restored_directory_goes_on_with_the_backup_that_it_came_from(
        self, world: World, folder: Path, tmp_path: Path
    ) -> None:
        await back_up(world, folder)
        restore(folder, tmp_path / "new", command="test")

        async with open_world(tmp_path / "new") as again:
            assert (await back_up(again, folder)).backup.documents == 0

    async def test_a_backup_of_a_newer_release_is_not_written_over(self, world: World, folder: Path) -> None:
        await back_up(world, folder)
        put(folder / "backup.json", '{"format": 99}')

        with pytest.raises(BackupFolderRefused, match="format 99"):
            await back_up(world, folder)


async def test_the_copied_manifest_needs_no_other_file(world: World, folder: Path) -> None:
    await world.ready("Refunds are paid.", "a")
    await back_up(world, folder)
    assert names_in(folder, "state-*/*") == ["SHA256SUMS", MANIFEST_FILE, "vectors"]
