"""The owner's side of an engine's process: spawned (never forked: a fork hangs in Edge), announced, closed, reaped."""

import asyncio
import contextlib
import json
import logging
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

from ragstone.core.errors import InternalError, RagstoneError, StartupError, catalogue
from ragstone.core.relay import relay
from ragstone.vectorstores.frames import CLOSE

EVENTS = frozenset({"engine upkeep failed", "engine broke off"})
"""What an engine logs."""
READY_TIMEOUT_S = 120.0  # replaying an unflushed log of 100,000 points takes about 10
CLOSE_TIMEOUT_S = 30.0

_SIGNALS_OF_THE_OWNER = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
_KINDS = {kind.code: kind for kind in catalogue() if kind is not RagstoneError}

log = logging.getLogger(__name__)


def error_of(code: str, message: str) -> RagstoneError:
    """The catalogue's error for what an engine refused with."""
    return _KINDS.get(code, InternalError)(message)


class EngineProcess:
    """One engine, from its spawn to its end. `spawn` makes it."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._announced: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._silent: list[asyncio.Event] = []
        self.socket_path = ""

    @classmethod
    async def spawn(
        cls, directory: Path, *, dimension: int, lock_wait_s: float, environment: Mapping[str, str]
    ) -> "EngineProcess":
        """Returns when it listens. Raises DataDirectoryInUse, FingerprintChanged, StartupError."""
        engine = cls(_start([str(directory), str(dimension), str(lock_wait_s)], environment))
        try:
            await engine._follow(engine._process.stdout, engine._announce)
            await engine._follow(engine._process.stderr, _log_line)
            async with asyncio.timeout(READY_TIMEOUT_S + lock_wait_s):
                engine.socket_path = _socket_of(await engine._announced)
        except TimeoutError as error:
            raise StartupError("the vector engine did not become ready") from error
        finally:
            if not engine.socket_path:
                await engine.kill()
        return engine

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative = the signal that ended it."""
        return self._process.poll()

    async def close(self) -> None:
        """Let it flush and end; kill it if it takes too long. Idempotent."""
        self._say(CLOSE)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self._wait_for_silence()
        await self.kill()

    async def kill(self) -> None:
        """SIGKILL, unless it is dead already, and reap it. No acknowledged write is lost. Idempotent."""
        self._process.kill()
        self._say(b"")
        await asyncio.to_thread(self._process.wait)
        await self._wait_for_silence()

    def _say(self, last_word: bytes) -> None:
        pipe = self._process.stdin
        if pipe is None or pipe.closed:
            return
        with contextlib.suppress(BrokenPipeError):
            pipe.write(last_word)
            pipe.close()

    async def _follow(self, pipe: IO[bytes] | None, on_line: Callable[[bytes], None]) -> None:
        silent = asyncio.Event()
        self._silent.append(silent)
        loop = asyncio.get_running_loop()
        await loop.connect_read_pipe(lambda: _Lines(on_line, silent.set), pipe)

    def _announce(self, line: bytes) -> None:
        if not self._announced.done():
            self._announced.set_result(line)

    async def _wait_for_silence(self) -> None:
        for silent in self._silent:
            await silent.wait()


class _Lines(asyncio.Protocol):
    """Cuts what a pipe says into lines."""

    def __init__(self, on_line: Callable[[bytes], None], on_end: Callable[[], None]) -> None:
        self._on_line = on_line
        self._on_end = on_end
        self._rest = b""

    def data_received(self, data: bytes) -> None:
        """Hand on the lines that are complete."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._on_line(line)

    def connection_lost(self, _error: Exception | None) -> None:
        """The other end is gone; an empty line tells who still waits for one."""
        self._on_line(self._rest)
        self._on_end()


def _start(arguments: list[str], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """With this thread's mask, which the child inherits: Ctrl-C is the owner's from the child's first instruction."""
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS_OF_THE_OWNER)
    try:
        return subprocess.Popen(  # noqa: S603 - our own module, arguments that nobody outside gives
            [sys.executable, "-P", "-m", "ragstone.vectorstores.edge_server", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            env={"MALLOC_ARENA_MAX": "2", **environment},
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _socket_of(line: bytes) -> str:
    announced = json.loads(line or "{}")
    if "refused" in announced:
        raise error_of(*announced["refused"])
    if "socket" not in announced:
        raise StartupError("the vector engine ended before it was ready")
    return str(announced["socket"])


def _log_line(line: bytes) -> None:
    """What the engine tells, and what Edge prints when it panics, shortened: its first line says where, the others may
    hold data."""
    text = line.decode(errors="replace")
    if "panicked at" in text:
        log.error("engine panicked", extra={"place": text[:200]})
    elif not relay(log, line, EVENTS) and text:
        log.debug("engine said", extra={"text": text[:200]})
