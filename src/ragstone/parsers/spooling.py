"""Children of a document on their way from a parse worker to files: hashed as they come, durable when they are told."""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import ParamSpec

from ragstone.core.errors import Unavailable
from ragstone.core.models import SpooledChild
from ragstone.parsers.wire import AnnouncedChild

P = ParamSpec("P")

HEAD_BYTES = 8_192


async def spool_child(path: Path, child: AnnouncedChild, slices: AsyncIterator[bytes]) -> SpooledChild:
    """Write a child to a new file, a slice in memory at a time. Raises Unavailable; the file may be there then."""
    try:
        spool = _Spool(path)
        try:
            async for part in slices:
                await _in_thread(spool.write, part)
            await _in_thread(spool.sync)
        finally:
            spool.close()
    except OSError as error:
        if isinstance(error, ConnectionError):  # of the pipe, not of the disk
            raise
        raise Unavailable(f"the data directory cannot be used: {error.strerror}") from error
    return SpooledChild(child.filename, child.media_type, path, spool.sha256, child.bytes, spool.head)


def remove_spools(paths: Iterable[Path]) -> None:
    """Those that are there."""
    for path in paths:
        path.unlink(missing_ok=True)


async def _in_thread(work: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> None:
    """A cancelled caller waits for its thread: the file is closed, and removed, when nobody writes to it."""
    future = asyncio.ensure_future(asyncio.to_thread(work, *args, **kwargs))
    try:
        await asyncio.shield(future)
    except asyncio.CancelledError:
        await asyncio.wait([future])
        raise


class _Spool:
    """A private file that must not be there yet, and what is to be known of it. Raises OSError."""

    def __init__(self, path: Path):
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        self._hash = hashlib.sha256()
        self.head = b""

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()

    def write(self, part: bytes) -> None:
        rest = memoryview(part)
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]
        self._hash.update(part)
        self.head += part[: HEAD_BYTES - len(self.head)]

    def sync(self) -> None:
        os.fsync(self._descriptor)

    def close(self) -> None:
        os.close(self._descriptor)
