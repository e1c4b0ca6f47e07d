"""Connections of slow, large and many clients, over real sockets."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager

import pytest
import uvicorn
import uvloop
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from ragstone.cli import connections
from ragstone.cli.acceptance import Acceptor
from ragstone.cli.connections import PatientProtocol
from tests.waiting import until

GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
LIMIT_S = 0.2


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    body = await Request(scope, receive).body()
    await PlainTextResponse(f"{len(body)}")(scope, receive, send)


@pytest.fixture
async def port(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[int]:
    """Of a server with little patience."""
    monkeypatch.setattr(connections, "HEAD_WITHIN_S", LIMIT_S)
    config = uvicorn.Config(echo, http=PatientProtocol, log_config=None, lifespan="off", port=0)
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server._serve())
    await until(lambda: _has_started(server))
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    await serving


async def _has_started(server: uvicorn.Server) -> bool:
    return server.started


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()


async def reply_of(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    return head[:15] + await reader.readexactly(1)


@pytest.mark.parametrize("begun", [b"", b"G", GET[:-2]], ids=["nothing", "a byte", "almost all"])
async def test_a_head_that_does_not_come_in_time_ends_the_connection(port: int, begun: bytes) -> None:
    async with connected(port) as (reader, writer):
        started = time.monotonic()
        writer.write(begun)

        assert await asyncio.wait_for(reader.read(), 5) == b""
        assert time.monotonic() - started >= LIMIT_S - 0.05


async def test_a_byte_now_and_then_buys_no_time(port: int) -> None:
    async with connected(port) as (reader, writer):
        started = time.monotonic()
        ended = asyncio.create_task(reader.read())
        for byte in GET:
            if ended.done():
                break
            writer.write(bytes([byte]))
            await asyncio.sleep(0.02)

        assert await ended == b""
        assert time.monotonic() - started < 3 * LIMIT_S


async def test_a_body_may_take_longer_than_a_head(port: int) -> None:
    async with connected(port) as (reader, writer):
        writer.write(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n")
        await asyncio.sleep(2 * LIMIT_S)
        writer.write(b"ab")

        assert await reply_of(reader) == b"HTTP/1.1 200 OK2"


async def test_a_second_request_has_a_limit_of_its_own(port: int) -> None:
    async with connected(port) as (reader, writer):
        for pause_s in (0.0, 2 * LIMIT_S):
            await asyncio.sleep(pause_s)
            writer.write(GET)
            assert await reply_of(reader) == b"HTTP/1.1 200 OK0"
        writer.write(b"GET")

        assert await asyncio.wait_for(reader.read(), 5) == b""


async def test_a_head_without_end_ends_the_connection(port: int) -> None:
    async with connected(port) as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\n")
        for number in range(2_000):
            writer.write(b"X-%d: %s\r\n" % (number, b"x" * 1_000))

        try:
            assert await asyncio.wait_for(reader.read(), 5) == b""
        except ConnectionResetError:  # it did not wait for the rest
            return


async def test_a_large_head_is_read(port: int) -> None:
    async with connected(port) as (reader, writer):
        writer.write(GET[:-2] + b"X-Large: " + b"x" * 30_000 + b"\r\n\r\n")

        assert await reply_of(reader) == b"HTTP/1.1 200 OK0"


def test_many_connections_are_taken_in_few_rounds_of_the_loop() -> None:
    async def taken_within(rounds: int) -> int:
        taken: list[asyncio.BaseTransport] = []

        class Taking(asyncio.Protocol):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                taken.append(transport)

        with ExitStack() as stack:
            listening = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=512))
            acceptor = Acceptor(listening, Taking, is_shared=False)
            acceptor.start()
            for _ in range(200):
                stack.enter_context(socket.create_connection(listening.getsockname()))
            for _ in range(rounds):
                await asyncio.sleep(0)
            for _ in range(2):
                acceptor.close()
        return len(taken)

    assert uvloop.run(taken_within(20)) == 200
