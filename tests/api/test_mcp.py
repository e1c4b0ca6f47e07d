"""MCP over HTTP, as the SDK's own client sees it: the native API's answers, word for word, in both eras."""

import asyncio
import logging
import uuid
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from mcp import Client, MCPError
from mcp.types import INVALID_PARAMS, CallToolResult, Resource, TextResourceContents
from mcp.types.version import LATEST_HANDSHAKE_VERSION

from ragstone.api import sse
from ragstone.api.mcp import resources, transport
from ragstone.config.settings import load_settings
from ragstone.services import switching
from ragstone.testing.embedders import HashingEmbedder
from ragstone.testing.upstream import Fault, ScriptedUpstream
from tests.apiclient import Json
from tests.live import Live, live_server
from tests.mcpclient import ERAS, headers_of, held, mcp_client, message, post, text_of
from tests.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="module")

POLICY = """# Refunds 🙂

Refunds are paid within fourteen days of the return. Größere Beträge dauern länger. 退款在十四天内支付。

# Parcels

Parcels leave Hamburg every morning. The parcel service collects them at nine.
"""
QUESTION = "Are refunds paid within fourteen days of the return?"
READING = ["search", "ask", "list_documents", "get_document"]
LEAVING_S = 1.0


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Live, ScriptedUpstream]]:
    """A server with one document, its model, and the tools that change something."""
    folder = tmp_path_factory.mktemp("mcp")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(switching, "FLUSH_EVERY_S", 0.0)
        async with ScriptedUpstream() as upstream:
            settings = load_settings(
                data_dir=folder / "data",
                openai_base_url=upstream.base_url,
                openai_model="scripted",
                retry_min_wait=0.01,
                retry_max_wait=0.05,
                mcp_writes=True,
            )
            async with live_server(settings, HashingEmbedder(dimension=64)) as live:
                await live.api.ready(POLICY.encode(), "policy.md")
                yield live, upstream


@pytest.fixture
def live(running: tuple[Live, ScriptedUpstream]) -> Live:
    """As if nothing had failed before."""
    live, upstream = running
    upstream.clear()
    upstream.requests.clear()
    live.forget_failures()
    return live


@pytest.fixture
def upstream(live: Live, running: tuple[Live, ScriptedUpstream]) -> ScriptedUpstream:
    return running[1]


@pytest.fixture(params=ERAS)
def era(request: pytest.FixtureRequest) -> str:
    """Of the protocol: with a handshake, and without."""
    name: str = request.param
    return name


@pytest_asyncio.fixture(loop_scope="module")
async def client(live: Live, era: str) -> AsyncIterator[Client]:
    async with held(mcp_client(live.url, era=era)) as client:
        yield client


def timeless(reply: Json) -> Json:
    """Without what differs between two equal requests; which times there are stays."""
    metadata = {
        name: None if name.endswith("_ms") or name == "request_id" else value
        for name, value in reply["metadata"].items()
    }
    return {**reply, "metadata": metadata}


def error_of(result: CallToolResult) -> Json:
    """What went wrong; the text says it too."""
    assert result.is_error
    content: Json = result.structured_content
    assert content["error"]["message"] in text_of(result)
    return dict(content["error"])


