"""Standard input and output of a command that speaks a protocol over them."""

import asyncio
import os
import threading
from collections.abc import AsyncIterator
from contextlib import suppress

STDIN, STDOUT, STDERR = 0, 1, 2
PIECE_BYTES = 64 * 1024
WAITING = 64  # lines that were read and not yet taken


class StandardStreams:
    """Lines in and lines out. What anything else prints goes to standard error, so that it is never taken for ours."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._lines: asyncio.Queue[bytes | None] = asyncio.Queue(WAITING)
        self._writing = asyncio.Lock()
        self._output = os.dup(STDOUT)
        os.dup2(STDERR, STDOUT)
        # A thread that nobody waits for: a read of a terminal or a pipe cannot be called off.
        threading.Thread(target=self._read, name="standard input", daemon=True).start()

    async def lines(self) -> AsyncIterator[bytes]:
        """Without their ends, blank ones left out, until the input ends."""
        while (line := await self._lines.get()) is not None:
            if line.strip():
                yield line

    async def write(self, line: bytes) -> None:
        """A whole line. Raises OSError where nobody reads any more."""
        async with self._writing:
            await asyncio.to_thread(_write_all, self._output, line + b"\n")

    def _read(self) -> None:
        rest = b""
        with suppress(RuntimeError, OSError):  # the loop has ended already; or there is no input at all
            while piece := os.read(STDIN, PIECE_BYTES):
                *lines, rest = (rest + piece).split(b"\n")
                for line in lines:
                    self._hand_over(line)
            self._hand_over(rest)
        with suppress(RuntimeError):
            self._hand_over(None)

    def _hand_over(self, line: bytes | None) -> None:
        """Waits for room."""
        asyncio.run_coroutine_threadsafe(self._lines.put(line), self._loop).result()


def _write_all(descriptor: int, content: bytes) -> None:
    left = memoryview(content)
    while left:
        left = left[os.write(descriptor, left) :]
