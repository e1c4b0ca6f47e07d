"""Switching to indexed versions: flushes are grouped, and one commit switches all versions that a flush covers."""

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import timedelta

from ragstone.core.crash import crash_point
from ragstone.core.errors import InternalError, RagstoneError
from ragstone.core.models import Failure, IndexedVersion
from ragstone.core.ports import Manifest, VectorStore

log = logging.getLogger(__name__)

FLUSH_EVERY_S = (
    1.0  # a flush costs 0.1 to 1.3 s at 10k to 100k points: about one a second, however many uploads
)
RETRY_DELAY = timedelta(seconds=2)

CRASH_POINTS = ("switch.before_flush", "switch.after_flush", "switch.after_commit")


class VersionSwitch:
    """Collects indexed versions; its loop flushes and switches them together."""

    def __init__(
        self,
        store: VectorStore,
        manifest: Manifest,
        *,
        switched: Callable[[], None],
        when_ready: Callable[[IndexedVersion], None] = lambda _: None,
    ):
        self._store = store
        self._manifest = manifest
        self._switched = switched
        self._when_ready = when_ready
        self._waiting: list[IndexedVersion] = []
        self._switching = asyncio.Lock()
        self._arrived = asyncio.Event()
        self._loop: asyncio.Task[None] | None = None
        self._last_flush = -FLUSH_EVERY_S

    def start(self) -> None:
        """Begin to switch."""
        self._loop = asyncio.create_task(self._work(), name="version switch")

    def submit(self, indexed: IndexedVersion) -> None:
        """Its points are confirmed by the store; it will be visible after the next flush."""
        self._waiting.append(indexed)
        self._arrived.set()

    async def settle(self) -> None:
        """Switch what waits now."""
        await self._switch_waiting()

    async def stop(self) -> None:
        """Finish the switch at hand, switch what waits, then end."""
        if self._loop is not None:
            self._loop.cancel()
            await asyncio.gather(self._loop, return_exceptions=True)
        await self._switch_waiting()

    async def _work(self) -> None:
        while True:
            await self._arrived.wait()
            await asyncio.sleep(max(0.0, self._last_flush + FLUSH_EVERY_S - time.monotonic()))
            self._arrived.clear()
            await asyncio.shield(self._switch_waiting())

    async def _switch_waiting(self) -> None:
        async with self._switching:
            batch, self._waiting = self._waiting, []
            if not batch:
                return
            try:
                await self._flush_and_switch(batch)
            except Exception as error:  # noqa: BLE001 - the worker loop outlives a failing store or database
                await self._give_back(batch, error)

    async def _flush_and_switch(self, batch: list[IndexedVersion]) -> None:
        crash_point("switch.before_flush")
        self._last_flush = time.monotonic()
        await self._store.flush()
        crash_point("switch.after_flush")
        switched = await self._manifest.switch_versions(batch)
        crash_point("switch.after_commit")
        self._switched()
        for indexed in batch:
            if indexed.job_id in switched:
                self._when_ready(indexed)
                _log_ready(indexed)

    async def _give_back(self, batch: list[IndexedVersion], error: Exception) -> None:
        log.warning("switching versions failed", extra={"versions": len(batch)}, exc_info=error)
        code = error.code if isinstance(error, RagstoneError) else InternalError.code
        failure = Failure(code, "the flush before the switch failed")
        try:
            for indexed in batch:
                await self._manifest.requeue(
                    indexed.job_id, delay=RETRY_DELAY, failure=failure, is_strike=False
                )
        except Exception:  # neither switched nor given back: tried again with the next flush
            log.exception("giving versions back failed")
            self._waiting += batch
            self._arrived.set()
        self._switched()


def _log_ready(indexed: IndexedVersion) -> None:
    """Versions of many jobs are switched together, so each line says whose it is."""
    known = {"job_id": indexed.job_id, "request_id": indexed.request_id}
    log.info(
        "version ready",
        extra={
            **{name: value for name, value in known.items() if value is not None},
            "document_id": indexed.document_id,
            "version": indexed.version,
            "chunks": indexed.chunks,
            **indexed.stage_ms,
        },
    )
