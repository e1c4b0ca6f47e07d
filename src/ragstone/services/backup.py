"""Backups of a running server: one consistent state in a folder, while uploads, deletes and queries go on."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from ragstone import __version__
from ragstone.core.crash import crash_point
from ragstone.core.errors import BackupFailed, BackupFolderRefused, BackupRunning, Unavailable
from ragstone.core.models import Backup, ManifestCopy
from ragstone.core.ports import BackupFolder, BlobStore, Manifest, VectorStore
from ragstone.core.threads import in_low_thread, in_thread
from ragstone.core.timing import Stopwatch
from ragstone.services.embedding_space import SERVING, read_space
from ragstone.services.purging import Purger

log = logging.getLogger(__name__)

BATCH_BLOBS = 256
CRASH_POINTS = ("backup.begun", "backup.manifest_copied", "backup.blobs_placed", "backup.vectors_copied")


@dataclass(frozen=True, slots=True)
class BackupReport:
    """What was done."""

    backup: Backup
    directory: Path
    blobs_added: int
    blobs_removed: int


class BackupService:
    """Makes one backup at a time. `new_folder` takes the path, and the id of the data directory."""

    def __init__(
        self,
        manifest: Manifest,
        store: VectorStore,
        blobs: BlobStore,
        purger: Purger,
        *,
        new_folder: Callable[[Path, str], BackupFolder],
    ):
        self._manifest = manifest
        self._store = store
        self._blobs = blobs
        self._purger = purger
        self._new_folder = new_folder
        self._running = asyncio.Lock()

    async def make(self, directory: str, *, stopwatch: Stopwatch) -> BackupReport:
        """Fill the folder with what was ready, and all else that was acknowledged, when this began. Raises
        BackupFolderRefused, BackupRunning, BackupFailed, Unavailable, EngineUnavailable."""
        path = Path(directory)
        if not path.is_absolute():
            raise BackupFolderRefused(f"the directory {directory!r} is relative; name it from the root on")
        if self._running.locked():
            raise BackupRunning("another backup is being made; try again when it is done")
        async with self._running:
            try:
                report = await self._make(path, stopwatch)
            except OSError as error:
                raise BackupFailed(f"the backup cannot be written to {path}: {error.strerror}") from error
        _log(report)
        return report

    async def _make(self, path: Path, stopwatch: Stopwatch) -> BackupReport:
        directory_id = await self._directory_id()
        folder = self._new_folder(path, directory_id)
        try:
            await in_thread(folder.open)
            crash_point("backup.begun")
            backup, added = await self._fill(folder, directory_id, stopwatch)
            with stopwatch.stage("backup_seal"):
                sealed = await in_low_thread(folder.seal, backup)
                removed = await in_thread(folder.clear_away)
        finally:
            await in_thread(folder.close)
        return BackupReport(sealed, path, added, removed)

    async def _fill(
        self, folder: BackupFolder, directory_id: str, stopwatch: Stopwatch
    ) -> tuple[Backup, int]:
        """The manifest first: whatever it refers to is there already, and stays while nothing is purged."""
        fingerprint, name = await self._serving_collection()
        created_at = datetime.now(UTC)
        async with self._purger.held():
            with stopwatch.stage("backup_manifest"):
                copied = await self._manifest.snapshot(folder.manifest_path)
            crash_point("backup.manifest_copied")
            with stopwatch.stage("backup_blobs"):
                added, missing = await self._place_blobs(folder, copied)
            crash_point("backup.blobs_placed")
            with stopwatch.stage("backup_vectors"):
                await self._store.snapshot(folder.vectors_path(name))
            crash_point("backup.vectors_copied")
        if (fingerprint, name) != await self._serving_collection():
            raise Unavailable("a re-index switched to another collection meanwhile; back up again")
        return _record(copied, missing, directory_id, fingerprint, created_at), added

    async def _place_blobs(self, folder: BackupFolder, copied: ManifestCopy) -> tuple[int, set[str]]:
        """How many are new in the folder, and which are not in the data directory. In batches, so that a stop of the
        server need not wait for all."""
        hashes = sorted(copied.needed | copied.optional)
        added, missing = 0, set[str]()
        for first in range(0, len(hashes), BATCH_BLOBS):
            paths = {sha256: self._blobs.path(sha256) for sha256 in hashes[first : first + BATCH_BLOBS]}
            new, absent = await in_thread(folder.place_blobs, paths)
            added += new
            missing.update(absent)
        return added, missing

    async def _serving_collection(self) -> tuple[str, str]:
        """Its fingerprint and its folder's name."""
        space = await read_space(self._manifest, SERVING)
        return ("", "") if space is None else (space.fingerprint, space.folder)

    async def _directory_id(self) -> str:
        """Made with the first backup; it keeps backups of two directories apart."""
        known = await self._manifest.get_property("directory_id")
        if known is None:
            known = str(uuid4())
            await self._manifest.set_property("directory_id", known)
        return known


def _record(
    copied: ManifestCopy, missing: set[str], directory_id: str, fingerprint: str, created_at: datetime
) -> Backup:
    """What the folder's `seal` completes."""
    return Backup(
        state="",
        directory_id=directory_id,
        created_at=created_at,
        api_version=__version__,
        embedding_fingerprint=fingerprint,
        documents=copied.documents,
        blobs=len(copied.needed | copied.optional) - len(missing),
        missing_blobs=tuple(sorted(missing & copied.needed)),
        manifest_sha256="",
        sums_sha256="",
    )


def _log(report: BackupReport) -> None:
    backup = report.backup
    log.info(
        "backup made",
        extra={"documents": backup.documents, "blobs": backup.blobs, "blobs_added": report.blobs_added},
    )
    if backup.missing_blobs:
        log.error(
            "originals are missing or damaged in the data directory, and missing in its backup",
            extra={"sha256": list(backup.missing_blobs)},
        )
