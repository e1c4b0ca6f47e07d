"""The engine's process: takes the lock, opens the shard, answers on a unix socket until its owner closes it or dies.

Started by `edge_process` as `python -m ragstone.vectorstores.edge_server <directory> <dimension> <seconds to wait>`. One
line of JSON on standard output says where it listens, or why it does not. Standard input is the owner's: "close" asks
for an orderly end, its end of file means that the owner is dead. No asyncio in here: it would cost 8 MB and 0.1 s.
"""

import contextlib
import json
import os
import selectors
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ragstone.core.owner import words_of_owner
from ragstone.core.relay import tell_failure, tell_owner
from ragstone.core.sockets import remove_socket
from ragstone.vectorstores.edge_engine import Engine, answer
from ragstone.vectorstores.edge_lock import DirectoryLock, listen
from ragstone.vectorstores.edge_shard import EngineRefusal
from ragstone.vectorstores.frames import BrokenStream, FrameReader, pack

_PIECE_BYTES = 1 << 18
_PROBES = frozenset({"ping", "state"})
"""Asked every few seconds for ever; between them the engine is idle all the same."""
UPKEEP_PAUSE_S = 60.0  # after upkeep failed


class EngineServer:
    """Answers any number of peers, one request after another."""

    def __init__(self, engine: Engine, listener: socket.socket) -> None:
        self._engine = engine
        self._listener = listener
        self._selector = selectors.DefaultSelector()
        self._waker, self._woken = socket.socketpair()
        self._stopping = False
        self._upkeep_from = 0.0
        self._last_work = time.monotonic()
        listener.setblocking(False)  # noqa: FBT003 - the library's way
        self._selector.register(listener, selectors.EVENT_READ, self._accept)
        self._selector.register(self._woken, selectors.EVENT_READ, lambda _: None)

    def serve(self) -> None:
        """Until `stop`; with nothing to answer, look after the shard."""
        while not self._stopping:
            before = self._last_work
            for key, mask in self._selector.select(self._upkeep_in_s()):
                key.data(mask)
            has_time = self._last_work == before and not self._stopping
            if has_time and self._upkeep_in_s() == 0.0:
                self._look_after()
        self._close()

    def stop(self) -> None:
        """Return from `serve` after the request at hand. Any thread may call it."""
        with contextlib.suppress(OSError):  # it has ended, or was woken so often that it need not be again
            self._waker.send(b"!")  # before the flag, which lets the other thread close this socket
        self._stopping = True

    def _upkeep_in_s(self) -> float | None:
        """As the engine says, counted from the last request that was work, but not soon again after it failed."""
        wanted = self._engine.upkeep_in_s()
        if wanted is None:
            return None
        return max(0.0, max(self._last_work + wanted, self._upkeep_from) - time.monotonic())

    def _look_after(self) -> None:
        try:
            self._last_work = time.monotonic()
            self._engine.upkeep()
        except Exception as error:  # noqa: BLE001 - Edge raises nothing narrower; searches go on
            self._upkeep_from = time.monotonic() + UPKEEP_PAUSE_S
            tell_owner("error", "engine upkeep failed", reason=str(error))

    def _accept(self, _mask: int) -> None:
        peer, _ = self._listener.accept()
        _Peer(peer, self._engine, self._selector, on_work=self._note_work)

    def _note_work(self) -> None:
        self._last_work = time.monotonic()

    def _close(self) -> None:
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr]  # only sockets are registered
        self._waker.close()
        self._selector.close()


class _Peer:
    """One connection. While a reply waits to be read, no further request is."""

    def __init__(
        self,
        peer: socket.socket,
        engine: Engine,
        selector: selectors.BaseSelector,
        *,
        on_work: Callable[[], None],
    ) -> None:
        peer.setblocking(False)  # noqa: FBT003 - the library's way
        self._socket = peer
        self._engine = engine
        self._selector = selector
        self._on_work = on_work
        self._reader = FrameReader()
        self._outgoing = bytearray()
        selector.register(peer, selectors.EVENT_READ, self._on_ready)

    def _on_ready(self, mask: int) -> None:
        try:
            if mask & selectors.EVENT_READ:
                self._receive()
            self._send()
        except OSError:  # reset, or no stream of ours: it is gone for us
            self._selector.unregister(self._socket)
            self._socket.close()

    def _receive(self) -> None:
        piece = self._socket.recv(_PIECE_BYTES)
        if not piece:
            raise BrokenStream("closed by the peer")
        for request in self._reader.feed(piece):
            self._outgoing += pack(answer(self._engine, request))
            if request[1] not in _PROBES:
                self._on_work()
            self._send()

    def _send(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while self._outgoing:
                del self._outgoing[: self._socket.send(self._outgoing)]
        wanted = selectors.EVENT_WRITE if self._outgoing else selectors.EVENT_READ
        self._selector.modify(self._socket, wanted, self._on_ready)


def watch_owner(
    descriptor: int, owner: int, *, on_close: Callable[[], None], on_death: Callable[[], None]
) -> None:
    """Wait for the owner's word, or its death: the end of the pipe, or, should somebody else hold the pipe's other
    end too, another parent than `owner`. Calls one of the two, once."""
    for _ in words_of_owner(descriptor, owner):
        return on_close()
    return on_death()


def run(
    directory: Path, *, dimension: int, wait_s: float, owner_pipe: int = 0, announcements: int = 1
) -> int:
    """An engine's whole life; returns the exit code."""
    life = _Life(owner_pipe)
    try:
        lock = DirectoryLock(directory, wait_s=wait_s)
        lock.clear_away_predecessor()
        engine = Engine(directory, dimension=dimension)
        listener, life.socket_path = listen()
        lock.publish(life.socket_path)
    except EngineRefusal as refusal:
        _announce(announcements, {"refused": [refusal.code, refusal.message]})
        return 1
    life.server = EngineServer(engine, listener)
    _announce(announcements, {"socket": str(life.socket_path)})
    life.server.serve()
    engine.close()
    remove_socket(life.socket_path)
    lock.release()
    return 0


def main(arguments: list[str]) -> int:
    """Run as a process; returns the exit code."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # meant for the owner, which closes us in order
    announcements = os.dup(1)
    os.dup2(2, 1)  # whatever a library may print is no announcement
    directory, dimension, wait_s = arguments
    try:
        return run(
            Path(directory), dimension=int(dimension), wait_s=float(wait_s), announcements=announcements
        )
    except Exception as error:  # noqa: BLE001 - the owner is told why it ends, in the shape of its own log
        tell_failure("error", "engine broke off", error)
        return 1


class _Life:
    """What the watching thread must know of the main one to end it."""

    def __init__(self, owner_pipe: int) -> None:
        self.server: EngineServer | None = None
        self.socket_path: Path | None = None
        threading.Thread(
            target=watch_owner,
            args=(owner_pipe, os.getppid()),
            kwargs={"on_close": self._close, "on_death": self._die},
            daemon=True,
        ).start()

    def _close(self) -> None:
        if self.server is None:
            self._die()
        else:
            self.server.stop()

    def _die(self) -> None:
        """At once and without a flush, as if killed: the log has every acknowledged write, and the next owner waits."""
        if self.socket_path is not None:
            remove_socket(self.socket_path)
        os._exit(0)


def _announce(descriptor: int, message: dict[str, Any]) -> None:
    os.write(descriptor, json.dumps(message).encode() + b"\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
