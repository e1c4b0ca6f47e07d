"""The folder of a backup: how it is laid out, filled, and made complete in one step.

<folder>/backup.json       which state is complete, and what it is; written last
<folder>/backup.lock       held while a process reads or writes the folder; also says that the folder is ours
<folder>/blobs/ab/cdef…    originals and texts as in the data directory; shared by one backup and the next
<folder>/state-…/          manifest.db, vectors/ and SHA256SUMS, which lists every file of the backup
"""

import fcntl
import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from ragstone.core.crash import crash_point
from ragstone.core.errors import BackupFolderRefused, BackupRunning, BackupUnusable
from ragstone.core.files import link_or_copy, sha256_of, sync, write_durably
from ragstone.core.models import Backup
from ragstone.storage.data_directory import BLOBS_FOLDER, MANIFEST_FILE, vectors_path

FORMAT = 1
RECORD_FILE = "backup.json"
LOCK_FILE = "backup.lock"
SUMS_FILE = "SHA256SUMS"
_STATE = re.compile(r"state-[0-9a-f]{12}")
CRASH_POINTS = ("backup.before_record", "backup.after_record", "backup.cleared")


class _Damaged(Exception):
    """Its bytes are not those that its name says."""


class FilledFolder:
    """Implements `core.ports.BackupFolder`."""

    def __init__(self, path: Path, *, data_dir: Path, directory_id: str):
        self._path = path
        self._data_dir = data_dir
        self._directory_id = directory_id
        self._state = path / f"state-{uuid4().hex[:12]}"
        self._blobs: set[str] = set()
        self._lock: int | None = None
        self._is_sealed = False

    def open(self) -> None:
        """See the port. The folder is made if it is not there."""
        try:
            _check_place(self._path, self._data_dir)
            if not self._path.is_dir():
                self._path.mkdir(mode=0o700, parents=True)
                sync(self._path.parent)
            self._lock = lock_folder(self._path, is_writer=True)
            before = _sealed(self._path)
            _check_owner(self._path, before, self._directory_id)
            self._remove_states(but=before.state if before else None)
            self._state.mkdir(mode=0o700)
            (self._path / BLOBS_FOLDER).mkdir(mode=0o700, exist_ok=True)
        except (OSError, RuntimeError) as error:  # the latter for a loop of symbolic links
            raise BackupFolderRefused(f"the folder {self._path} cannot be used: {error}") from error

    @property
    def manifest_path(self) -> Path:
        """See the port."""
        return self._state / MANIFEST_FILE

    def vectors_path(self, name: str) -> Path:
        """See the port."""
        return vectors_path(self._state, name)

    def place_blobs(self, paths: Mapping[str, Path]) -> tuple[int, list[str]]:
        """See the port."""
        added, missing = 0, []
        for sha256, source in paths.items():
            try:
                added += self._place(sha256, source)
                self._blobs.add(sha256)
            except (FileNotFoundError, _Damaged):
                missing.append(sha256)
        for folder in {self._blob(sha256).parent for sha256 in paths.keys() & self._blobs}:
            sync(folder)
        return added, missing

    def seal(self, backup: Backup) -> Backup:
        """See the port."""
        sums = {self._relative(self._blob(sha256)): sha256 for sha256 in self._blobs}
        for file in self._state.rglob("*"):
            if file.is_file():
                sums[self._relative(file)] = sha256_of(file)
        listing = "".join(f"{sha256}  {name}\n" for name, sha256 in sorted(sums.items()))
        write_durably(self._state / SUMS_FILE, listing.encode())
        for folder in (self._path / BLOBS_FOLDER, self._path):
            sync(folder)
        sealed = replace(
            backup,
            state=self._state.name,
            manifest_sha256=sums[self._relative(self.manifest_path)],
            sums_sha256=sha256_of(self._state / SUMS_FILE),
        )
        crash_point("backup.before_record")
        _write_record(self._path, sealed)
        self._is_sealed = True
        crash_point("backup.after_record")
        return sealed

    def clear_away(self) -> int:
        """See the port."""
        assert self._is_sealed
        self._remove_states(but=self._state.name)
        wanted = {self._blob(sha256) for sha256 in self._blobs}
        stale = [blob for blob in (self._path / BLOBS_FOLDER).glob("*/*") if blob not in wanted]
        for blob in stale:
            blob.unlink()
        crash_point("backup.cleared")
        return len(stale)

    def close(self) -> None:
        """See the port."""
        if self._lock is None:
            return
        if not self._is_sealed:
            shutil.rmtree(self._state, ignore_errors=True)
        os.close(self._lock)
        self._lock = None

    def _place(self, sha256: str, source: Path) -> bool:
        """Whether it is new here. One that is there and whole stays, whatever became of the source. Reads all of it:
        a copy of what a disk has spoilt would be found out by the restore alone."""
        target = self._blob(sha256)
        if target.is_file() and sha256_of(target) == sha256:
            return False
        if sha256_of(source) != sha256:
            raise _Damaged
        target.unlink(missing_ok=True)
        target.parent.mkdir(mode=0o700, exist_ok=True)
        link_or_copy(source, target)
        return True

    def _blob(self, sha256: str) -> Path:
        return self._path / BLOBS_FOLDER / sha256[:2] / sha256[2:]

    def _relative(self, file: Path) -> str:
        return file.relative_to(self._path).as_posix()

    def _remove_states(self, *, but: str | None) -> None:
        for state in self._path.glob("state-*"):
            if state.name != but:
                shutil.rmtree(state)