class TestAnswers:
    async def test_an_answer_is_that_of_the_native_api_word_for_word(
        self, live: Live, client: Client
    ) -> None:
        native = await live.api.query(QUESTION)

        result = await client.call_tool("ask", {"query": QUESTION})

        assert native["citations"]
        assert timeless(result.structured_content) == timeless(native)
        assert list(result.structured_content) == list(native)

    async def test_its_text_shows_the_answer_and_what_its_marks_mean(self, client: Client) -> None:
        result = await client.call_tool("ask", {"query": QUESTION})

        (citation,) = result.structured_content["citations"]
        source = citation["source"]
        text = text_of(result)
        assert text.startswith(result.structured_content["answer"])
        assert f"[1] Refunds 🙂: “{source['quote']}”" in text
        assert f"(ragstone://documents/{source['document_id']})" in text

    async def test_passages_are_those_of_the_native_api(self, live: Live, client: Client) -> None:
        native = await live.api.post("/search", {"query": "parcels", "top_k": 2})

        result = await client.call_tool("search", {"query": "parcels", "top_k": 2})

        assert timeless(result.structured_content) == timeless(native)

    async def test_the_text_of_passages_loads_nothing(self, live: Live, client: Client) -> None:
        collection = await live.api.new_collection()
        await live.api.ready_text("Parcels leave. ![x](http://evil.example/?q=1)", collection=collection)

        result = await client.call_tool("search", {"query": "parcels", "collection": collection})

        assert "![x](http" in result.structured_content["results"][0]["text"]
        assert "![x] (http" in text_of(result)

    async def test_an_abstention_says_so(self, live: Live, client: Client) -> None:
        collection = await live.api.new_collection()

        result = await client.call_tool("ask", {"query": QUESTION, "collection": collection})

        assert not result.is_error
        assert result.structured_content["abstained"] is True
        assert f"Abstained: {result.structured_content['reason']}." in text_of(result)

    async def test_a_degraded_answer_says_so(self, client: Client, upstream: ScriptedUpstream) -> None:
        upstream.script(Fault("status", code=503, times=0))

        result = await client.call_tool("ask", {"query": QUESTION})

        assert result.structured_content["degraded"] == ["llm"]
        assert "Degraded, answered without: llm." in text_of(result)

    @pytest.mark.parametrize(
        ("fault", "arguments", "code", "retryable"),
        [
            (Fault("status", code=401, times=0), {}, "upstream_refused", False),
            (Fault("status", code=503, times=0), {"strict": True}, "upstream_unavailable", True),
            (Fault("hang_headers", times=0), {"timeout_s": 0.2}, "deadline_exceeded", True),
            (Fault("drop_mid", times=0), {}, "upstream_interrupted", True),
        ],
        ids=lambda value: str(value)[:30],
    )
    async def test_a_failure_is_the_native_apis_as_a_tools_error(
        self, live: Live, client: Client, upstream: ScriptedUpstream, fault: Fault, arguments: Json,
        code: str, retryable: bool,
    ) -> None:  # fmt: skip
        upstream.script(fault)
        native = (await live.http.post("/query", json={"query": QUESTION, **arguments})).json()["error"]
        live.forget_failures()

        error = error_of(await client.call_tool("ask", {"query": QUESTION, **arguments}))

        assert (error["code"], error["retryable"]) == (code, retryable)
        assert {**error, "request_id": ""} == {**native, "request_id": ""}


class TestProgress:
    async def test_it_grows_from_stage_to_stage_and_the_answer_is_the_same(
        self, live: Live, client: Client, upstream: ScriptedUpstream
    ) -> None:
        upstream.script(Fault("slow", text="60"))
        told: list[tuple[float, str | None]] = []

        async def tell(progress: float, total: float | None, message: str | None) -> None:
            told.append((progress, message))

        result = await client.call_tool("ask", {"query": QUESTION}, progress_callback=tell)

        assert [message for _, message in told[:2]] == ["searching", "answering; passages found: 1"]
        assert all(earlier < later for (earlier, _), (later, _) in pairwise(told))
        assert f"{int(told[-1][0])} characters" == told[-1][1]
        assert timeless(result.structured_content) == timeless(await live.api.query(QUESTION))

    async def test_a_failure_after_it_began_is_still_a_tools_error(
        self, client: Client, upstream: ScriptedUpstream
    ) -> None:
        upstream.script(Fault("drop_mid", times=0))

        result = await client.call_tool("ask", {"query": QUESTION}, progress_callback=_ignore)

        assert error_of(result)["code"] == "upstream_interrupted"

    async def test_it_comes_while_the_answer_is_written(
        self, live: Live, upstream: ScriptedUpstream, era: str
    ) -> None:
        upstream.script(Fault("hang_mid", times=1))
        body = message(
            "tools/call", era=era, name="ask", arguments={"query": QUESTION}, _meta={"progressToken": "t"}
        )

        async with live.http.stream("POST", "/mcp", json=body, headers=headers_of(body, era=era)) as response:
            assert response.headers["content-type"].startswith("text/event-stream")
            assert response.headers["cache-control"] == "no-store"
            assert response.headers["x-accel-buffering"] == "no"
            async for line in response.aiter_lines():
                if "characters" in line:
                    break
        await upstream.wait_until_idle(LEAVING_S)


