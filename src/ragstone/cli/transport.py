"""An ASGI application as an HTTP transport that passes on each piece of a reply as it comes; httpx2's own one waits for
the whole reply."""

import asyncio
from collections.abc import AsyncIterator, MutableMapping
from typing import Any

import httpx2
from starlette.types import ASGIApp

Message = MutableMapping[str, Any]


class StreamingASGITransport(httpx2.AsyncBaseTransport):
    """Closing a response before its end cancels the application's work for it. What it raises is raised here."""

    def __init__(self, app: ASGIApp):
        self._app = app

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """The response, once its headers are known."""
        exchange = _Exchange(self._app, request)
        try:
            start = await exchange.next_message()
        except BaseException:
            await exchange.aclose()
            raise
        return httpx2.Response(start["status"], headers=start.get("headers", []), stream=exchange)


class _Exchange(httpx2.AsyncByteStream):
    """One request, which the application answers in a task of its own."""

    def __init__(self, app: ASGIApp, request: httpx2.Request):
        assert isinstance(request.stream, httpx2.AsyncByteStream)
        self._body: AsyncIterator[bytes] | None = aiter(request.stream)
        self._messages: asyncio.Queue[Message | None] = asyncio.Queue()
        self._closed = asyncio.Event()
        self._is_complete = False
        self._body_failure: Exception | None = None
        self._running = asyncio.ensure_future(app(_scope(request), self._receive, self._messages.put))
        self._running.add_done_callback(lambda _: self._messages.put_nowait(None))

    async def next_message(self) -> Message:
        """What the application sends next. Raises what it raised instead, or what reading the body raised."""
        message = await self._messages.get()
        if self._body_failure is not None:
            raise self._body_failure
        if message is None:
            await self._running
            raise RuntimeError("the application ended before its reply was complete")
        return message

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while not self._is_complete:
            message = await self.next_message()
            self._is_complete = not message.get("more_body", False)
            if part := message.get("body", b""):
                yield part

    async def aclose(self) -> None:
        """Idempotent. The application's last steps after a complete reply are waited for."""
        self._closed.set()
        if not self._is_complete:
            self._running.cancel()
        await asyncio.wait({self._running})

    async def _receive(self) -> Message:
        if self._body is None:
            await self._closed.wait()
            return {"type": "http.disconnect"}
        try:
            part = await anext(self._body, None)
        except Exception as error:  # noqa: BLE001 - the caller gets it; to the application the client left
            self._body, self._body_failure = None, error
            self._messages.put_nowait(None)
            return {"type": "http.disconnect"}
        if part is None:
            self._body = None
        return {"type": "http.request", "body": part or b"", "more_body": part is not None}


def _scope(request: httpx2.Request) -> Message:
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": request.method,
        "headers": [(name.lower(), value) for name, value in request.headers.raw],
        "scheme": request.url.scheme,
        "path": request.url.path,
        "raw_path": request.url.raw_path.partition(b"?")[0],
        "query_string": request.url.query,
        "server": (request.url.host, request.url.port),
        "client": ("127.0.0.1", 0),
        "root_path": "",
    }
