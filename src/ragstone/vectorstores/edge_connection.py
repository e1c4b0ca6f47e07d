"""One connection to an engine: requests out, replies in, matched by number. Knows nothing of processes."""

import asyncio
import itertools
from collections.abc import Callable, Sequence
from typing import Any, cast

from ragstone.core.errors import EngineUnavailable
from ragstone.vectorstores.edge_process import error_of
from ragstone.vectorstores.frames import BrokenStream, FrameReader, pack


class ConnectionLost(EngineUnavailable):
    """The engine went away before it replied; whether it did what was asked is unknown."""


class EngineConnection(asyncio.Protocol):
    """Any number of requests at once. `on_lost` is called when it ended, before the waiting requests learn of it;
    `on_hang` when requests wait and nothing was heard for `hang_limit_s`."""

    def __init__(
        self, *, hang_limit_s: float, on_lost: Callable[[], None], on_hang: Callable[[], None]
    ) -> None:
        self._hang_limit_s = hang_limit_s
        self._on_lost = on_lost
        self._on_hang = on_hang
        self._loop = asyncio.get_running_loop()
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._reader = FrameReader()
        self._transport: asyncio.Transport | None = None
        self._heard_at = 0.0
        self._watch: asyncio.TimerHandle | None = None
        self.lost = asyncio.Event()

    async def request(self, operation: str, arguments: Sequence[object]) -> Any:
        """The operation's result. A caller that is cancelled leaves no trace: its reply is dropped. Raises
        ConnectionLost, or what the engine refused with."""
        if self._transport is None or self.lost.is_set():
            raise ConnectionLost("the vector engine is not connected")
        number, reply = next(self._numbers), self._loop.create_future()
        if not self._waiting:
            self._heard_at = self._loop.time()
        self._waiting[number] = reply
        self._transport.write(pack([number, operation, *arguments]))
        if self._watch is None:
            self._watch = self._loop.call_later(self._hang_limit_s, self._look_for_life)
        try:
            return await reply
        finally:
            self._waiting.pop(number, None)

    def close(self) -> None:
        """Let go; what waits fails."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by asyncio."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is not a subclass

    def data_received(self, data: bytes) -> None:
        """Called by asyncio."""
        self._heard_at = self._loop.time()
        try:
            replies = self._reader.feed(data)
        except BrokenStream:
            return self.close()
        for number, succeeded, result in replies:
            reply = self._waiting.get(number)
            if reply is None or reply.done():
                continue
            if succeeded:
                reply.set_result(result)
            else:
                reply.set_exception(error_of(*result))
        return None

    def connection_lost(self, _error: Exception | None) -> None:
        """Called by asyncio."""
        self.lost.set()
        self._on_lost()
        if self._watch is not None:
            self._watch.cancel()
        for reply in self._waiting.values():
            if not reply.done():
                reply.set_exception(ConnectionLost("the vector engine went away"))

    def _look_for_life(self) -> None:
        self._watch = None
        if not self._waiting:
            return
        left_s = self._heard_at + self._hang_limit_s - self._loop.time()
        if left_s <= 0:
            self._on_hang()
        else:
            self._watch = self._loop.call_later(left_s, self._look_for_life)
