"""`/v1/chat/completions`, by the official SDK and its published types."""

import json
from typing import Any

import openai
import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk, ChatCompletionMessageParam

from ragstone.testing.upstream import Fault, ScriptedUpstream
from tests.dialect.conftest import upstream_is_idle
from tests.live import Live
from tests.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")

MODEL = "ragstone/default"
QUESTION = "Are refunds paid within fourteen days of the return?"
ASKED: list[ChatCompletionMessageParam] = [{"role": "user", "content": QUESTION}]


def native(completion: ChatCompletion | ChatCompletionChunk) -> dict[str, Any]:
    """The answer that the extension carries."""
    found: dict[str, Any] = completion.ragstone  # type: ignore[union-attr]
    return found


def without_times(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in answer.items() if name != "metadata"}


async def read_into(said: list[str], stream: openai.AsyncStream[ChatCompletionChunk]) -> None:
    """What of the answer arrives, also where it breaks off."""
    async for chunk in stream:
        said.append(chunk.choices[0].delta.content or "")  # noqa: PERF401 - it may raise on the way


class TestCompletion:
    async def test_it_carries_the_native_answer_word_for_word(
        self, sdk: openai.AsyncOpenAI, live: Live
    ) -> None:
        completion = await sdk.chat.completions.create(model=MODEL, messages=ASKED)

        answer = await live.api.post("/query", {"query": QUESTION})
        assert without_times(native(completion)) == without_times(answer)
        assert completion.choices[0].message.content == answer["answer"]
        assert completion.choices[0].finish_reason == "stop"
        assert native(completion)["metadata"]["total_ms"] > 0

    async def test_citations_are_annotations_of_the_claim_with_a_link_to_the_passage(
        self, sdk: openai.AsyncOpenAI, live: Live
    ) -> None:
        completion = await sdk.chat.completions.create(model=MODEL, messages=ASKED)

        message = completion.choices[0].message
        assert message.content is not None
        assert message.annotations
        cited = message.annotations[0].url_citation
        citation = native(completion)["citations"][0]
        assert message.content[cited.start_index : cited.end_index].startswith("Refunds are paid within")
        place = f"document={citation['source']['document_id']}&version=1"
        assert cited.url.startswith(f"{live.url}/#{place}&start={citation['source']['start']}")

    async def test_every_field_is_of_its_published_type(self, live: Live) -> None:
        reply = await live.api.post("/v1/chat/completions", {"model": MODEL, "messages": ASKED})

        ChatCompletion.model_validate(reply, strict=True)
        assert set(reply) == {"id", "object", "created", "model", "choices", "usage", "ragstone"}

    async def test_an_abstention_is_a_message_that_says_so(self, sdk: openai.AsyncOpenAI) -> None:
        completion = await sdk.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": "Who is the king of Atlantis?"}]
        )

        assert native(completion)["abstained"] is True
        assert completion.choices[0].message.content == native(completion)["answer"]
        assert not completion.choices[0].message.annotations

    async def test_usage_is_what_the_model_counted(self, sdk: openai.AsyncOpenAI) -> None:
        completion = await sdk.chat.completions.create(model=MODEL, messages=ASKED)

        assert completion.usage is not None
        assert completion.usage.model_dump(exclude_none=True) == native(completion)["usage"]
        assert completion.usage.total_tokens > 0

    async def test_a_conversation_is_searched_as_one(
        self, sdk: openai.AsyncOpenAI, upstream: ScriptedUpstream
    ) -> None:
        messages: list[ChatCompletionMessageParam] = [
            {"role": "system", "content": "Speak like a pirate."},
            {"role": "user", "content": "Tell me about refunds."},
            {"role": "assistant", "content": "Refunds are paid. [1]"},
            {"role": "user", "content": [{"type": "text", "text": "When is that?"}]},
        ]
        await sdk.chat.completions.create(model=MODEL, messages=messages)

        asked = json.dumps([request.body for request in upstream.requests])
        assert "Tell me about refunds." in asked
        assert "pirate" not in asked

    async def test_a_long_conversation_is_cut_to_its_newest_turns(
        self, sdk: openai.AsyncOpenAI, upstream: ScriptedUpstream
    ) -> None:
        turns: list[ChatCompletionMessageParam] = [
            {"role": "user", "content": f"turn-{number} " + "x" * 9_000} for number in range(40)
        ]
        await sdk.chat.completions.create(model=MODEL, messages=[*turns, *ASKED])

        asked = json.dumps([request.body for request in upstream.requests])
        assert "turn-39" in asked
        assert "turn-19 " not in asked

    async def test_a_configured_model_answers_over_the_default_collection(
        self, sdk: openai.AsyncOpenAI
    ) -> None:
        completion = await sdk.chat.completions.create(model="extractive", messages=ASKED)

        assert native(completion)["model"] == "extractive"
        assert native(completion)["collection"] == "default"

    async def test_the_extension_says_what_only_this_server_knows(
        self, sdk: openai.AsyncOpenAI, live: Live
    ) -> None:
        empty = await live.api.new_collection()
        extension = {"collection": empty, "mode": "sparse", "top_k": 1}
        completion = await sdk.chat.completions.create(
            model=MODEL, messages=ASKED, extra_body={"ragstone": extension}
        )

        assert native(completion)["collection"] == empty
        assert native(completion)["reason"] == "no_results"

    async def test_a_model_that_is_down_is_told_as_degradation(
        self, sdk: openai.AsyncOpenAI, upstream: ScriptedUpstream
    ) -> None:
        upstream.script(Fault("status", code=503, times=0))

        completion = await sdk.chat.completions.create(model=MODEL, messages=ASKED)

        assert native(completion)["degraded"] == ["llm"]


