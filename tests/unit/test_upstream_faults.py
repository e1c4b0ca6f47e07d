"""Each fault of the scripted upstream, by what OpenAI's own client makes of it."""

import asyncio
import json
import math
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx2
import openai
import pytest
from openai import AsyncOpenAI

from ragstone.testing.upstream import CHAT_KINDS, EMBEDDINGS_KINDS, RERANK_KINDS, Fault, ScriptedUpstream

TEXT = "One two three, four five."
ASK: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "What?"}]}
PATIENCE_S = 0.1  # after which the client leaves what hangs
LEFT = TimeoutError


@dataclass
class Seen:
    """What reached the client."""

    text: str = ""
    finish_reason: str | None = None
    error: type[Exception] | None = None


@pytest.fixture
async def upstream() -> AsyncIterator[ScriptedUpstream]:
    async with ScriptedUpstream(say=TEXT, dimension=8) as opened:
        yield opened


@pytest.fixture
async def client(upstream: ScriptedUpstream) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=upstream.base_url, api_key="any", max_retries=0, timeout=10) as opened:
        await opened.models.list()
        yield opened


async def read_stream(client: AsyncOpenAI, *, patience_s: float = 10) -> Seen:
    seen = Seen()
    try:
        async with asyncio.timeout(patience_s):
            async for chunk in await client.chat.completions.create(stream=True, **ASK):
                for choice in chunk.choices:
                    seen.text += choice.delta.content or ""
                    seen.finish_reason = choice.finish_reason
    except (openai.OpenAIError, ValueError, TimeoutError) as error:
        seen.error = type(error)
    return seen


STREAMS = [
    ("status", "", None, openai.InternalServerError),
    ("hang_headers", "", None, LEFT),
    ("html200", "", None, None),
    ("json200", "", None, None),
    ("hang_mid", TEXT[:12], None, LEFT),
    ("drop_mid", TEXT[:12], None, openai.APIConnectionError),
    ("cut_mid", TEXT[:12], None, None),
    ("reset_mid", TEXT[:12], None, openai.APIConnectionError),
    ("malformed", "", None, json.JSONDecodeError),
    ("malformed:text=utf8", "", None, UnicodeDecodeError),
    ("error_event", "", None, openai.APIError),
    ("no_done", TEXT, "stop", None),
    ("empty_choices", "", None, None),
    ("content_filter", "", "content_filter", None),
    ("length", TEXT, "length", None),
    ("slow", "", None, LEFT),
    ("slow:text=1000", TEXT, "stop", None),
    ("huge_token", "a" * 1024 * 1024 + TEXT, "stop", None),
]


