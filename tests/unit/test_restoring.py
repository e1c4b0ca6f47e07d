"""Restoring: verified, whole, into a place of its own, or not at all."""

import json
import os
import shutil
from pathlib import Path

import pytest

from ragstone.core.errors import (
    BackupDamaged,
    BackupRunning,
    BackupUnusable,
    DataDirectoryInUse,
    RestoreRefused,
    StartupError,
)
from ragstone.core.files import sha256_of
from ragstone.core.models import Backup
from ragstone.core.timing import Stopwatch
from ragstone.services import switching
from ragstone.storage.backup_folder import lock_folder
from ragstone.storage.data_directory import DataDirectory
from ragstone.storage.restoring import restore
from tests.parts import open_world


@pytest.fixture
async def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A backup of two documents, made of a directory on another path."""
    monkeypatch.setattr(switching, "FLUSH_EVERY_S", 0.0)
    async with open_world(tmp_path / "data") as world:
        await world.ready("Refunds are paid.", "a")
        await world.ready("Cats sleep.", "b")
        await world.container.backups.make(str(tmp_path / "backup"), stopwatch=Stopwatch())
    return tmp_path / "backup"


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "new"


def run_restore(folder: Path, target: Path) -> Backup:
    return restore(folder, target, command="ragstone restore")


def left_in(place: Path) -> set[str]:
    return {path.name for path in place.iterdir()}


def a_blob(folder: Path) -> Path:
    return next(path for path in sorted((folder / "blobs").rglob("*")) if path.is_file())


def test_the_directory_is_private_and_holds_what_was_backed_up(folder: Path, target: Path) -> None:
    assert run_restore(folder, target).documents == 2

    assert target.stat().st_mode & 0o777 == 0o700
    assert {"manifest.db", "blobs", "vectors"} <= left_in(target)
    assert sorted(path.read_text() for path in (target / "blobs").glob("??/*")) == [
        "Cats sleep.",
        "Refunds are paid.",
    ]
    assert left_in(target.parent) == {"data", "backup", "new"}


def test_an_empty_directory_is_taken(folder: Path, target: Path) -> None:
    target.mkdir()
    run_restore(folder, target)
    assert (target / "manifest.db").exists()


def test_a_directory_that_holds_something_is_refused(folder: Path, target: Path) -> None:
    target.mkdir()
    (target / "precious.txt").write_text("keep me")

    with pytest.raises(RestoreRefused, match="not empty"):
        run_restore(folder, target)

    assert left_in(target) == {"precious.txt"}
    assert left_in(target.parent) == {"data", "backup", "new"}


def test_a_file_in_its_place_is_refused(folder: Path, target: Path) -> None:
    target.write_text("keep me")
    with pytest.raises(RestoreRefused):
        run_restore(folder, target)


def test_a_mount_point_is_refused(folder: Path) -> None:
    with pytest.raises(RestoreRefused, match="mount point"):
        run_restore(folder, Path("/proc"))


def test_a_directory_in_use_is_refused_and_its_owner_named(folder: Path, target: Path) -> None:
    held = DataDirectory.open(target, command="ragstone serve")

    with pytest.raises(DataDirectoryInUse, match="ragstone serve"):
        run_restore(folder, target)

    held.close()


def test_two_restores_into_one_place_do_not_mix(folder: Path, target: Path) -> None:
    first = DataDirectory.open(target.with_name(".new.restoring"), command="ragstone restore")

    with pytest.raises(DataDirectoryInUse, match="ragstone restore"):
        run_restore(folder, target)

    first.close()
    run_restore(folder, target)


def test_what_an_interrupted_restore_left_is_not_mixed_in(folder: Path, target: Path) -> None:
    leftover = target.with_name(".new.restoring")
    (leftover / "vectors" / "old").mkdir(parents=True)
    (leftover / "vectors" / "old" / "shard").write_text("of another backup")

    run_restore(folder, target)

    assert not (target / "vectors" / "old").exists()
    assert not leftover.exists()


def test_a_damaged_original_is_found_and_nothing_is_restored(folder: Path, target: Path) -> None:
    blob = a_blob(folder)
    shutil.copy(blob, blob.with_name("copy"))
    blob.with_name("copy").replace(blob)  # the data directory shares the original's inode
    blob.write_text("rotten")

    with pytest.raises(BackupDamaged, match=blob.name):
        run_restore(folder, target)

    assert left_in(target.parent) == {"data", "backup"}


@pytest.mark.parametrize("name", ["manifest.db", "vectors/*/points", "SHA256SUMS"])
def test_any_other_damage_is_found_too(folder: Path, target: Path, name: str) -> None:
    (path,) = folder.glob(f"state-*/{name}")
    path.write_bytes(path.read_bytes()[:-1] + b"\xff")

    with pytest.raises(BackupDamaged, match="not what"):
        run_restore(folder, target)

    assert not target.exists()


@pytest.mark.parametrize("name", ["state-*/manifest.db", "state-*/vectors/*/points", "state-*/SHA256SUMS"])
def test_files_that_are_missing_are_found(folder: Path, target: Path, name: str) -> None:
    (path,) = folder.glob(name)
    path.unlink()

    with pytest.raises(BackupDamaged, match="missing"):
        run_restore(folder, target)


def test_many_damaged_files_are_counted_and_some_named(folder: Path, target: Path) -> None:
    shutil.rmtree(folder / "blobs")
    with pytest.raises(BackupDamaged, match="2 files of the backup"):
        run_restore(folder, target)


def test_a_backup_that_was_not_completed_is_refused(folder: Path, target: Path) -> None:
    (folder / "backup.json").unlink()
    with pytest.raises(BackupUnusable, match="no complete backup"):
        run_restore(folder, target)


def test_a_folder_that_is_not_there_is_no_backup(tmp_path: Path, target: Path) -> None:
    with pytest.raises(BackupUnusable, match="no complete backup"):
        run_restore(tmp_path / "nothing", target)


@pytest.mark.parametrize("record", ["", "[]", "null", "{}", '{"format": 1}', '{"format": 2}', "\xff"])
def test_a_record_that_says_something_else_is_refused(folder: Path, target: Path, record: str) -> None:
    (folder / "backup.json").write_text(record, "latin-1")
    with pytest.raises(BackupUnusable):
        run_restore(folder, target)


@pytest.mark.parametrize("name", ["../../evil", "/etc/evil", "other/evil", "blobs/../../evil", ""])
def test_a_listed_file_outside_of_the_backup_is_refused(folder: Path, target: Path, name: str) -> None:
    record = json.loads((folder / "backup.json").read_text())
    sums = folder / record["state"] / "SHA256SUMS"
    sums.write_text(f"{'0' * 64}  {name}\n")
    (folder / "backup.json").write_text(json.dumps({**record, "sums_sha256": sha256_of(sums)}))

    with pytest.raises(BackupDamaged, match="outside"):
        run_restore(folder, target)

    assert not list(target.parent.rglob("evil"))


@pytest.mark.parametrize(
    "change", [{"state": "../data"}, {"state": 5}, {"missing_blobs": 1}, {"created_at": "x"}]
)
def test_a_record_with_other_values_is_refused(folder: Path, target: Path, change: dict[str, object]) -> None:
    record = json.loads((folder / "backup.json").read_text())
    (folder / "backup.json").write_text(json.dumps({**record, **change}))

    with pytest.raises(BackupUnusable, match="not what a backup writes"):
        run_restore(folder, target)


def test_a_backup_that_is_being_written_is_not_read(folder: Path, target: Path) -> None:
    lock = lock_folder(folder, is_writer=True)

    with pytest.raises(BackupRunning):
        run_restore(folder, target)

    os.close(lock)
    run_restore(folder, target)


def test_a_copy_of_a_backup_is_restored_also_without_its_lock_file(folder: Path, target: Path) -> None:
    (folder / "backup.lock").unlink()
    assert run_restore(folder, target).documents == 2


def test_a_place_that_cannot_be_written_is_said(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StartupError):
        run_restore(folder, tmp_path / "file" / "new")
