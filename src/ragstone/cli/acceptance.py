"""Accepting connections from a socket that several processes share, so that each gets its part.

An event loop accepts all that wait in one go: of 32 connections that were opened at once the first of two idle workers
took 30, and kept them. Here one is taken at a time, with a pause in which the others have their turn; who is busy comes
late, and so gets fewer.
"""

import asyncio
import logging
import socket
from collections.abc import Callable

PAUSE_S = 0.001
"""After each connection; so a worker takes up to a thousand a second, more than it can answer."""
FULL_PAUSE_S = 1.0
"""Where the system gives no more connections, for lack of descriptors or memory."""

log = logging.getLogger(__name__)


class Acceptor:
    """Stands for a server of asyncio's, as far as uvicorn ends it."""

    def __init__(self, listening: socket.socket, new_protocol: Callable[[], asyncio.Protocol]):
        self._listening = listening
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
            connection, _ = self._listening.accept()
        except (BlockingIOError, ConnectionAbortedError):  # another worker was quicker, or the client left
            return
        except OSError as error:
            log.warning("no connection can be accepted", extra={"reason": str(error)})
            self._rest(FULL_PAUSE_S)
            return
        connection.setblocking(False)  # noqa: FBT003 - the library's way
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connecting = self._loop.create_task(
            self._loop.connect_accepted_socket(self._new_protocol, connection)
        )
        self._connecting.add(connecting)
        connecting.add_done_callback(self._connecting.discard)
        self._rest(PAUSE_S)

    def _rest(self, seconds: float) -> None:
        self._loop.remove_reader(self._listening)
        self._pause = self._loop.call_later(seconds, self.start)
