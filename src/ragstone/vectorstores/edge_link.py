"""A lasting way to an engine: spawns it, connects, restarts it with back-off when it dies, repeats what was in flight."""

import asyncio
import contextlib
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ragstone.core.errors import EngineUnavailable, RagstoneError
from ragstone.core.restarts import RestartPace
from ragstone.vectorstores.edge_connection import ConnectionLost, EngineConnection
from ragstone.vectorstores.edge_process import EngineProcess

HANG_LIMIT_S = 15.0  # no single call of ours takes a third of it at 100,000 points
RECONNECT_WAIT_S = 2.0

log = logging.getLogger(__name__)


class LastingLink:
    """Calls of an engine that may die and come back. Who lets it come back, the subclass knows."""

    def __init__(self, *, hang_limit_s: float, reconnect_wait_s: float) -> None:
        self._hang_limit_s = hang_limit_s
        self._reconnect_wait_s = reconnect_wait_s
        self._is_up = asyncio.Event()
        self._is_closed = False
        self._restarts = 0
        self._connection: EngineConnection | None = None
        self._keeper: asyncio.Task[None] | None = None

    @property
    def restarts(self) -> int:
        """How often the engine died and came back."""
        return self._restarts

    async def call(self, operation: str, *arguments: object) -> Any:
        """The operation's result. Every operation may be repeated, and is, once, when the engine dies under it.
        Raises EngineUnavailable when it is not back within `reconnect_wait_s`, or what the engine refused with.
        """
        with contextlib.suppress(ConnectionLost):
            return await self._request(operation, arguments)
        return await self._request(operation, arguments)

    async def close(self) -> None:
        """Let go. Idempotent."""
        if self._is_closed:
            return
        self._is_closed = True
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait([self._keeper])
        if self._connection is not None:
            self._connection.close()

    async def _connect(self, socket_path: str) -> None:
        _, self._connection = await asyncio.get_running_loop().create_unix_connection(
            lambda: EngineConnection(
                hang_limit_s=self._hang_limit_s, on_lost=self._is_up.clear, on_hang=self._on_hang
            ),
            socket_path,
        )

    async def _wait_for_loss(self) -> None:
        assert self._connection is not None
        await self._connection.lost.wait()
        self._is_up.clear()

    async def _request(self, operation: str, arguments: Sequence[object]) -> Any:
        if self._is_closed:
            raise EngineUnavailable("the vector store is closed")
        if not self._is_up.is_set():
            await self._wait_until_up(self._reconnect_wait_s)
        assert self._connection is not None
        return await self._connection.request(operation, arguments)

    async def _wait_until_up(self, limit_s: float) -> None:
        try:
            async with asyncio.timeout(limit_s):
                await self._is_up.wait()
        except TimeoutError:
            raise EngineUnavailable("the vector engine is down and being restarted") from None

    def _on_hang(self) -> None:
        log.error("engine hangs", extra={"limit_s": self._hang_limit_s})
        assert self._connection is not None
        self._connection.close()  # the keeper does the rest


class EngineLink(LastingLink):
    """To an engine of our own, in a process of its own, once it is started."""

    def __init__(
        self,
        directory: Path,
        *,
        dimension: int,
        lock_wait_s: float,
        hang_limit_s: float = HANG_LIMIT_S,
        reconnect_wait_s: float = RECONNECT_WAIT_S,
    ) -> None:
        super().__init__(hang_limit_s=hang_limit_s, reconnect_wait_s=reconnect_wait_s)
        self._directory = directory
        self._dimension = dimension
        self._lock_wait_s = lock_wait_s
        self._pace = RestartPace()
        self._process: EngineProcess | None = None

    async def start(self) -> None:
        """Spawn the engine and connect. Raises DataDirectoryInUse, FingerprintChanged, StartupError."""
        await self._spawn(os.environ)
        self._keeper = asyncio.create_task(self._keep_alive())

    async def close(self) -> None:
        """Let the engine flush and end. Idempotent."""
        await super().close()
        if self._process is not None:
            await self._process.close()

    async def _spawn(self, environment: Mapping[str, str]) -> None:
        process = await EngineProcess.spawn(
            self._directory,
            dimension=self._dimension,
            lock_wait_s=self._lock_wait_s,
            environment=environment,
        )
        try:
            await self._connect(process.socket_path)
        except BaseException:
            await process.kill()
            raise
        self._process = process
        self._is_up.set()

    async def _keep_alive(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            began_at = loop.time()
            assert self._process is not None
            await self._wait_for_loss()
            await self._process.kill()
            lived_s = loop.time() - began_at
            log.error(
                "engine died", extra={"exit_code": self._process.exit_code, "lived_s": round(lived_s, 1)}
            )
            self._pace.note_death(lived_s)
            await self._restart()
            self._restarts += 1

    async def _restart(self) -> None:
        """At once after the first death, then later and later. A crash point that fired does not fire again."""
        environment = {name: value for name, value in os.environ.items() if name != "CRASH_AT"}
        while True:
            await asyncio.sleep(self._pace.pause_s)
            try:
                return await self._spawn(environment)
            except (RagstoneError, OSError) as error:
                self._pace.note_death()
                log.warning(
                    "engine restart failed", extra={"attempt": self._pace.deaths, "reason": str(error)}
                )
