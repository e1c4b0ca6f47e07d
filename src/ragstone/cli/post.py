"""A worker's place: filled by a process, and filled again when that one dies."""

import asyncio
import contextlib
import json
import logging
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from typing import Any

from ragstone.cli.assignment import Assignment, pack_assignment
from ragstone.core.restarts import RestartPace

log = logging.getLogger(__name__)


class Post:
    """`heard` is told of each announcement, `lost` of each death, before the next one starts."""

    def __init__(
        self,
        assignment: Assignment,
        heard: Callable[["Post", dict[str, Any]], None],
        lost: Callable[["Post"], None],
    ):
        self._assignment = assignment
        self._heard = heard
        self._lost = lost
        self._process: Process | None = None
        self._is_ending = asyncio.Event()
        self._pace = RestartPace()
        self._standing = b""
        self._is_empty = asyncio.Event()
        self._is_empty.set()

    @property
    def number(self) -> int:
        """The worker's."""
        return self._assignment.number

    async def keep(self) -> None:
        """Fill the post until it is told to end: at once after the first death, then later and later."""
        loop = asyncio.get_running_loop()
        while not self._is_ending.is_set():
            began_at = loop.time()
            exit_code = await self._fill_once()
            self._lost(self)
            if self._is_ending.is_set():
                return
            lived_s = loop.time() - began_at
            log.error(
                "worker died",
                extra={"worker": self.number, "exit_code": exit_code, "lived_s": round(lived_s, 1)},
            )
            self._pace.note_death(lived_s)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._pace.pause_s):
                    await self._is_ending.wait()

    def say(self, word: bytes) -> None:
        """To the process that is there, if one is, and to those that follow."""
        self._standing = word
        if self._process is not None:
            _write(self._process, word + b"\n")

    def terminate(self) -> None:
        """Let it end, and nobody follow; the second time without waiting for open requests."""
        self._is_ending.set()
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()

    async def wait_until_empty(self, limit_s: float) -> None:
        """Until it has ended; kill it if it takes longer."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                await self._is_empty.wait()
        if self._process is not None:
            log.error("worker is killed", extra={"worker": self.number, "limit_s": limit_s})
            self._process.kill()
            await self._is_empty.wait()

    async def _fill_once(self) -> int | None:
        """None where the system has no room for another process."""
        try:
            return await self._fill()
        except OSError as error:
            log.warning("worker cannot be spawned", extra={"worker": self.number, "reason": str(error)})
            return None

    async def _fill(self) -> int:
        """The exit code of one process, from its spawn to its end."""
        self._is_empty.clear()
        try:
            self._process = await self._spawn()
            standing = self._standing and self._standing + b"\n"
            _write(self._process, pack_assignment(self._assignment) + standing)
            if self._is_ending.is_set():
                self.terminate()
            assert self._process.stdout is not None
            async for line in self._process.stdout:
                self._heard(self, json.loads(line))
            return await self._process.wait()
        finally:
            self._process = None
            self._is_empty.set()

    async def _spawn(self) -> Process:
        """Spawned, never forked. A crash point that fired does not fire again."""
        environment = dict(os.environ)
        if self._pace.deaths:
            environment.pop("CRASH_AT", None)
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",
            "-m",
            "ragstone.cli.worker",
            str(self.number),
            stdin=PIPE,
            stdout=PIPE,
            env=environment,
            pass_fds=(self._assignment.directory_lock, self._assignment.listening),
        )


def _write(process: Process, words: bytes) -> None:
    assert process.stdin is not None
    if not process.stdin.is_closing():
        process.stdin.write(words)