async def _ignore(progress: float, total: float | None, message: str | None) -> None:
    pass


@pytest.mark.parametrize("fault", ["hang_headers", "hang_mid"])
class TestCancelling:
    @pytest.mark.parametrize("told", [_ignore, None])
    async def test_what_the_client_gives_up_is_given_up(
        self, client: Client, upstream: ScriptedUpstream, fault: str, told: Any
    ) -> None:
        upstream.script(Fault(fault, times=0))
        asking = asyncio.create_task(client.call_tool("ask", {"query": QUESTION}, progress_callback=told))
        await until(lambda: _is_asked(upstream))

        asking.cancel()

        await upstream.wait_until_idle(LEAVING_S)
        assert [request.outcome for request in upstream.requests] == ["client_left"]
        assert await client.call_tool("list_documents", {})  # and the connection goes on

    @pytest.mark.parametrize("meta", [{}, {"progressToken": 7}])
    async def test_whoever_leaves_is_not_answered_any_more(
        self, live: Live, upstream: ScriptedUpstream, era: str, fault: str, meta: Json
    ) -> None:
        upstream.script(Fault(fault, times=0))
        body = message("tools/call", era=era, name="ask", arguments={"query": QUESTION}, _meta=meta)
        asking = asyncio.create_task(live.http.post("/mcp", json=body, headers=headers_of(body, era=era)))
        await until(lambda: _is_asked(upstream))

        asking.cancel()

        await upstream.wait_until_idle(LEAVING_S)
        assert [request.outcome for request in upstream.requests] == ["client_left"]


async def _is_asked(upstream: ScriptedUpstream) -> bool:
    return upstream.open_requests > 0


class TestSessions:
    """The handshake era gives a request up by a message; a session is only a name for whose."""

    ERA = LATEST_HANDSHAKE_VERSION

    async def asked(self, live: Live, session: str, request_id: Any) -> httpx2.Response:
        body = message(
            "tools/call", era=self.ERA, request_id=request_id, name="ask", arguments={"query": QUESTION}
        )
        return await live.http.post(
            "/mcp", json=body, headers={**headers_of(body, era=self.ERA), "mcp-session-id": session}
        )

    async def cancel(self, live: Live, session: str, request_id: Any) -> None:
        body = {
            "jsonrpc": "2.0",
            "method": "notifications/cancelled",
            "params": {"requestId": request_id, "reason": "x"},
        }
        headers = {**headers_of(body, era=self.ERA), "mcp-session-id": session}
        assert (await live.http.post("/mcp", json=body, headers=headers)).status_code == 202

    async def test_a_handshake_gives_one_that_nobody_can_guess(self, live: Live) -> None:
        body = message(
            "initialize",
            era=self.ERA,
            protocolVersion=self.ERA,
            capabilities={},
            clientInfo={"name": "t", "version": "1"},
        )

        replies = [await post(live.http, body, era=self.ERA) for _ in range(2)]

        sessions = {uuid.UUID(reply.headers["mcp-session-id"]).version for reply in replies}
        assert sessions == {4}
        assert replies[0].json()["result"]["serverInfo"]["name"] == "ragstone"

    async def test_what_was_given_up_is_answered_with_that(
        self, live: Live, upstream: ScriptedUpstream
    ) -> None:
        upstream.script(Fault("hang_headers", times=0))
        asking = asyncio.create_task(self.asked(live, "mine", "7"))
        await until(lambda: _is_asked(upstream))

        await self.cancel(live, "mine", 7)

        reply = await asking
        assert reply.json()["error"]["message"] == "Request cancelled"
        await upstream.wait_until_idle(LEAVING_S)

    async def test_another_session_cannot_give_it_up(self, live: Live, upstream: ScriptedUpstream) -> None:
        upstream.script(Fault("hang_headers", times=0))
        asking = asyncio.create_task(self.asked(live, "mine", 1))
        await until(lambda: _is_asked(upstream))

        for session, request_id in (("other", 1), ("mine", 2), ("", 1), ("mine", None), ("mine", [])):
            await self.cancel(live, session, request_id)

        await asyncio.sleep(0.1)
        assert upstream.open_requests == 1
        asking.cancel()
        await upstream.wait_until_idle(LEAVING_S)


