"""Accepting connections: many at a time where the socket is ours alone, one where several processes share it.

uvloop takes one in each round of its loop, so that on a busy server new ones wait for seconds before they can even be
refused. An event loop that takes all that wait takes too many of a shared socket: of 32 connections that were opened at
once the first of two idle workers took 30, and kept them. There one is taken at a time, with a pause in which the others
have their turn; who is busy comes late, and so gets fewer.
"""

import asyncio
import logging
import socket
from collections.abc import Callable

AT_A_TIME = 64
"""Connections that are taken in one round of the event loop, of a socket of our own."""
PAUSE_S = 0.001
"""After each connection of a shared one; so a worker takes up to a thousand a second, more than it can answer."""
FULL_PAUSE_S = 1.0
"""Where the system gives no more connections, for lack of descriptors or memory."""

log = logging.getLogger(__name__)


class Acceptor:
    """Stands for a server of asyncio's, as far as uvicorn ends it."""

    def __init__(
        self, listening: socket.socket, new_protocol: Callable[[], asyncio.Protocol], *, is_shared: bool
    ):
        self._listening = listening
        self._is_shared = is_shared
        self._new_protocol = new_protocol
        self._loop = asyncio.get_running_loop()
        self._connecting = set[asyncio.Task[object]]()
        self._pause: asyncio.TimerHandle | None = None
        listening.setblocking(False)  # noqa: FBT003 - the library's way

    def start(self) -> None:
        """Accept from now on."""
        self._pause = None
        self._loop.add_reader(self._listening, self._accept)

    def close(self) -> None:
        """Accept no more. Idempotent."""
        if self._listening.fileno() < 0:
            return
        if self._pause is not None:
            self._pause.cancel()
        self._loop.remove_reader(self._listening)
        self._listening.close()

    async def wait_closed(self) -> None:
        """Nothing is left to wait for."""

    def _accept(self) -> None:
        try:
            for _ in range(1 if self._is_shared else AT_A_TIME):
                self._connect(self._listening.accept()[0])
        except (BlockingIOError, ConnectionAbortedError):  # another worker was quicker, or the client left
            return
        except OSError as error:
            log.warning("no connection can be accepted", extra={"reason": str(error)})
            self._rest(FULL_PAUSE_S)
            return
        if self._is_shared:
            self._rest(PAUSE_S)

    def _connect(self, connection: socket.socket) -> None:
        connection.setblocking(False)  # noqa: FBT003 - the library's way
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connecting = self._loop.create_task(
            self._loop.connect_accepted_socket(self._new_protocol, connection)
        )
        self._connecting.add(connecting)
        connecting.add_done_callback(self._is_connected)

    def _is_connected(self, connecting: asyncio.Task[object]) -> None:
        self._connecting.discard(connecting)
        if not connecting.cancelled() and (error := connecting.exception()):
            log.debug("a connection was lost at once", extra={"reason": str(error)})

    def _rest(self, seconds: float) -> None:
        self._loop.remove_reader(self._listening)
        self._pause = self._loop.call_later(seconds, self.start)
