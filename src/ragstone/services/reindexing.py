"""A changed embedding configuration: the new collection is filled beside the one that serves, then takes its place."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Protocol

from ragstone.core.crash import crash_point
from ragstone.core.errors import RagstoneError
from ragstone.core.ports import JobQueue
from ragstone.pipelines.ingestion import IngestParts
from ragstone.services.copying import ReindexProgress, VersionCopier
from ragstone.services.embedding_space import SERVING, SUCCESSOR, read_space, write_space
from ragstone.services.serving import ServingStore
from ragstone.services.switching import VersionSwitch

log = logging.getLogger(__name__)

MOST_HELD = 8  # versions that may be lacking when uploads are held for the switch: seconds of work
RETRY_S = 2.0
RETRY_MOST_S = 60.0

CRASH_POINTS = ("reindex.before_commit", "reindex.after_commit", "reindex.before_retiring")


class PausableQueue(JobQueue, Protocol):
    """A queue that can stop, handing back what it works on, and begin again."""

    def start(self) -> None:
        """Begin to work."""
        ...

    async def stop(self) -> None:
        """Nothing is worked on when this returns."""
        ...


class Reindexing:
    """Copies every visible version into the store of `parts`, again and again until none lacks, then switches.

    `adopt` makes the new collection serve; its event is set when the last request of the old one has ended. `retire`
    frees the old one."""

    def __init__(
        self,
        parts: IngestParts,
        serving: ServingStore,
        queue: PausableQueue,
        switch: VersionSwitch,
        *,
        adopt: Callable[[], asyncio.Event],
        retire: Callable[[], Awaitable[None]],
    ):
        self._parts = parts
        self._copier = VersionCopier(parts, serving)
        self._queue = queue
        self._switch = switch
        self._adopt = adopt
        self._retire = retire
        self._waits_because: str | None = None
        self._has_switched = False
        self._loop: asyncio.Task[None] | None = None

    @property
    def progress(self) -> ReindexProgress | None:
        """None once it has switched."""
        return (
            None if self._has_switched else replace(self._copier.progress, waits_because=self._waits_because)
        )

    def start(self) -> None:
        """Begin to copy."""
        self._loop = asyncio.create_task(self._work(), name="re-indexing")

    async def stop(self) -> None:
        """Break off; the next start goes on."""
        if self._loop is not None:
            self._loop.cancel()
            await asyncio.gather(self._loop, return_exceptions=True)

    async def _work(self) -> None:
        idle, retry_s = None, RETRY_S
        while idle is None:
            try:
                idle = await self._round()
            except Exception as error:  # noqa: BLE001 - the loop outlives a failing embedder or store
                self._note_wait(error, retry_s)
                await asyncio.sleep(retry_s)
                retry_s = min(RETRY_MOST_S, 2 * retry_s)
        self._has_switched = True
        log.info("re-indexing finished", extra={"left_out": len(self._copier.progress.left_out)})
        await idle.wait()
        crash_point("reindex.before_retiring")
        await self._retire()

    def _note_wait(self, error: Exception, retry_s: float) -> None:
        is_known = isinstance(error, RagstoneError)
        self._waits_because = str(error) if is_known else "a defect of the server; its log has the trace"
        log.warning(
            "re-indexing waits",
            extra={"retry_s": retry_s, "reason": self._waits_because},
            exc_info=None if is_known else error,
        )

    async def _round(self) -> asyncio.Event | None:
        """Copy until nothing lacks, then switch. None if it was too early. Raises what hinders it."""
        while lacking := await self._copier.lacking():
            await self._copier.copy(lacking)
            self._waits_because = None
        if self._queue.is_alive and await self._copier.has_readings_in_work():
            self._queue.wake()
            await asyncio.sleep(RETRY_S)
            return None
        self._copier.require_few_left_out(is_queue_alive=self._queue.is_alive)
        return await self._switch_collections()

    async def _switch_collections(self) -> asyncio.Event | None:
        """With no version switched meanwhile: the last ones, flush, one commit. None if it is too early."""
        was_working, idle = self._queue.is_alive, None
        await self._queue.stop()
        try:
            await self._switch.settle()
            idle = await self._complete()
        finally:
            if was_working or idle is not None:
                self._queue.start()
        return idle

    async def _complete(self) -> asyncio.Event | None:
        lacking = await self._copier.lacking()
        if len(lacking) > MOST_HELD:
            return None
        await self._copier.copy(lacking)
        if await self._copier.lacking():
            return None
        self._copier.require_few_left_out(is_queue_alive=False)
        await self._copier.drop_orphans()
        await self._parts.store.flush()
        crash_point("reindex.before_commit")
        await write_space(self._parts.manifest, SERVING, await read_space(self._parts.manifest, SUCCESSOR))
        crash_point("reindex.after_commit")
        return self._adopt()