class TestDocuments:
    async def test_documents_are_those_of_the_native_api(self, live: Live, client: Client) -> None:
        native = await live.api.get("/documents")

        listed = (await client.call_tool("list_documents", {})).structured_content
        one = await client.call_tool("get_document", {"document_id": native["items"][0]["id"]})

        assert listed == native
        assert one.structured_content == await live.api.get(f"/documents/{native['items'][0]['id']}")
        assert "policy.md" in text_of(one)

    async def test_a_list_goes_on_where_its_cursor_says(self, live: Live, client: Client) -> None:
        collection = await live.api.new_collection()
        await live.api.all_ready(collection, {name: f"About {name}." for name in "abcde"})
        seen: list[str] = []
        cursor: str | None = None
        while len(seen) < 5:
            arguments = {
                "collection": collection,
                "limit": 2,
                "sort": "created_at",
                **({} if cursor is None else {"cursor": cursor}),
            }
            result = await client.call_tool("list_documents", arguments)
            page = result.structured_content
            seen += [item["source"] for item in page["items"]]
            cursor = page["next_cursor"]
            assert cursor is None or cursor in text_of(result)

        assert (seen, cursor) == (list("abcde"), None)

    async def test_filters_are_objects(self, live: Live, client: Client) -> None:
        where = {"field": "filename", "eq": "policy.md"}

        found = await client.call_tool(
            "list_documents", {"filter": where, "status": "ready", "title": "refund"}
        )
        none = await client.call_tool("list_documents", {"filter": {"not": where}})

        assert [item["filename"] for item in found.structured_content["items"]] == ["policy.md"]
        assert none.structured_content["items"] == []

    async def test_a_missing_one_is_told_in_the_native_apis_words(self, live: Live, client: Client) -> None:
        missing = str(uuid.uuid4())
        native = await live.api.refused("GET", f"/documents/{missing}", 404)

        error = error_of(await client.call_tool("get_document", {"document_id": missing}))

        assert {**error, "request_id": ""} == {**native, "request_id": ""}


