"""Bounds on request bodies: refused by Content-Length before a byte is read, else at the limit while reading; and on
how long they may take."""

import asyncio
from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ragstone.core.errors import BodyTimeout, PayloadTooLarge, UnsupportedMediaType
from ragstone.middleware.errors import refuse

LONGEST_PAUSE_S = 30.0  # between two pieces of a body
PATIENCE_S = 60.0  # after that a body must have come at LEAST_RATE on the whole
LEAST_RATE = 1_000  # bytes a second: a hundred times slower than a telephone line is no upload


class BodyLimitMiddleware:
    """413 over the limit of the route, 415 for any Content-Encoding (a compressed body hides its size), 408 for a body
    that trickles in."""

    def __init__(self, app: ASGIApp, *, limit_for: Callable[[Scope], int]):
        self._app = app
        self._limit_for = limit_for

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with a counting `receive`."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers, limit = Headers(scope=scope), self._limit_for(scope)
        if any(encoding.lower() != "identity" for encoding in headers.getlist("content-encoding")):
            await refuse(
                scope, receive, send, UnsupportedMediaType("request bodies are taken uncompressed only")
            )
            return
        if _declared_length(headers) > limit:
            await refuse(scope, receive, send, too_large(limit))
            return
        await self._app(scope, _BoundedBody(receive, limit).receive, send)


class _BoundedBody:
    """Counts what is received, and how long it takes. What is wrong is raised as HTTPException, which is all that
    FastAPI lets through while it reads a body."""

    def __init__(self, receive: Receive, limit: int):
        self._receive = receive
        self._limit = limit
        self._received = 0
        self._is_complete = False
        self._began: float | None = None

    async def receive(self) -> Message:
        """The next message; after the body's end the client may take its time."""
        message = await (self._receive() if self._is_complete else self._receive_in_time())
        self._received += len(message.get("body", b""))
        self._is_complete = not message.get("more_body", False)
        if self._received > self._limit:
            raise HTTPException(PayloadTooLarge.status, too_large(self._limit).message)
        return message

    async def _receive_in_time(self) -> Message:
        now = asyncio.get_running_loop().time()
        began = self._began = now if self._began is None else self._began
        end_at = min(now + LONGEST_PAUSE_S, began + PATIENCE_S + self._received / LEAST_RATE)
        try:
            async with asyncio.timeout_at(end_at):
                return await self._receive()
        except TimeoutError as error:
            raise HTTPException(BodyTimeout.status, headers={"Connection": "close"}) from error


def too_large(limit: int) -> PayloadTooLarge:
    """The refusal of a body over `limit` bytes."""
    return PayloadTooLarge(f"the body is larger than the {limit} bytes that are accepted here")


def _declared_length(headers: Headers) -> int:
    declared = headers.get("content-length", "")
    return int(declared) if declared.isascii() and declared.isdigit() and len(declared) < 20 else 0
