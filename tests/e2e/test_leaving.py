"""Whoever leaves, leaves nothing behind: clients by the hundred, and the server itself with streams still open."""

import asyncio
import json
import logging
import os
import signal
import socket
import stat
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest
import pytest_asyncio
import sse_starlette.sse

from ragstone.api import sse
from ragstone.bootstrap import build_container
from ragstone.cli import serve
from ragstone.cli.address import bind
from ragstone.config.settings import Settings, load_settings
from ragstone.services import switching
from ragstone.storage.data_directory import owner_of
from ragstone.testing.embedders import HashingEmbedder
from ragstone.testing.upstream import Fault, ScriptedUpstream
from tests.apiclient import Api, Json
from tests.live import Live, live_server, parse_events
from tests.servers import Server

pytestmark = pytest.mark.asyncio(loop_scope="module")

POLICY = "# Refunds\n\nRefunds are paid within fourteen days of the return.\n"
QUESTION = "Are refunds paid within fourteen days of the return?"
AT_ONCE = 20
ROUNDS = 10
LEAVING_S = 1.0
"""All that is done for a client ends within this time."""


def settings_for(folder: Path, upstream: ScriptedUpstream, **more: Any) -> Settings:
    return load_settings(
        data_dir=folder / "data", openai_base_url=upstream.base_url, openai_model="scripted", **more
    )


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Live, ScriptedUpstream]]:
    """A server with one document, and its model."""
    folder = tmp_path_factory.mktemp("leaving")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(switching, "FLUSH_EVERY_S", 0.0)
        async with (
            ScriptedUpstream() as upstream,
            live_server(settings_for(folder, upstream), HashingEmbedder(dimension=64)) as live,
        ):
            await live.api.ready(POLICY.encode(), "policy.md")
            await asyncio.gather(*(live.stream(QUESTION) for _ in range(AT_ONCE)))  # all that stays is made
            yield live, upstream