class TestResources:
    async def test_a_documents_text_is_what_offsets_refer_to(self, live: Live, client: Client) -> None:
        citation = (await live.api.query(QUESTION))["citations"][0]["source"]
        listed = {resource.uri: resource for resource in await all_resources(client)}
        address = f"ragstone://documents/{citation['document_id']}"

        for uri in (address, f"{address}/versions/{citation['version']}"):
            (content,) = (await client.read_resource(uri)).contents
            assert isinstance(content, TextResourceContents)
            assert (content.uri, content.mime_type) == (uri, "text/plain")
            assert content.text == await live.api.text(citation["document_id"])
            assert content.text[citation["start"] : citation["end"]] == citation["quote"]
        assert (listed[address].name, listed[address].title) == ("policy.md", "Refunds 🙂")

    async def test_those_of_all_collections_are_listed_page_by_page_each_once(
        self, live: Live, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(resources, "PAGE", 2)
        for _ in range(2):
            await live.api.new_collection()  # with nothing in it
            await live.api.all_ready(await live.api.new_collection(), dict.fromkeys("abc", "About it."))
        everything = {
            document["id"] for name in await _collections(live) for document in await _documents(live, name)
        }

        seen = [resource.uri for resource in await all_resources(client)]

        assert sorted(seen) == sorted(f"ragstone://documents/{each}" for each in everything)

    async def test_templates_say_how_addresses_are_made(self, client: Client) -> None:
        templates = (await client.list_resource_templates()).resource_templates

        assert [template.uri_template for template in templates] == [
            "ragstone://documents/{document_id}",
            "ragstone://documents/{document_id}/versions/{version}",
        ]

    async def test_an_unknown_one_is_an_error_of_the_protocol(self, client: Client) -> None:
        with pytest.raises(MCPError, match="no such resource") as raised:
            await client.read_resource(f"ragstone://documents/{uuid.uuid4()}")

        assert raised.value.code == INVALID_PARAMS


async def all_resources(client: Client) -> list[Resource]:
    """Page by page; none is empty."""
    page = await client.list_resources()
    found = page.resources
    while page.next_cursor is not None:
        page = await client.list_resources(cursor=page.next_cursor)
        assert page.resources
        found = [*found, *page.resources]
    return found


async def _collections(live: Live) -> list[str]:
    return [item["name"] for item in (await live.api.get("/collections", limit=200))["items"]]


async def _documents(live: Live, collection: str) -> list[Json]:
    items: list[Json] = (await live.api.get("/documents", collection=collection, limit=200))["items"]
    return items


class TestChanging:
    async def test_a_new_document_is_searchable_when_the_call_returns(
        self, live: Live, client: Client
    ) -> None:
        collection = await live.api.new_collection()
        arguments = {
            "text": "Zebras sleep.",
            "source": "zoo",
            "title": "Zoo",
            "metadata": {"a": 1},
            "collection": collection,
        }

        reply = (await client.call_tool("add_document", arguments)).structured_content

        assert (reply["document"]["status"], reply["job"]["state"]) == ("ready", "succeeded")
        assert reply["document"] == await live.api.get(f"/documents/{reply['document']['id']}")
        assert [hit["title"] for hit in await live.api.search("zebras", collection=collection)] == ["Zoo"]

    async def test_the_same_again_changes_nothing(self, live: Live, client: Client) -> None:
        arguments = {"text": "Lions sleep.", "source": "lions", "collection": await live.api.new_collection()}
        first = (await client.call_tool("add_document", arguments)).structured_content

        again = await client.call_tool("add_document", arguments)

        assert again.structured_content == {"document": first["document"], "job": None}
        assert text_of(again).startswith("Nothing was to do")

    async def test_whoever_does_not_wait_is_told_the_job(self, live: Live, client: Client) -> None:
        arguments = {"text": "Apes sleep.", "wait": False, "collection": await live.api.new_collection()}

        reply = (await client.call_tool("add_document", arguments)).structured_content

        assert reply["job"]["state"] == "queued"
        assert (await live.api.settled(reply))["status"] == "ready"

    async def test_how_far_it_is_is_told(self, live: Live, client: Client) -> None:
        told: list[float] = []

        async def tell(progress: float, total: float | None, message: str | None) -> None:
            told.append(progress)

        arguments = {"text": "Cats sleep.", "collection": await live.api.new_collection()}
        await client.call_tool("add_document", arguments, progress_callback=tell)

        assert told == sorted(set(told))
        assert told

    async def test_a_deleted_document_is_gone(self, live: Live, client: Client) -> None:
        collection = await live.api.new_collection()
        document = await live.api.ready_text("Bears sleep.", collection=collection)

        result = await client.call_tool("delete_document", {"document_id": document["id"]})
        again = await client.call_tool("delete_document", {"document_id": document["id"]})

        assert (
            result.structured_content["verified_absent"],
            result.structured_content["points_deleted"],
        ) == (True, 1)
        assert error_of(again)["code"] == "document_not_found"
        assert await live.api.search("bears", collection=collection) == []

    @pytest.mark.parametrize(
        "arguments",
        [{}, {"text": ""}, {"text": " "}, {"text": "x", "metadata": {"a": {}}}, {"text": "x", "wait": 1}],
        ids=str,
    )
    async def test_what_cannot_be_added_is_told(self, client: Client, arguments: Json) -> None:
        assert error_of(await client.call_tool("add_document", arguments))["code"] == "invalid_request"

    async def test_a_text_may_be_as_long_as_one_of_the_native_api(self, live: Live) -> None:
        text = "Long texts are fine. " * 100_000
        body = message("tools/call", name="add_document", arguments={"text": text, "wait": False})

        reply = await post(live.http, body)

        document = reply.json()["result"]["structuredContent"]["document"]
        assert document["bytes"] == len(text)
        await live.api.delete(f"/documents/{document['id']}")


class TestTools:
    async def test_each_says_what_goes_in_and_comes_out_and_what_it_does(self, client: Client) -> None:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}

        assert list(tools) == [*READING, "add_document", "delete_document"]
        hints = {
            name: (
                tool.annotations.read_only_hint,
                tool.annotations.destructive_hint,
                tool.annotations.idempotent_hint,
            )
            for name, tool in tools.items()
            if tool.annotations
        }
        assert hints == {
            **dict.fromkeys(READING, (True, False, True)),
            "add_document": (False, True, False),
            "delete_document": (False, True, True),
        }
        for tool in tools.values():
            assert tool.title
            assert tool.description
            assert tool.input_schema["additionalProperties"] is False
            assert tool.output_schema
            assert tool.output_schema["type"] == "object"

    async def test_those_that_change_something_are_not_there_unless_a_setting_says_so(
        self, tmp_path: Path
    ) -> None:
        settings = load_settings(data_dir=tmp_path / "data")
        async with (
            live_server(settings, HashingEmbedder(dimension=64)) as live,
            mcp_client(live.url) as client,
        ):
            assert [tool.name for tool in (await client.list_tools()).tools] == READING
            with pytest.raises(MCPError, match="no such tool"):
                await client.call_tool("add_document", {"text": "x"})

    async def test_the_server_tells_what_it_is(self, client: Client, era: str) -> None:
        assert client.protocol_version == era
        assert client.server_capabilities.tools is not None
        assert client.server_capabilities.resources is not None
        assert client.server_capabilities.prompts is None
        assert client.instructions
        assert "ask" in client.instructions


