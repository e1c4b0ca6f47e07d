"""Bytes by their SHA-256, in a folder. Every step that a power loss could undo is fsynced.

`<root>/ab/cdef…` is a blob (0600; its name is its content's hash in two parts), `<root>/spool/…` a file that is being
received and becomes a blob by rename.
"""

import asyncio
import hashlib
import os
import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ParamSpec, TypeVar
from uuid import uuid4

from ragstone.core.crash import crash_point
from ragstone.core.errors import BlobMissing, Unavailable
from ragstone.core.files import sha256_of, sync
from ragstone.core.threads import in_executor

P = ParamSpec("P")
T = TypeVar("T")

CRASH_POINTS = (
    "blob.before_fsync",
    "blob.before_rename",
    "blob.after_rename",
    "blob.after_folder_fsync",
    "blob.before_unlink",
    "blob.after_unlink",
)

_THREADS = 4  # fsync waits for the disk, not for a processor
_SHA256 = re.compile(r"[0-9a-f]{64}")
_FOLDER = re.compile(r"[0-9a-f]{2}")
_NAME = re.compile(r"[0-9a-f]{62}")


class FileBlobStore:
    """Implements `core.ports.BlobStore`. One process at a time writes here, as the data directory's lock sees to."""

    def __init__(self, root: Path, *, is_reader: bool = False):
        """`is_reader`: another process is the one that writes, so leave alone what it is just receiving."""
        self._root = root
        self._spool = root / "spool"
        _make_folder(root)
        _make_folder(self._spool)
        if not is_reader:
            _clear(self._spool)
        self._executor = ThreadPoolExecutor(max_workers=_THREADS, thread_name_prefix="blobs")

    def new_spool(self) -> Path:
        """See the port."""
        return self._spool / uuid4().hex

    def path(self, sha256: str) -> Path:
        """See the port. Raises ValueError for anything but 64 hexadecimal digits."""
        if not _SHA256.fullmatch(sha256):
            raise ValueError(f"not a SHA-256 in lower-case hex: {sha256!r}")
        return self._root / sha256[:2] / sha256[2:]

    async def put_file(self, path: Path, sha256: str) -> None:
        """See the port. The hash is the caller's word: it was counted while the file was received. Raises Unavailable
        (the disk is full)."""
        await self._run(_take_over, path, self.path(sha256))

    async def put(self, content: bytes) -> str:
        """See the port. Raises Unavailable (the disk is full)."""
        return await self._run(self._put, content)

    async def exists(self, sha256: str) -> bool:
        """See the port."""
        return await self._run(self.path(sha256).is_file)

    async def read(self, sha256: str) -> bytes:
        """See the port."""
        content = await self._run(_read, self.path(sha256))
        if content is None:
            raise BlobMissing(f"the bytes with SHA-256 {sha256} are gone from the data directory")
        return content

    async def delete(self, sha256: str) -> bool:
        """See the port."""
        return await self._run(_unlink, self.path(sha256))

    async def list(self) -> list[tuple[str, float]]:
        """See the port. Whatever else lies in the folder is left out."""
        return await self._run(_stored, self._root)

    async def _run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """A cancelled caller waits for its thread: nothing is written after the work on a document was stopped."""
        future = in_executor(self._executor, work, *args, **kwargs)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            await asyncio.wait([future])
            raise
        except OSError as error:
            raise Unavailable(f"the data directory cannot be used: {error.strerror}") from error

    def _put(self, content: bytes) -> str:
        sha256 = hashlib.sha256(content).hexdigest()
        spool = self.new_spool()
        try:
            spool.write_bytes(content)
            _take_over(spool, self.path(sha256))
        finally:
            spool.unlink(missing_ok=True)
        return sha256


def _read(blob: Path) -> bytes | None:
    try:
        return blob.read_bytes()
    except FileNotFoundError:
        return None


def _stored(root: Path) -> list[tuple[str, float]]:
    now = time.time()
    return [
        (folder.name + entry.name, max(0.0, now - entry.stat().st_mtime))
        for folder in os.scandir(root)
        if _FOLDER.fullmatch(folder.name) and folder.is_dir(follow_symlinks=False)
        for entry in os.scandir(folder)
        if _NAME.fullmatch(entry.name) and entry.is_file(follow_symlinks=False)
    ]


def _take_over(spool: Path, blob: Path) -> None:
    """Make `spool` the blob, in the place of one that is damaged too. Where it is whole already, only its durability is
    made sure: whoever renamed it may not have come to its fsync."""
    _make_folder(blob.parent)
    if blob.is_file() and sha256_of(blob) == blob.parent.name + blob.name:
        spool.unlink()
    else:
        spool.chmod(0o600)
        crash_point("blob.before_fsync")
        sync(spool)
        crash_point("blob.before_rename")
        spool.rename(blob)
        crash_point("blob.after_rename")
    sync(blob.parent)
    crash_point("blob.after_folder_fsync")


def _unlink(blob: Path) -> bool:
    crash_point("blob.before_unlink")
    try:
        blob.unlink()
    except FileNotFoundError:
        return False
    sync(blob.parent)
    crash_point("blob.after_unlink")
    return True


def _clear(spool: Path) -> None:
    for leftover in spool.iterdir():
        if leftover.is_file():
            leftover.unlink()


def _make_folder(folder: Path) -> None:
    """A private folder whose own entry is durable."""
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        return
    sync(folder.parent)