class Leaver:
    """A client on a socket of its own."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter):
        self._reader = reader
        self._writer = writer

    @classmethod
    async def ask(cls, url: str, *, is_streamed: bool) -> "Leaver":
        """Send a question."""
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
        body = json.dumps({"query": QUESTION, "stream": is_streamed}).encode()
        head = f"POST /query HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
        writer.write(f"{head}\r\n\r\n".encode() + body)
        return cls(reader, writer)

    async def read_token(self) -> None:
        """Read up to a piece of the answer."""
        await self._reader.readuntil(b"event: token\r\n")

    def leave(self, *, rudely: bool) -> None:
        """Close the connection, or break it."""
        if rudely:
            own: socket.socket = self._writer.get_extra_info("socket")
            own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()


def open_sockets() -> int:
    """Of this process, in which client, server and model live."""
    found = 0
    for path in Path("/dev/fd").iterdir():
        with suppress(OSError):  # what lists the folder was one of them
            found += stat.S_ISSOCK(os.fstat(int(path.name)).st_mode)
    return found


async def within(limit_s: float, holds: Callable[[], Awaitable[bool]]) -> None:
    """Raises TimeoutError where it does not come to hold in time."""
    async with asyncio.timeout(limit_s):
        while not await holds():  # noqa: ASYNC110 - it depends on other tasks
            await asyncio.sleep(0.02)


async def in_flight(live: Live) -> float:
    metrics = (await live.http.get("/metrics")).text
    (line,) = [line for line in metrics.splitlines() if line.startswith("ragstone_requests_in_flight ")]
    return float(line.split()[1])


TALK = frozenset(("httpx2", "uvicorn.access"))
"""Loggers that are silent in `ragstone serve`."""

KINDS = {
    "in mid-stream": ("hang_mid", True),
    "before the first token": ("hang_headers", True),
    "before an answer that is not streamed": ("hang_headers", False),
    "in the middle of an answer that is not streamed": ("hang_mid", False),
}


@pytest.mark.parametrize(("fault", "is_streamed"), KINDS.values(), ids=KINDS)
async def test_two_hundred_clients_leave_and_nothing_is_left_behind(
    running: tuple[Live, ScriptedUpstream], caplog: pytest.LogCaptureFixture, fault: str, *, is_streamed: bool
) -> None:
    live, upstream = running
    caplog.set_level(logging.INFO)
    upstream.clear()
    upstream.requests.clear()
    upstream.script(Fault(fault, times=0))
    await in_flight(live)
    tasks, sockets = asyncio.all_tasks(), open_sockets()

    for _ in range(ROUNDS):
        await _come_and_leave(
            live, upstream, reads=is_streamed and fault == "hang_mid", is_streamed=is_streamed
        )

    async def is_quiet() -> bool:
        return await in_flight(live) == 1 and asyncio.all_tasks() <= tasks and open_sockets() <= sockets

    await within(LEAVING_S, is_quiet)
    assert [request.outcome for request in upstream.requests] == ["client_left"] * (ROUNDS * AT_ONCE)
    _assert_only_access_lines(caplog.records, 200 if is_streamed and fault == "hang_mid" else 499)


async def _come_and_leave(live: Live, upstream: ScriptedUpstream, *, reads: bool, is_streamed: bool) -> None:
    """As many as come at once, each second one without a farewell."""
    leavers = [await Leaver.ask(live.url, is_streamed=is_streamed) for _ in range(AT_ONCE)]
    async with asyncio.timeout(10):
        if reads:
            await asyncio.gather(*(leaver.read_token() for leaver in leavers))
        while upstream.open_requests < AT_ONCE:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
    for position, leaver in enumerate(leavers):
        leaver.leave(rudely=position % 2 == 0)
    await upstream.wait_until_idle(LEAVING_S)


def _assert_only_access_lines(records: list[logging.LogRecord], status: int) -> None:
    ours = [record for record in records if record.name not in TALK]
    assert {(record.name, record.levelname) for record in ours} == {("ragstone.access", "INFO")}
    assert not [record for record in ours if record.exc_info]
    asked = [vars(record) for record in ours if vars(record)["route"] == "/query"]
    assert [line["status"] for line in asked] == [status] * (ROUNDS * AT_ONCE)


class Streams:
    """Streams of a server that ends, as their clients read them."""

    def __init__(self, url: str):
        self._http = httpx2.AsyncClient(base_url=url, timeout=60.0, trust_env=False)
        self.reading: list[asyncio.Task[list[tuple[str, Json]]]] = []
        self.begun = 0

    async def open(self, count: int) -> None:
        """Return when all have begun."""
        self.reading = [asyncio.create_task(self._read()) for _ in range(count)]
        while self.begun < count:  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    async def ends(self) -> list[list[tuple[str, Json]]]:
        """The events of each, once all have ended in order: a body that breaks off raises."""
        ended = await asyncio.gather(*self.reading)
        await self.close()
        return ended

    async def close(self) -> None:
        """Let go of the connections."""
        await self._http.aclose()

    async def _read(self) -> list[tuple[str, Json]]:
        lines = []
        async with self._http.stream("POST", "/query", json={"query": QUESTION, "stream": True}) as response:
            async for line in response.aiter_lines():
                self.begun += line == "event: token" and "event: token" not in lines
                lines.append(line)
        return parse_events(lines)


@asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[str]:
    """`ragstone serve` in this process, with one document; the block ends it by a signal."""
    async with build_container(settings, embedder=HashingEmbedder(dimension=64)) as container:
        taken = bind(settings)
        ending = asyncio.create_task(serve.serve_container(settings, container, taken))
        try:
            url = await _announced(settings.data_dir)
            async with httpx2.AsyncClient(base_url=url, timeout=60.0, trust_env=False) as http:
                await Api(http).ready(POLICY.encode(), "policy.md")
            yield url
        except BaseException:
            ending.cancel()
            raise
        await ending


async def _announced(data_dir: Path) -> str:
    url: str | None = None

    async def is_announced() -> bool:
        nonlocal url
        owner = owner_of(data_dir)
        url = owner.url if owner else None
        return url is not None

    await within(10, is_announced)
    assert url is not None
    return url


async def _is_asked(upstream: ScriptedUpstream) -> bool:
    return bool(upstream.requests)


@pytest.fixture
def _watcher_of_this_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library looks out for a stopping server once a thread, in whichever loop an earlier test had."""
    monkeypatch.setattr(sse_starlette.sse._thread_state, "shutdown_state", None, raising=False)


