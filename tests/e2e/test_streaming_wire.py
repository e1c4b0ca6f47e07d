"""Streams as they arrive: through a real nginx, at old clients, in a reader that follows the HTML standard to the letter."""

import asyncio
import codecs
import json
import re
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
import pytest_asyncio

from ragstone.api import sse
from ragstone.config.settings import load_settings
from ragstone.services import switching
from ragstone.testing.embedders import HashingEmbedder
from ragstone.testing.upstream import Fault, ScriptedUpstream
from tests.e2e.nginx import BINARY, nginx_before
from tests.e2e.sockets import exchange
from tests.live import Live, live_server

pytestmark = pytest.mark.asyncio(loop_scope="module")

POLICY = "# Refunds\n\nRefunds are paid within fourteen days of the return.\n"
QUESTION = "Are refunds paid within fourteen days of the return?"
SAID = (
    "Refunds\nare paid\r\nwithin\rfourteen\u2028days\u2029of\x85the\x0breturn 🙂, that is, two weeks after "
    "it came; large amounts take longer, and nothing is paid on Sundays [1]"
)
TOKENS_PER_S = 20.0
QUICK = Fault("slow", text="2000")
SOON_S = 0.15
"""From the model's server to the client."""


@dataclass(frozen=True)
class Event:
    """What a reader dispatches."""

    kind: str
    text: str
    id: str

    @property
    def json(self) -> Any:
        """The content."""
        return json.loads(self.text)


class EventReader:
    """The algorithm of the HTML standard, section 9.2.6, and the comments that it throws away."""

    def __init__(self) -> None:
        self.comments: list[str] = []
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")("replace")
        self._rest = ""
        self._follows_cr = False
        self._id = ""
        self._kind = ""
        self._lines: list[str] = []

    def feed(self, raw: bytes) -> list[Event]:
        """The events that these bytes complete."""
        text = self._decoder.decode(raw)
        if text and self._follows_cr:
            text = text.removeprefix("\n")
        self._follows_cr = text.endswith("\r") or (self._follows_cr and not text)
        *lines, self._rest = re.split(r"\r\n|\r|\n", self._rest + text)
        return [event for line in lines if (event := self._take(line)) is not None]

    def _take(self, line: str) -> Event | None:
        if not line:
            return self._dispatch()
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not field:
            self.comments.append(value)
        elif field == "event":
            self._kind = value
        elif field == "data":
            self._lines.append(value)
        elif field == "id" and "\0" not in value:
            self._id = value
        return None

    def _dispatch(self) -> Event | None:
        event = Event(self._kind or "message", "\n".join(self._lines), self._id) if self._lines else None
        self._kind, self._lines = "", []
        return event


READINGS: dict[str, tuple[bytes, list[Event]]] = {
    "line feeds": (b"data: a\n\ndata: b\n\n", [Event("message", "a", ""), Event("message", "b", "")]),
    "carriage returns": (
        b"event: x\rdata: a\r\rdata: b\r\r",
        [Event("x", "a", ""), Event("message", "b", "")],
    ),
    "both": (
        b"id: 7\r\nevent: x\r\ndata: a\r\n\r\ndata:b\r\n\r\n",
        [Event("x", "a", "7"), Event("message", "b", "7")],
    ),
    "several lines": (b"data: a\ndata:  b\ndata\n\n", [Event("message", "a\n b\n", "")]),
    "a byte order mark": (b"\xef\xbb\xbfdata: \xef\xbb\xbfa\n\n", [Event("message", "\ufeffa", "")]),
    "comments and unknown fields": (b":x\n\nfoo: 1\nretry: 5\ndata: a\n: y\n\n", [Event("message", "a", "")]),
    "no lines but those": (
        "data: a\u2028b\x85c\x0bd\n\n".encode(),
        [Event("message", "a\u2028b\x85c\x0bd", "")],
    ),
    "an id with a zero": (b"id: 1\0\ndata: a\n\n", [Event("message", "a", "")]),
    "no end": (b"data: a\n\ndata: b\n", [Event("message", "a", "")]),
    "no data": (b"event: x\n\ndata: a\n\n", [Event("message", "a", "")]),
}


class TestReader:
    @pytest.mark.parametrize(("raw", "events"), READINGS.values(), ids=READINGS)
    async def test_it_reads_as_the_standard_says_however_the_bytes_are_cut(
        self, raw: bytes, events: list[Event]
    ) -> None:
        for size in (1, 2, 3, len(raw)):
            reader = EventReader()
            pieces = [raw[start : start + size] for start in range(0, len(raw), size)]

            assert [event for piece in pieces for event in reader.feed(piece)] == events


@dataclass(frozen=True)
class Arrival:
    """An event, and when it was read."""

    event: Event
    at: float


