"""`/v1/responses` with `file_search`, by the official SDK and its published types."""

from typing import Any

import openai
import pytest
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from ragstone.core.errors import Unavailable
from ragstone.core.models import RecordKind
from ragstone.testing.upstream import Fault, ScriptedUpstream
from tests.dialect.conftest import upstream_is_idle
from tests.live import Live, parse_events
from tests.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")

MODEL = "ragstone/default"
QUESTION = "Are refunds paid within fourteen days of the return?"
TOOL: Any = {"type": "file_search", "vector_store_ids": ["default"]}
ORDER = [
    "response.created",
    "response.in_progress",
    "response.output_item.added",
    "response.file_search_call.in_progress",
    "response.file_search_call.searching",
    "response.file_search_call.completed",
    "response.output_item.done",
    "response.output_item.added",
    "response.content_part.added",
    "response.output_text.delta",
    "response.output_text.done",
    "response.content_part.done",
    "response.output_item.done",
    "response.completed",
]


def native(response: Response) -> dict[str, Any]:
    """The answer that the extension carries."""
    found: dict[str, Any] = response.ragstone  # type: ignore[attr-defined]
    return found


async def streamed(live: Live, **body: Any) -> list[tuple[str, dict[str, Any]]]:
    """Name and content of each event."""
    request = {"model": MODEL, "input": QUESTION, "tools": [TOOL], "stream": True, **body}
    async with live.http.stream("POST", "/v1/responses", json=request) as response:
        return parse_events([line async for line in response.aiter_lines()])


class TestResponse:
    async def test_it_is_the_native_answer_in_the_published_types(self, live: Live) -> None:
        body = {"model": MODEL, "input": QUESTION, "tools": [TOOL]}
        reply = await live.api.post("/v1/responses", body)
        answer = await live.api.post("/query", {"query": QUESTION})

        response = Response.model_validate(reply, strict=True)
        assert response.output_text == answer["answer"]
        assert response.status == "completed"
        assert {**reply["ragstone"], "metadata": None} == {**answer, "metadata": None}

    async def test_claims_are_annotated_with_the_file_that_they_come_from(
        self, sdk: openai.AsyncOpenAI
    ) -> None:
        response = await sdk.responses.create(model=MODEL, input=QUESTION, tools=[TOOL])

        message: Any = response.output[-1]
        (part,) = message.content
        annotation, citation = part.annotations[0], native(response)["citations"][0]
        assert annotation.model_dump() == {
            "type": "file_citation",
            "file_id": citation["source"]["document_id"],
            "filename": "policy.md",
            "index": citation["answer"]["end"],
        }
        assert (await sdk.files.retrieve(annotation.file_id)).filename == "policy.md"

    async def test_results_of_the_search_are_shown_where_they_are_included(
        self, sdk: openai.AsyncOpenAI
    ) -> None:
        shown = await sdk.responses.create(
            model=MODEL, input=QUESTION, tools=[TOOL], include=["file_search_call.results"]
        )
        hidden = await sdk.responses.create(model=MODEL, input=QUESTION, tools=[TOOL])

        results: Any = shown.output[0].results  # type: ignore[union-attr]
        assert [each.text for each in results] == [each["text"] for each in native(shown)["sources"]]
        assert results[0].filename == "policy.md"
        assert hidden.output[0].results is None  # type: ignore[union-attr]

    async def test_without_a_tool_there_is_only_the_message(self, sdk: openai.AsyncOpenAI) -> None:
        response = await sdk.responses.create(model=MODEL, input=QUESTION)

        assert [item.type for item in response.output] == ["message"]
        assert native(response)["collection"] == "default"

    async def test_filters_of_the_tool_are_those_of_the_documents(self, sdk: openai.AsyncOpenAI) -> None:
        tool: Any = {**TOOL, "filters": {"type": "eq", "key": "team", "value": "nobody"}}

        response = await sdk.responses.create(model=MODEL, input=QUESTION, tools=[tool])

        assert native(response)["reason"] == "no_results"

    async def test_an_answer_that_was_cut_is_incomplete(
        self, sdk: openai.AsyncOpenAI, upstream: ScriptedUpstream
    ) -> None:
        upstream.script(Fault("length", after=6))

        response = await sdk.responses.create(model=MODEL, input=QUESTION, tools=[TOOL])

        assert response.status == "incomplete"
        assert response.incomplete_details is not None
        assert response.incomplete_details.reason == "max_output_tokens"


