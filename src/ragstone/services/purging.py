"""Making points, rows and bytes of deleted and superseded versions go, and reading back that they went."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager

from ragstone.core.crash import crash_point
from ragstone.core.errors import EngineUnavailable
from ragstone.core.models import PurgeReceipt, PurgeTarget
from ragstone.core.ports import BlobStore, JobQueue, Manifest, VectorStore
from ragstone.pipelines.payload import document_version
from ragstone.services.recurring import Recurring

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
        self._watching: list[list[PurgeReceipt]] = []
        self._loop = Recurring("purge", self._purge_waiting, idle_s=IDLE_POLL_S, retry_s=RETRY_AFTER_S)

    def start(self) -> None:
        """Begin to purge what waits, and what expires."""
        self._loop.start()

    def wake(self) -> None:
        """There may be something to purge."""
        self._loop.wake()

    async def stop(self) -> None:
        """End after the purge at hand."""
        async with self._lock:
            await self._loop.stop()

    async def purge(self, target: PurgeTarget) -> PurgeReceipt:
        """Purge one target now. Raises EngineUnavailable; the loop then goes on trying."""
        async with self._lock:
            return await self._purge(target)

    @contextmanager
    def watched(self) -> Iterator[list[PurgeReceipt]]:
        """The receipts of all purges that end within the block, whoever asked for them: the loop may overtake one."""
        receipts: list[PurgeReceipt] = []
        self._watching.append(receipts)
        try:
            yield receipts
        finally:
            self._watching = [watching for watching in self._watching if watching is not receipts]

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """No point, row or byte goes within the block; purges wait for its end."""
        async with self._lock:
            yield

    async def _purge_waiting(self) -> None:
        """A target that fails does not keep the others waiting; its error ends the round."""
        expired = await self._manifest.expire_documents()
        if expired:
            log.info("documents expired", extra={"documents": expired})
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
        receipt = await self._manifest.finish_purge(target, deleted, self._blobs.delete)
        for receipts in self._watching:
            receipts.append(receipt)
        return receipt

    async def _delete_points(self, keys: Sequence[str]) -> int:
        deleted = await self._store.delete_versions(keys)
        left = await self._store.count_versions(keys)
        if left:
            raise EngineUnavailable(f"{sum(left.values())} points are still there after their purge")
        return deleted