def read_record(path: Path) -> Backup:
    """What `backup.json` says. Raises BackupUnusable."""
    try:
        record = json.loads((path / RECORD_FILE).read_bytes())
        known = record["format"]
    except FileNotFoundError:
        raise BackupUnusable(f"{path} holds no complete backup: it has no {RECORD_FILE}") from None
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise BackupUnusable(f"{path / RECORD_FILE} cannot be read: {error}") from error
    if known != FORMAT:
        raise BackupUnusable(f"the backup in {path} has format {known}, this release reads {FORMAT}")
    return _backup(path, record)


def lock_folder(path: Path, *, is_writer: bool) -> int:
    """A descriptor that holds the folder. Raises BackupRunning, OSError."""
    mode = os.O_RDWR | os.O_CREAT if is_writer else os.O_RDONLY
    lock = os.open(path / LOCK_FILE, mode | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, (fcntl.LOCK_EX if is_writer else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise BackupRunning(f"the backup in {path} is being read or written by another process") from None
    return lock


def _check_place(path: Path, data_dir: Path) -> None:
    place, own = path.resolve(), data_dir.resolve()
    if place == own or own in place.parents:
        raise BackupFolderRefused(f"{path} lies in the data directory; choose a folder outside of it")
    if path.exists() and not path.is_dir():
        raise BackupFolderRefused(f"{path} is not a folder")
    if path.is_dir() and not (path / LOCK_FILE).exists() and any(path.iterdir()):
        raise BackupFolderRefused(
            f"{path} holds something that is no backup of Ragstone's; choose a new or an empty folder"
        )


def _check_owner(path: Path, before: Backup | None, directory_id: str) -> None:
    if before is not None and before.directory_id != directory_id:
        raise BackupFolderRefused(
            f"{path} holds the backup of another data directory; choose another folder, or remove that backup"
        )


def _sealed(path: Path) -> Backup | None:
    """The complete backup that is there. One that cannot be read is not written over."""
    if not (path / RECORD_FILE).exists():
        return None
    try:
        return read_record(path)
    except BackupUnusable as error:
        raise BackupFolderRefused(error.message) from error


def _write_record(path: Path, backup: Backup) -> None:
    record = {"format": FORMAT, **asdict(backup), "created_at": backup.created_at.isoformat()}
    write_durably(path / RECORD_FILE, json.dumps(record, indent=2).encode() + b"\n")


def _backup(path: Path, record: Mapping[str, Any]) -> Backup:
    try:
        found = {field.name: record[field.name] for field in fields(Backup)}
        found["created_at"] = datetime.fromisoformat(found["created_at"])
        found["missing_blobs"] = tuple(found["missing_blobs"])
    except (KeyError, TypeError, ValueError) as error:
        raise BackupUnusable(f"{path / RECORD_FILE} is not what a backup writes: {error}") from error
    if not _STATE.fullmatch(str(found["state"])):
        raise BackupUnusable(f"{path / RECORD_FILE} is not what a backup writes: state {found['state']!r}")
    return Backup(**found)