class TestConversation:
    async def test_it_goes_on_from_a_stored_response(
        self, sdk: openai.AsyncOpenAI, upstream: ScriptedUpstream
    ) -> None:
        first = await sdk.responses.create(model=MODEL, input="Tell me about refunds.", tools=[TOOL])
        second = await sdk.responses.create(
            model=MODEL, input="When is that?", previous_response_id=first.id, tools=[TOOL]
        )
        upstream.requests.clear()
        await sdk.responses.create(model=MODEL, input="And then?", previous_response_id=second.id)

        asked = str([request.body for request in upstream.requests])
        assert "Tell me about refunds." in asked
        assert "When is that?" in asked

    async def test_outputs_may_be_sent_back_as_input(self, sdk: openai.AsyncOpenAI) -> None:
        first = await sdk.responses.create(model=MODEL, input="Tell me about refunds.", tools=[TOOL])
        items: Any = [
            {"role": "user", "content": "Tell me about refunds."},
            *(item.model_dump() for item in first.output),
            {"role": "user", "content": [{"type": "input_text", "text": QUESTION}]},
        ]

        again = await sdk.responses.create(model=MODEL, input=items, tools=[TOOL])

        assert again.output_text

    async def test_what_was_stored_is_given_back_until_it_is_deleted(self, sdk: openai.AsyncOpenAI) -> None:
        response = await sdk.responses.create(model=MODEL, input=QUESTION, tools=[TOOL], metadata={"a": "b"})

        assert (await sdk.responses.retrieve(response.id)).model_dump() == response.model_dump()
        await sdk.responses.delete(response.id)
        with pytest.raises(openai.NotFoundError):
            await sdk.responses.retrieve(response.id)

    async def test_what_is_not_to_be_stored_is_not(self, sdk: openai.AsyncOpenAI) -> None:
        response = await sdk.responses.create(model=MODEL, input=QUESTION, store=False)

        with pytest.raises(openai.NotFoundError):
            await sdk.responses.retrieve(response.id)
        with pytest.raises(openai.NotFoundError):
            await sdk.responses.create(model=MODEL, input="Why?", previous_response_id=response.id)

    async def test_a_response_that_quotes_a_deleted_document_is_gone(
        self, sdk: openai.AsyncOpenAI, live: Live
    ) -> None:
        name = await live.api.new_collection()
        document = await live.api.ready(b"Lanterns are lit at dusk.", "lanterns.txt", collection=name)
        response = await sdk.responses.create(model=f"ragstone/{name}", input="When are lanterns lit?")
        assert "dusk" in str(native(response)["sources"])

        await live.api.delete(f"/documents/{document['id']}")

        with pytest.raises(openai.NotFoundError):
            await sdk.responses.retrieve(response.id)

    async def test_a_conversation_is_gone_with_a_document_that_any_of_its_answers_quotes(
        self, sdk: openai.AsyncOpenAI, live: Live
    ) -> None:
        name = await live.api.new_collection()
        first_document = await live.api.ready(b"Lanterns are lit at dusk.", "lanterns.txt", collection=name)
        first = await sdk.responses.create(model=f"ragstone/{name}", input="When are lanterns lit?")
        second = await sdk.responses.create(
            model=MODEL, input="Are refunds paid within fourteen days?", previous_response_id=first.id
        )
        assert native(second)["sources"][0]["document_id"] != first_document["id"]

        await live.api.delete(f"/documents/{first_document['id']}")

        for gone in (first.id, second.id):
            with pytest.raises(openai.NotFoundError):
                await sdk.responses.create(model=MODEL, input="Why?", previous_response_id=gone)

    async def test_a_response_is_gone_with_a_version_that_was_replaced_for_good(
        self, sdk: openai.AsyncOpenAI, live: Live
    ) -> None:
        name = await live.api.new_collection()
        await live.api.ready(b"Lanterns are lit at dusk.", "lanterns.txt", collection=name)
        response = await sdk.responses.create(model=f"ragstone/{name}", input="When are lanterns lit?")

        await live.api.ready(
            b"Lanterns are lit at noon.", "lanterns.txt", collection=name, on_duplicate="replace"
        )

        async def is_gone() -> bool:
            return (await live.http.get(f"/v1/responses/{response.id}")).status_code == 404

        await until(is_gone)

    async def test_of_a_long_turn_no_more_is_kept_than_is_read(
        self, sdk: openai.AsyncOpenAI, live: Live
    ) -> None:
        turns: Any = [{"role": "user", "content": "x" * 500_000}, {"role": "user", "content": QUESTION}]
        response = await sdk.responses.create(model=MODEL, input=turns)

        record = await live.container.records.recall("default", RecordKind.RESPONSE, response.id)

        (_, kept), *_ = record.content["turns"]
        assert len(kept) == 8_000

    @pytest.mark.parametrize("is_streamed", [False, True])
    async def test_an_answer_that_cannot_be_stored_is_given_all_the_same(
        self, live: Live, monkeypatch: pytest.MonkeyPatch, is_streamed: bool
    ) -> None:
        async def fails(*_: Any, **__: Any) -> None:
            raise Unavailable("the disk is full")

        monkeypatch.setattr(live.container.records, "remember", fails)
        if is_streamed:
            name, content = (await streamed(live))[-1]
            assert name == "response.completed"
            response = content["response"]
        else:
            response = await live.api.post("/v1/responses", {"model": MODEL, "input": QUESTION})

        assert response["status"] == "completed"
        assert response["store"] is False


