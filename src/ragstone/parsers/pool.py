"""Parse workers at the service of one event loop: started with the first document, replaced when worn or dead."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ragstone.core.errors import IngestError
from ragstone.core.models import KnownChunk, ReadDocument
from ragstone.parsers import PARSERS, parser_path
from ragstone.parsers.bounds import Limits
from ragstone.parsers.child import ParseProcess
from ragstone.parsers.spooling import remove_spools
from ragstone.parsers.wire import Reading, ReadReply, ReadRequest, decode_reply, encode_request

_LARGE_REPLY_BYTES = 2**18  # about a millisecond to unpack; larger ones leave the event loop


class WorkerPool:
    """Implements `DocumentReader` with child processes.

    `chunker` is the import path of a function that builds the chunker; `parsers` maps media types to import paths.
    Each document has a worker to itself; with all of them busy, the next one waits. A worker is replaced after
    `documents_a_worker`, or when its memory peaked above `worn_bytes` (a heap once large stays large), and let go
    after `idle_s` without work.
    """

    def __init__(
        self,
        chunker: str,
        *,
        parsers: Mapping[str, str] = PARSERS,
        workers: int = 1,
        limits: Limits | None = None,
        documents_a_worker: int = 500,
        worn_bytes: int = 192 * 2**20,
        idle_s: float = 30.0,
    ):
        self._chunker = chunker
        self._parsers = parsers
        self._limits = limits or Limits()
        self._documents_a_worker = documents_a_worker
        self._worn_bytes = worn_bytes
        self._idle_s = idle_s
        self._slots = asyncio.Semaphore(workers)
        self._idle: list[ParseProcess] = []
        self._leaving: set[asyncio.Task[None]] = set()
        self._retirement: asyncio.TimerHandle | None = None

    async def read(
        self,
        path: Path,
        *,
        media_type: str,
        title: str | None,
        new_spool: Callable[[], Path],
        known: Sequence[KnownChunk] = (),
        chunk_tokens: int | None = None,
    ) -> ReadDocument:
        """See `DocumentReader`. The document comes without its blocks. Raises UnsupportedMediaType besides."""
        parser = parser_path(media_type, self._parsers)
        wanted = ReadRequest(str(path), parser, self._chunker, title, tuple(known), chunk_tokens)
        request = encode_request(wanted)
        async with self._slots:
            return await self._ask(request, new_spool)

    async def close(self) -> None:
        """End the workers; idempotent."""
        self._retire()
        while self._leaving:
            await asyncio.gather(*self._leaving)

    async def _ask(self, request: bytes, new_spool: Callable[[], Path]) -> ReadDocument:
        worker = await self._take()
        spools: list[Path] = []
        try:
            reply = await _reply(worker, request)
            announced = reply.outcome.children if isinstance(reply.outcome, Reading) else ()
            spools.extend(new_spool() for _ in announced)
            children = await worker.receive(announced, spools)
        except BaseException:  # also a cancelled read: what the worker does now, nobody waits for
            worker.kill()
            self._dismiss(worker)
            remove_spools(spools)
            raise
        self._give_back(worker, reply)
        if isinstance(reply.outcome, IngestError):
            raise reply.outcome
        return ReadDocument(reply.outcome.parsed, reply.outcome.chunks, children)

    async def _take(self) -> ParseProcess:
        """An idle worker that is still there, else a new one."""
        if self._retirement is not None:
            self._retirement.cancel()
        while self._idle:
            worker = self._idle.pop()
            if worker.is_alive:
                return worker
            self._dismiss(worker)
        return await ParseProcess.start(self._limits)

    def _give_back(self, worker: ParseProcess, reply: ReadReply) -> None:
        if worker.documents >= self._documents_a_worker or reply.peak_bytes > self._worn_bytes:
            self._dismiss(worker)
            return
        self._idle.append(worker)
        self._retirement = asyncio.get_running_loop().call_later(self._idle_s, self._retire)

    def _retire(self) -> None:
        """Let all idle workers go."""
        if self._retirement is not None:
            self._retirement.cancel()
        while self._idle:
            self._dismiss(self._idle.pop())

    def _dismiss(self, worker: ParseProcess) -> None:
        """See it off in the background; `close` waits for it."""
        farewell = asyncio.get_running_loop().create_task(worker.end())
        self._leaving.add(farewell)
        farewell.add_done_callback(self._leaving.discard)


async def _reply(worker: ParseProcess, request: bytes) -> ReadReply:
    packed = await worker.ask(request)
    large = len(packed) > _LARGE_REPLY_BYTES
    return await asyncio.to_thread(decode_reply, packed) if large else decode_reply(packed)
