"""How far a call is, for callers that want to know."""

import time
from collections.abc import Awaitable, Callable

from ragstone.core.answers import Answer
from ragstone.core.models import AnswerEvent, Job, Sources, Token

TELL_EVERY_S = 0.1  # an answer's tokens come fifty times a second and more; nobody reads that

Tell = Callable[[float, str], Awaitable[None]]


class Progress:
    """What is told always grows, as the protocol wants it."""

    def __init__(self, tell: Tell, *, is_wanted: bool):
        self.is_wanted = is_wanted
        self._tell = tell
        self._told = 0.0
        self._told_at = 0.0

    async def step(self, message: str) -> None:
        """The next stage begins."""
        if self.is_wanted:
            self._told += 1
            await self._tell(self._told, message)

    async def answer(self, answer: Answer, event: AnswerEvent) -> None:
        """After this event of an answer, which `answer` holds already."""
        if isinstance(event, Sources):
            await self.step(f"answering; passages found: {len(event.sources)}")
        elif isinstance(event, Token):
            await self._grow(len(answer.answer), f"{len(answer.answer)} characters")

    async def job(self, job: Job) -> None:
        """A job goes on."""
        done = "" if not job.progress.total else f", {job.progress.done} of {job.progress.total}"
        await self.step(f"{job.stage or job.state}{done}")

    async def _grow(self, amount: float, message: str) -> None:
        now = time.monotonic()
        if not self.is_wanted or amount <= self._told or now - self._told_at < TELL_EVERY_S:
            return
        self._told, self._told_at = amount, now
        await self._tell(amount, message)
