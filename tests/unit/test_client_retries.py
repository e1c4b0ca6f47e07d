"""When the client sends a call again, and when it says at once what went wrong; for both clients alike."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, TypeAlias

import httpx2
import pytest

from ragstone.client import (
    AsyncRagstone,
    CallFailed,
    ConnectionLost,
    Ragstone,
    RateLimited,
    ServerFailed,
    TimedOut,
    Unavailable,
    UnexpectedReply,
)
from ragstone.client.errors import seconds_to_wait
from tests.scripted_http import RESET, Hang, refusal, reply, scripted_http

ALIVE = reply(200, {"status": "alive"})
DOWN = refusal(503, "unavailable", retryable=True, retry_after="0")
FULL = refusal(429, "queue_full", retryable=True, retry_after="0")
LATE = refusal(504, "deadline_exceeded", retryable=True, retry_after="0")
DEFECT = refusal(500, "internal_error", retryable=False)
GATEWAY = reply(502, b"<html>", retry_after="0")
MOVED = reply(200, {"name": "x", "documents_deleted": 1})
PASSING = [DOWN, FULL, LATE, GATEWAY, RESET]
PASSING_IDS = ["down", "full", "late", "gateway", "reset"]

Send: TypeAlias = Callable[..., Awaitable[Any]]


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the server does not say how long."""
    monkeypatch.setattr("ragstone.client.retries.FIRST_PAUSE_S", 0.02)


@pytest.fixture(params=["awaited", "waiting"])
def send(request: pytest.FixtureRequest) -> Send:
    """Calls a method of a client of its own, named with dots."""

    async def awaited(url: str, name: str, *arguments: Any, **options: Any) -> Any:
        async with AsyncRagstone(url, **options) as client:
            return await _method(client, name)(*arguments)

    def waiting(url: str, name: str, *arguments: Any, **options: Any) -> Any:
        with Ragstone(url, **options) as client:
            return _method(client, name)(*arguments)

    async def in_thread(*arguments: Any, **options: Any) -> Any:
        return await asyncio.to_thread(waiting, *arguments, **options)

    return awaited if request.param == "awaited" else in_thread


def _method(client: Any, name: str) -> Callable[..., Any]:
    for part in name.split("."):
        client = getattr(client, part)
    method: Callable[..., Any] = client
    return method


class TestWhatMayPass:
    @pytest.mark.parametrize("failure", PASSING, ids=PASSING_IDS)
    async def test_a_look_is_repeated(self, send: Send, failure: bytes | None) -> None:
        with scripted_http(failure, failure, ALIVE) as server:
            assert (await send(server.url, "live")).status == "alive"

        assert len(server.requests) == 3

    @pytest.mark.parametrize(
        ("failure", "kind"),
        [(DOWN, Unavailable), (FULL, RateLimited), (GATEWAY, UnexpectedReply)],
        ids=["down", "full", "gateway"],
    )
    async def test_after_the_last_attempt_it_is_told(
        self, send: Send, failure: bytes, kind: type[CallFailed]
    ) -> None:
        with scripted_http(failure) as server, pytest.raises(kind) as told:
            await send(server.url, "live", max_retries=1)

        assert len(server.requests) == 2
        assert told.value.retryable

    async def test_what_does_not_pass_is_told_at_once(self, send: Send) -> None:
        with scripted_http(DEFECT, ALIVE) as server, pytest.raises(ServerFailed, match="internal_error"):
            await send(server.url, "live")

        assert len(server.requests) == 1

    async def test_nobody_there_is_one_sentence(self, send: Send) -> None:
        with pytest.raises(ConnectionLost, match=r"^the server at http://127.0.0.1:9 does not answer$"):
            await send("http://127.0.0.1:9", "live", max_retries=1)


