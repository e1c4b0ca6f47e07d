"""What a worker that does not lead answers itself, and how it passes the rest on."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
import uvicorn
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from ragstone.cli.serve import server_config
from ragstone.middleware import passing_on
from ragstone.middleware.passing_on import Leader, PassingOnMiddleware, is_answered_anywhere
from tests.engines import quick_folder

Endpoint = Callable[[Request], Awaitable[Response]]


async def at_home(scope: Scope, receive: Receive, send: Send) -> None:
    await JSONResponse({"answered": "here"})(scope, receive, send)


async def echo(request: Request) -> Response:
    body = await request.body()
    client = None if request.client is None else request.client.host
    return JSONResponse(
        {
            "method": request.method,
            "target": request.scope["raw_path"].decode() + "?" + request.scope["query_string"].decode(),
            "headers": {name: value for name, value in request.headers.items() if name != "content-length"},
            "scheme": request.url.scheme,
            "client": client,
            "bytes": len(body),
        },
        status_code=207,
        headers={"X-From": "leader"},
    )


def as_app(endpoint: Endpoint) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        response = await endpoint(Request(scope, receive))
        await response(scope, receive, send)

    return app


@asynccontextmanager
async def serving(app: ASGIApp, path: Path) -> AsyncIterator[uvicorn.Server]:
    """The leader's side."""
    server = uvicorn.Server(server_config(app, uds=str(path), lifespan="off", forwarded_allow_ips="*"))
    running = asyncio.create_task(server._serve())
    while not server.started:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    try:
        yield server
    finally:
        server.should_exit = True
        await running