class TestStream:
    @pytest.mark.parametrize(("spec", "text", "reason", "error"), STREAMS)
    async def test_a_fault_shows(
        self,
        upstream: ScriptedUpstream,
        client: AsyncOpenAI,
        spec: str,
        text: str,
        reason: str | None,
        error: type[Exception] | None,
    ) -> None:
        upstream.script(Fault.parse(spec))
        seen = await read_stream(client, patience_s=PATIENCE_S if error is LEFT else 10)
        await upstream.wait_until_idle(1)

        assert (seen.text, seen.finish_reason, seen.error) == (text, reason, error)
        assert upstream.requests[-1].outcome == ("client_left" if error is LEFT else "fault")

    @pytest.mark.parametrize("after", [0, 2])
    @pytest.mark.parametrize(
        "kind", ["hang_mid", "drop_mid", "cut_mid", "reset_mid", "malformed", "error_event"]
    )
    async def test_it_comes_after_as_many_tokens_as_it_says(
        self, upstream: ScriptedUpstream, client: AsyncOpenAI, kind: str, after: int
    ) -> None:
        upstream.script(Fault(kind, after=after))
        seen = await read_stream(client, patience_s=PATIENCE_S if kind == "hang_mid" else 10)

        assert seen.text == TEXT[: 4 * after]
        assert seen.finish_reason is None

    async def test_no_done_lacks_only_the_last_line(self, upstream: ScriptedUpstream) -> None:
        upstream.script(Fault("no_done"))
        async with httpx2.AsyncClient() as http:
            reply = await http.post(f"{upstream.base_url}/chat/completions", json={**ASK, "stream": True})

        assert '"finish_reason":"stop"' in reply.text
        assert "[DONE]" not in reply.text

    async def test_repeat_says_the_same_until_the_client_leaves(
        self, upstream: ScriptedUpstream, client: AsyncOpenAI
    ) -> None:
        upstream.script(Fault("repeat"))
        seen = await read_stream(client, patience_s=PATIENCE_S)
        await upstream.wait_until_idle(1)

        assert seen.text.startswith(TEXT * 3)
        assert upstream.requests[-1].outcome == "client_left"

    async def test_huge_is_one_line_of_64_mb(self, upstream: ScriptedUpstream) -> None:
        upstream.script(Fault("huge", after=1))
        longest = length = 0
        async with (
            httpx2.AsyncClient() as http,
            http.stream(
                "POST", f"{upstream.base_url}/chat/completions", json={**ASK, "stream": True}
            ) as reply,
        ):
            async for piece in reply.aiter_raw():
                first, *others = [len(part) for part in piece.split(b"\n")]
                longest = max(longest, length + first)
                length = others[-1] if others else length + first

        assert longest > 64 * 1024 * 1024
        assert piece.endswith(b"data: [DONE]\n\n")

    async def test_a_client_that_stops_reading_holds_up_the_server_and_not_its_memory(
        self, upstream: ScriptedUpstream
    ) -> None:
        upstream.script(Fault("huge"))
        async with httpx2.AsyncClient() as http:
            async with http.stream(
                "POST", f"{upstream.base_url}/chat/completions", json={**ASK, "stream": True}
            ):
                await asyncio.sleep(0.05)
                assert upstream.requests[-1].outcome is None
            await upstream.wait_until_idle(1)

        assert upstream.requests[-1].outcome == "client_left"

    async def test_an_error_event_carries_its_canary(
        self, upstream: ScriptedUpstream, client: AsyncOpenAI
    ) -> None:
        upstream.script(Fault("error_event", text="canary"))
        with pytest.raises(openai.APIError, match="canary"):
            async for _ in await client.chat.completions.create(stream=True, **ASK):
                pass


class TestStatus:
    @pytest.mark.parametrize("wait", ["1", 120, "-5", "soon", "Wed, 21 Oct 2026 07:28:00 GMT"])
    async def test_retry_after_is_sent_literally(
        self, upstream: ScriptedUpstream, client: AsyncOpenAI, wait: str | float
    ) -> None:
        upstream.script(Fault("status", code=429, retry_after=wait, retry_after_ms=250))
        with pytest.raises(openai.RateLimitError) as limited:
            await client.chat.completions.create(**ASK)

        assert limited.value.response.headers["retry-after"] == str(wait)
        assert limited.value.response.headers["retry-after-ms"] == "250"

    @pytest.mark.parametrize("code", [400, 401, 403, 404, 408, 422, 500, 503, 599])
    async def test_any_error_status_has_the_shape_of_openai(
        self, upstream: ScriptedUpstream, client: AsyncOpenAI, code: int
    ) -> None:
        upstream.script(Fault("status", code=code, text="canary"))
        with pytest.raises(openai.APIStatusError) as refused:
            await client.embeddings.create(model="e", input="text")

        assert refused.value.status_code == code
        assert isinstance(refused.value.body, dict)
        assert refused.value.body["message"] == "canary"
        assert "retry-after" not in refused.value.response.headers


WHOLE = [
    ("drop_mid", openai.APIConnectionError),
    ("reset_mid", openai.APIConnectionError),
    ("reset_mid:after=0", openai.APIConnectionError),
    ("hang_mid", LEFT),
    ("hang_headers", LEFT),
    ("slow", LEFT),
    ("repeat", LEFT),
    ("cut_mid", json.JSONDecodeError),
    ("malformed", json.JSONDecodeError),
    ("malformed:text=utf8", UnicodeDecodeError),
]


