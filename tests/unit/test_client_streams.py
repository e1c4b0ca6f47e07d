"""How both clients read streams: any that the specification allows, and those that break off."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import pytest

from ragstone.client import (
    AnswerEvent,
    AsyncRagstone,
    ConnectionLost,
    DoneEvent,
    Ragstone,
    TokenEvent,
    Unavailable,
    UnexpectedReply,
    UpstreamFailed,
)
from ragstone.client.readers import AnswerReader
from tests.canned import CannedServer
from tests.scripted_http import RESET, Said, refusal, reply, scripted_http

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
META = {"request_id": "r", "question": "?", "collection": "default", "model": "m"}
ENDED: dict[str, Any] = {
    "finish_reason": "stop",
    "grounded": "full",
    "unsupported": [],
    "abstained": False,
    "reason": None,
    "degraded": [],
}


def event(name: str, content: dict[str, Any]) -> bytes:
    return f"event: {name}\ndata: {json.dumps(content, ensure_ascii=False)}\n\n".encode()


A, DONE = event("token", {"text": "a"}), event("done", ENDED)
READ = [TokenEvent(text="a"), DoneEvent(**ENDED)]
Streamed: TypeAlias = Callable[..., Awaitable[list[AnswerEvent]]]


@pytest.fixture(params=["awaited", "waiting"])
def streamed(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Streamed:
    """The events of an answer that comes as these bytes; `seen` gets them also where reading fails."""
    monkeypatch.setattr("ragstone.client.retries.FIRST_PAUSE_S", 0.02)

    async def awaited(*said: Said, seen: list[AnswerEvent] | None = None) -> list[AnswerEvent]:
        found = [] if seen is None else seen
        with scripted_http(*said) as server:
            async with AsyncRagstone(server.url) as client, client.stream("?") as events:
                async for each in events:
                    found.append(each)
        return found

    def waiting(*said: Said, seen: list[AnswerEvent] | None = None) -> list[AnswerEvent]:
        found = [] if seen is None else seen
        with scripted_http(*said) as server, Ragstone(server.url) as client, client.stream("?") as events:
            for each in events:
                found.append(each)
        return found

    async def in_thread(*said: Said, seen: list[AnswerEvent] | None = None) -> list[AnswerEvent]:
        return await asyncio.to_thread(waiting, *said, seen=seen)

    return awaited if request.param == "awaited" else in_thread


class TestWire:
    @pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
    async def test_lines_end_as_they_may(self, streamed: Streamed, end: bytes) -> None:
        assert await streamed(HEAD + (A + DONE).replace(b"\n", end)) == READ

    async def test_line_ends_of_unicode_are_text(self, streamed: Streamed) -> None:
        text = "größer\u2028als\x85🙂"

        events = await streamed(HEAD + event("token", {"text": text}) + DONE)

        assert events[0] == TokenEvent(text=text)

    async def test_parts_may_be_cut_anywhere(self) -> None:
        said = event("token", {"text": "größer🙂"}) + DONE
        parts = (said[place : place + 1] for place in range(len(said)))
        headers = ("content-type: text/event-stream",)
        async with (
            CannedServer(*parts, headers=headers) as server,
            AsyncRagstone(server.base_url) as client,
            client.stream("?") as events,
        ):
            assert await anext(events) == TokenEvent(text="größer🙂")

    async def test_comments_and_unknown_fields_are_skipped_and_lines_of_data_joined(
        self, streamed: Streamed
    ) -> None:
        odd = b': heartbeat\n\nid: 1\nhue: red\nevent: token\ndata: {"text":\ndata:"a"}\n\n: heartbeat\n\n'

        assert await streamed(HEAD + odd + DONE) == READ

    async def test_events_of_a_later_version_are_skipped(self, streamed: Streamed) -> None:
        assert await streamed(HEAD + event("thought", {"text": "hm"}) + A + DONE) == READ

    async def test_an_event_larger_than_a_megabyte_is_read(self, streamed: Streamed) -> None:
        text = "a" * 2_000_000

        assert (await streamed(HEAD + event("token", {"text": text}) + DONE))[0] == TokenEvent(text=text)


class TestFailures:
    @pytest.mark.parametrize("cut", [A, event("meta", META) + b"event: do"])
    async def test_one_that_ends_without_its_last_event_broke_off(
        self, streamed: Streamed, cut: bytes
    ) -> None:
        with pytest.raises(ConnectionLost, match="broke off before the answer was complete"):
            await streamed(HEAD + cut)

    async def test_an_error_event_is_raised_behind_the_text(self, streamed: Streamed) -> None:
        seen: list[AnswerEvent] = []
        error = {"code": "upstream_interrupted", "message": "cut", "retryable": True, "request_id": "r"}

        with pytest.raises(UpstreamFailed, match=r"^upstream_interrupted: cut$") as told:
            await streamed(HEAD + A + event("error", error), seen=seen)

        assert seen == [TokenEvent(text="a")]
        assert (told.value.request_id, told.value.retryable, told.value.status) == ("r", True, 502)

    async def test_an_event_that_is_not_of_the_api_is_told(self, streamed: Streamed) -> None:
        with pytest.raises(UnexpectedReply, match="an event `token`"):
            await streamed(HEAD + event("token", {"txet": "a"}))

    async def test_what_is_no_stream_is_told(self, streamed: Streamed) -> None:
        with pytest.raises(UnexpectedReply, match="answers what cannot be read"):
            await streamed(reply(200, {"answer": "a"}))

    @pytest.mark.parametrize(
        "failure",
        [RESET, HEAD, refusal(503, "unavailable", retryable=True, retry_after="0")],
        ids=["reset", "empty", "refused"],
    )
    async def test_it_is_begun_again_until_its_first_event(self, streamed: Streamed, failure: Said) -> None:
        assert await streamed(failure, HEAD + A + DONE) == READ

    async def test_it_is_not_begun_again_after_that(self, streamed: Streamed) -> None:
        seen: list[AnswerEvent] = []

        with pytest.raises(ConnectionLost):
            await streamed(HEAD + A, HEAD + A + DONE, seen=seen)

        assert seen == [TokenEvent(text="a")]

    async def test_an_empty_one_is_no_answer(self, streamed: Streamed) -> None:
        with pytest.raises(ConnectionLost, match=r"does not answer$"):
            await streamed(HEAD)

    async def test_a_refusal_is_the_apis_error(self, streamed: Streamed) -> None:
        stopping = refusal(503, "unavailable", retryable=True, retry_after="0")

        with pytest.raises(Unavailable, match="unavailable: scripted"):
            await streamed(stopping)


class TestMistakes:
    async def test_a_stream_is_used_in_a_block(self) -> None:
        with Ragstone() as client, pytest.raises(RuntimeError, match="in a `with` block"):
            next(client.stream("?"))
        async with AsyncRagstone() as awaited:
            with pytest.raises(RuntimeError, match="async use a stream in a `with` block"):
                await anext(awaited.stream("?"))

    def test_an_answer_is_whole_or_not_there(self) -> None:
        reader = AnswerReader()
        reader.read("token", '{"text": "a"}')

        with pytest.raises(RuntimeError, match="complete only when all of its events were read"):
            _ = reader.answer
        assert reader.text == "a"
