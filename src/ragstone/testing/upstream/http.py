"""HTTP/1 as a server speaks it that must also be able to speak it badly: hang, hang up, reset."""

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import cast

import httptools

MAX_BODY_BYTES = 8 * 1024 * 1024
BLOCK_BYTES = 64 * 1024


@dataclass(slots=True)
class Request:
    """What a client asks. A body over 8 MB is thrown away, and said to be."""

    method: str = ""
    path: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    body: bytearray = field(default_factory=bytearray)
    is_too_large: bool = False


class Exchange:
    """A request and the response that is being written to it."""

    def __init__(self, request: Request, connection: "Connection", *, version: str, keep_alive: bool):
        self.request = request
        self.keeps_alive = keep_alive
        self.has_ended = False
        self._connection = connection
        self._transport = connection.transport
        self._knows_chunks = version != "1.0"
        self._is_chunked = False

    @property
    def client_has_left(self) -> bool:
        """Whether the client closed the connection."""
        return self._connection.client_has_left

    def send(
        self, status: int, body: bytes, media_type: str, headers: Mapping[str, str | float] | None = None
    ) -> None:
        """A whole response."""
        self.open(media_type, length=len(body), status=status, headers=headers)
        self._put(body)
        self.has_ended = True

    def open(
        self,
        media_type: str,
        *,
        length: int | None = None,
        status: int = 200,
        headers: Mapping[str, str | float] | None = None,
    ) -> None:
        """The head of a response. Without a length its body is chunked, or ends with the connection."""
        self._is_chunked = length is None and self._knows_chunks
        self.keeps_alive = self.keeps_alive and (length is not None or self._is_chunked)
        lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase if status in _PHRASED else 'Error'}"]
        lines.append(f"content-type: {media_type}")
        if length is not None:
            lines.append(f"content-length: {length}")
        elif self._is_chunked:
            lines.append("transfer-encoding: chunked")
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        lines.append(f"connection: {'keep-alive' if self.keeps_alive else 'close'}")
        self._put("\r\n".join([*lines, "", ""]).encode("latin-1", "replace"))

    def write(self, body: bytes) -> None:
        """A part of the body; not empty."""
        self._put(b"%x\r\n%b\r\n" % (len(body), body) if self._is_chunked else body)

    async def drain(self) -> None:
        """Wait until the client has read enough of what was written."""
        await self._connection.writable.wait()

    async def write_repeated(self, block: bytes, total_bytes: int | None) -> None:
        """The block again and again until so many bytes are written; None = until the client leaves."""
        written = 0
        while total_bytes is None or written < total_bytes:
            most = len(block) if total_bytes is None else total_bytes - written
            self.write(block[:most])
            written += min(len(block), most)
            await asyncio.sleep(0)
            await self.drain()

    def end(self) -> None:
        """The end of the body, whatever was in it."""
        if self._is_chunked:
            self._put(b"0\r\n\r\n")
        self.has_ended = True

    async def hang(self) -> None:
        """Nothing more, until the client leaves or the server stops."""
        await asyncio.get_running_loop().create_future()

    async def drop(self) -> None:
        """Close the connection in the middle of the response."""
        await self._flush()
        self._transport.close()

    async def reset(self) -> None:
        """Break the connection in the middle of the response: the client gets a RST after what was written."""
        await self._flush()
        own: socket.socket = self._transport.get_extra_info("socket")
        own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()

    async def _flush(self) -> None:
        self._transport.set_write_buffer_limits(high=0)  # from now on writable means that nothing is left
        await self.drain()

    def _put(self, raw: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(raw)


class Connection(asyncio.Protocol):
    """A client's connection: one request at a time. A client that leaves cancels at once what answers it."""

    transport: asyncio.Transport

    def __init__(self, answer: Callable[[Exchange], Awaitable[None]], connections: set["Connection"]):
        self.writable = asyncio.Event()
        self.client_has_left = False
        self.answering: asyncio.Task[None] | None = None
        self._answer = answer
        self._connections = connections
        self._parser = httptools.HttpRequestParser(self)
        self._request = Request()
        self._has_pipelined = False

    # ---- the transport's calls ----

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is one without inheriting from it
        self.writable.set()
        self._connections.add(self)

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.transport.close()

    def eof_received(self) -> None:
        """A client that closes its side has left: none waits for an answer in this way."""
        self._leave()
        self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        self._connections.discard(self)
        self._leave()

    def pause_writing(self) -> None:
        """See asyncio.Protocol."""
        self.writable.clear()

    def resume_writing(self) -> None:
        """See asyncio.Protocol."""
        self.writable.set()

    # ---- the parser's calls ----

    def on_message_begin(self) -> None:
        """A request begins."""
        self._request = Request()

    def on_url(self, url: bytes) -> None:
        """A part of the target."""
        self._request.path += url.decode("latin-1")

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header."""
        self._request.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        request = self._request
        request.is_too_large = request.is_too_large or len(request.body) + len(body) > MAX_BODY_BYTES
        if request.is_too_large:
            request.body.clear()
        else:
            request.body += body

    def on_message_complete(self) -> None:
        """The request is here. One that comes while another is answered is dropped, and the connection closed after
        that answer: no client of OpenAI's API pipelines."""
        if self.answering is not None:
            self._has_pipelined = True
            return
        request = self._request
        request.method = self._parser.get_method().decode("latin-1")
        exchange = Exchange(
            request,
            self,
            version=self._parser.get_http_version(),
            keep_alive=self._parser.should_keep_alive(),
        )
        self.answering = asyncio.get_running_loop().create_task(self._serve(exchange))

    # ---- ours ----

    async def _serve(self, exchange: Exchange) -> None:
        try:
            await self._answer(exchange)
        finally:
            self.answering = None
            if not (exchange.has_ended and exchange.keeps_alive) or self._has_pipelined:
                self.transport.close()

    def _leave(self) -> None:
        if self.answering is not None:
            self.client_has_left = True
            self.answering.cancel()


_PHRASED = frozenset(status.value for status in HTTPStatus)