class TestStream:
    async def test_events_come_in_the_published_order_and_types(self, live: Live) -> None:
        events = await streamed(live)

        names = [name for name, _ in events]
        extra = {"response.output_text.annotation.added"}
        seen = list(dict.fromkeys(name for name in names if name in extra))
        assert seen == list(extra)
        kept = [name for place, name in enumerate(names) if name not in extra]
        assert [
            name
            for place, name in enumerate(kept)
            if not (name.endswith("delta") and kept[place - 1] == name)
        ] == ORDER
        adapter = TypeAdapter[Any](ResponseStreamEvent)
        for name, content in events:
            assert adapter.validate_python(content).type == name
        assert [content["sequence_number"] for _, content in events] == list(range(len(events)))

    async def test_the_last_event_holds_what_the_others_spell(self, live: Live) -> None:
        events = await streamed(live)

        last = events[-1][1]["response"]
        text = "".join(content["delta"] for name, content in events if name.endswith("text.delta"))
        annotations = [
            content["annotation"]
            for name, content in events
            if name.endswith("added") and "annotation" in content
        ]
        (part,) = last["output"][-1]["content"]
        assert (part["text"], part["annotations"]) == (text, annotations)
        assert last["ragstone"]["answer"] == text

    async def test_it_is_stored_before_its_last_event(self, sdk: openai.AsyncOpenAI) -> None:
        stream = await sdk.responses.create(model=MODEL, input=QUESTION, tools=[TOOL], stream=True)
        async for event in stream:
            if event.type == "response.completed":
                assert (await sdk.responses.retrieve(event.response.id)).output_text

    async def test_the_sdks_own_helper_reads_it(self, sdk: openai.AsyncOpenAI) -> None:
        async with sdk.responses.stream(model=MODEL, input=QUESTION, tools=[TOOL]) as stream:
            async for _ in stream:
                pass
            final = await stream.get_final_response()

        assert final.output_text == native(final)["answer"]

    async def test_a_model_that_breaks_off_ends_with_response_failed(
        self, live: Live, upstream: ScriptedUpstream
    ) -> None:
        upstream.script(Fault("drop_mid", after=3))

        events = await streamed(live)

        name, content = events[-1]
        assert name == "response.failed"
        assert content["response"]["status"] == "failed"
        assert content["response"]["error"]["message"].startswith("upstream_interrupted: ")
        assert content["response"]["output"][-1]["content"][0]["text"]
        assert [item["type"] for item in content["response"]["output"]] == ["file_search_call", "message"]
        assert content["response"]["ragstone"]["metadata"]["total_ms"] > 0

    async def test_a_client_that_leaves_stops_the_model(
        self, sdk: openai.AsyncOpenAI, upstream: ScriptedUpstream
    ) -> None:
        upstream.script(Fault("hang_mid", after=3))
        stream = await sdk.responses.create(model=MODEL, input=QUESTION, tools=[TOOL], stream=True)
        async for event in stream:
            if event.type == "response.output_text.delta":
                break
        assert upstream.open_requests == 1

        await stream.close()

        await until(upstream_is_idle(upstream), within_s=1.0)


