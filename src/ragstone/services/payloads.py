"""Writing a document's changed title and metadata to its points, which filters look at. Nothing is embedded."""

import logging

from ragstone.core.crash import crash_point
from ragstone.core.models import PayloadTarget
from ragstone.core.ports import Manifest, VectorStore
from ragstone.pipelines.payload import point_id
from ragstone.services.recurring import Recurring

log = logging.getLogger(__name__)

BATCH = 100
BATCH_POINTS = 64
IDLE_POLL_S = 15.0
RETRY_AFTER_S = 2.0

CRASH_POINTS = ("payload.before_points", "payload.after_points")


class PayloadWriter:
    """Brings points up to date with the manifest; what is left undone by a failure or a crash is done later."""

    def __init__(self, store: VectorStore, manifest: Manifest):
        self._store = store
        self._manifest = manifest
        self._loop = Recurring("payload writer", self._write_stale, idle_s=IDLE_POLL_S, retry_s=RETRY_AFTER_S)

    def start(self) -> None:
        """Begin to look for points that lag behind."""
        self._loop.start()

    def wake(self) -> None:
        """There may be some."""
        self._loop.wake()

    async def stop(self) -> None:
        """End at once."""
        await self._loop.stop()

    async def write(self, target: PayloadTarget) -> None:
        """Durable when it returns. Raises EngineUnavailable."""
        crash_point("payload.before_points")
        for first in range(0, target.chunks, BATCH_POINTS):
            last = min(first + BATCH_POINTS, target.chunks)
            ids = [point_id(target.document_id, target.version, index) for index in range(first, last)]
            fields = {"title": target.title, "metadata": dict(target.metadata)}
            await self._store.update_payloads(target.scope, ids, fields)
        await self._store.flush()
        crash_point("payload.after_points")
        await self._manifest.finish_payload(target)

    async def _write_stale(self) -> None:
        for target in await self._manifest.stale_payloads(BATCH):
            await self.write(target)
