"""So many at once, so many more in line, and everybody beyond is told at once."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Self

from ragstone.core.deadline import Deadline
from ragstone.core.errors import Unavailable
from ragstone.core.timing import Stopwatch

MEMORY = 0.1  # how much the latest interval counts
LONGEST_WAIT_S = 2.0  # who would wait for longer is told at once, so that a slow machine has a shorter line


class Places:
    """`at_work` at once; `in_line` wait for their turn, first come, first served, as long as their deadlines allow."""

    def __init__(self, meaning: str, *, at_work: int, in_line: int = 0):
        self._meaning = meaning
        self._most = at_work + in_line
        self._free = asyncio.Semaphore(at_work)
        self._count = 0
        self._at_work = at_work
        self._interval_s = 0.0
        self._last_end: float | None = None

    @property
    def is_full(self) -> bool:
        """Whether whoever comes now is refused."""
        return self._count >= self._most or self._expected_wait_s > LONGEST_WAIT_S

    def refusal(self) -> Unavailable:
        """What is said then."""
        return Unavailable(
            f"{self._count} {self._meaning}; try again in a moment", retry_after_s=self._expected_wait_s
        )

    @property
    def _expected_wait_s(self) -> float:
        """What a place at the end of the line costs, as fast as the others have ended lately."""
        return max(0, self._count + 1 - self._at_work) * self._interval_s

    @asynccontextmanager
    async def taken(self, deadline: Deadline, stopwatch: Stopwatch) -> AsyncIterator["Place"]:
        """A place, given back at the end of the block if not before; a wait for it is the stage `queue`. Raises
        Unavailable where there is no room, or the line is longer than the deadline allows, DeadlineExceeded.
        """
        if self.is_full or self._expected_wait_s > deadline.remaining_s:
            raise self.refusal()
        self._count += 1
        try:
            if self._free.locked():
                with stopwatch.stage("queue"):
                    await self._wait(deadline)
            else:
                await self._free.acquire()
        except BaseException:
            self._count -= 1
            raise
        with Place(self) as place:
            yield place

    async def _wait(self, deadline: Deadline) -> None:
        try:
            async with deadline.timeout() as scope:
                await self._free.acquire()
        except TimeoutError:
            if not scope.expired():
                raise
            raise deadline.exceeded() from None

    def leave(self) -> None:
        """One of those at work has ended."""
        self._note_pace()
        self._count -= 1
        self._free.release()

    def _note_pace(self) -> None:
        """Only while somebody waits: else it would be the pace at which others come."""
        if self._count <= self._at_work:
            self._last_end = None
            return
        now = time.monotonic()
        if self._last_end is not None:
            self._interval_s += MEMORY * (now - self._last_end - self._interval_s)
        self._last_end = now


class Place:
    """Given back once, early or at the end of the block."""

    def __init__(self, places: Places):
        self._places: Places | None = places

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        self.give_back()

    def give_back(self) -> None:
        """Idempotent."""
        if self._places is not None:
            self._places.leave()
            self._places = None
