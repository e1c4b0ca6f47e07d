"""Whether manifest, blobs and vectors agree; run at start-up and by `ragstone doctor`."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from ragstone.core.crash import crash_point
from ragstone.core.errors import Unavailable
from ragstone.core.ports import BlobStore, Manifest, VectorStore
from ragstone.services.ingestion import MAX_STRIKES

log = logging.getLogger(__name__)

ORPHAN_BLOB_AGE_S = 60.0  # a younger one may belong to an upload that is being acknowledged

CRASH_POINTS = ("repair.before", "repair.points_deleted", "repair.after")


@dataclass(frozen=True, slots=True)
class Consistency:
    """What was counted, and what differs. All empty = all agree."""

    documents: int
    points: int
    incomplete_versions: tuple[str, ...]
    """Visible versions whose points are not all there."""
    orphan_versions: tuple[str, ...]
    """Versions that have points and should have none."""
    missing_blobs: tuple[str, ...]
    """Content hashes that a visible version needs and the folder lacks."""
    orphan_blobs: tuple[str, ...]
    """Content hashes that nothing refers to."""

    @property
    def is_consistent(self) -> bool:
        """Whether nothing differs."""
        return not (
            self.incomplete_versions or self.orphan_versions or self.missing_blobs or self.orphan_blobs
        )


class ConsistencyService:
    """Compares, and repairs what can be repaired."""

    def __init__(self, manifest: Manifest, store: VectorStore, blobs: BlobStore):
        self._manifest = manifest
        self._store = store
        self._blobs = blobs

    async def check(self, *, orphan_age_s: float = ORPHAN_BLOB_AGE_S) -> Consistency:
        """Look only. A blob without a version counts once it is older than `orphan_age_s`."""
        expected, live = await self._manifest.expected_points(), await self._manifest.live_versions()
        found = await self._store.count_versions()
        needed = await self._manifest.referenced_blobs()
        stored = dict(await self._blobs.list())
        return Consistency(
            documents=len(expected),
            points=sum(found.values()),
            incomplete_versions=tuple(
                sorted(key for key, chunks in expected.items() if found.get(key, 0) != chunks)
            ),
            orphan_versions=tuple(sorted(found.keys() - live)),
            missing_blobs=tuple(
                sorted(sha for sha, visible in needed.items() if visible and sha not in stored)
            ),
            orphan_blobs=tuple(
                sorted(sha for sha, age_s in stored.items() if sha not in needed and age_s >= orphan_age_s)
            ),
        )

    async def recover(self) -> Consistency:
        """At start-up, before any work: interrupted jobs back to the queue, then repair. Returns what was found."""
        requeued, poisoned = await self._manifest.recover(max_attempts=MAX_STRIKES)
        if requeued or poisoned:
            log.info("interrupted jobs recovered", extra={"requeued": requeued, "poisoned": poisoned})
        found = await self.check(orphan_age_s=0.0)  # nobody uploads yet
        if not found.is_consistent:
            await self._repair(found)
        return found

    async def _repair(self, found: Consistency) -> None:
        log.warning(
            "manifest, blobs and vectors disagree; repairing",
            extra={
                "incomplete_versions": len(found.incomplete_versions),
                "orphan_versions": len(found.orphan_versions),
                "orphan_blobs": len(found.orphan_blobs),
            },
        )
        crash_point("repair.before")
        await self._store.delete_versions(found.orphan_versions)
        crash_point("repair.points_deleted")
        for key in found.incomplete_versions:
            await self._manifest.repair_version(key)
        await self._delete_orphans(found.orphan_blobs)
        crash_point("repair.after")
        if found.missing_blobs:
            log.error(
                "originals are missing and cannot be repaired", extra={"sha256": list(found.missing_blobs)}
            )

    async def _delete_orphans(self, hashes: Sequence[str]) -> None:
        for sha256 in hashes:
            try:
                await self._blobs.delete(sha256)
            except Unavailable as error:
                log.warning("an orphan cannot be removed", extra={"sha256": sha256, "reason": error.message})
