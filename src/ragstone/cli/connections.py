"""Connections, between the socket and uvicorn: taken as they come, and closed where a client takes its time."""

import asyncio
import socket
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

AT_A_TIME = 64  # connections that are taken in one round of the event loop
HEAD_WITHIN_S = 10.0  # from the first byte, or the connection's beginning, to the end of a request's head
MAX_HEAD_BYTES = 64 * 1024


class PatientProtocol(HttpToolsProtocol):
    """A request's head must arrive in time and be no larger than MAX_HEAD_BYTES; otherwise the connection is closed.
    uvicorn itself waits for ever, and reads as much as there is."""

    _deadline: asyncio.TimerHandle | None = None
    _head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first head."""
        super().connection_made(transport)
        self._expect_head()

    def data_received(self, data: bytes) -> None:
        """Begin to wait at the first byte of a further head."""
        if self._deadline is None and (self.cycle is None or self.cycle.response_complete):
            self._expect_head()
        self._head_bytes += len(data)
        super().data_received(data)
        if self._deadline is not None and self._head_bytes > MAX_HEAD_BYTES:
            self._give_up()

    def on_headers_complete(self) -> None:
        """The head is there."""
        self._expect_nothing()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is waited for any more."""
        self._expect_nothing()
        super().connection_lost(exc)

    def _expect_head(self) -> None:
        self._head_bytes = 0
        self._deadline = self.loop.call_later(HEAD_WITHIN_S, self._give_up)

    def _expect_nothing(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        self._expect_nothing()
        self.transport.close()


class Acceptor:
    """Takes connections that wait on a listening socket, many at a time. uvloop takes one in each round of its loop, so
    that on a busy server new ones wait for seconds before they can even be refused."""

    def __init__(self, listening: socket.socket, new_protocol: Callable[[], asyncio.Protocol]):
        self._socket = listening.dup()  # the loop watches the original, for which little is left
        self._new_protocol = new_protocol
        self._loop = asyncio.get_running_loop()
        self._starting = set[asyncio.Task[Any]]()
        self._loop.add_reader(self._socket.fileno(), self._accept)

    def close(self) -> None:
        """Take no more; idempotent."""
        if self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket.fileno())
            self._socket.close()

    def _accept(self) -> None:
        for _ in range(AT_A_TIME):
            try:
                connection, _ = self._socket.accept()
            except OSError:  # nobody waits, or has left already, or there is no descriptor: the loop says so
                return
            connection.settimeout(0)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            task = self._loop.create_task(self._loop.connect_accepted_socket(self._new_protocol, connection))
            self._starting.add(task)
            task.add_done_callback(self._starting.discard)