class TestChanges:
    """What is not safe to do twice is sent again only if it was not done."""

    @pytest.mark.parametrize("failure", [RESET, LATE, GATEWAY], ids=["reset", "late", "gateway"])
    async def test_one_that_may_have_been_made_is_not_sent_again(
        self, send: Send, failure: bytes | None
    ) -> None:
        with scripted_http(failure, MOVED) as server, pytest.raises(CallFailed) as told:
            await send(server.url, "collections.delete", "x")

        assert len(server.requests) == 1
        assert told.value.in_doubt

    async def test_one_in_doubt_by_the_servers_own_word_is_not_sent_again(self, send: Send) -> None:
        doubt = refusal(503, "change_in_doubt", retryable=True, retry_after="0")
        with scripted_http(doubt, MOVED) as server, pytest.raises(Unavailable):
            await send(server.url, "collections.delete", "x")

        assert len(server.requests) == 1

    @pytest.mark.parametrize("failure", [DOWN, FULL], ids=["down", "full"])
    async def test_one_that_was_refused_is_sent_again(self, send: Send, failure: bytes) -> None:
        with scripted_http(failure, MOVED) as server:
            assert (await send(server.url, "collections.delete", "x")).documents_deleted == 1

        assert len(server.requests) == 2

    @pytest.mark.parametrize("name", ["upload", "upload_text"])
    async def test_an_upload_is_sent_again_whole_and_under_the_same_key(self, send: Send, name: str) -> None:
        content = b"all of it" * 20_000
        with (
            scripted_http(RESET, DOWN, GATEWAY, DEFECT) as server,
            pytest.raises(ServerFailed, match="internal_error"),
        ):
            await send(server.url, name, content if name == "upload" else content.decode(), max_retries=5)

        keys = server.headers("idempotency-key")
        assert (len(server.requests), len(keys), len(set(keys))) == (4, 4, 1)
        assert all(content in request for request in server.requests)

    async def test_each_upload_has_a_key_of_its_own(self, send: Send) -> None:
        with scripted_http(DEFECT) as server:
            for _ in range(2):
                with pytest.raises(ServerFailed):
                    await send(server.url, "upload", b"same")

        assert len(set(server.headers("idempotency-key"))) == 2


class TestWaits:
    async def test_the_server_says_how_long(self, send: Send) -> None:
        busy = refusal(503, "unavailable", retryable=True, retry_after="0.4")
        started = time.monotonic()
        with scripted_http(busy, ALIVE) as server:
            await send(server.url, "live")

        assert 0.4 <= time.monotonic() - started < 2.0

    async def test_one_that_would_outlast_the_calls_time_is_not_begun(self, send: Send) -> None:
        busy = refusal(503, "unavailable", retryable=True, retry_after="120")
        started = time.monotonic()
        with scripted_http(busy, ALIVE) as server, pytest.raises(Unavailable) as told:
            await send(server.url, "live", timeout_s=5.0)

        assert time.monotonic() - started < 2.0
        assert told.value.retry_after_s == 120

    async def test_one_that_does_not_go_on_is_left(self, send: Send) -> None:
        hanging = Hang(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n")
        with (
            scripted_http(hanging) as server,
            pytest.raises(TimedOut, match="has said nothing for too long"),
        ):
            await send(server.url, "live", timeout_s=0.2)

    @pytest.mark.parametrize(
        ("given", "seconds"),
        [("2", 2.0), ("0.5", 0.5), ("0", 0.0), ("-5", None), ("soon", None), ("", None), ("1e999", None)],
    )
    def test_retry_after_in_seconds(self, given: str, seconds: float | None) -> None:
        found = seconds_to_wait(httpx2.Headers({"Retry-After": given}))

        assert found == seconds

    @pytest.mark.parametrize(("ahead_s", "least", "most"), [(60, 55, 60), (-60, 0, 0)])
    def test_retry_after_as_a_date(self, ahead_s: float, least: float, most: float) -> None:
        date = format_datetime(datetime.now(UTC) + timedelta(seconds=ahead_s), usegmt=True)

        found = seconds_to_wait(httpx2.Headers({"Retry-After": date}))

        assert found is not None
        assert least <= found <= most
