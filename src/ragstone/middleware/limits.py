"""Bounds on request bodies: refused by Content-Length before a byte is read, else at the limit while reading."""

from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ragstone.core.errors import PayloadTooLarge, UnsupportedMediaType
from ragstone.middleware.errors import refuse


class BodyLimitMiddleware:
    """413 over the limit of the route, 415 for any Content-Encoding (a compressed body hides its size)."""

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
        received = 0

        async def receive_within_limit() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit:
                raise HTTPException(PayloadTooLarge.status, too_large(limit).message)
            return message

        await self._app(scope, receive_within_limit, send)


def too_large(limit: int) -> PayloadTooLarge:
    """The refusal of a body over `limit` bytes."""
    return PayloadTooLarge(f"the body is larger than the {limit} bytes that are accepted here")


def _declared_length(headers: Headers) -> int:
    declared = headers.get("content-length", "")
    return int(declared) if declared.isascii() and declared.isdigit() and len(declared) < 20 else 0