@dataclass(frozen=True)
class Way:
    """How a client reaches the server."""

    live: Live
    upstream: ScriptedUpstream
    url: str

    def ask(self, **body: Any) -> Any:
        """Open a stream that may be left."""
        request = {"query": QUESTION, "stream": True, **body}
        return self.live.http.stream(
            "POST", f"{self.url}/query", json=request, headers={"accept-encoding": "gzip, br"}
        )


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Live, ScriptedUpstream]]:
    """A server with one document, and a model that takes its time."""
    folder = tmp_path_factory.mktemp("wire")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(switching, "FLUSH_EVERY_S", 0.0)
        async with ScriptedUpstream(say=SAID, tokens_per_s=TOKENS_PER_S) as upstream:
            settings = load_settings(
                data_dir=folder / "data", openai_base_url=upstream.base_url, openai_model="scripted"
            )
            async with live_server(settings, HashingEmbedder(dimension=64)) as live:
                await live.api.ready(POLICY.encode(), "policy.md")
                yield live, upstream


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["straight", "nginx"])
async def way(
    request: pytest.FixtureRequest,
    served: tuple[Live, ScriptedUpstream],
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Way]:
    """Straight to the server, and through nginx."""
    live, upstream = served
    if request.param == "straight":
        yield Way(live, upstream, live.url)
        return
    if BINARY is None:
        pytest.skip(
            "nginx is not installed (apt-get install nginx-light): streams through a proxy are not tested"
        )
    async with nginx_before(live.url, tmp_path_factory.mktemp("nginx")) as url:
        yield Way(live, upstream, url)


async def arrivals(response: httpx2.Response, reader: EventReader) -> AsyncGenerator[Arrival, None]:
    """The events as they come."""
    async for raw in response.aiter_raw():
        now = time.monotonic()
        for event in reader.feed(raw):
            yield Arrival(event, now)


async def read_stream(way: Way) -> list[Arrival]:
    """All of one answer."""
    async with way.ask() as response:
        assert response.status_code == 200
        return [arrival async for arrival in arrivals(response, EventReader())]


def text_of(events: list[Event]) -> str:
    return "".join(event.json["text"] for event in events if event.kind == "token")


class TestWay:
    async def test_every_piece_comes_soon_after_the_model_wrote_it(self, way: Way) -> None:
        tokens = [arrival for arrival in await read_stream(way) if arrival.event.kind == "token"]

        begun = way.upstream.requests[-1].started
        delays, length = [], 0
        for token in tokens:
            length += len(token.event.json["text"])
            written = begun + (length - 1) // 4 / TOKENS_PER_S
            delays.append(token.at - written)
        assert len(tokens) > 20
        assert sorted(delays)[len(delays) * 9 // 10] <= SOON_S, delays

    async def test_a_strict_reader_gets_whole_events_in_order(self, way: Way) -> None:
        way.upstream.script(QUICK)

        events = [arrival.event for arrival in await read_stream(way)]

        assert [event.kind for event in events[:3]] == ["meta", "sources", "token"]
        assert [event.kind for event in events[-2:]] == ["metadata", "done"]
        assert [event.id for event in events] == [str(number) for number in range(1, len(events) + 1)]
        assert text_of(events) == SAID

    async def test_nothing_is_compressed_or_stored(self, way: Way) -> None:
        async with way.ask() as response:
            headers = response.headers

        assert headers["content-type"].startswith("text/event-stream")
        assert headers["cache-control"] == "no-store"
        assert "content-encoding" not in headers

    async def test_comments_keep_the_connection_alive_while_the_model_is_silent(
        self, way: Way, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sse, "HEARTBEAT_S", 0.05)
        way.upstream.script(Fault("hang_mid", after=3))
        reader = EventReader()
        async with way.ask() as response, asyncio.timeout(5):
            async for raw in response.aiter_raw():
                events = reader.feed(raw)
                assert not any(event.kind in ("done", "error") for event in events)
                if len(reader.comments) >= 3:
                    break

        assert set(reader.comments) == {"heartbeat"}

    @pytest.mark.parametrize("fault", ["hang_headers", "hang_mid"])
    @pytest.mark.parametrize("is_streamed", [True, False])
    async def test_a_client_that_leaves_stops_the_model(
        self, way: Way, fault: str, *, is_streamed: bool
    ) -> None:
        way.upstream.script(Fault(fault))
        asking = asyncio.create_task(_read_all(way, is_streamed=is_streamed))
        await asyncio.sleep(0.25)  # longer than the tokens before the silence take
        assert way.upstream.open_requests == 1

        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)

        await way.upstream.wait_until_idle(1.0)
        assert way.upstream.requests[-1].outcome == "client_left"


async def _read_all(way: Way, *, is_streamed: bool) -> None:
    async with way.ask(stream=is_streamed) as response, aclosing(response.aiter_raw()) as pieces:
        async for _ in pieces:
            pass


class TestOldClients:
    async def test_a_client_of_http_1_0_reads_every_event(
        self, served: tuple[Live, ScriptedUpstream]
    ) -> None:
        """What frames the events, if anything does, must not look like one of them."""
        live, upstream = served
        upstream.script(QUICK)
        body = json.dumps({"query": QUESTION, "stream": True}).encode()
        head = (
            "POST /query HTTP/1.0\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            f"Accept-Encoding: gzip\r\nContent-Length: {len(body)}\r\n\r\n"
        )

        reply = await exchange(int(live.url.rpartition(":")[2]), [head.encode() + body])

        events = EventReader().feed(reply.body)
        assert (reply.status, reply.headers["connection"]) == (200, "close")
        assert [event.kind for event in events[-2:]] == ["metadata", "done"]
        assert text_of(events) == SAID