class TestWholeReply:
    @pytest.mark.parametrize(("spec", "error"), WHOLE)
    async def test_a_fault_raises(
        self, upstream: ScriptedUpstream, client: AsyncOpenAI, spec: str, error: type[Exception]
    ) -> None:
        upstream.script(Fault.parse(spec))
        with pytest.raises(error):
            async with asyncio.timeout(PATIENCE_S if error is LEFT else 10):
                await client.chat.completions.create(**ASK)
        await upstream.wait_until_idle(1)

        assert upstream.disconnects == (error is LEFT)

    @pytest.mark.parametrize(
        ("spec", "text", "reason"),
        [
            ("content_filter", "", "content_filter"),
            ("content_filter:after=1", TEXT[:4], "content_filter"),
            ("length:after=2", TEXT[:8], "length"),
            ("huge_token", "a" * 1024 * 1024, "stop"),
            ("json200", TEXT, "stop"),
        ],
    )
    async def test_a_fault_shows_in_the_reply(
        self, upstream: ScriptedUpstream, client: AsyncOpenAI, spec: str, text: str, reason: str
    ) -> None:
        upstream.script(Fault.parse(spec))
        choice = (await client.chat.completions.create(**ASK)).choices[0]

        assert (choice.message.content, choice.finish_reason) == (text, reason)

    async def test_nothing_is_chosen_or_an_error_comes_with_200(
        self, upstream: ScriptedUpstream, client: AsyncOpenAI
    ) -> None:
        upstream.script(Fault("empty_choices"), Fault("error_event", text="canary"), Fault("html200"))
        empty = await client.chat.completions.create(**ASK)
        failed = await client.chat.completions.with_raw_response.create(**ASK)
        page: Any = await client.chat.completions.create(**ASK)

        assert empty.choices == []
        assert json.loads(failed.content)["error"]["message"] == "canary"
        assert page.startswith("<!doctype html>")

    async def test_huge_is_longer_than_any_answer(self, upstream: ScriptedUpstream) -> None:
        upstream.script(Fault("huge"))
        async with (
            httpx2.AsyncClient() as http,
            http.stream("POST", f"{upstream.base_url}/chat/completions", json=ASK) as reply,
        ):
            length = sum([len(piece) async for piece in reply.aiter_raw()])

        assert length > 64 * 1024 * 1024


class TestEmbeddings:
    async def embed(self, upstream: ScriptedUpstream, client: AsyncOpenAI, kind: str) -> list[list[float]]:
        upstream.script(Fault(kind))
        reply = await client.embeddings.create(model="e", input=["a", "b", "c"])
        assert upstream.requests[-1].outcome == "fault"
        return [item.embedding for item in reply.data]

    async def test_wrong_dim(self, upstream: ScriptedUpstream, client: AsyncOpenAI) -> None:
        assert {len(vector) for vector in await self.embed(upstream, client, "wrong_dim")} == {7}

    async def test_zero(self, upstream: ScriptedUpstream, client: AsyncOpenAI) -> None:
        assert not any(map(any, await self.embed(upstream, client, "zero")))

    async def test_short(self, upstream: ScriptedUpstream, client: AsyncOpenAI) -> None:
        assert len(await self.embed(upstream, client, "short")) == 2

    @pytest.mark.parametrize("encoding", ["float", "base64"])
    async def test_nan(self, upstream: ScriptedUpstream, client: AsyncOpenAI, encoding: Any) -> None:
        upstream.script(Fault("nan"))
        reply = await client.with_raw_response.embeddings.create(
            model="e", input="a", encoding_format=encoding
        )
        plain = (await client.embeddings.create(model="e", input="a")).data[0].embedding
        upstream.script(Fault("nan"))
        spoilt = (await client.embeddings.create(model="e", input="a")).data[0].embedding

        assert (b"NaN" in reply.content) == (encoding == "float")
        assert math.isnan(spoilt[0])
        assert spoilt[1:] == plain[1:]

    async def test_shuffled_rows_have_the_right_index(
        self, upstream: ScriptedUpstream, client: AsyncOpenAI
    ) -> None:
        texts = ["a", "b", "c"]
        plain = await client.embeddings.create(model="e", input=texts)
        upstream.script(Fault("shuffled"))
        shuffled = await client.embeddings.create(model="e", input=texts)

        assert [item.index for item in shuffled.data] == [2, 1, 0]
        assert sorted(shuffled.data, key=lambda item: item.index) == plain.data

    async def test_hanging_until_the_client_leaves(
        self, upstream: ScriptedUpstream, client: AsyncOpenAI
    ) -> None:
        upstream.script(Fault("hang_headers", route="embeddings"))
        with pytest.raises(openai.APITimeoutError):
            await client.with_options(timeout=PATIENCE_S).embeddings.create(model="e", input="a")
        await upstream.wait_until_idle(1)

        assert upstream.disconnects == 1

    async def test_huge(self, upstream: ScriptedUpstream) -> None:
        upstream.script(Fault("huge"))
        length, end = 0, b""
        async with (
            httpx2.AsyncClient() as http,
            http.stream(
                "POST", f"{upstream.base_url}/embeddings", json={"model": "e", "input": "a"}
            ) as reply,
        ):
            async for piece in reply.aiter_raw():
                length, end = length + len(piece), piece[-200:]

        assert length > 64 * 1024 * 1024
        assert end.endswith(b'"total_tokens":1}}')