class TestKeys:
    KEY = "k3y-0123456789abcdef"

    async def test_nobody_speaks_without_one_and_logs_name_tools_but_never_questions(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG, "ragstone")
        settings = load_settings(data_dir=tmp_path / "data", api_keys=f"desk:{self.KEY}")
        async with live_server(settings, HashingEmbedder(dimension=64)) as live:
            refused = await live.http.post("/mcp", json=message("ping"))
            async with mcp_client(live.url, Authorization=f"Bearer {self.KEY}") as client:
                await client.call_tool("ask", {"query": "zyzzyva?"})
                await client.call_tool("ask", {"query": "zyzzyva?", "top_k": 0})

        lines = [vars(record) for record in caplog.records if record.name == "ragstone.access"]
        asked = [line for line in lines if "tool" in line]
        assert (refused.status_code, refused.headers["www-authenticate"]) == (401, 'Bearer realm="ragstone"')
        assert [(line["tool"], line["route"], line["principal"], line.get("code")) for line in asked] == [
            ("ask", "/mcp", "desk", None),
            ("ask", "/mcp", "desk", "invalid_request"),
        ]
        assert "embedding_ms" in asked[0]
        assert not [record for record in caplog.records if "zyzzyva" in str(vars(record))]


class TestStopping:
    async def test_an_answer_that_takes_too_long_ends_with_a_word(
        self, live: Live, upstream: ScriptedUpstream, era: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sse, "DRAIN_S", 0.1)
        upstream.script(Fault("hang_mid", times=1))
        drain = sse.Drain()
        monkeypatch.setattr(transport, "Drain", lambda: drain)
        body = message(
            "tools/call", era=era, name="ask", arguments={"query": QUESTION}, _meta={"progressToken": 1}
        )
        asking = asyncio.create_task(live.http.post("/mcp", json=body, headers=headers_of(body, era=era)))
        await until(lambda: _is_asked(upstream))

        drain.has_begun.set()

        last = (await asking).text.strip().splitlines()[-1]
        assert '"code":"unavailable"' in last
        await upstream.wait_until_idle(LEAVING_S)
