"""The adapter to Chat Completions: every way in which a server can fail, and what it makes of odd but valid streams."""

import asyncio
import json
import logging
import resource
import time
import traceback
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from ragstone.core.errors import (
    ContentFiltered,
    ExternalServiceError,
    InvalidSetting,
    UpstreamGarbled,
    UpstreamInterrupted,
    UpstreamRateLimited,
    UpstreamRefused,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from ragstone.core.models import Ending, Message, Prompt, Usage
from ragstone.llms import openai as adapter
from ragstone.llms.openai import OpenAILLM
from ragstone.testing.llm_contract import ask, prompt_about
from ragstone.testing.refusal import refusal
from ragstone.testing.upstream import Fault, ScriptedUpstream
from ragstone.vendors.statuses import requested_wait_s
from tests.canned import CannedServer

CANARY = "canary-3f9a"
HELLO = Prompt("Hello?", messages=[Message("user", "Hello?")])
EVENT_STREAM = ("content-type: text/event-stream",)


def build(base_url: str, *, api_key: str | None = None, timeout_s: float = 5.0) -> OpenAILLM:
    return OpenAILLM(api_key=api_key, base_url=base_url, models=["small", "large"], timeout_s=timeout_s)


async def collect(llm: OpenAILLM, prompt: Prompt = HELLO) -> list[str | Ending]:
    return [piece async for piece in llm.generate(prompt)]


@pytest.fixture
async def upstream() -> AsyncIterator[ScriptedUpstream]:
    async with ScriptedUpstream(say="One two three four five.") as running:
        yield running


@pytest.fixture
async def llm(upstream: ScriptedUpstream) -> AsyncIterator[OpenAILLM]:
    made = build(upstream.base_url, api_key=f"{CANARY}-key")
    yield made
    await made.close()


@pytest.fixture
async def hasty(upstream: ScriptedUpstream) -> AsyncIterator[OpenAILLM]:
    made = build(upstream.base_url, timeout_s=0.2)
    yield made
    await made.close()


def chunk(delta: dict[str, Any] | None = None, *, reason: str | None = None, **more: Any) -> bytes:
    choice = {"index": 0, "delta": delta or {}, "finish_reason": reason}
    return b"data: " + json.dumps({"choices": [choice], **more}).encode() + b"\n\n"


STOP = chunk(reason="stop") + b"data: [DONE]\n\n"


async def said(*parts: bytes) -> list[str | Ending]:
    """What is made of a stream that arrives in these parts."""
    async with CannedServer(*parts, headers=EVENT_STREAM) as server:
        llm = build(server.base_url)
        try:
            return await collect(llm)
        finally:
            await llm.close()


async def text_of(*parts: bytes) -> str:
    *pieces, ending = await said(*parts)
    assert ending == Ending("stop")
    return "".join(str(piece) for piece in pieces)


class TestStatuses:
    @pytest.mark.parametrize("code", [400, 401, 403, 404, 418, 422])
    async def test_a_refusal_is_told_apart_by_its_number_alone(
        self, upstream: ScriptedUpstream, llm: OpenAILLM, code: int
    ) -> None:
        upstream.script(Fault("status", code=code, text=CANARY))

        error = await refusal(collect(llm), UpstreamRefused)

        assert str(code) in error.message
        assert "check" in error.message
        assert upstream.count() == 1

    @pytest.mark.parametrize("code", [408, 409, 500, 502, 503, 504])
    async def test_a_server_in_trouble_is_unavailable_and_asked_once(
        self, upstream: ScriptedUpstream, llm: OpenAILLM, code: int
    ) -> None:
        upstream.script(Fault("status", code=code, retry_after=2))

        error = await refusal(collect(llm), UpstreamUnavailable)

        assert error.is_passing
        assert error.retry_after_s == 2
        assert upstream.count() == 1

    async def test_too_many_requests_say_how_long_to_wait(
        self, upstream: ScriptedUpstream, llm: OpenAILLM
    ) -> None:
        upstream.script(Fault("status", code=429, retry_after=9, retry_after_ms=1500))

        assert (await refusal(collect(llm), UpstreamRateLimited)).retry_after_s == 1.5

    async def test_redirects_are_not_followed(self, upstream: ScriptedUpstream) -> None:
        location = f"location: {upstream.base_url}/chat/completions"
        async with CannedServer(status="307 Temporary Redirect", headers=[location]) as server:
            error = await refusal(collect(build(server.base_url)), UpstreamRefused)

        assert "307" in error.message
        assert upstream.count() == 0

    async def test_the_next_request_after_a_refusal_uses_the_same_client(
        self, upstream: ScriptedUpstream, llm: OpenAILLM
    ) -> None:
        upstream.script(Fault("status", code=503))
        await refusal(collect(llm), UpstreamUnavailable)

        assert (await collect(llm))[-1] == Ending("stop", Usage(2, 6))


class TestRetryAfter:
    @pytest.mark.parametrize("value", ["-5", "soon", "nan", "inf", "", "Fri, 99 Foo 2026", "1e999"])
    def test_what_is_no_time_is_none(self, value: str) -> None:
        assert requested_wait_s({"retry-after": value}) is None

    def test_a_moment_in_the_past_is_none(self) -> None:
        past = format_datetime(datetime.now(UTC) - timedelta(hours=1), usegmt=True)

        assert requested_wait_s({"retry-after": past}) is None

    def test_a_date_counts_from_now(self) -> None:
        date = format_datetime(datetime.now(UTC) + timedelta(hours=2), usegmt=True)

        assert requested_wait_s({"retry-after": date}) == pytest.approx(7200, abs=2)

    def test_long_waits_are_kept_as_they_are(self) -> None:
        assert requested_wait_s({"retry-after": "864000.5"}) == 864000.5

    def test_garbage_in_milliseconds_leaves_the_seconds(self) -> None:
        assert requested_wait_s({"retry-after-ms": "x", "retry-after": "3"}) == 3


class TestSecrets:
    """Neither the key, nor the URL's password, nor a word of what the server said."""

    @pytest.mark.parametrize(
        "fault",
        [
            *(Fault("status", code=code, text=CANARY) for code in (400, 401, 429, 500)),
            *(Fault("error_event", after=after, text=CANARY) for after in (0, 3)),
            Fault("html200", text=CANARY),
        ],
    )
    async def test_no_error_shows_any(
        self, upstream: ScriptedUpstream, caplog: pytest.LogCaptureFixture, fault: Fault
    ) -> None:
        caplog.set_level(logging.DEBUG)
        upstream.script(fault)
        url = upstream.base_url.replace("//", f"//user:{CANARY}-password@")
        llm = build(url, api_key=f"{CANARY}-key")

        error = await refusal(collect(llm), ExternalServiceError)

        shown = "".join(traceback.format_exception(error)) + repr(error) + caplog.text
        assert CANARY not in shown
        assert error.__cause__ is None
        await llm.close()

    async def test_credentials_of_the_url_are_sent_as_such(self, upstream: ScriptedUpstream) -> None:
        llm = build(upstream.base_url.replace("//", "//user:password@"))

        await collect(llm)

        assert upstream.requests[0].headers["authorization"] == "Basic dXNlcjpwYXNzd29yZA=="
        await llm.close()


class TestBreakingOff:
    @pytest.mark.parametrize("kind", ["drop_mid", "reset_mid", "cut_mid", "malformed", "error_event"])
    async def test_after_some_text_the_answer_is_interrupted(
        self, upstream: ScriptedUpstream, llm: OpenAILLM, kind: str
    ) -> None:
        upstream.script(Fault(kind, after=3))
        pieces = llm.generate(HELLO)

        delivered = [await anext(pieces) for _ in range(3)]

        assert delivered == ["One ", "two ", "thre"]
        await refusal(anext(pieces), UpstreamInterrupted)
        assert upstream.count() == 1

    @pytest.mark.parametrize(
        ("kind", "error"),
        [
            *((kind, UpstreamUnavailable) for kind in ("drop_mid", "reset_mid", "error_event")),
            *((kind, UpstreamGarbled) for kind in ("cut_mid", "malformed", "html200", "json200")),
            ("empty_choices", UpstreamGarbled),
        ],
    )
    async def test_before_any_text_it_is_told_what_happened(
        self, upstream: ScriptedUpstream, llm: OpenAILLM, kind: str, error: type[ExternalServiceError]
    ) -> None:
        upstream.script(Fault(kind, after=0))

        assert type(await refusal(collect(llm), ExternalServiceError)) is error

    async def test_bytes_that_are_no_utf8_are_garbled(
        self, upstream: ScriptedUpstream, llm: OpenAILLM
    ) -> None:
        upstream.script(Fault("malformed", after=0, text="utf8"))

        await refusal(collect(llm), UpstreamGarbled)

    @pytest.mark.parametrize("fault", [Fault("hang_headers"), Fault("hang_mid", after=0)])
    async def test_silence_before_the_first_token_is_a_time_out(
        self, upstream: ScriptedUpstream, hasty: OpenAILLM, fault: Fault
    ) -> None:
        upstream.script(fault)

        await refusal(collect(hasty), UpstreamTimeout)

        await upstream.wait_until_idle(1.0)
        assert upstream.disconnects == 1

    async def test_silence_in_the_middle_is_an_interruption(
        self, upstream: ScriptedUpstream, hasty: OpenAILLM
    ) -> None:
        upstream.script(Fault("hang_mid", after=2))

        await refusal(collect(hasty), UpstreamInterrupted)

        await upstream.wait_until_idle(1.0)
        assert upstream.disconnects == 1

    async def test_nobody_there_is_unavailable(self, upstream: ScriptedUpstream, llm: OpenAILLM) -> None:
        await upstream.stop()

        await refusal(collect(llm), UpstreamUnavailable)

    async def test_a_closed_client_is_unavailable(self, llm: OpenAILLM) -> None:
        await llm.close()

        await refusal(collect(llm), UpstreamUnavailable)

    async def test_the_status_that_a_gateway_reports_in_the_stream_counts(self) -> None:
        event = b'data: {"error": {"code": 429, "message": "slow down"}}\n\n'

        await refusal(said(event), UpstreamRateLimited)


class TestBounds:
    @pytest.mark.parametrize("kind", ["huge", "repeat"])
    async def test_an_endless_body_is_left_early_and_takes_no_memory(
        self, upstream: ScriptedUpstream, llm: OpenAILLM, kind: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for limit in ("MAX_BODY_BYTES", "MAX_STREAM_BYTES"):
            monkeypatch.setattr(f"ragstone.vendors.http.{limit}", 1024 * 1024)
        upstream.script(Fault(kind, after=1))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

        async for _ in (pieces := llm.generate(HELLO)):
            break
        with pytest.raises(UpstreamInterrupted):
            async for _ in pieces:
                pass

        await upstream.wait_until_idle(1.0)
        assert upstream.disconnects == 1
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20 * 1024

    async def test_a_token_of_a_megabyte_comes_through(
        self, upstream: ScriptedUpstream, llm: OpenAILLM
    ) -> None:
        upstream.script(Fault("huge_token", after=0))

        assert await anext(llm.generate(HELLO)) == "a" * 1024 * 1024

    async def test_an_event_of_endless_lines_is_left(self) -> None:
        spaces = b"data: " + b" " * 100_000 + b"\n"
        inner = b'data: "choices": [{"delta": {"content": "Yes"}}]}\n\n'

        await refusal(said(b"data: {\n", *[spaces] * 30, inner, STOP), UpstreamGarbled)

    async def test_a_compressed_stream_is_refused_unread(self) -> None:
        headers = [*EVENT_STREAM, "content-encoding: gzip"]
        async with CannedServer(STOP, headers=headers) as server:
            await refusal(collect(build(server.base_url)), UpstreamGarbled)

        assert b"accept-encoding: identity" in server.requests[0].lower()

    async def test_a_long_or_compressed_refusal_is_still_told_by_its_status(self) -> None:
        body = b"\x1f\x8b" + b"x" * 1_000_000
        async with CannedServer(body, status="503 Busy", headers=["content-encoding: gzip"]) as server:
            await refusal(collect(build(server.base_url)), UpstreamUnavailable)


class TestEnding:
    async def test_it_carries_the_tokens_that_the_server_counted(self, llm: OpenAILLM) -> None:
        assert (await collect(llm))[-1] == Ending("stop", Usage(prompt_tokens=2, completion_tokens=6))

    async def test_done_need_not_be_said(self, upstream: ScriptedUpstream, llm: OpenAILLM) -> None:
        upstream.script(Fault("no_done"))

        assert isinstance((await collect(llm))[-1], Ending)

    async def test_a_cut_by_length_is_told(self, upstream: ScriptedUpstream, llm: OpenAILLM) -> None:
        upstream.script(Fault("length", after=2))

        *pieces, ending = await collect(llm)

        assert pieces == ["One ", "two "]
        assert isinstance(ending, Ending)
        assert ending.finish_reason == "length"

    async def test_a_filter_that_lets_nothing_through_is_an_error(
        self, upstream: ScriptedUpstream, llm: OpenAILLM
    ) -> None:
        upstream.script(Fault("content_filter", after=0))

        await refusal(collect(llm), ContentFiltered)

    async def test_a_filter_that_cuts_is_a_reason(self, upstream: ScriptedUpstream, llm: OpenAILLM) -> None:
        upstream.script(Fault("content_filter", after=2))

        ending = (await collect(llm))[-1]

        assert isinstance(ending, Ending)
        assert ending.finish_reason == "content_filter"

    async def test_usage_that_does_not_come_is_not_waited_for(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(adapter, "USAGE_WITHIN_S", 0.1)
        slow = [chunk({"content": "Yes"}, reason="stop"), *[b": still here\n"] * 3_000]
        started = time.monotonic()

        assert await said(*slow) == ["Yes", Ending("stop")]

        assert time.monotonic() - started < 1.0

    async def test_what_breaks_after_the_reason_does_no_harm(self) -> None:
        assert await text_of(chunk({"content": "Yes"}), chunk(reason="stop"), b"data: {broken\n\n") == "Yes"

    async def test_a_reason_that_is_no_name_is_not_repeated(self) -> None:
        assert await said(chunk({"content": "a"}, reason="<b>stop</b>")) == ["a", Ending("other")]


class TestStreams:
    """Odd streams, all of them within the standard or seen in the wild."""

    @pytest.mark.parametrize("newline", [b"\n", b"\r\n", b"\r"])
    @pytest.mark.parametrize("size", [1, 2, 7, 10_000])
    async def test_pieces_of_any_size_with_any_line_ends_make_the_same_text(
        self, newline: bytes, size: int
    ) -> None:
        events = (
            b"\xef\xbb\xbf: hello\nevent: x\nid: 1\n" + b"data:" + chunk({"content": "größe 🦊"})[6:] + STOP
        )
        whole = events.replace(b"\n", newline)

        parts = [whole[start : start + size] for start in range(0, len(whole), size)]

        assert await text_of(*parts) == "größe 🦊"

    async def test_text_that_is_not_escaped_may_be_split_inside_a_character(self) -> None:
        whole = 'data: {"choices":[{"delta":{"content":"🦊é"}}]}\n\n'.encode() + STOP

        assert await text_of(*(whole[at : at + 1] for at in range(len(whole)))) == "🦊é"

    async def test_data_over_several_lines_is_one_event(self) -> None:
        event = b'data: {"choices":\ndata: [{"delta": {"content": "Yes"}}]}\n\n'

        assert await text_of(event, STOP) == "Yes"

    async def test_an_empty_line_may_have_another_end_than_the_line_before(self) -> None:
        lines = [chunk({"content": "Yes"}).rstrip() + b"\r", b"\n", b"\n"]

        assert await text_of(*lines, STOP) == "Yes"

    async def test_the_last_event_may_lack_its_empty_line(self) -> None:
        assert await text_of(chunk({"content": "Yes"}), chunk(reason="stop").rstrip()) == "Yes"

    async def test_chunks_without_choices_are_skipped(self) -> None:
        azure = b'data: {"choices": [], "prompt_filter_results": []}\n\n'
        ping = b'data: {"type": "ping"}\n\n'

        assert await text_of(azure, ping, chunk({"content": "Yes"}), STOP) == "Yes"

    async def test_a_refusal_is_text_and_reasoning_is_not(self) -> None:
        thought = chunk({"reasoning_content": "hm", "reasoning": "hm", "content": None})

        assert await text_of(thought, chunk({"refusal": "I will not."}), STOP) == "I will not."

    @pytest.mark.parametrize("delta", [{"tool_calls": [{"index": 0}]}, {"content": ["a"]}])
    async def test_what_nobody_asked_for_is_garbled(self, delta: dict[str, Any]) -> None:
        await refusal(said(chunk(delta), STOP), UpstreamGarbled)

    @pytest.mark.parametrize("event", [b"[]", b"1", b"null", b'{"choices": 1}', b"[" * 100_000])
    async def test_json_of_another_shape_is_garbled(self, event: bytes) -> None:
        await refusal(said(b"data: " + event + b"\n\n", STOP), UpstreamGarbled)

    @pytest.mark.parametrize(
        ("contents", "text"),
        [
            (["a\ud83d", "\udd8ab"], "a\U0001f58ab"),
            (["a\ud83d"], "a\ufffd"),
            (["\udd8a", "b"], "\ufffdb"),
            (["\ud83d\ud83d", "\udd8a"], "\ufffd\U0001f58a"),
        ],
    )
    async def test_halves_of_characters_are_joined_or_replaced(self, contents: list[str], text: str) -> None:
        chunks = [chunk({"content": content}) for content in contents]

        assert await text_of(*chunks, STOP) == text


class TestRequest:
    async def test_only_what_is_given_is_sent(self, upstream: ScriptedUpstream, llm: OpenAILLM) -> None:
        await collect(llm)

        body = upstream.requests[0].body
        assert body == {
            "model": "small",
            "messages": [{"role": "user", "content": "Hello?"}],
            "stream": True,
            "stream_options": {"include_usage": True},
        }

    async def test_what_is_given_is_sent(self, upstream: ScriptedUpstream, llm: OpenAILLM) -> None:
        await collect(llm, Prompt("?", (), HELLO.messages, model="large", temperature=0.0, max_tokens=2))

        body = upstream.requests[0].body
        assert (body["model"], body["temperature"], body["max_tokens"]) == ("large", 0.0, 2)

    async def test_the_environment_adds_nothing_for_other_servers(
        self, upstream: ScriptedUpstream, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "OPENAI_API_KEY", "OPENAI_ADMIN_KEY"):
            monkeypatch.setenv(name, CANARY)
        monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", f"Authorization: Bearer {CANARY}")
        monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")
        llm = build(upstream.base_url)

        await collect(llm)

        assert CANARY not in str(upstream.requests[0].headers)
        await llm.close()

    async def test_half_a_character_in_a_prompt_is_replaced(
        self, upstream: ScriptedUpstream, llm: OpenAILLM
    ) -> None:
        await collect(llm, Prompt("?", messages=[Message("user", "a\ud83db")]))

        assert upstream.requests[0].body["messages"][0]["content"] == "a\ufffdb"

    async def test_connections_are_used_again(self, upstream: ScriptedUpstream, llm: OpenAILLM) -> None:
        await ask(llm, prompt_about())
        first = set(upstream._connections)

        for _ in range(3):
            await ask(llm, prompt_about())

        assert upstream._connections == first

    @pytest.mark.parametrize("base_url", ["localhost:8000", "ftp://host/v1", "http://", "http://[::1", "/v1"])
    def test_a_base_url_that_is_none_is_refused_and_not_repeated(self, base_url: str) -> None:
        with pytest.raises(InvalidSetting, match="base URL"):
            build(base_url)

    @pytest.mark.parametrize("api_key", ["sk-ü", "sk-a\nb"])
    def test_a_key_that_cannot_be_sent_is_refused_and_not_repeated(self, api_key: str) -> None:
        with pytest.raises(InvalidSetting) as error:
            build("http://127.0.0.1:1", api_key=api_key)

        assert api_key not in str(error.value)

    @pytest.mark.parametrize("base_url", [None, "https://eu.api.openai.com/v1"])
    def test_openai_itself_needs_a_key(self, base_url: str | None) -> None:
        with pytest.raises(InvalidSetting, match="OPENAI_API_KEY"):
            OpenAILLM(api_key=None, base_url=base_url, models=["small"], timeout_s=1)

    def test_without_a_model_it_is_not_built(self) -> None:
        with pytest.raises(InvalidSetting, match="model"):
            OpenAILLM(api_key="key", base_url=None, models=[], timeout_s=1)


class TestCancelling:
    @pytest.mark.parametrize("taken", [1, 3])
    async def test_closing_after_some_pieces_closes_the_connection(
        self, upstream: ScriptedUpstream, llm: OpenAILLM, taken: int
    ) -> None:
        upstream.script(Fault("hang_mid", after=5))
        pieces = llm.generate(HELLO)
        for _ in range(taken):
            await anext(pieces)

        await pieces.aclose()

        await upstream.wait_until_idle(1.0)
        assert upstream.disconnects == 1

    @pytest.mark.parametrize("fault", [Fault("hang_headers"), Fault("hang_mid", after=0)])
    async def test_cancelling_the_wait_for_the_first_piece_closes_the_connection(
        self, upstream: ScriptedUpstream, llm: OpenAILLM, fault: Fault
    ) -> None:
        upstream.script(fault)
        waiting = asyncio.ensure_future(collect(llm))
        while not upstream.open_requests:  # noqa: ASYNC110 - a server tells nobody that a request has come
            await asyncio.sleep(0.005)

        waiting.cancel()

        with pytest.raises(asyncio.CancelledError):
            await waiting
        await upstream.wait_until_idle(1.0)
        assert upstream.disconnects == 1

    async def test_a_hundred_that_leave_leave_nothing_open(
        self, upstream: ScriptedUpstream, llm: OpenAILLM
    ) -> None:
        upstream.script(Fault("hang_mid", after=1, times=100))

        async def leave() -> None:
            pieces = llm.generate(HELLO)
            await anext(pieces)
            await pieces.aclose()

        await asyncio.gather(*(leave() for _ in range(100)))

        await upstream.wait_until_idle(1.0)
        assert upstream.disconnects == 100