REFUSED: dict[str, dict[str, Any]] = {
    "another tool": {"tools": [{"type": "web_search"}]},
    "two searches": {"tools": [TOOL, TOOL]},
    "background": {"background": True},
    "a conversation": {"conversation": "conv_1"},
    "a schema": {"text": {"format": {"type": "json_schema", "name": "x", "schema": {}}}},
    "no tool at all": {"tools": [TOOL], "tool_choice": "none"},
    "a function's output": {"input": [{"type": "function_call_output", "call_id": "c", "output": "x"}]},
}


@pytest.mark.parametrize("said", REFUSED.values(), ids=REFUSED)
async def test_what_cannot_be_honoured_is_refused(sdk: openai.AsyncOpenAI, said: dict[str, Any]) -> None:
    with pytest.raises(openai.BadRequestError) as refusal:
        await sdk.responses.create(**{"model": MODEL, "input": QUESTION, **said})

    assert refusal.value.code == "unsupported_parameter"


@pytest.mark.parametrize(
    "said",
    [
        {"vector_store_ids": ["a", "b"]},
        {"max_num_results": 51},
        {"ranking_options": {"score_threshold": 0.5}},
        {"unknown": 1},
    ],
)
async def test_a_search_that_cannot_be_made_is_not_valid_and_says_where(
    sdk: openai.AsyncOpenAI, said: dict[str, Any]
) -> None:
    tool: Any = {**TOOL, **said}

    with pytest.raises(openai.UnprocessableEntityError) as refusal:
        await sdk.responses.create(model=MODEL, input=QUESTION, tools=[tool])

    places = [detail["loc"] for detail in refusal.value.body["details"]]  # type: ignore[index]
    assert any(next(iter(said)) in place for place in places)


async def test_the_tool_says_how_many_results_only_where_it_does(sdk: openai.AsyncOpenAI, live: Live) -> None:
    name = await live.api.new_collection()
    for number in range(3):
        await live.api.ready(
            b"Lanterns are lit at dusk in street %d." % number, f"{number}.txt", collection=name
        )
    tool: Any = {"type": "file_search", "vector_store_ids": [name]}
    one: Any = {**tool, "max_num_results": 1}
    said = {"ragstone": {"top_k": 2}}
    question = "When are lanterns lit?"

    by_tool = await sdk.responses.create(model=MODEL, input=question, tools=[one], extra_body=said)
    by_extension = await sdk.responses.create(model=MODEL, input=question, tools=[tool], extra_body=said)

    assert len(native(by_tool)["sources"]) == 1
    assert len(native(by_extension)["sources"]) == 2
