"""A trace for each request, where traces are recorded."""

from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ragstone.core.ports import Tracer
from ragstone.middleware.metrics import LEFT, METHODS, route_of


class TracingMiddleware:
    """Inside of the logging middleware, whose request id and stopwatch it reads; that one logs the id of the trace."""

    def __init__(self, app: ASGIApp, *, tracer: Callable[[], Tracer]):
        self._app = app
        self._tracer = tracer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status, state = LEFT, scope["state"]
        method = scope["method"] if scope["method"] in METHODS else "_OTHER"
        trace = self._tracer().begin(method, Headers(scope=scope))
        state["trace_id"] = trace.trace_id

        async def send_and_note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, send_and_note)
        except Exception:
            status = 500  # as the logging middleware will answer
            raise
        finally:
            trace.end(
                route=route_of(scope),
                status=status,
                request_id=state["request_id"],
                stopwatch=state["stopwatch"],
            )
