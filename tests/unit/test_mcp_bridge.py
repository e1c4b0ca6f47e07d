"""`ragstone mcp` between a client's lines and a server: what it sends, and what it says where the server says nothing."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import httpx2
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from ragstone.cli.mcp_bridge import Bridge
from ragstone.cli.transport import StreamingASGITransport
from tests.apiclient import Json
from tests.mcpclient import message
from tests.waiting import until

Endpoint = Callable[[Request], Awaitable[Response]]
HANDSHAKE = {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {"protocolVersion": "2025-11-25"}}


def as_app(endpoint: Endpoint) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await (await endpoint(Request(scope, receive)))(scope, receive, send)

    return app


async def echo(request: Request) -> Response:
    """What it was asked, as the result; a handshake as a server of its era answers it."""
    body = json.loads(await request.body())
    if "id" not in body:
        return Response(status_code=202)
    result = {"protocolVersion": "2025-11-25"} if body["method"] == "initialize" else _seen(request)
    reply = {"jsonrpc": "2.0", "id": body["id"], "result": result}
    return JSONResponse(reply, headers={"mcp-session-id": "s"} if body["method"] == "initialize" else None)


def _seen(request: Request) -> Json:
    return {
        "path": request.url.path,
        **{name: value for name, value in request.headers.items() if "mcp" in name},
    }


class Pipe:
    """A client's side of a bridge."""

    def __init__(self) -> None:
        self.written: list[Json] = []

    async def write(self, line: bytes) -> None:
        assert b"\n" not in line
        self.written.append(json.loads(line))


async def bridged(
    endpoint: Endpoint, lines: Sequence[Json | bytes], transport: httpx2.AsyncBaseTransport | None = None
) -> list[Json]:
    """All that comes back for these lines."""
    pipe = Pipe()
    transport = transport or StreamingASGITransport(as_app(endpoint))
    async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1/here") as http:
        await Bridge(http, pipe.write, moved=lambda: None).run(_lines(lines))
    return pipe.written


async def _lines(lines: Sequence[Json | bytes]) -> AsyncIterator[bytes]:
    for line in lines:
        yield line if isinstance(line, bytes) else json.dumps(line).encode()


class TestRequests:
    async def test_a_request_of_2026_says_in_headers_what_it_is(self) -> None:
        (reply,) = await bridged(echo, [message("tools/call", name="ask", arguments={})])

        assert reply["result"] == {
            "path": "/here/mcp",
            "mcp-protocol-version": "2026-07-28",
            "mcp-method": "tools/call",
            "mcp-name": "ask",
        }

    @pytest.mark.parametrize(
        ("uri", "header"),
        [
            ("ragstone://documents/1", "ragstone://documents/1"),
            ("a b", "a b"),
            ("ü", "=?base64?w7w=?="),
            (" a", "=?base64?IGE=?="),
            ("=?base64?w7w=?=", "=?base64?PT9iYXNlNjQ/dzd3PT89?="),
            ("a\nb", "=?base64?YQpi?="),
            ("", "=?base64??="),
        ],
    )
    async def test_names_are_written_so_that_headers_can_hold_them(self, uri: str, header: str) -> None:
        (reply,) = await bridged(echo, [message("resources/read", uri=uri)])

        assert reply["result"]["mcp-name"] == header

    async def test_what_a_handshake_settled_is_sent_from_then_on(self) -> None:
        asked = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}

        replies = await bridged(echo, [HANDSHAKE, asked])

        assert replies[1]["result"] == {
            "path": "/here/mcp",
            "mcp-protocol-version": "2025-11-25",
            "mcp-session-id": "s",
        }

    async def test_notifications_are_passed_on_and_not_answered(self) -> None:
        seen: list[Any] = []

        async def note(request: Request) -> Response:
            seen.append(json.loads(await request.body())["method"])
            return Response(status_code=202)

        replies = await bridged(note, [{"jsonrpc": "2.0", "method": "notifications/initialized"}])

        assert (replies, seen) == ([], ["notifications/initialized"])

    @pytest.mark.parametrize("line", [b"{", b"[]", b"5", b"\xff\xfe", b'"\\ud800"'])
    async def test_a_line_that_is_no_message_is_told_so(self, line: bytes) -> None:
        (reply,) = await bridged(echo, [line])

        assert (reply["id"], reply["error"]["code"]) == (None, -32700)


