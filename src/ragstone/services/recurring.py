"""Background work that is done again and again: when woken, and every so often."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

log = logging.getLogger(__name__)


class Recurring:
    """Runs `work` at start, when woken and `idle_s` after the last time; `retry_s` after it failed."""

    def __init__(self, name: str, work: Callable[[], Awaitable[object]], *, idle_s: float, retry_s: float):
        self._name = name
        self._work = work
        self._idle_s = idle_s
        self._retry_s = retry_s
        self._wake = asyncio.Event()
        self._loop: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin."""
        self._loop = asyncio.create_task(self._repeat(), name=self._name)

    def wake(self) -> None:
        """There may be something to do."""
        self._wake.set()

    async def stop(self) -> None:
        """End at once; idempotent."""
        if self._loop is not None:
            self._loop.cancel()
            await asyncio.gather(self._loop, return_exceptions=True)

    async def _repeat(self) -> None:
        while True:
            self._wake.clear()
            try:
                await self._work()
                wait_s = self._idle_s
            except Exception as error:  # the loop outlives a failing store or database
                log.warning("background work failed", extra={"work": self._name}, exc_info=error)
                wait_s = self._retry_s
            try:
                async with asyncio.timeout(wait_s):
                    await self._wake.wait()
            except TimeoutError:
                continue
