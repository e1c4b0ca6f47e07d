"""From a backup to a data directory: verified file by file, built beside its place, and renamed at the end."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from ragstone.core.crash import crash_point
from ragstone.core.errors import BackupDamaged, DataDirectoryInUse, RestoreRefused, StartupError
from ragstone.core.files import clear, copy_file, link_or_copy, sha256_of, sync, sync_tree
from ragstone.core.models import Backup
from ragstone.storage.backup_folder import LOCK_FILE as FOLDER_LOCK_FILE
from ragstone.storage.backup_folder import SUMS_FILE, lock_folder, read_record
from ragstone.storage.data_directory import BLOBS_FOLDER, LOCK_FILE, DataDirectory, owner_of

CRASH_POINTS = ("restore.begun", "restore.placed", "restore.before_rename", "restore.after_rename")
NAMED_MOST = 5


def restore(folder: Path, data_dir: Path, *, command: str) -> Backup:
    """Make `data_dir`, which is empty or not there, from the backup in `folder`. It is there as a whole or not at all.
    Raises BackupUnusable, BackupDamaged, BackupRunning, RestoreRefused, DataDirectoryInUse, StartupError."""
    backup = read_record(folder)
    _check_target(data_dir)
    try:
        with _held(folder):
            _restore(backup, folder, data_dir, command)
    except OSError as error:
        raise StartupError(f"{folder} cannot be restored into {data_dir}: {error}") from error
    return backup


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """No backup is written into it meanwhile. A copy of a backup may have come without its lock file."""
    if not (folder / FOLDER_LOCK_FILE).exists():
        yield
        return
    lock = lock_folder(folder, is_writer=False)
    try:
        yield
    finally:
        os.close(lock)


def _restore(backup: Backup, folder: Path, data_dir: Path, command: str) -> None:
    staging = data_dir.with_name(f".{data_dir.name}.restoring")
    directory = DataDirectory.open(
        staging, command=command
    )  # a second restore is refused, as a server would be
    try:
        clear(staging, keep=frozenset({LOCK_FILE}))
        crash_point("restore.begun")
        _place_all(backup, folder, staging)
        crash_point("restore.placed")
        sync_tree(staging)
        crash_point("restore.before_rename")
        _move(staging, data_dir)
        crash_point("restore.after_rename")
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise
    finally:
        directory.close()


def _check_target(data_dir: Path) -> None:
    owner = owner_of(data_dir)
    if owner is not None:
        raise DataDirectoryInUse(f"the data directory {data_dir} is in use by {owner}")
    if data_dir.is_mount():
        raise RestoreRefused(f"{data_dir} is a mount point; name a new folder in it with --data-dir")
    if data_dir.exists() and not (data_dir.is_dir() and not any(data_dir.iterdir())):
        raise _refusal(data_dir)


def _refusal(data_dir: Path) -> RestoreRefused:
    return RestoreRefused(
        f"{data_dir} is not empty, and a restore does not mix; name a new directory with --data-dir, or move this one "
        "away first"
    )


def _place_all(backup: Backup, folder: Path, staging: Path) -> None:
    """Every file that the backup lists, at its place. Raises BackupDamaged, naming what is not as it was."""
    damaged = [
        name
        for sha256, name in _listed(backup, folder)
        if not _place(folder / name, staging / _place_of(backup, name), sha256)
    ]
    if damaged:
        named = ", ".join(damaged[:NAMED_MOST]) + (", …" if len(damaged) > NAMED_MOST else "")
        raise BackupDamaged(
            f"{len(damaged)} files of the backup in {folder} are missing or not what they were: {named}; "
            "nothing was restored"
        )


def _listed(backup: Backup, folder: Path) -> Iterator[tuple[str, str]]:
    """SHA-256 and name of each file of the backup."""
    sums = folder / backup.state / SUMS_FILE
    if not sums.is_file() or sha256_of(sums) != backup.sums_sha256:
        raise BackupDamaged(f"the list of files {sums} is missing or not what it was; nothing was restored")
    for line in sums.read_text().splitlines():
        sha256, _, name = line.partition("  ")
        yield sha256, name


def _place_of(backup: Backup, name: str) -> PurePosixPath:
    """Where a listed file belongs in a data directory."""
    place = PurePosixPath(name)
    if ".." in place.parts or place.parts[:1] not in ((BLOBS_FOLDER,), (backup.state,)):
        raise BackupDamaged(f"the backup lists a file outside of itself: {name!r}; nothing was restored")
    return place if place.parts[0] == BLOBS_FOLDER else place.relative_to(backup.state)


def _place(source: Path, target: Path, sha256: str) -> bool:
    """Whether what is at its place now is what was backed up. Blobs are never written again, so a link will do."""
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        if target.parent.parent.name == BLOBS_FOLDER:
            link_or_copy(source, target)
        else:
            copy_file(source, target)
    except FileNotFoundError:
        return False
    return sha256_of(target) == sha256


def _move(staging: Path, data_dir: Path) -> None:
    """In one step, over an empty directory if there is one."""
    try:
        staging.rename(data_dir)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
            raise _refusal(data_dir) from error
        raise
    sync(data_dir.parent)
