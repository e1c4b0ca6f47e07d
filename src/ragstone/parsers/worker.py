"""The child process that parses and chunks: one document at a time, within limits, until its standard input closes.

`python -m ragstone.parsers.worker LIMITS`, where LIMITS is the JSON of `Limits`. It holds no secrets, opens no file
but the document, and imports a format's library only when such a document comes.
"""

import contextlib
import json
import os
import queue
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache
from math import ceil
from pathlib import Path
from typing import BinaryIO, Protocol

from ragstone.core.errors import BlobMissing, IngestError, ParseFailed, ParseLimit
from ragstone.core.models import ChildDocument, Chunk, KnownChunk, ParsedDocument
from ragstone.core.registry import load_object
from ragstone.core.relay import tell_failure
from ragstone.parsers import build_parser
from ragstone.parsers.bounds import Limits
from ragstone.parsers.wire import (
    ReadRequest,
    decode_request,
    encode_document,
    encode_failure,
    frame_head,
    read_frame,
)


@dataclass(frozen=True, slots=True)
class Answer:
    """A framed reply, and the children that follow it, each in a frame of its own."""

    reply: bytes
    children: tuple[ChildDocument, ...] = ()

    def write(self, replies: BinaryIO) -> None:
        """One child after the other: nothing is copied."""
        replies.write(self.reply)
        for child in self.children:
            replies.write(frame_head(len(child.content)))
            replies.write(child.content)
        replies.flush()


class Chunker(Protocol):
    """What the import path of a chunker must build."""

    def chunk(
        self,
        parsed: ParsedDocument,
        title: str | None,
        known: Sequence[KnownChunk] = (),
        *,
        most_tokens: int | None = None,
    ) -> list[Chunk]:
        """See chunking.structural."""
        ...


def main(arguments: list[str]) -> None:
    """Serve standard input until it closes."""
    os.setpgid(0, 0)  # what it starts is to end with it
    limits = Limits(**json.loads(arguments[0]))
    requests, replies = _take_over_pipes()
    _restrict(limits)
    inbox = Inbox(requests, when_closed=_leave)
    inbox.start()
    serve(inbox.frames(), replies, limits=limits, timed=lambda: _time_limits(limits))


class Inbox(threading.Thread):
    """Reads requests beside the work, so that the owner's end is noticed during it, whatever killed the owner."""

    def __init__(self, requests: BinaryIO, *, when_closed: Callable[[], None]):
        super().__init__(daemon=True)
        self._requests = requests
        self._when_closed = when_closed
        self._frames: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()

    def run(self) -> None:
        """Read until the end."""
        while (packed := read_frame(self._requests)) is not None:
            self._frames.put(packed)
        self._frames.put(None)
        self._when_closed()

    def frames(self) -> Iterator[bytes]:
        """The requests as they come; ends when the owner is gone."""
        while (packed := self._frames.get()) is not None:
            yield packed


def serve(
    requests: Iterator[bytes],
    replies: BinaryIO,
    *,
    limits: Limits,
    timed: Callable[[], AbstractContextManager[None]],
) -> None:
    """Answer each request; `timed` limits the time that one may take."""
    for packed in requests:
        with timed():
            answered = answer(decode_request(packed), limits)
        answered.write(replies)


def answer(request: ReadRequest, limits: Limits) -> Answer:
    """What one request is answered with."""
    try:
        parsed, chunks = read_document(request, limits)
        return Answer(encode_document(parsed, chunks, peak_bytes()), parsed.children)
    except IngestError as error:
        failure = error
    except MemoryError:
        failure = ParseLimit(f"parsing needs more than {limits.memory_bytes // 2**20} MiB of memory")
    except Exception as error:  # noqa: BLE001  # a parser's defect fails the document, not the worker
        tell_failure("warning", "parser failed", error)
        failure = ParseFailed(f"the parser failed: {type(error).__name__}")
    return Answer(encode_failure(failure, peak_bytes()))


def read_document(request: ReadRequest, limits: Limits) -> tuple[ParsedDocument, list[Chunk]]:
    """Parse and chunk a file. Raises IngestError kinds, and whatever a parser's defect raises."""
    parsed = build_parser(request.parser, limits).parse(_content(Path(request.path)))
    if len(parsed.text) > limits.characters:
        raise ParseLimit(f"the document holds more than {limits.characters} characters of text")
    title = request.title or parsed.title
    chunker = _chunker(request.chunker)
    return parsed, chunker.chunk(parsed, title, request.known, most_tokens=request.chunk_tokens)


def peak_bytes() -> int:
    """The most memory that this process has held at once."""
    try:
        status = Path("/proc/self/status").read_text()
    except FileNotFoundError:  # not Linux
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Not ru_maxrss: on Linux a spawned process begins with the peak of the one that spawned it.
    return int(status.partition("VmHWM:")[2].split(maxsplit=1)[0]) * 1024


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise BlobMissing("the stored original is gone") from error


@cache
def _chunker(path: str) -> Chunker:
    chunker: Chunker = load_object(path)()
    return chunker


def _take_over_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Standard input and output for ourselves: what a library prints goes to standard error."""
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(2, 1)
    return requests, replies


def _leave() -> None:
    """With all of its process group, which is its own."""
    os.killpg(0, signal.SIGKILL)


def _restrict(limits: Limits) -> None:
    """Bound what the whole process may take. Signals to the group are the owner's business: it drains first."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.nice(limits.niceness)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    with contextlib.suppress(ValueError, OSError):  # macOS does not offer it
        resource.setrlimit(resource.RLIMIT_AS, (limits.memory_bytes, limits.memory_bytes))


@contextlib.contextmanager
def _time_limits(limits: Limits) -> Iterator[None]:
    """The kernel ends the process when the time is up, even inside native code; the owner tells by the signal."""
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (ceil(time.process_time() + limits.cpu_s), hard))
    signal.setitimer(signal.ITIMER_REAL, limits.wall_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        resource.setrlimit(resource.RLIMIT_CPU, (hard, hard))


if __name__ == "__main__":
    main(sys.argv[1:])
