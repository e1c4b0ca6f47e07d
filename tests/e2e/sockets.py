"""Requests as raw bytes over a socket, and a probe that watches liveness meanwhile."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2

PATIENCE_S = 30.0


@dataclass(frozen=True)
class RawReply:
    """Status line, headers and body as they came; status 0 where the server just hung up."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body."""
        return json.loads(self.body)


async def exchange(port: int, pieces: Iterable[bytes]) -> RawReply:
    """Write the pieces until the server answers or hangs up; read its answer."""
    async with asyncio.timeout(PATIENCE_S):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        sending = asyncio.create_task(_send(writer, pieces))
        try:
            raw = await _read_all(reader)
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            writer.close()
    head, _, body = raw.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    status = int(lines[0].split()[1]) if lines[0].startswith("HTTP/") else 0
    return RawReply(status, headers, body)


async def _send(writer: asyncio.StreamWriter, pieces: Iterable[bytes]) -> None:
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
    except ConnectionError:
        return


async def _read_all(reader: asyncio.StreamReader) -> bytes:
    """Until the whole reply by its length is here, or the end."""
    raw = b""
    while True:
        try:
            piece = await reader.read(65_536)
        except ConnectionError:
            return raw
        raw += piece
        if not piece or _is_whole(raw):
            return raw


def _is_whole(raw: bytes) -> bool:
    head, found, body = raw.partition(b"\r\n\r\n")
    for line in head.lower().split(b"\r\n"):
        if found and line.startswith(b"content-length:"):
            return len(body) >= int(line.split(b":")[1])
    return False


def chunked(body: Iterable[bytes]) -> Iterable[bytes]:
    """A body in chunked encoding, without a length."""
    for piece in body:
        yield f"{len(piece):x}\r\n".encode() + piece + b"\r\n"
    yield b"0\r\n\r\n"


@dataclass
class Pulse:
    """How long liveness took, request by request."""

    latencies_s: list[float] = field(default_factory=list)

    @property
    def worst_s(self) -> float:
        """The 99th percentile, or the longest of few."""
        ordered = sorted(self.latencies_s)
        return ordered[int(len(ordered) * 0.99)] if len(ordered) >= 100 else ordered[-1]


@asynccontextmanager
async def feel_pulse(url: str) -> AsyncIterator[Pulse]:
    """Ask for liveness again and again while the block runs."""
    pulse = Pulse()

    async def beat() -> None:
        async with httpx2.AsyncClient(base_url=url, timeout=PATIENCE_S, trust_env=False) as http:
            while True:
                started = time.perf_counter()
                response = await http.get("/health/live")
                pulse.latencies_s.append(time.perf_counter() - started)
                assert response.status_code == 200
                await asyncio.sleep(0.005)

    beating = asyncio.create_task(beat())
    await asyncio.sleep(0.05)
    try:
        yield pulse
    finally:
        await asyncio.sleep(0.05)
        assert not beating.done(), "liveness failed"
        beating.cancel()
        await asyncio.gather(beating, return_exceptions=True)