class TestReplies:
    async def test_events_are_lines_in_their_order(self) -> None:
        told = {"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progress": 1}}
        last = {"jsonrpc": "2.0", "id": 1, "result": {}}

        async def stream(request: Request) -> Response:
            frames = [
                ": ping\r\n\r\n",
                *(f"event: message\r\ndata: {json.dumps(each)}\r\n\r\n" for each in (told, last)),
            ]
            return StreamingResponse(iter(frames), media_type="text/event-stream")

        assert await bridged(stream, [message("tools/call", name="ask")]) == [told, last]

    async def test_a_refusal_in_ragstones_shape_is_an_error_with_all_of_it(self) -> None:
        body = {"error": {"code": "unauthorized", "message": "an API key is needed", "retryable": False}}

        async def refuse(request: Request) -> Response:
            return JSONResponse(body, status_code=401)

        (reply,) = await bridged(refuse, [message("ping", request_id="a")])

        assert reply["id"] == "a"
        assert reply["error"] == {
            "code": -32603,
            "message": "unauthorized: an API key is needed",
            "data": body,
        }

    async def test_a_page_of_something_between_is_an_error(self) -> None:
        async def gateway(request: Request) -> Response:
            return PlainTextResponse("<html>\n", status_code=502)

        (reply,) = await bridged(gateway, [message("ping")])

        assert reply["error"]["message"] == "http://127.0.0.1/here/mcp answers 502 with what is no JSON-RPC"

    async def test_a_stream_that_ends_too_early_is_an_error(self) -> None:
        async def stream(request: Request) -> Response:
            frame = b'data: {"jsonrpc": "2.0", "method": "notifications/progress", "params": {}}\r\n\r\n'
            return StreamingResponse(iter([frame]), media_type="text/event-stream")

        replies = await bridged(stream, [message("ping")])

        assert "broke off" in replies[-1]["error"]["message"]

    async def test_a_server_that_is_not_there_is_an_error_and_the_next_request_is_tried_again(self) -> None:
        transport = httpx2.AsyncHTTPTransport(local_address="127.0.0.1", trust_env=False)
        pipe = Pipe()
        async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1:1") as http:
            lines = _lines([message("ping", request_id=1), message("ping", request_id=2)])
            await Bridge(http, pipe.write, moved=lambda: None).run(lines)

        assert sorted(reply["id"] for reply in pipe.written) == [1, 2]
        assert {reply["error"]["message"] for reply in pipe.written} == {
            "the server at http://127.0.0.1:1 does not answer"
        }


class TestCallingOff:
    async def test_a_request_of_2026_is_closed_and_not_answered(self) -> None:
        begun, left = asyncio.Event(), asyncio.Event()

        async def hang(request: Request) -> Response:
            begun.set()
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                left.set()
                raise
            return Response()

        async def lines() -> AsyncIterator[bytes]:
            yield json.dumps(message("ping", request_id="x")).encode()
            await begun.wait()
            cancelled = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": "x"}}
            yield json.dumps(cancelled).encode()
            await asyncio.wait_for(left.wait(), 1)

        pipe = Pipe()
        async with httpx2.AsyncClient(
            transport=StreamingASGITransport(as_app(hang)), base_url="http://a"
        ) as http:
            await Bridge(http, pipe.write, moved=lambda: None).run(lines())

        assert pipe.written == []

    @pytest.mark.parametrize("parameters", [None, {}, {"requestId": []}, {"requestId": "nobody's"}])
    async def test_what_is_not_at_work_is_not_missed(self, parameters: Any) -> None:
        cancelled = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": parameters}

        (reply,) = await bridged(echo, [cancelled, message("ping")])

        assert "result" in reply

    async def test_of_a_handshake_the_server_is_told(self) -> None:
        seen: list[Json] = []

        async def note(request: Request) -> Response:
            seen.append(json.loads(await request.body()))
            return await echo(request)

        cancelled = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}
        await bridged(note, [HANDSHAKE, cancelled])

        assert seen[-1] == cancelled


class TestEnding:
    async def test_what_is_being_answered_at_the_end_has_a_moment(self) -> None:
        async def slow(request: Request) -> Response:
            await asyncio.sleep(0.05)
            return await echo(request)

        assert len(await bridged(slow, [message("ping", request_id=number) for number in range(3)])) == 3

    async def test_but_not_more(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("ragstone.cli.mcp_bridge.LAST_WORDS_S", 0.05)
        tasks = asyncio.all_tasks()

        async def hang(request: Request) -> Response:
            await asyncio.sleep(60)
            return Response()

        assert await bridged(hang, [message("ping")]) == []

        async def is_quiet() -> bool:
            return asyncio.all_tasks() <= tasks

        await until(is_quiet)
