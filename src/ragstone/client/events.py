"""Server-sent events of one response, which must be closed. What they mean is known to readers."""

from collections.abc import AsyncGenerator, Iterator
from typing import cast

import anyio
import httpx2

from ragstone.client.errors import ConnectionLost
from ragstone.client.server import Server

Event = httpx2.ServerSentEvent


class Events:
    """Server-sent events of a response. Closing it before its end makes the server stop."""

    def __init__(self, response: httpx2.Response, server: Server):
        self._response = response
        self._server = server
        self._events: Iterator[Event] = iter(httpx2.EventSource(response, None))
        self._first: Event | None = None
        self._has_begun = False

    def prefetch(self) -> None:
        """Wait for the first event. Raises CallFailed, closed."""
        try:
            self._first = self.next()
        except BaseException:
            self.close()
            raise
        if self._first is None:
            self.close()
            raise self._server.silent()

    def next(self) -> Event | None:
        """None at the end. Raises ConnectionLost, UnexpectedReply."""
        if (first := self._first) is not None:
            self._first = None
            return first
        try:
            event = next(self._events, None)
        except httpx2.RequestError as error:
            raise self._server.lost(error, has_begun=self._has_begun) from error
        self._has_begun = True
        return event

    def broken_off(self) -> ConnectionLost:
        """It ended without its last event."""
        return self._server.silent(has_begun=True)

    def close(self) -> None:
        """Idempotent."""
        self._response.close()


class AsyncEvents:
    """As Events."""

    def __init__(self, response: httpx2.Response, server: Server):
        self._response = response
        self._server = server
        events = aiter(httpx2.EventSource(response, None))
        self._events = cast("AsyncGenerator[Event, None]", events)
        self._first: Event | None = None
        self._has_begun = False

    async def prefetch(self) -> None:
        """Wait for the first event. Raises CallFailed, closed."""
        try:
            self._first = await self.next()
        except BaseException:
            await self.close()
            raise
        if self._first is None:
            await self.close()
            raise self._server.silent()

    async def next(self) -> Event | None:
        """None at the end. Raises ConnectionLost, UnexpectedReply."""
        if (first := self._first) is not None:
            self._first = None
            return first
        try:
            event = await anext(self._events, None)
        except httpx2.RequestError as error:
            raise self._server.lost(error, has_begun=self._has_begun) from error
        self._has_begun = True
        return event

    def broken_off(self) -> ConnectionLost:
        """It ended without its last event."""
        return self._server.silent(has_begun=True)

    async def close(self) -> None:
        """Idempotent."""
        with anyio.CancelScope(shield=True):
            await self._events.aclose()
            await self._response.aclose()
