"""A scripted answerer, for tests of what stands around one."""

import asyncio
from collections.abc import AsyncGenerator, Sequence

from ragstone.core.models import Source, Turn


class FakeLLM:
    """Says the given pieces, one after another; remembers what it was asked, and whether it was stopped half-way."""

    name = "fake"

    def __init__(self, *pieces: str, pause_s: float = 0.0):
        self._pieces = pieces
        self._pause_s = pause_s
        self.asked: list[tuple[str, tuple[Source, ...], tuple[Turn, ...]]] = []
        self.was_stopped = False

    async def generate(
        self, question: str, sources: Sequence[Source], history: Sequence[Turn]
    ) -> AsyncGenerator[str, None]:
        """See the port."""
        self.asked.append((question, tuple(sources), tuple(history)))
        try:
            for piece in self._pieces:
                await asyncio.sleep(self._pause_s)
                yield piece
        except GeneratorExit:
            self.was_stopped = True
            raise

    async def close(self) -> None:
        """Nothing to free."""
