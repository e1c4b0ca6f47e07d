"""One parse worker as its owner sees it: started, asked, and told apart in its ways to die."""

import asyncio
import contextlib
import contextvars
import json
import logging
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Self

from ragstone.core.errors import ParseLimit, WorkerDied
from ragstone.core.models import SpooledChild
from ragstone.core.relay import relay
from ragstone.parsers.bounds import MOST_CHILDREN, Limits
from ragstone.parsers.spooling import spool_child
from ragstone.parsers.wire import LENGTH_BYTES, AnnouncedChild

log = logging.getLogger(__name__)

EVENTS = frozenset({"parser failed"})
"""What a worker logs."""
_GRACE_S = 5.0  # beyond the wall limit that the worker keeps itself
_FAREWELL_S = 1.0  # for an orderly end, then it is killed
_TAIL_BYTES = 4_096
_SLICE = 2**18  # of a child that is held at a time
_LEAST_REPLY_BYTES = 2**23  # the names of a thousand children, twice, of 1,024 characters each
_BYTES_A_CHARACTER = 16  # of a reply: four of UTF-8, the rest for chunks; more is not a reply

# All that a worker gets of the environment: no key, no token.
_PASSED_ON = (
    "PATH",
    "PYTHONPATH",
    "PYTHONHOME",
    "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH",
    "LANG",
    "LC_ALL",
    "TMPDIR",
)
_OWN = {
    "MALLOC_ARENA_MAX": "1",  # an arena reserves 64 MB of the address space that is limited
    "OPENBLAS_NUM_THREADS": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
    "TOKENIZERS_PARALLELISM": "false",
}


class ParseProcess:
    """A worker process. It ends when its owner closes the pipe to it, or dies."""

    def __init__(self, process: Process, limits: Limits):
        self._process = process
        self._limits = limits
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        self._requests, self._replies = process.stdin, process.stdout
        self._context = contextvars.copy_context()
        self._complaints = asyncio.create_task(self._follow(process.stderr))
        self._is_heard = False
        self.documents = 0

    @classmethod
    async def start(cls, limits: Limits) -> Self:
        """Spawn, never fork: a copy of a process with threads and native libraries can hang."""
        environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ} | _OWN
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",  # never import from the working directory
            "-m",
            "ragstone.parsers.worker",
            json.dumps(asdict(limits)),
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
            env=environment,
        )
        return cls(process, limits)

    @property
    def pid(self) -> int:
        """Of the worker."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether it is not known to have ended."""
        return self._process.returncode is None

    async def ask(self, request: bytes) -> bytes:
        """The reply to one framed request, without its frame. Raises ParseLimit or WorkerDied; the worker is of no
        further use then."""
        self.documents += 1
        self._context = (
            contextvars.copy_context()
        )  # what it logs from now on, it does for this document's job
        async with self._listening():
            self._requests.write(request)
            await self._requests.drain()
            return await self._reply()

    async def receive(
        self, children: Sequence[AnnouncedChild], paths: Sequence[Path]
    ) -> tuple[SpooledChild, ...]:
        """The announced children that follow a reply, each written to its path. Raises ParseLimit, WorkerDied,
        Unavailable; the worker is of no further use then, and some of the files are there."""
        async with self._listening():
            self._require_allowed(children)
            return tuple(
                [
                    await spool_child(path, child, self._slices(child))
                    for path, child in zip(paths, children, strict=True)
                ]
            )

    async def end(self) -> None:
        """Let it go, or kill it if it does not; idempotent."""
        self._requests.close()
        try:
            async with asyncio.timeout(_FAREWELL_S):
                await self._process.wait()
        except TimeoutError:
            self.kill()
            await self._process.wait()
        self._kill_group()
        await self._complaints
        if not self._is_heard:
            await self._forget_the_rest()

    def kill(self) -> None:
        """End it now; idempotent."""
        if self.is_alive:
            self._kill_group()

    @contextlib.asynccontextmanager
    async def _listening(self) -> AsyncIterator[None]:
        self._is_heard = True
        try:
            async with asyncio.timeout(self._limits.wall_s + _GRACE_S):
                yield
        except TimeoutError as error:
            raise ParseLimit(_wall_message(self._limits)) from error
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            self._is_heard = False
            raise await self._cause_of_death() from error
        finally:
            self._is_heard = False

    async def _forget_the_rest(self) -> None:
        """A pipe that nobody reads to its end stays open."""
        while await self._replies.read(_SLICE):
            pass

    def _kill_group(self) -> None:
        """The worker, if it is still there, and what it left running."""
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):  # they are gone, or it did not come to make its group
            if self.is_alive:
                self._process.kill()

    async def _reply(self) -> bytes:
        length = int.from_bytes(await self._replies.readexactly(LENGTH_BYTES))
        if length > _LEAST_REPLY_BYTES + _BYTES_A_CHARACTER * self._limits.characters:
            raise ConnectionError(f"a reply of {length} bytes")
        return await self._replies.readexactly(length)

    def _require_allowed(self, children: Sequence[AnnouncedChild]) -> None:
        """What the parsers keep to; a worker that does not was taken over by a document."""
        total = sum(child.bytes for child in children)
        largest = max((child.bytes for child in children), default=0)
        is_allowed = len(children) <= MOST_CHILDREN and total <= self._limits.children_bytes
        if not is_allowed or largest > self._limits.child_bytes:
            raise ConnectionError(f"{len(children)} children of {total} bytes")

    async def _slices(self, child: AnnouncedChild) -> AsyncIterator[bytes]:
        left = int.from_bytes(await self._replies.readexactly(LENGTH_BYTES))
        if left != child.bytes:
            raise ConnectionError(f"a child of {left} bytes instead of {child.bytes}")
        while left:
            part = await self._replies.readexactly(min(left, _SLICE))
            left -= len(part)
            yield part

    async def _follow(self, stream: asyncio.StreamReader) -> bytes:
        """Log what the worker tells; the last of what else it printed. Read all along so that it never waits."""
        tail = rest = b""
        while printed := await stream.read(_TAIL_BYTES):
            *lines, rest = (rest + printed).split(b"\n")
            for line in lines:
                if not self._context.run(relay, log, line, EVENTS):
                    tail = (tail + line + b"\n")[-_TAIL_BYTES:]
            rest = rest[-_TAIL_BYTES:]
        return (tail + rest)[-_TAIL_BYTES:]

    async def _cause_of_death(self) -> ParseLimit | WorkerDied:
        """Which limit ended it, or that none did."""
        await self.end()
        code = self._process.returncode or 0
        if code == -signal.SIGXCPU:
            return ParseLimit(f"parsing needs more than {self._limits.cpu_s:g} s of processor time")
        if code == -signal.SIGALRM:
            return ParseLimit(_wall_message(self._limits))
        complaint = self._complaints.result()
        if code == -signal.SIGABRT and (not complaint or b"memory allocation of" in complaint):
            # Native code aborts where Python raises MemoryError: Rust says so, PDFium says nothing at all.
            return ParseLimit(f"parsing needs more than {self._limits.memory_bytes // 2**20} MiB of memory")
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return WorkerDied(f"the parse worker ended by {how}")


def _wall_message(limits: Limits) -> str:
    return f"parsing takes longer than {limits.wall_s:g} s"
