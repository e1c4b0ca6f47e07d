"""Bounds on request bodies."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ragstone.middleware import limits
from ragstone.middleware.limits import BodyLimitMiddleware
from tests.asgi import call

LIMIT = 10
ENDLESS = 1_000


async def count_body(scope: Scope, receive: Receive, send: Send) -> None:
    body = await Request(scope, receive).body()
    await PlainTextResponse(str(len(body)))(scope, receive, send)


@pytest.fixture
def app() -> ASGIApp:
    bounds = Middleware(BodyLimitMiddleware, limit_for=lambda _: LIMIT)
    return Starlette(routes=[Mount("/", app=count_body)], middleware=[bounds])


def with_header(name: str, value: str) -> list[tuple[str, str]]:
    return [("host", "localhost"), (name, value)]


async def test_a_body_at_the_limit_passes(app: ASGIApp) -> None:
    reply = await call(app, "POST", headers=with_header("content-length", "10"), body=[b"x" * 10])

    assert (reply.status, reply.body) == (200, b"10")


async def test_a_declared_length_over_the_limit_is_refused_before_a_byte_is_read(app: ASGIApp) -> None:
    reply = await call(app, "POST", headers=with_header("content-length", "11"), body=[b"x" * 11])

    assert (reply.status, reply.pieces_read) == (413, 0)
    assert reply.code == "payload_too_large"


@pytest.mark.parametrize("length", ["9" * 19, "1" * 400])
async def test_an_absurd_length_is_refused(app: ASGIApp, length: str) -> None:
    reply = await call(app, "POST", headers=with_header("content-length", length), body=[b"x" * 11])

    assert reply.status == 413


@pytest.mark.parametrize("length", ["", "-5", "ten", "٣", "5"])
async def test_a_body_that_belies_its_length_is_refused_at_the_limit(app: ASGIApp, length: str) -> None:
    headers = [("host", "localhost")]
    if length.isascii():
        headers.append(("content-length", length))

    reply = await call(app, "POST", headers=headers, body=[b"xxxx"] * 1000)

    assert reply.status == 413
    assert reply.pieces_read == 3


@pytest.mark.parametrize(
    "encoding", ["gzip", "br", "deflate", "x-unknown", "gzip, identity", "identity, gzip"]
)
async def test_a_compressed_body_is_refused_unread(app: ASGIApp, encoding: str) -> None:
    reply = await call(app, "POST", headers=with_header("content-encoding", encoding), body=[b"x"])

    assert (reply.status, reply.pieces_read) == (415, 0)
    assert reply.code == "unsupported_media_type"


async def test_identity_says_that_nothing_was_done_and_passes(app: ASGIApp) -> None:
    reply = await call(app, "POST", headers=with_header("content-encoding", "Identity"), body=[b"x"])

    assert reply.status == 200


async def test_two_content_encodings_are_refused_in_any_order(app: ASGIApp) -> None:
    headers = [*with_header("content-encoding", "identity"), ("content-encoding", "gzip")]

    assert (await call(app, "POST", headers=headers, body=[b"x"])).status == 415


class TestTime:
    """A body that trickles in keeps a place from others."""

    async def ask(
        self, pauses_s: Sequence[float], *, piece: bytes = b"x"
    ) -> tuple[int, dict[str, Any], float]:
        """Status, headers and seconds of a reply to a body whose pieces come after these pauses."""
        pieces, sent, started = iter(enumerate(pauses_s, start=1)), list[Message](), time.monotonic()

        async def receive() -> Message:
            number, pause_s = next(pieces)
            await asyncio.sleep(pause_s)
            return {"type": "http.request", "body": piece, "more_body": number < len(pauses_s)}

        async def send(message: Message) -> None:
            sent.append(message)

        app = Starlette(
            routes=[Mount("/", app=count_body)],
            middleware=[Middleware(BodyLimitMiddleware, limit_for=lambda _: ENDLESS * len(piece))],
        )
        scope = {"type": "http", "method": "POST", "path": "/", "headers": [], "query_string": b""}
        await app(scope, receive, send)
        headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
        return sent[0]["status"], headers, time.monotonic() - started

    async def test_a_long_pause_ends_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(limits, "LONGEST_PAUSE_S", 0.05)

        status, headers, took_s = await self.ask([0.0, 5.0, 0.0])

        assert (status, headers["connection"]) == (408, "close")
        assert took_s < 2

    async def test_bytes_that_trickle_in_end_it_too(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(limits, "PATIENCE_S", 0.1)

        status, _, took_s = await self.ask([0.02] * ENDLESS)

        assert status == 408
        assert took_s < 2

    async def test_a_body_that_comes_at_a_fair_rate_may_take_its_time(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(limits, "PATIENCE_S", 0.1)

        status, _, took_s = await self.ask([0.02] * 10, piece=b"x" * 1_000)

        assert status == 200
        assert took_s > 0.2
