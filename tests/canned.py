"""A server that answers every request with the same bytes: for what no well-behaved or scripted one would send."""

import asyncio
from collections.abc import Sequence
from types import TracebackType
from typing import Self


class CannedServer:
    """Sends `parts` as they are, one write each, and closes the connection; keeps what it was sent."""

    def __init__(self, *parts: bytes, status: str = "200 OK", headers: Sequence[str] = ()):
        head = "\r\n".join([f"HTTP/1.1 {status}", "connection: close", *headers, "", ""])
        self._parts = [head.encode(), *parts]
        self.requests: list[bytes] = []
        self.base_url = ""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        self.base_url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        lengths = (
            int(line.split(b":")[1])
            for line in head.lower().split(b"\r\n")
            if line.startswith(b"content-length")
        )
        length = next(lengths, 0)
        self.requests.append(head + await reader.readexactly(length))
        try:
            for part in self._parts:
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(0.001)  # so that the client reads the parts one by one
        except ConnectionError:
            return
        finally:
            writer.close()