@asynccontextmanager
async def passing_on_to(endpoint: Endpoint) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of a worker whose leader answers with this endpoint."""
    with quick_folder() as folder:
        async with serving(as_app(endpoint), folder / "leader"), client_of(folder / "leader") as http:
            yield http


@asynccontextmanager
async def client_of(path: Path) -> AsyncIterator[httpx2.AsyncClient]:
    worker = PassingOnMiddleware(at_home, Leader(str(path)))
    transport = httpx2.ASGITransport(app=worker, client=("192.0.2.7", 1))
    async with httpx2.AsyncClient(transport=transport, base_url="https://rag.example") as http:
        yield http


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/documents", True),
        ("HEAD", "/health", True),
        ("OPTIONS", "/documents", True),
        ("POST", "/search", True),
        ("POST", "/query", True),
        ("POST", "/documents", False),
        ("PATCH", "/documents/1", False),
        ("DELETE", "/documents/1", False),
        ("GET", "/admin/consistency", False),
        ("POST", "/admin/backups", False),
        ("PUT", "/query", False),
        ("POST", "/a-route-to-come", False),
        ("POST", "/v1/chat/completions", True),
        ("POST", "/v1/embeddings", True),
        ("POST", "/v1/vector_stores/default/search", True),
        ("POST", "/v1/responses", False),
        ("POST", "/v1/vector_stores/default", False),
        ("POST", "/v1/vector_stores/default/files/search", False),
    ],
)
def test_only_what_changes_nothing_is_answered_by_any_worker(method: str, path: str, expected: bool) -> None:
    assert is_answered_anywhere({"method": method, "path": path}) is expected


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([(b"mcp-method", b"tools/call"), (b"mcp-name", b"ask")], True),
        ([(b"mcp-method", b"tools/call"), (b"mcp-name", b"search")], True),
        ([(b"mcp-method", b"tools/call"), (b"mcp-name", b"delete_document")], False),
        ([(b"mcp-method", b"resources/read"), (b"mcp-name", b"ask")], False),
        ([(b"mcp-name", b"ask")], False),
        ([], False),
    ],
)
def test_of_mcp_what_names_a_tool_that_reads_is_answered_by_any_worker(
    headers: list[tuple[bytes, bytes]], expected: bool
) -> None:
    assert is_answered_anywhere({"method": "POST", "path": "/mcp", "headers": headers}) is expected


def test_the_tools_of_mcp_that_only_read_are_known() -> None:
    from ragstone.api.mcp.tools import TOOLS

    assert {tool.name.encode() for tool in TOOLS if not tool.changes} == passing_on.READING_TOOLS


async def test_what_only_reads_is_answered_here() -> None:
    async with passing_on_to(echo) as http:
        assert (await http.get("/documents")).json() == {"answered": "here"}


class TestPassedOn:
    async def test_request_and_reply_arrive_as_they_were_sent(self) -> None:
        async with passing_on_to(echo) as http:
            reply = await http.post(
                "/docu%2Fments/%C3%BC?a=%20b&a=2", content=b"x" * 300_000, headers={"X-Request-ID": "r-1"}
            )

        seen = reply.json()
        assert (reply.status_code, reply.headers["x-from"]) == (207, "leader")
        assert (seen["method"], seen["target"]) == ("POST", "/docu%2Fments/%C3%BC?a=%20b&a=2")
        assert (seen["headers"]["host"], seen["headers"]["x-request-id"]) == ("rag.example", "r-1")
        assert seen["bytes"] == 300_000

    async def test_the_leader_sees_our_client_and_believes_no_other_word_for_it(self) -> None:
        told = {"X-Forwarded-For": "203.0.113.1", "X-Forwarded-Proto": "http"}
        async with passing_on_to(echo) as http:
            seen = (await http.delete("/documents/1", headers=told)).json()

        assert (seen["client"], seen["scheme"]) == ("192.0.2.7", "https")

    async def test_a_body_without_a_length_arrives_whole(self) -> None:
        async def pieces() -> AsyncIterator[bytes]:
            for _ in range(5):
                yield b"piece"

        async with passing_on_to(echo) as http:
            reply = await http.post("/documents", content=pieces(), headers={"Transfer-Encoding": "chunked"})

        assert reply.json()["bytes"] == 25

    @pytest.mark.parametrize("hosts", [[], ["a.example", "b.example"]])
    async def test_without_exactly_one_host_the_leader_sees_none(self, hosts: list[str]) -> None:
        scope: Scope = {
            "type": "http",
            "method": "DELETE",
            "path": "/documents/1",
            "raw_path": b"/documents/1",
            "query_string": b"",
            "scheme": "http",
            "headers": [(b"host", host.encode()) for host in hosts],
        }
        assert [value for name, value in passing_on._headers(scope) if name == b"host"] == [b""]

    async def test_a_reply_in_pieces_comes_in_pieces(self) -> None:
        async def in_pieces(request: Request) -> Response:
            return StreamingResponse(iter([b"one ", b"two"]))

        async with passing_on_to(in_pieces) as http:
            assert (await http.post("/documents")).text == "one two"


class TestFailures:
    async def test_a_leader_that_is_restarted_is_waited_for(self) -> None:
        with quick_folder() as folder:
            async with client_of(folder / "leader") as http:
                waiting = asyncio.create_task(http.post("/documents", content=b"x"))
                await asyncio.sleep(0.2)
                assert not waiting.done()
                async with serving(as_app(echo), folder / "leader"):
                    assert (await waiting).json()["bytes"] == 1

    async def test_a_leader_that_stays_away_is_503_and_nothing_was_done(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(passing_on, "PATIENCE_S", 0.1)
        async with client_of(tmp_path / "nobody") as http:
            reply = await http.post("/documents", headers={"X-Request-ID": "r-2"})

        error = reply.json()["error"]
        assert (reply.status_code, error["code"], error["retryable"]) == (503, "unavailable", True)
        assert (reply.headers["retry-after"], reply.headers["x-request-id"]) == ("1", "r-2")
        assert error["request_id"] == "r-2"

    async def test_a_leader_that_dies_over_a_request_leaves_it_in_doubt(self) -> None:
        with quick_folder() as folder:
            async with (
                await asyncio.start_unix_server(_hang_up, folder / "leader"),
                client_of(folder / "leader") as http,
            ):
                reply = await http.post("/documents", content=b"x")

        assert (reply.status_code, reply.json()["error"]["code"]) == (503, "change_in_doubt")

    async def test_a_client_that_leaves_cancels_the_leaders_work(self) -> None:
        began, ended = asyncio.Event(), asyncio.Event()

        async def never(request: Request) -> Response:
            await request.body()
            began.set()
            while (await request.receive())["type"] != "http.disconnect":
                pass
            ended.set()
            return Response()

        with quick_folder() as folder:
            async with serving(as_app(never), folder / "leader"):
                left = asyncio.Event()
                worker = PassingOnMiddleware(at_home, Leader(str(folder / "leader")))
                asking = asyncio.create_task(worker(_upload(), _receive_until(left), _ignore))
                await began.wait()
                left.set()
                await asyncio.wait_for(ended.wait(), timeout=5)
                await asking


def _upload() -> Scope:
    return {
        "type": "http",
        "method": "POST",
        "path": "/documents",
        "raw_path": b"/documents",
        "query_string": b"",
        "scheme": "http",
        "headers": [(b"host", b"127.0.0.1"), (b"content-length", b"0")],
    }


def _receive_until(left: asyncio.Event) -> Receive:
    messages: list[dict[str, Any]] = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> dict[str, Any]:
        if messages:
            return messages.pop()
        await left.wait()
        return {"type": "http.disconnect"}

    return receive


async def _ignore(_message: Any) -> None:
    return


async def _hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(10)
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()
