"""A small HTTP/1.1 client over keep-alive connections, and closed-loop load with it.

A full client library costs a millisecond of CPU a request; on two cores that it shares with the server under test it
would measure itself.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import uvloop

from bench.metrics import percentile

MAX_HEAD_BYTES = 65_536


class UnexpectedStatus(Exception):
    """A reply that the bench cannot go on with."""


class Connection:
    """One request at a time; the server must send Content-Length. Raises OSError kinds when the peer leaves."""

    def __init__(self, port: int):
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def open(self) -> None:
        """Connect, again if the server closed the idle connection."""
        await self.close()
        self._streams = await asyncio.open_connection("127.0.0.1", self._port, limit=MAX_HEAD_BYTES)

    async def exchange(self, request: bytes) -> tuple[int, bytes]:
        """Send a whole request; status and body of the reply."""
        head, body = await self.exchange_whole(request)
        return int(head[9:12]), body

    async def exchange_whole(self, request: bytes) -> tuple[bytes, bytes]:
        """The same, with all of the reply's head."""
        if self._streams is None or self._streams[0].at_eof():
            await self.open()
        assert self._streams is not None
        reader, writer = self._streams
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = _content_length(head)
        return head, await reader.readexactly(length) if length else b""

    async def call(self, method: str, path: str, body: Any = None) -> Any:
        """Send JSON, get JSON. Raises UnexpectedStatus for 400 and above."""
        status, content = await self.exchange(self.request(method, path, body))
        if status >= 400:
            raise UnexpectedStatus(
                f"{method} {path} answered {status}: {content[:500].decode(errors='replace')}"
            )
        return json.loads(content) if content else None

    def request(self, method: str, path: str, body: Any = None) -> bytes:
        """The bytes of a request, to be sent as often as wanted."""
        content = b"" if body is None else json.dumps(body).encode()
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\nContent-Length: {len(content)}\r\n"
        )
        kind = "Content-Type: application/json\r\n" if content else ""
        return f"{head}{kind}\r\n".encode() + content

    async def close(self) -> None:
        """Idempotent."""
        if self._streams is not None:
            self._streams[1].close()


def _content_length(head: bytes) -> int:
    _, _, rest = head.lower().partition(b"\r\ncontent-length:")
    return int(rest.partition(b"\r\n")[0] or 0)


def run_on_uvloop(main: Coroutine[Any, Any, None]) -> None:
    """As asyncio.run, on the loop that costs the least."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main)


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[Connection]:
    """A connection for a block."""
    connection = Connection(port)
    try:
        await connection.open()
        yield connection
    finally:
        await connection.close()


@dataclass(slots=True)
class Load:
    """What a stretch of load did. `latencies_ms` of the successful replies, in the order of their ends."""

    seconds: float = 0.0
    errors: int = 0
    latencies_ms: list[float] = field(default_factory=list)

    @property
    def per_second(self) -> float:
        """Successful replies a second."""
        return len(self.latencies_ms) / self.seconds if self.seconds else 0.0

    def at(self, percent: float) -> float:
        """A percentile of the latencies, in milliseconds."""
        return percentile(self.latencies_ms, percent)


async def run_load(
    port: int, path: str, bodies: Sequence[dict[str, Any]], *, concurrency: int, seconds: float
) -> Load:
    """`concurrency` callers that each send the next body as soon as they have their reply."""
    load, connections = Load(), [Connection(port) for _ in range(concurrency)]
    for connection in connections:
        await connection.open()
    requests = [connections[0].request("POST", path, body) for body in bodies]
    started = time.perf_counter()
    until = started + seconds
    await asyncio.gather(
        *(
            _call_until(connection, requests, len(requests) * number // concurrency, until, load)
            for number, connection in enumerate(connections)
        )
    )
    load.seconds = time.perf_counter() - started
    for connection in connections:
        await connection.close()
    return load


async def _call_until(
    connection: Connection, requests: Sequence[bytes], position: int, until: float, load: Load
) -> None:
    while (sent := time.perf_counter()) < until:
        status, _ = await connection.exchange(requests[position % len(requests)])
        position += 1
        if status == 200:
            load.latencies_ms.append((time.perf_counter() - sent) * 1000)
        else:
            load.errors += 1