@pytest.mark.usefixtures("_watcher_of_this_loop")
class TestSigterm:
    async def test_open_streams_are_finished_and_nothing_new_begins(self, tmp_path: Path) -> None:
        async with ScriptedUpstream(tokens_per_s=4) as upstream:
            model = {"OPENAI_BASE_URL": upstream.base_url, "OPENAI_MODEL": "scripted"}
            server = await asyncio.to_thread(Server, tmp_path / "data", folder=tmp_path, **model)
            async with httpx2.AsyncClient(base_url=server.url, timeout=60.0, trust_env=False) as http:
                await Api(http, poll_s=0.05).ready(POLICY.encode(), "policy.md")
            streams = Streams(server.url)
            await streams.open(AT_ONCE)

            server.process.send_signal(signal.SIGTERM)
            await asyncio.sleep(0.05)
            async with httpx2.AsyncClient(base_url=server.url, trust_env=False) as http:
                seen = [(await http.get("/health/ready")).status_code for _ in range(3)]
                refused = await Api(http).call("POST", "/query", json={"query": QUESTION})

            assert {events[-1][0] for events in await streams.ends()} == {"done"}
            assert await asyncio.to_thread(server.wait) == 0
            assert set(seen) == {503}
            assert (refused.status_code, refused.headers["connection"]) == (503, "close")
            assert refused.json()["error"]["code"] == "unavailable"
            assert not [line for line in server.lines if "Traceback" in line or '"error"' in line]

    async def test_a_request_that_goes_on_too_long_is_told_when_to_come_back(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(serve, "DRAIN_S", 0.3)
        monkeypatch.setattr(switching, "FLUSH_EVERY_S", 0.0)
        async with ScriptedUpstream() as upstream:
            async with serving(settings_for(tmp_path, upstream, port=0)) as url:
                upstream.script(Fault("hang_headers", times=0))
                async with httpx2.AsyncClient(base_url=url, timeout=20.0, trust_env=False) as http:
                    asking = asyncio.create_task(Api(http).call("POST", "/query", json={"query": QUESTION}))
                    await within(10, lambda: _is_asked(upstream))

                    os.kill(os.getpid(), signal.SIGTERM)
                    reply = await asking

            assert (reply.status_code, reply.headers["retry-after"]) == (503, "5")
            assert reply.json()["error"]["code"] == "unavailable"

    async def test_a_stream_that_goes_on_too_long_is_told_why_it_ends(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr(sse, "DRAIN_S", 0.3)
        monkeypatch.setattr(switching, "FLUSH_EVERY_S", 0.0)
        async with ScriptedUpstream() as upstream:
            async with serving(settings_for(tmp_path, upstream, port=0)) as url:
                upstream.script(Fault("hang_mid", times=0))
                streams = Streams(url)
                await streams.open(AT_ONCE)

                started = time.monotonic()
                os.kill(os.getpid(), signal.SIGTERM)
                ended = await streams.ends()

            for events in ended:
                assert [kind for kind, _ in events if kind in ("done", "error", "metadata")] == [
                    "metadata",
                    "error",
                ]
                error = events[-1][1]
                assert (error["code"], error["retryable"]) == ("unavailable", True)
                assert error["request_id"] == events[0][1]["request_id"]
            assert time.monotonic() - started < 5
            assert [request.outcome for request in upstream.requests] == ["client_left"] * AT_ONCE
            assert not [record for record in caplog.records if record.exc_info or record.levelname == "ERROR"]
