"""One request of streamable HTTP: served by the SDK, its messages told as they come.

The SDK's own HTTP transport is not used: where nothing is kept between requests it cannot cancel what a client of the
handshake era gives up, it cuts open streams as soon as the server is told to stop, and it takes 0.5 to 1.4 ms a call.
Negotiation, validation, dispatch and the form of results are the SDK's; framing, and who may end a request, are ours.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import suppress
from typing import Any, Final

import anyio
from fastapi import Request
from mcp.server.connection import Connection
from mcp.server.lowlevel import Server
from mcp.server.runner import modern_error_data, serve_one
from mcp.shared.dispatcher import CallOptions
from mcp.shared.exceptions import NoBackChannelError
from mcp.shared.jsonrpc_dispatcher import progress_token_from_params
from mcp.shared.message import MessageMetadata, ServerMessageMetadata
from mcp.shared.transport_context import TransportContext
from mcp.types import ErrorData, JSONRPCRequest

from ragstone.api.mcp.in_flight import InFlight
from ragstone.api.mcp.messages import Json, error_message, result_message

REQUEST_CANCELLED: Final = -32800  # as the SDK answers what the handshake era cancelled
BUFFERED = 16  # notifications that a slow client has not taken yet; then the work waits


class Exchange:
    """A request and what is sent back for it. The SDK sees it as its DispatchContext."""

    can_send_request = False

    def __init__(
        self,
        server: Server[Any],
        connection: Connection,
        request: Request,
        message: JSONRPCRequest,
        in_flight: InFlight,
    ):
        self.request_id = message.id
        self.transport = TransportContext(kind="streamable-http", can_send_request=False)
        self.message_metadata: MessageMetadata = ServerMessageMetadata(request_context=request)
        self.cancel_requested = anyio.Event()
        self._is_told = False
        self.progress_token = progress_token_from_params(message.params)
        self._server = server
        self._connection = connection
        self._request = request
        self._in_flight = in_flight
        self._message = message
        self._outgoing: asyncio.Queue[Json] = asyncio.Queue(BUFFERED)
        self._working: asyncio.Task[Any] | None = None

    async def response(self) -> Json:
        """The response alone, whatever becomes of the request."""
        self._working = asyncio.current_task()
        try:
            with self._in_flight.listed(self._request, self.request_id, self.give_up):
                result = await self._result()
        except asyncio.CancelledError:
            if not self.cancel_requested.is_set():
                raise
            return self._given_up()
        except Exception as error:  # noqa: BLE001 - the boundary: a defect is logged, told in general words
            return error_message(self.request_id, modern_error_data(error))
        return result_message(self.request_id, result)

    async def messages(self) -> AsyncGenerator[Json, None]:
        """Notifications as they come, and the response as the last. Closing it cancels the work."""
        self._is_told = True
        working = asyncio.create_task(self._put_response())
        try:
            while True:
                message = await self._outgoing.get()
                yield message
                if is_response(message):
                    return
        finally:
            working.cancel()
            with suppress(asyncio.CancelledError):
                await working

    def give_up(self) -> None:
        """The client does not want it any more; it is told so as the response."""
        self.cancel_requested.set()
        if self._working is not None:
            self._working.cancel()

    async def notify(
        self, method: str, params: Mapping[str, Any] | None, opts: CallOptions | None = None
    ) -> None:
        """Before the response; only where `messages` is read."""
        if self._is_told:
            await self._outgoing.put({"jsonrpc": "2.0", "method": method, "params": dict(params or {})})

    async def progress(self, progress: float, total: float | None = None, message: str | None = None) -> None:
        """Where the client asked for it."""
        if self.progress_token is None:
            return
        told = {
            "progressToken": self.progress_token,
            "progress": progress,
            "total": total,
            "message": message,
        }
        known = {name: value for name, value in told.items() if value is not None}
        await self.notify("notifications/progress", known)

    async def send_raw_request(
        self, method: str, params: Mapping[str, Any] | None, opts: CallOptions | None = None
    ) -> dict[str, Any]:
        """A client is never asked anything."""
        raise NoBackChannelError(method)

    async def _result(self) -> Json:
        return await serve_one(
            self._server,
            self,
            self._message.method,
            self._message.params,
            connection=self._connection,
            lifespan_state={},
        )

    async def _put_response(self) -> None:
        await self._outgoing.put(await self.response())

    def _given_up(self) -> Json:
        assert self._working is not None
        self._working.uncancel()
        return error_message(self.request_id, ErrorData(code=REQUEST_CANCELLED, message="Request cancelled"))


def is_response(message: Json) -> bool:
    """Whether nothing follows."""
    return "method" not in message
