"""A scripted answerer, for tests of what stands around one."""

import asyncio
from collections.abc import AsyncGenerator, Sequence

from ragstone.core.models import Ending, Prompt

_STOP = Ending("stop")


class FakeLLM:
    """Says the given pieces, one after another, and ends; remembers what it was asked, and whether it was stopped
    half-way. An exception among the pieces is raised in its place."""

    models: Sequence[str] = ("fake",)
    is_generative = True

    def __init__(self, *pieces: str | Exception, ending: Ending = _STOP, pause_s: float = 0.0):
        self._pieces = pieces
        self._ending = ending
        self._pause_s = pause_s
        self.asked: list[Prompt] = []
        self.was_stopped = False

    async def generate(self, prompt: Prompt) -> AsyncGenerator[str | Ending, None]:
        """See the port."""
        self.asked.append(prompt)
        try:
            for piece in self._pieces:
                await asyncio.sleep(self._pause_s)
                if isinstance(piece, Exception):
                    raise piece
                yield piece
        except (GeneratorExit, asyncio.CancelledError):
            self.was_stopped = True
            raise
        yield self._ending

    async def close(self) -> None:
        """Nothing to free."""