class TestStream:
    async def test_the_sdks_own_helper_reads_it_with_many_citations(
        self, sdk: openai.AsyncOpenAI, upstream: ScriptedUpstream, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        said = "Refunds are paid within fourteen days of the return. [1] Parcels leave Hamburg every morning. [1]"
        monkeypatch.setattr(upstream, "say", said)
        async with sdk.chat.completions.stream(model=MODEL, messages=ASKED) as stream:
            async for _ in stream:
                pass
            final: Any = await stream.get_final_completion()

        message = final.choices[0].message
        spans = [each["url_citation"] for each in message.model_dump()["annotations"]]
        assert len(spans) >= 2
        assert all(message.content[each["start_index"] : each["end_index"]].strip() for each in spans)

    async def test_chunks_spell_the_completion(self, sdk: openai.AsyncOpenAI, live: Live) -> None:
        stream = await sdk.chat.completions.create(model=MODEL, messages=ASKED, stream=True)
        chunks = [chunk async for chunk in stream]

        text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
        answer = await live.api.post("/query", {"query": QUESTION})
        assert text == answer["answer"]
        assert without_times(native(chunks[-1])) == without_times(answer)
        assert chunks[0].choices[0].delta.role == "assistant"
        assert [chunk.choices[0].finish_reason for chunk in chunks][-2:] == [None, "stop"]

    async def test_usage_comes_last_where_it_is_asked_for(self, sdk: openai.AsyncOpenAI) -> None:
        stream = await sdk.chat.completions.create(
            model=MODEL, messages=ASKED, stream=True, stream_options={"include_usage": True}
        )
        chunks = [chunk async for chunk in stream]

        assert chunks[-1].choices == []
        assert chunks[-1].usage is not None
        assert chunks[-1].usage.total_tokens > 0
        assert all(chunk.usage is None for chunk in chunks[:-1])

    async def test_citations_come_as_they_are_checked(self, sdk: openai.AsyncOpenAI) -> None:
        stream = await sdk.chat.completions.create(model=MODEL, messages=ASKED, stream=True)
        deltas = [chunk.choices[0].delta.model_dump() async for chunk in stream]

        cited, *_ = [delta["annotations"] for delta in deltas if "annotations" in delta]
        assert cited[0]["url_citation"]["end_index"] > 0

    async def test_every_chunk_is_of_its_published_type_and_the_end_is_marked(self, live: Live) -> None:
        body = {"model": MODEL, "messages": ASKED, "stream": True}
        async with live.http.stream("POST", "/v1/chat/completions", json=body) as response:
            lines = [line.removeprefix("data: ") async for line in response.aiter_lines() if line]

        assert response.headers["content-type"].startswith("text/event-stream")
        assert lines[-1] == "[DONE]"
        for line in lines[:-1]:
            ChatCompletionChunk.model_validate_json(line, strict=True)

    async def test_a_model_that_breaks_off_is_an_error_after_what_it_said(
        self, sdk: openai.AsyncOpenAI, upstream: ScriptedUpstream
    ) -> None:
        upstream.script(Fault("drop_mid", after=3))
        stream = await sdk.chat.completions.create(model=MODEL, messages=ASKED, stream=True)

        said: list[str] = []
        with pytest.raises(openai.APIError) as failure:
            await read_into(said, stream)

        assert "".join(said)
        assert failure.value.code == "upstream_interrupted"
        assert failure.value.type == "server_error"

    async def test_a_client_that_leaves_stops_the_model(
        self, sdk: openai.AsyncOpenAI, upstream: ScriptedUpstream
    ) -> None:
        upstream.script(Fault("hang_mid", after=3))
        stream = await sdk.chat.completions.create(model=MODEL, messages=ASKED, stream=True)
        async for chunk in stream:
            if chunk.choices[0].delta.content:
                break
        assert upstream.open_requests == 1

        await stream.close()

        await until(upstream_is_idle(upstream), within_s=1.0)

    async def test_a_refusal_before_the_first_token_is_a_status(
        self, sdk: openai.AsyncOpenAI, upstream: ScriptedUpstream
    ) -> None:
        upstream.script(Fault("status", code=401))

        with pytest.raises(openai.APIStatusError) as failure:
            await sdk.chat.completions.create(model=MODEL, messages=ASKED, stream=True)

        assert (failure.value.status_code, failure.value.code) == (502, "upstream_refused")


REFUSED: dict[str, dict[str, Any]] = {
    "n": {"n": 2},
    "tools": {"tools": [{"type": "function", "function": {"name": "f"}}]},
    "response_format": {"response_format": {"type": "json_object"}},
    "logprobs": {"logprobs": True},
    "stop": {"stop": "\n"},
    "modalities": {"modalities": ["text", "audio"]},
}
HARMLESS: dict[str, Any] = {
    "n": 1,
    "tools": [],
    "response_format": {"type": "text"},
    "logprobs": False,
    "stop": None,
    "seed": 1,
    "user": "me",
    "top_p": 0.5,
    "store": False,
}


class TestParameters:
    @pytest.mark.parametrize("said", REFUSED.values(), ids=REFUSED)
    async def test_what_cannot_be_honoured_is_refused_by_name(
        self, sdk: openai.AsyncOpenAI, said: dict[str, Any]
    ) -> None:
        with pytest.raises(openai.BadRequestError) as refusal:
            await sdk.chat.completions.create(model=MODEL, messages=ASKED, **said)

        assert refusal.value.code == "unsupported_parameter"
        assert refusal.value.param == next(iter(said))

    async def test_what_says_nothing_new_is_let_pass(self, sdk: openai.AsyncOpenAI) -> None:
        completion = await sdk.chat.completions.create(model=MODEL, messages=ASKED, **HARMLESS)

        assert completion.choices[0].message.content

    @pytest.mark.parametrize("model", ["gpt-5", "ragstone/unknown", "ragstone/", "ragstone/A B"])
    async def test_an_unknown_model_is_not_found(self, sdk: openai.AsyncOpenAI, model: str) -> None:
        with pytest.raises(openai.NotFoundError) as refusal:
            await sdk.chat.completions.create(model=model, messages=ASKED)

        assert refusal.value.code == "model_not_found"

    @pytest.mark.parametrize(
        "messages",
        [
            [{"role": "assistant", "content": "Hello."}],
            [{"role": "system", "content": "Hello."}],
            [{"role": "user", "content": "  "}],
            [{"role": "user", "content": "x" * 8_001}],
            [],
        ],
    )
    async def test_a_conversation_without_a_question_is_not_valid(
        self, sdk: openai.AsyncOpenAI, messages: Any
    ) -> None:
        with pytest.raises(openai.UnprocessableEntityError):
            await sdk.chat.completions.create(model=MODEL, messages=messages)

    async def test_what_is_not_valid_is_said_in_the_exceptions_own_words(
        self, sdk: openai.AsyncOpenAI
    ) -> None:
        with pytest.raises(openai.UnprocessableEntityError, match=r"temperature: .*less than or equal to 2"):
            await sdk.chat.completions.create(model=MODEL, messages=ASKED, temperature=9)

    async def test_a_picture_is_refused(self, sdk: openai.AsyncOpenAI) -> None:
        picture: Any = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "http://x"}}]}

        with pytest.raises(openai.BadRequestError, match="image_url"):
            await sdk.chat.completions.create(model=MODEL, messages=[picture])
