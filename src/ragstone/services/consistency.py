"""Whether manifest, blobs and vectors agree: compared at start-up and on request, and repaired, also while serving."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

import orjson

from ragstone.core.crash import crash_point
from ragstone.core.errors import Unavailable
from ragstone.core.models import VersionContent
from ragstone.core.ports import BlobStore, Manifest, VectorStore
from ragstone.services.ingestion import MAX_DEATHS

log = logging.getLogger(__name__)

ORPHAN_BLOB_AGE_S = 60.0  # a younger one may belong to an upload that is being acknowledged
LAST_REPAIR = "last_repair"
"""The property of the data directory that holds the last repair as JSON."""

CRASH_POINTS = ("repair.before", "repair.points_deleted", "repair.after")


@dataclass(frozen=True, slots=True)
class Consistency:
    """What was counted, and what differs. Versions are named "<document id>:<version>". All empty = all agree."""

    documents: int
    points: int
    incomplete_versions: tuple[str, ...]
    """Visible versions whose points are not all there."""
    orphan_versions: tuple[str, ...]
    """Versions that have points and should have none."""
    missing_originals: tuple[str, ...]
    """Visible and newest versions whose original the folder lacks: nothing can repair that."""
    missing_texts: tuple[str, ...]
    """Visible versions whose extracted text the folder lacks."""
    orphan_blobs: tuple[str, ...]
    """Content hashes that nothing refers to."""

    @property
    def is_consistent(self) -> bool:
        """Whether nothing differs."""
        return not (
            self.incomplete_versions
            or self.orphan_versions
            or self.missing_originals
            or self.missing_texts
            or self.orphan_blobs
        )

    @property
    def repairable_versions(self) -> tuple[str, ...]:
        """Those that can be had again from their originals."""
        broken = {*self.incomplete_versions, *self.missing_texts}
        return tuple(sorted(broken.difference(self.missing_originals)))


AGREEMENT = Consistency(0, 0, (), (), (), (), ())
"""Where nothing was compared."""


@dataclass(frozen=True, slots=True)
class Repair:
    """What a repair did, and when it ended."""

    at: datetime
    points_deleted: int
    versions_queued: int
    """To be indexed again from their originals."""
    blobs_deleted: int


class ConsistencyService:
    """Compares, and repairs what can be repaired. Both may run while others upload, switch and delete."""

    def __init__(
        self,
        manifest: Manifest,
        store: VectorStore,
        blobs: BlobStore,
        *,
        queued: Callable[[], None] = lambda: None,
    ):
        """`queued` is called when a repair has queued work."""
        self._manifest = manifest
        self._store = store
        self._blobs = blobs
        self._queued = queued
        self._one_at_a_time = asyncio.Lock()

    async def check(self, *, orphan_age_s: float = ORPHAN_BLOB_AGE_S) -> Consistency:
        """Look only. A blob without a version counts once it is older than `orphan_age_s`. Raises
        EngineUnavailable."""
        async with self._one_at_a_time:
            return await self._compare(orphan_age_s)

    async def repair(self) -> Consistency:
        """Compare and repair now; returns what was found. What is to be indexed again waits in the queue then. Raises
        EngineUnavailable."""
        async with self._one_at_a_time:
            found = await self._compare(ORPHAN_BLOB_AGE_S)
            if not found.is_consistent:
                await self._repair(found)
        return found

    async def recover(self) -> Consistency:
        """At start-up, before any work: interrupted jobs back to the queue, then repair. Returns what was found."""
        requeued, poisoned = await self._manifest.recover(max_attempts=MAX_DEATHS)
        if requeued or poisoned:
            log.info("interrupted jobs recovered", extra={"requeued": requeued, "poisoned": poisoned})
        found = await self._compare(orphan_age_s=0.0)  # nobody uploads yet
        if not found.is_consistent:
            await self._repair(found)
        return found

    async def last_repair(self) -> Repair | None:
        """The last one that found something to do, of this or an earlier run."""
        stored = await self._manifest.get_property(LAST_REPAIR)
        if stored is None:
            return None
        fields = orjson.loads(stored)
        return Repair(**{**fields, "at": datetime.fromisoformat(fields["at"])})

    async def _compare(self, orphan_age_s: float) -> Consistency:
        """What should be there is asked before and after what is there: a version counts only if it was visible all
        the while, points are orphans only if they belonged to nothing before either (a purge may be at work), and
        bytes only if nothing has come to need them since."""
        live_before = await self._manifest.live_versions()
        before, unfinished_before = await self._expected()
        points = await self._store.count_versions()
        stored = dict(await self._blobs.list())
        after, unfinished = await self._expected()
        live, needed = await self._manifest.live_versions(), await self._manifest.referenced_blobs()
        visible = {key: content for key, content in after.items() if key in before}
        originals = {key: sha256 for key, sha256 in unfinished.items() if key in unfinished_before}
        originals |= {key: content.sha256 for key, content in visible.items()}
        return Consistency(
            documents=len(after),
            points=sum(points.values()),
            incomplete_versions=_where(visible, lambda key, content: points.get(key, 0) != content.chunks),
            orphan_versions=tuple(sorted(points.keys() - live - live_before)),
            missing_originals=tuple(sorted(key for key, sha256 in originals.items() if sha256 not in stored)),
            missing_texts=_where(
                visible,
                lambda _, content: content.text_sha256 is not None and content.text_sha256 not in stored,
            ),
            orphan_blobs=tuple(
                sorted(sha for sha, age_s in stored.items() if sha not in needed and age_s >= orphan_age_s)
            ),
        )

    async def _expected(self) -> tuple[dict[str, VersionContent], dict[str, str]]:
        """What visible versions are made of, and the originals of those that are not visible yet, or have failed."""
        return await self._manifest.visible_contents(), await self._manifest.unfinished_originals()

    async def _repair(self, found: Consistency) -> None:
        log.warning("manifest, blobs and vectors disagree; repairing", extra=_counts(found))
        crash_point("repair.before")
        points_deleted = await self._delete_points(found.orphan_versions)
        crash_point("repair.points_deleted")
        for key in found.repairable_versions:
            await self._manifest.repair_version(key)
        self._queued()
        blobs_deleted = await self._delete_blobs(found.orphan_blobs)
        crash_point("repair.after")
        if found.missing_originals:
            log.error(
                "originals are missing and cannot be repaired",
                extra={"versions": list(found.missing_originals)},
            )
        repair = Repair(datetime.now(UTC), points_deleted, len(found.repairable_versions), blobs_deleted)
        if repair.points_deleted or repair.versions_queued or repair.blobs_deleted:
            await self._manifest.set_property(LAST_REPAIR, orjson.dumps(asdict(repair)).decode())

    async def _delete_points(self, orphans: tuple[str, ...]) -> int:
        """A version that is not live never comes to life, so asking once more cannot be too early."""
        dead = set(orphans) - await self._manifest.live_versions()
        return await self._store.delete_versions(sorted(dead)) if dead else 0

    async def _delete_blobs(self, orphans: tuple[str, ...]) -> int:
        """An upload of the same bytes may arrive now: the manifest's transaction keeps the two apart."""
        return await self._manifest.delete_unreferenced(orphans, self._delete_blob) if orphans else 0

    async def _delete_blob(self, sha256: str) -> bool:
        try:
            return await self._blobs.delete(sha256)
        except Unavailable as error:
            log.warning("an orphan cannot be removed", extra={"sha256": sha256, "reason": error.message})
            return False


def _where(
    contents: Mapping[str, VersionContent], is_broken: Callable[[str, VersionContent], bool]
) -> tuple[str, ...]:
    return tuple(sorted(key for key, content in contents.items() if is_broken(key, content)))


def _counts(found: Consistency) -> dict[str, int]:
    return {name: len(value) for name, value in asdict(found).items() if isinstance(value, tuple)}
