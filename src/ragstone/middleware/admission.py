"""Which requests are begun at all, and until when those that are must have ended where the server stops."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ragstone.core.errors import RagstoneError, Unavailable
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

    @property
    def are_ending(self) -> bool:
        """Whether the server is on its way out."""
        return self._end_at is not None

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


class AdmissionMiddleware:
    """Refuses what `objection` objects to before a byte of its body is read: that is all that a flood costs. 503 as
    well for what a stopping server could not end in time."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        requests: OpenRequests,
        objection: Callable[[Scope], RagstoneError | None],
    ):
        self._app = app
        self._requests = requests
        self._objection = objection

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif (error := self._objection(scope)) is not None:
            await refuse(scope, receive, _closing(send) if self._requests.are_ending else send, error)
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
            await refuse(scope, receive, _closing(send), stopping())


def stopping() -> Unavailable:
    """What is said to whoever comes too late."""
    return Unavailable("the server is stopping; ask again in a moment", retry_after_s=BACK_IN_S)


def _closing(send: Send) -> Send:
    """The next request of this client goes to another connection, and so to another server."""

    async def send_last(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message)["Connection"] = "close"
        await send(message)

    return send_last
