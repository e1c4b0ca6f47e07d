"""The scripted upstream without faults, as OpenAI's own client sees it, and what it tells of its clients."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

import httpx2
import openai
import pytest
from openai import AsyncOpenAI
from openai.types.chat import ChatCompletionChunk

from ragstone.testing.upstream import Fault, ScriptedUpstream
from ragstone.testing.upstream.chat import Pace
from tests.waiting import until

TEXT = "Größe: 😀 zwei\r\nZeilen\n[1]"
PIECES = -(-len(TEXT) // 4)
ASK: dict[str, Any] = {"model": "m-1", "messages": [{"role": "user", "content": "What?"}]}


@asynccontextmanager
async def serving(**options: Any) -> AsyncIterator[tuple[ScriptedUpstream, AsyncOpenAI]]:
    """A server and a client of it that never retries."""
    async with (
        ScriptedUpstream(**options) as upstream,
        AsyncOpenAI(base_url=upstream.base_url, api_key="any", max_retries=0, timeout=10) as client,
    ):
        yield upstream, client


@pytest.fixture
async def upstream() -> AsyncIterator[ScriptedUpstream]:
    async with ScriptedUpstream(say=TEXT) as opened:
        yield opened


@pytest.fixture
async def client(upstream: ScriptedUpstream) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=upstream.base_url, api_key="any", max_retries=0, timeout=10) as opened:
        yield opened


async def until_open(upstream: ScriptedUpstream) -> None:
    async def is_open() -> bool:
        return upstream.open_requests > 0

    await until(is_open, every_s=0.001)


async def chunks_of(client: AsyncOpenAI, **more: Any) -> list[ChatCompletionChunk]:
    return [chunk async for chunk in await client.chat.completions.create(stream=True, **{**ASK, **more})]


class TestChat:
    async def test_a_stream_is_role_then_text_then_reason(self, client: AsyncOpenAI) -> None:
        chunks = await chunks_of(client)

        choices = [chunk.choices[0] for chunk in chunks]
        assert choices[0].delta.role == "assistant"
        assert "".join(choice.delta.content or "" for choice in choices) == TEXT
        assert [choice.finish_reason for choice in choices] == [None] * (PIECES + 1) + ["stop"]
        assert {(chunk.object, chunk.model) for chunk in chunks} == {("chat.completion.chunk", "m-1")}
        assert len({(chunk.id, chunk.created) for chunk in chunks}) == 1

    async def test_usage_comes_last_and_only_if_asked_for(self, client: AsyncOpenAI) -> None:
        chunks = await chunks_of(client, stream_options={"include_usage": True})
        without = await chunks_of(client)

        *others, last = chunks
        assert last.choices == []
        assert last.usage is not None
        assert (last.usage.prompt_tokens, last.usage.completion_tokens) == (2, PIECES)
        assert [chunk.usage for chunk in [*others, *without]] == [None] * (len(others) + len(without))

    async def test_a_stream_ends_with_done(self, upstream: ScriptedUpstream) -> None:
        async with httpx2.AsyncClient() as http:
            reply = await http.post(f"{upstream.base_url}/chat/completions", json={**ASK, "stream": True})

        assert reply.headers["content-type"].startswith("text/event-stream")
        assert reply.text.endswith("\n\ndata: [DONE]\n\n")

    async def test_a_reply_that_is_not_streamed_says_the_same(self, client: AsyncOpenAI) -> None:
        completion = await client.chat.completions.create(**ASK)

        assert completion.choices[0].message.content == TEXT
        assert completion.choices[0].finish_reason == "stop"
        assert completion.usage is not None
        assert completion.usage.total_tokens == 2 + PIECES

    @pytest.mark.parametrize("limit", ["max_tokens", "max_completion_tokens"])
    async def test_a_limit_of_tokens_cuts(self, client: AsyncOpenAI, limit: str) -> None:
        completion = await client.chat.completions.create(**ASK, extra_body={limit: 2})

        assert completion.choices[0].message.content == TEXT[:8]
        assert completion.choices[0].finish_reason == "length"

    async def test_content_may_come_in_parts(self) -> None:
        parts = [{"type": "text", "text": "FAKE-LLM-"}, {"type": "text", "text": "SAY: hello"}]
        async with serving() as (_, client):
            completion = await client.chat.completions.create(
                model="m", messages=[{"role": "user", "content": parts}]  # type: ignore[misc,list-item]
            )

        assert completion.choices[0].message.content == "hello"

    async def test_the_first_token_waits_and_the_headers_do_not(self) -> None:
        async with serving(first_token_s=0.1, tokens_per_s=1_000) as (_, client):
            started = time.monotonic()
            stream = await client.chat.completions.create(stream=True, **ASK)
            opened = time.monotonic()
            chunks = [chunk async for chunk in stream]

        assert opened - started < 0.1 <= time.monotonic() - started
        assert len(chunks) > 3

    async def test_a_late_token_does_not_delay_the_others(self) -> None:
        pace, started = Pace(0.0, 100), time.monotonic()
        for _ in range(20):
            await pace.next_token()
            time.sleep(0.008)  # noqa: ASYNC251 - a loop that is held up is what this is about

        assert 0.19 <= time.monotonic() - started < 0.3  # summed waits would be 0.35

    @pytest.mark.parametrize(
        ("change", "named"),
        [({"messages": []}, "messages"), ({"messages": ["x"]}, "messages"), ({"model": ""}, "model")],
    )
    async def test_an_invalid_request_is_refused(
        self, client: AsyncOpenAI, change: dict[str, Any], named: str
    ) -> None:
        with pytest.raises(openai.BadRequestError) as refused:
            await client.chat.completions.create(**{**ASK, **change})

        assert refused.value.param == named


class TestEmbeddings:
    async def test_base64_and_floats_are_the_same_vectors(self, client: AsyncOpenAI) -> None:
        texts = ["one text", "another", "one text"]
        floats = await client.embeddings.create(model="e", input=texts, encoding_format="float")
        decoded = await client.embeddings.create(model="e", input=texts)

        vectors = [item.embedding for item in decoded.data]
        assert vectors == [pytest.approx(item.embedding) for item in floats.data]
        assert vectors[0] == vectors[2] != vectors[1]
        assert [len(vector) for vector in vectors] == [384, 384, 384]
        assert [item.index for item in decoded.data] == [0, 1, 2]
        assert decoded.usage.total_tokens == 6

    async def test_the_dimension_can_be_chosen(self) -> None:
        async with serving(dimension=8) as (_, client):
            configured = await client.embeddings.create(model="e", input="text")
            asked = await client.embeddings.create(model="e", input=[[17, 4], [5]], dimensions=5)

        assert len(configured.data[0].embedding) == 8
        assert [len(item.embedding) for item in asked.data] == [5, 5]

    @pytest.mark.parametrize(
        "wrong",
        [{"input": []}, {"input": ["a", ""]}, {"input": "a", "dimensions": 0}, {"input": ["a"] * 2049}],
    )
    async def test_an_invalid_request_is_refused(self, client: AsyncOpenAI, wrong: dict[str, Any]) -> None:
        with pytest.raises(openai.BadRequestError):
            await client.embeddings.create(model="e", **wrong)


class TestHttp:
    async def test_models_are_listed(self, client: AsyncOpenAI) -> None:
        assert [model.id async for model in client.models.list()] == ["scripted", "scripted-embedding"]

    async def test_what_there_is_not_is_404_and_a_wrong_method_405(self, upstream: ScriptedUpstream) -> None:
        async with httpx2.AsyncClient() as http:
            missing = await http.post(f"{upstream.base_url}/responses", json={})
            wrong = await http.get(f"{upstream.base_url}/embeddings")

        assert (missing.status_code, wrong.status_code) == (404, 405)
        assert missing.json()["error"]["type"] == "invalid_request_error"
        assert upstream.count("other") == 1

    @pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"model": "\xff"}'])
    async def test_a_body_that_is_no_object_is_400(self, upstream: ScriptedUpstream, body: bytes) -> None:
        async with httpx2.AsyncClient() as http:
            reply = await http.post(f"{upstream.base_url}/chat/completions", content=body)

        assert reply.status_code == 400
        assert "JSON" in reply.json()["error"]["message"]

    async def test_a_body_over_the_limit_is_413_and_not_kept(self, upstream: ScriptedUpstream) -> None:
        async with httpx2.AsyncClient() as http:
            reply = await http.post(f"{upstream.base_url}/embeddings", content=b" " * (8 * 1024 * 1024 + 1))

        assert reply.status_code == 413
        assert upstream.requests[-1].body is None

    async def test_without_the_required_key_it_is_401(self) -> None:
        async with serving(required_key="right") as (upstream, client):
            with pytest.raises(openai.AuthenticationError):
                await client.chat.completions.create(**ASK)
            completion = await client.with_options(api_key="right").chat.completions.create(**ASK)

        assert completion.choices[0].message.content == "This is a scripted answer."
        assert upstream.count("chat") == 2

    async def test_a_connection_serves_many_requests(self, upstream: ScriptedUpstream) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(upstream.root_url.rpartition(":")[2]))
        replies = []
        for _ in range(2):
            writer.write(b"GET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n")
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].split()[0])
            replies.append(json.loads(await reader.readexactly(length)))
        writer.close()

        assert replies[0] == replies[1]

    async def test_garbage_and_pipelined_requests_close_the_connection(
        self, upstream: ScriptedUpstream
    ) -> None:
        replies = []
        for raw in (b"garbage\r\n\r\n", b"GET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n" * 2):
            port = int(upstream.root_url.rpartition(":")[2])
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(raw)
            replies.append((await reader.read()).count(b"HTTP/1.1 200 OK"))
            writer.close()

        assert replies == [0, 1]

    async def test_a_client_of_http_1_0_gets_no_chunks(self, upstream: ScriptedUpstream) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(upstream.root_url.rpartition(":")[2]))
        body = json.dumps({**ASK, "stream": True}).encode()
        writer.write(
            b"POST /v1/chat/completions HTTP/1.0\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
        )
        head, _, streamed = (await reader.read()).partition(b"\r\n\r\n")
        writer.close()

        assert b"transfer-encoding" not in head
        assert streamed.startswith(b"data: {")
        assert streamed.endswith(b"data: [DONE]\n\n")


class TestLog:
    async def test_requests_are_recorded(self, upstream: ScriptedUpstream, client: AsyncOpenAI) -> None:
        await chunks_of(client)
        await client.embeddings.create(model="e", input="text")

        chat, embeddings = upstream.requests
        assert (chat.method, chat.path, chat.route) == ("POST", "/v1/chat/completions", "chat")
        assert chat.headers["authorization"] == "Bearer any"
        assert chat.body["messages"] == ASK["messages"]
        assert (chat.outcome, embeddings.outcome) == ("answered", "answered")
        assert chat.ended is not None
        assert chat.started <= chat.ended <= embeddings.started
        assert (upstream.count(), upstream.count("chat"), upstream.count("embeddings")) == (2, 1, 1)

    @pytest.mark.parametrize(("fault", "is_streamed"), [("hang_headers", True), ("slow", False)])
    async def test_a_client_that_leaves_is_noticed_at_once(
        self, upstream: ScriptedUpstream, client: AsyncOpenAI, fault: str, *, is_streamed: bool
    ) -> None:
        upstream.script(Fault(fault))
        asking = asyncio.create_task(client.chat.completions.create(**ASK, stream=is_streamed))
        await until_open(upstream)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        await upstream.wait_until_idle(1)

        assert [request.outcome for request in upstream.requests] == ["client_left"]
        assert (upstream.disconnects, upstream.open_requests) == (1, 0)

    async def test_one_that_stops_reading_in_mid_stream_is_noticed_at_once(self) -> None:
        async with serving(say="abcd" * 100, tokens_per_s=50) as (upstream, client):
            stream = await client.chat.completions.create(stream=True, **ASK)
            async for chunk in stream:
                if chunk.choices[0].delta.content:
                    break
            assert upstream.requests[0].outcome is None
            with pytest.raises(TimeoutError):
                await upstream.wait_until_idle(0.01)
            await stream.close()
            await upstream.wait_until_idle(1)

            assert upstream.disconnects == 1

    async def test_the_oldest_are_forgotten_when_they_are_too_many(
        self, upstream: ScriptedUpstream, client: AsyncOpenAI, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("ragstone.testing.upstream.log.KEPT_BYTES", 5_000)
        for position in range(6):
            await client.embeddings.create(model="e", input=f"text {position}")

        assert upstream.count() == 6
        assert [request.body["input"] for request in upstream.requests][-1] == "text 5"
        assert len(upstream.requests) == 4


class TestControl:
    async def test_another_process_can_script_and_look(
        self, upstream: ScriptedUpstream, client: AsyncOpenAI
    ) -> None:
        async with httpx2.AsyncClient(base_url=upstream.root_url) as http:
            scripted = await http.post("/_script", json={"faults": ["status:code=429,times=2", "json200"]})
            for _ in range(2):
                with pytest.raises(openai.RateLimitError):
                    await client.chat.completions.create(**ASK)
            log = (await http.get("/_log")).json()

        assert scripted.status_code == 200
        assert [(each["route"], each["outcome"], each["fault"]) for each in log["requests"]] == [
            ("chat", "fault", "status"),
            ("chat", "fault", "status"),
        ]
        assert (log["counts"], log["disconnects"], log["open_requests"]) == ({"chat": 2}, 0, 0)

    @pytest.mark.parametrize("body", [b"{", b"[]", b'{"faults": [1]}', b'{"faults": ["boom"]}'])
    async def test_a_script_that_is_none_is_400(self, upstream: ScriptedUpstream, body: bytes) -> None:
        async with httpx2.AsyncClient(base_url=upstream.root_url) as http:
            reply = await http.post("/_script", content=body)

        assert reply.status_code == 400
        assert reply.json()["error"]["type"] == "invalid_request_error"

    async def test_a_base_url_alone_asks_for_a_fault(
        self, upstream: ScriptedUpstream, client: AsyncOpenAI
    ) -> None:
        spec = quote("status:code=429,retry_after=Wed, 21 Oct 2026 07:28:00 GMT", safe="")
        faulty = client.with_options(base_url=f"{upstream.root_url}/fault/{spec}/v1")
        for _ in range(2):
            with pytest.raises(openai.RateLimitError) as limited:
                await faulty.chat.completions.create(**ASK)
        completion = await client.chat.completions.create(**ASK)

        assert limited.value.response.headers["retry-after"] == "Wed, 21 Oct 2026 07:28:00 GMT"
        assert completion.choices[0].message.content == TEXT
        assert [request.fault for request in upstream.requests] == ["status", "status", None]

    async def test_a_fault_in_the_path_leaves_alone_what_it_cannot_befall(
        self, upstream: ScriptedUpstream, client: AsyncOpenAI
    ) -> None:
        faulty = client.with_options(base_url=f"{upstream.root_url}/fault/drop_mid/v1")

        assert len((await faulty.embeddings.create(model="e", input="text")).data) == 1
        assert len((await faulty.models.list()).data) == 2

    async def test_an_unknown_fault_in_the_path_is_named(
        self, upstream: ScriptedUpstream, client: AsyncOpenAI
    ) -> None:
        with pytest.raises(openai.BadRequestError, match=r"unknown fault 'boom'; known: .*hang_mid"):
            await client.with_options(base_url=f"{upstream.root_url}/fault/boom/v1").chat.completions.create(
                **ASK
            )


class TestLife:
    async def test_stopped_it_refuses_and_started_again_it_serves_on_the_same_port(
        self, upstream: ScriptedUpstream, client: AsyncOpenAI
    ) -> None:
        before = upstream.base_url
        await client.chat.completions.create(**ASK)
        await upstream.stop()
        with pytest.raises(openai.APIConnectionError):
            await client.chat.completions.create(**ASK)
        await upstream.start()

        assert upstream.base_url == before
        assert (await client.chat.completions.create(**ASK)).choices
        assert upstream.count() == 2

    async def test_a_stop_breaks_off_what_is_open(
        self, upstream: ScriptedUpstream, client: AsyncOpenAI
    ) -> None:
        upstream.script(Fault("hang_headers"))
        asking = asyncio.create_task(client.chat.completions.create(**ASK))
        await until_open(upstream)
        await upstream.stop()

        with pytest.raises(openai.APIConnectionError):
            await asking
        assert (upstream.requests[0].outcome, upstream.disconnects) == ("fault", 0)
        assert len(asyncio.all_tasks()) == 1
