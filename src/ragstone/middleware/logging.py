"""Request id, stopwatch, response headers and the access line. Pure ASGI: a streamed answer pays nothing per event."""

import logging
import uuid
from collections.abc import Mapping

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ragstone.core.context import request_id as current_request_id
from ragstone.core.errors import InternalError
from ragstone.core.timing import Stopwatch
from ragstone.middleware.errors import refuse
from ragstone.middleware.metrics import route_of

log = logging.getLogger("ragstone.access")

MAX_REQUEST_ID = 128


class LoggingMiddleware:
    """Everything inside runs under one request id and one stopwatch (`scope["state"]`); whoever knows the caller notes
    the label of its key there as `principal`."""

    def __init__(self, app: ASGIApp, *, log_requests: bool = True):
        self._app = app
        self._log_requests = log_requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = accepted_request_id(Headers(scope=scope).get("x-request-id"))
        state = scope.setdefault("state", {})
        stopwatch = state.setdefault("stopwatch", Stopwatch())
        state["request_id"] = request_id
        token = current_request_id.set(request_id)
        status: int | None = None
        bytes_in = bytes_out = 0

        async def receive_and_count() -> Message:
            nonlocal bytes_in
            message = await receive()
            bytes_in += len(message.get("body", b""))
            return message

        async def send_with_headers(message: Message) -> None:
            nonlocal status, bytes_out
            if message["type"] == "http.response.body":
                bytes_out += len(message.get("body", b""))
            elif message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-ID"] = request_id
                headers["Server-Timing"] = server_timing(stopwatch)
                headers["X-Content-Type-Options"] = "nosniff"
            await send(message)

        try:
            await self._app(scope, receive_and_count, send_with_headers)
        except Exception:  # the outermost boundary: a defect becomes a 500 in our shape
            log.exception("request broke off")
            if status is None:
                await refuse(
                    scope, receive, send_with_headers, InternalError("a defect of the server; see its log")
                )
        finally:
            if self._log_requests:
                sizes = {"bytes_in": bytes_in, "bytes_out": bytes_out}
                _write_access_line(scope, status, sizes, stopwatch)
            current_request_id.reset(token)


def accepted_request_id(given: str | None) -> str:
    """The caller's id if it is 1 to 128 visible ASCII characters, else a new one."""
    if given and len(given) <= MAX_REQUEST_ID and all("!" <= character <= "~" for character in given):
        return given
    return str(uuid.uuid4())


def server_timing(stopwatch: Stopwatch) -> str:
    """The stages so far and the total, as the Server-Timing header has them (milliseconds), and the retries."""
    stages = [f"{name.removesuffix('_ms')};dur={ms:.3f}" for name, ms in stopwatch.report().items()]
    retries = ", ".join(f"{dependency}={count}" for dependency, count in stopwatch.retries.items())
    return ", ".join([*stages, *([f'retries;desc="{retries}"'] if retries else [])])


def _write_access_line(
    scope: Scope, status: int | None, sizes: Mapping[str, int], stopwatch: Stopwatch
) -> None:
    """Sizes are those of bodies. `code` is that of the error that it was answered with; `principal` the label of the
    caller's key, where there are keys; `tool` what was called through MCP; `trace_id` leads to the request's trace,
    where traces are recorded."""
    known = {name: scope["state"].get(name) for name in ("code", "principal", "tool", "trace_id")}
    log.info(
        "request",
        extra={
            "method": scope["method"],
            "route": route_of(scope),
            "status": status,
            **sizes,
            **{name: value for name, value in known.items() if value is not None},
            **stopwatch.stop(),
            **({"outcome": stopwatch.outcome} if stopwatch.outcome else {}),
            **({"retries": stopwatch.retries} if stopwatch.retries else {}),
        },
    )
