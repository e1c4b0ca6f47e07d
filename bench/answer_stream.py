"""A client of streamed answers that costs little: it counts tokens as they arrive and reads nothing else on the way."""

import asyncio
import time
from itertools import pairwise

from bench.load import UnexpectedStatus

TOKEN = b"event: token"
END_OF_BODY = b"\r\n0\r\n\r\n"
FLAWS = (b"event: error", b'"abstained":true', b'"degraded":["')
"""What an answer holds that broke off, that the model was not asked for, or that it did not write."""


class AnswerStream(asyncio.Protocol):
    """One connection and one streamed answer over it. `token_times` are perf_counter's; tokens that arrive together
    have the same."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.begun: asyncio.Future[None] = loop.create_future()
        self.ended: asyncio.Future[None] = loop.create_future()
        self.sent = 0.0
        self.token_times: list[float] = []
        self._parts: list[bytes] = []
        self._tail = b""
        self._leave_after: int | None = None
        self._transport: asyncio.WriteTransport | None = None

    # ---- what a caller does ----

    def ask(self, request: bytes, *, leave_after: int | None = None) -> None:
        """Send a whole request; hang up after so many tokens, if that is said. Once a connection."""
        assert self._transport is not None
        self._leave_after = leave_after
        self.sent = time.perf_counter()
        self._transport.write(request)

    @property
    def first_token_s(self) -> float:
        """From the request to the first one; there must be one."""
        return self.token_times[0] - self.sent

    @property
    def gaps_s(self) -> list[float]:
        """Between each two tokens."""
        return [later - earlier for earlier, later in pairwise(self.token_times)]

    @property
    def is_whole(self) -> bool:
        """Whether the answer came to its end, and is one of the model's own."""
        body = self._body
        return b"event: done" in body and not any(flaw in body for flaw in FLAWS)

    def require_whole(self) -> None:
        """Raises UnexpectedStatus where it is not."""
        if not self.is_whole:
            raise UnexpectedStatus(
                f"not the model's whole answer: …{self._body[-500:].decode(errors='replace')}"
            )

    @property
    def _body(self) -> bytes:
        """All that came, head and chunk sizes included."""
        return b"".join(self._parts)

    # ---- the transport's calls ----

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        self._transport = transport  # type: ignore[assignment]  # uvloop's does not inherit from it

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        now = time.perf_counter()
        self._parts.append(data)
        seen = self._tail + data
        self._tail = seen[1 - len(TOKEN) :]
        if count := seen.count(TOKEN):
            self.token_times += [now] * count
            self._settle(self.begun)
        is_refused = len(self._parts) == 1 and data[9:12] != b"200"
        is_enough = self._leave_after is not None and len(self.token_times) >= self._leave_after
        if is_refused or is_enough or seen.endswith(END_OF_BODY):
            self._finish()

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        self._finish()

    def _finish(self) -> None:
        if self._transport is not None:
            self._transport.close()
        self._settle(self.begun)
        self._settle(self.ended)

    def _settle(self, future: asyncio.Future[None]) -> None:
        if not future.done():
            future.set_result(None)


async def open_streams(port: int, count: int) -> list[AnswerStream]:
    """Connected, nothing asked yet."""
    loop = asyncio.get_running_loop()
    made = [loop.create_connection(AnswerStream, "127.0.0.1", port) for _ in range(count)]
    return [stream for _, stream in await asyncio.gather(*made)]