class TestQueue:
    async def test_each_request_takes_the_first_fault_that_can_befall_it(
        self, upstream: ScriptedUpstream, client: AsyncOpenAI
    ) -> None:
        upstream.script(Fault("length", after=0), Fault("short"), Fault("length", after=1, route="chat"))
        await client.embeddings.create(model="e", input=["a", "b"])
        texts = [(await read_stream(client)).text for _ in range(3)]

        assert texts == ["", TEXT[:4], TEXT]
        assert [request.fault for request in upstream.requests[1:]] == ["short", "length", "length", None]

    async def test_times_counts_requests(self, upstream: ScriptedUpstream, client: AsyncOpenAI) -> None:
        upstream.script(Fault("status", times=2), Fault("length", after=1))

        assert [(await read_stream(client)).text for _ in range(4)] == ["", "", TEXT[:4], TEXT]

    async def test_zero_times_is_until_another_is_scripted_for_the_route(
        self, upstream: ScriptedUpstream, client: AsyncOpenAI
    ) -> None:
        upstream.script(Fault("status", times=0, route="chat"))
        upstream.script(Fault("zero"))
        before = [(await read_stream(client)).error for _ in range(5)]
        upstream.script(Fault("length", after=1))

        assert before == [openai.InternalServerError] * 5
        assert [(await read_stream(client)).text for _ in range(2)] == [TEXT[:4], TEXT]

    async def test_cleared_all_is_well(self, upstream: ScriptedUpstream, client: AsyncOpenAI) -> None:
        upstream.script(Fault("status", times=0), Fault("hang_headers"))
        upstream.clear()

        assert (await read_stream(client)).text == TEXT

    async def test_a_request_that_is_refused_takes_no_fault(
        self, upstream: ScriptedUpstream, client: AsyncOpenAI
    ) -> None:
        upstream.script(Fault("length", after=1))
        with pytest.raises(openai.NotFoundError):
            await client.completions.create(model="m", prompt="?")

        assert (await read_stream(client)).text == TEXT[:4]


class TestSpec:
    def test_values_are_read(self) -> None:
        spec = "status:code=429,retry_after=Wed, 21 Oct 2026 07:28:00 GMT,times=2,route=chat,text=a=b"

        assert Fault.parse(spec) == Fault(
            "status",
            code=429,
            retry_after="Wed, 21 Oct 2026 07:28:00 GMT",
            times=2,
            route="chat",
            text="a=b",
        )

    @pytest.mark.parametrize("kind", [*CHAT_KINDS, *EMBEDDINGS_KINDS, *RERANK_KINDS])
    def test_each_kind_is_known_by_its_name_alone(self, kind: str) -> None:
        assert Fault.parse(kind) == Fault(kind)

    @pytest.mark.parametrize(
        ("spec", "message"),
        [
            ("hnag_mid", "unknown fault 'hnag_mid'; known: .*hang_mid"),
            ("", "unknown fault ''; known: "),
            ("status:cod=1", "unknown 'cod=1' in fault 'status:cod=1'; known: after, .*code"),
            ("status:kind=slow", "unknown 'kind=slow'"),
            ("status:429", "unknown '429'"),
            ("status:code=many", "'code' of a fault is a whole number, not 'many'"),
            ("status:code=200", "400 to 599, not 200"),
            ("status:route=images", "unknown route 'images' of a fault; known: chat, embeddings, rerank"),
            ("nan:route=chat", "unknown fault 'nan'; known: .*hang_mid"),
            ("status:retry_after=1\r\nx-evil: 1", "printable"),
            ("hang_mid:after=-1", "not negative"),
            ("slow:text=0", "tokens per second, not '0'"),
            ("slow:text=fast", "tokens per second, not 'fast'"),
            ("slow:text=inf", "tokens per second, not 'inf'"),
        ],
    )
    def test_what_is_unknown_is_named_with_what_is_known(self, spec: str, message: str) -> None:
        with pytest.raises(ValueError, match=message):
            Fault.parse(spec)
