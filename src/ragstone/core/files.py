"""Files that must be where they were put, power loss or not: syncing, copying, linking, hashing. All of it blocks."""

import fcntl
import hashlib
import os
import shutil
from pathlib import Path

_PIECE_BYTES = 1 << 16  # what is zero throughout becomes a hole
_ZEROS = bytes(_PIECE_BYTES)


def sync(path: Path) -> None:
    """What a file holds, or which entries a folder has, is on disk when this returns."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        # macOS keeps what fsync wrote in the drive's cache.
        if hasattr(fcntl, "F_FULLFSYNC") and path.is_file():
            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
        else:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(folder: Path) -> None:
    """The same for all that lies in a folder, and for its own entry."""
    for path in [*folder.rglob("*"), folder, folder.parent]:
        sync(path)


def write_durably(path: Path, content: bytes) -> None:
    """Make or replace a private file in one step: a reader, or a start after a power loss, sees the old content or
    the new one."""
    beside = path.with_name(f"{path.name}.new")
    beside.unlink(missing_ok=True)
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
    sync(beside)
    beside.replace(path)
    sync(path.parent)


def copy_file(source: Path, target: Path) -> None:
    """Into a new private file; what is zero becomes a hole. Not synced.

    Zeros are looked for, instead of asking the file system for its holes: some do not count pages as written that a
    process has changed only in its mapped memory.
    """
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with source.open("rb", buffering=0) as reader, os.fdopen(descriptor, "wb", buffering=0) as writer:
        while piece := reader.read(_PIECE_BYTES):
            if piece == (_ZEROS if len(piece) == _PIECE_BYTES else bytes(len(piece))):
                writer.seek(len(piece), os.SEEK_CUR)
            else:
                _write_all(writer.fileno(), piece)
        writer.truncate(writer.tell())


def copy_tree(source: Path, target: Path) -> None:
    """The folders and files under `source` into `target`, which is new. Not synced."""
    target.mkdir(mode=0o700, parents=True)
    for path in sorted(source.rglob("*")):
        place = target / path.relative_to(source)
        if path.is_dir():
            place.mkdir(mode=0o700)
        else:
            copy_file(path, place)


def link_or_copy(source: Path, target: Path) -> None:
    """The same content under another name: a hard link where the file system allows it, else a synced copy. Only for
    files that are never written again. The entry itself is not synced. Raises FileNotFoundError for the source.
    """
    try:
        os.link(source, target)
    except FileExistsError:
        return
    except OSError:
        if not source.is_file():
            raise
        beside = target.with_name(f"{target.name}.new")
        beside.unlink(missing_ok=True)
        copy_file(source, beside)
        sync(beside)
        beside.replace(target)


def sha256_of(path: Path) -> str:
    """In lower-case hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def clear(folder: Path, *, keep: frozenset[str] = frozenset()) -> None:
    """Remove all that lies in a folder, but for these names."""
    for path in folder.iterdir():
        if path.name in keep:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _write_all(descriptor: int, piece: bytes) -> None:
    rest = memoryview(piece)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
