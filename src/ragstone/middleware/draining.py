"""A server on its way out: what it has begun is finished in time, what comes new is sent away."""

import asyncio
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ragstone.core.errors import Unavailable
from ragstone.middleware.errors import refuse

BACK_IN_S = 5.0  # a restart takes about three seconds


class OpenRequests:
    """The requests that are being answered, and when they must have ended."""

    def __init__(self) -> None:
        self._limits: set[asyncio.Timeout] = set()
        self._end_at: float | None = None

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._limits)

    def end_within(self, seconds: float) -> None:
        """Whatever goes on for longer from now is cancelled."""
        self._end_at = asyncio.get_running_loop().time() + seconds
        for limit in self._limits:
            limit.reschedule(self._end_at)

    @contextmanager
    def counted(self, limit: asyncio.Timeout) -> Iterator[None]:
        """Count a request, whose work runs inside of `limit`."""
        limit.reschedule(self._end_at)
        self._limits.add(limit)
        try:
            yield
        finally:
            self._limits.discard(limit)


class DrainingMiddleware:
    """503 for what arrives once the server stops, but for probes; 503 as well for what it could not end in time."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        requests: OpenRequests,
        is_stopping: Callable[[], bool],
        always_answered: Collection[str],
    ):
        self._app = app
        self._requests = requests
        self._is_stopping = is_stopping
        self._always_answered = always_answered

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["path"] in self._always_answered:
            await self._app(scope, receive, send)
        elif self._is_stopping():
            await refuse(scope, receive, _closing(send), _stopping())
        else:
            await self._serve(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        has_begun = False

        async def send_and_note(message: Message) -> None:
            nonlocal has_begun
            if message["type"] == "http.response.start":
                has_begun = True
            await send(message)

        limit = asyncio.timeout(None)
        try:
            async with limit:
                with self._requests.counted(limit):
                    await self._app(scope, receive, send_and_note)
        except TimeoutError:
            if not limit.expired() or has_begun:
                raise
            await refuse(scope, receive, _closing(send), _stopping())


def _stopping() -> Unavailable:
    return Unavailable("the server is stopping; ask again in a moment", retry_after_s=BACK_IN_S)


def _closing(send: Send) -> Send:
    """The next request of this client goes to another connection, and so to another server."""

    async def send_last(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message)["Connection"] = "close"
        await send(message)

    return send_last
