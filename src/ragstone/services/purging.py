"""Making points, rows and bytes of deleted and superseded versions go, and reading back that they went."""

import asyncio
import logging
from collections.abc import Sequence

from ragstone.core.crash import crash_point
from ragstone.core.errors import EngineUnavailable
from ragstone.core.models import PurgeReceipt, PurgeTarget
from ragstone.core.ports import BlobStore, JobQueue, Manifest, VectorStore
from ragstone.pipelines.payload import document_version

log = logging.getLogger(__name__)

BATCH = 100
IDLE_POLL_S = 15.0
RETRY_AFTER_S = 2.0

CRASH_POINTS = ("purge.before_points", "purge.after_points")


class Purger:
    """One purge at a time; a target is tried until its points are read back as gone."""

    def __init__(self, store: VectorStore, manifest: Manifest, blobs: BlobStore, queue: JobQueue):
        self._store = store
        self._manifest = manifest
        self._blobs = blobs
        self._queue = queue
        self._lock = asyncio.Lock()
        self._wake = asyncio.Event()
        self._loop: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to purge what waits."""
        self._loop = asyncio.create_task(self._work(), name="purger")

    def wake(self) -> None:
        """There may be something to purge."""
        self._wake.set()

    async def stop(self) -> None:
        """End after the purge at hand."""
        if self._loop is not None:
            async with self._lock:
                self._loop.cancel()
            await asyncio.gather(self._loop, return_exceptions=True)

    async def purge(self, target: PurgeTarget) -> PurgeReceipt:
        """Purge one target now. Raises EngineUnavailable; the loop then goes on trying."""
        async with self._lock:
            return await self._purge(target)

    async def _work(self) -> None:
        while True:
            self._wake.clear()
            try:
                await self._purge_waiting()
                wait_s = IDLE_POLL_S
            except Exception as error:  # the worker loop outlives a failing store or database
                log.warning("purge failed", exc_info=error)
                wait_s = RETRY_AFTER_S
            try:
                async with asyncio.timeout(wait_s):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _purge_waiting(self) -> None:
        """A target that fails does not keep the others waiting; its error ends the round."""
        while targets := await self._manifest.purge_targets(BATCH):
            failures = [failure for target in targets if (failure := await self._try(target))]
            if failures:
                raise failures[0]

    async def _try(self, target: PurgeTarget) -> Exception | None:
        try:
            await self.purge(target)
        except Exception as error:  # noqa: BLE001 - raised by the caller once all targets had their turn
            return error
        return None

    async def _purge(self, target: PurgeTarget) -> PurgeReceipt:
        await self._queue.stop_document(target.document_id, target.versions)
        keys = [document_version(target.document_id, version) for version in target.versions]
        crash_point("purge.before_points")
        deleted = await self._delete_points(keys)
        crash_point("purge.after_points")
        return await self._manifest.finish_purge(target, deleted, self._blobs.delete)

    async def _delete_points(self, keys: Sequence[str]) -> int:
        deleted = await self._store.delete_versions(keys)
        left = await self._store.count_versions(keys)
        if left:
            raise EngineUnavailable(f"{sum(left.values())} points are still there after their purge")
        return deleted
