"""The application in this process as a transport: pieces come as they are made, and who leaves stops the work."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from starlette.types import Receive, Scope, Send

from ragstone.cli.transport import StreamingASGITransport


class TestInProcess:
    async def test_a_piece_is_passed_on_before_the_next_is_made(self) -> None:
        asked_for_more = asyncio.Event()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await _start(send)
            await _send(send, b"one")
            await asked_for_more.wait()
            await _send(send, b"two", more=False)

        async with _client(app).stream("GET", "/") as response:
            pieces = aiter(response.aiter_bytes())
            assert await anext(pieces) == b"one"
            asked_for_more.set()
            assert [piece async for piece in pieces] == [b"two"]

    async def test_the_request_arrives_whole(self) -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            body = b""
            while (message := await receive())["more_body"]:
                body += message["body"]
            await _start(send)
            await _send(send, scope["method"].encode() + scope["query_string"] + body, more=False)

        response = await _client(app).post("/path", params={"a": "b"}, content=b"body")

        assert response.content == b"POST" + b"a=b" + b"body"

    async def test_closing_before_the_end_cancels_the_work(self) -> None:
        ended = asyncio.Event()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            try:
                await _start(send)
                await _send(send, b"one")
                await asyncio.Event().wait()
            finally:
                ended.set()

        async with _client(app).stream("GET", "/"):
            assert not ended.is_set()

        assert ended.is_set()

    async def test_what_the_application_raises_is_raised(self) -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            raise ValueError("a defect")

        with pytest.raises(ValueError, match="a defect"):
            await _client(app).get("/")

    async def test_a_body_that_cannot_be_read_is_the_callers_error_and_a_client_gone_to_the_application(
        self,
    ) -> None:
        received: list[str] = []

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            while not received or received[-1] != "http.disconnect":
                received.append((await receive())["type"])

        async def body() -> AsyncIterator[bytes]:
            yield b"one"
            raise OSError("the disk is gone")

        with pytest.raises(OSError, match="the disk is gone"):
            await _client(app).post("/", content=body())
        assert received == ["http.request", "http.disconnect"]

    async def test_a_reply_without_its_end_is_an_error(self) -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await _start(send)

        with pytest.raises(RuntimeError, match="before its reply was complete"):
            await _client(app).get("/")

    async def test_waiting_for_the_disconnect_may_be_given_up_and_begun_again(self) -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            while (await receive())["more_body"]:
                pass
            for _ in range(2):
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(receive(), 0.01)
            await _start(send)
            await _send(send, b"still here", more=False)

        assert (await _client(app).get("/")).content == b"still here"


def _client(app: Any) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(transport=StreamingASGITransport(app), base_url="http://127.0.0.1")


async def _start(send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})


async def _send(send: Send, body: bytes, *, more: bool = True) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": more})
