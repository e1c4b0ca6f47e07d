"""The files to ingest as they lie on this machine: which there are, what they hold, and whether they stay as they are
while they are read."""

import asyncio
import hashlib
import os
import stat
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from io import SEEK_SET
from pathlib import Path
from typing import Self

PIECE_BYTES = 8 * 1024 * 1024  # hashed at a time: Ctrl-C waits no longer than for one


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A regular file. `source` is its path as typed, in Unicode: bytes that are not become escapes such as `\\xff`."""

    path: Path
    source: str
    bytes: int


@dataclass(slots=True)
class Findings:
    """What lies below the paths. `left_out` counts entries by reason; a hidden folder is one."""

    files: list[LocalFile] = field(default_factory=list)
    unreadable: list[tuple[str, OSError]] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)


class FileChanged(Exception):
    """It was written to while it was read: what was read may be a mixture."""


def find_files(paths: Sequence[Path], *, but_not: Path | None = None) -> Findings:
    """Files in the order of their paths, each once. A path that is given is followed and read whatever its name;
    below it links, hidden entries and what is no regular file are left out, and so is the folder `but_not`.
    """
    found = Findings()
    excluded = None if but_not is None else but_not.resolve()
    for path in paths:
        if os.path.isdir(path):  # noqa: PTH112 - Path.is_dir raises where it may not look
            _walk(path, found, excluded)
        else:
            _add(path, found)
    found.files = list({file.source: file for file in sorted(found.files, key=_source)}.values())
    return found


def source_of(path: Path) -> str:
    """The identity of a file's document."""
    return os.fsencode(path.as_posix()).decode("utf-8", "backslashreplace")


def _source(file: LocalFile) -> str:
    return file.source


def _walk(folder: Path, found: Findings, excluded: Path | None) -> None:
    def note(error: OSError) -> None:
        found.unreadable.append((source_of(Path(error.filename)), error))

    for place, folders, names in os.walk(folder, onerror=note):
        here = Path(place)
        kept = [name for name in folders if _is_taken(here / name, found)]
        folders[:] = [name for name in kept if (here / name).resolve() != excluded]
        for name in names:
            if _is_taken(here / name, found):
                _add(here / name, found)


def _is_taken(path: Path, found: Findings) -> bool:
    if path.name.startswith("."):
        found.left_out["hidden"] += 1
    elif path.is_symlink():
        found.left_out["links"] += 1
    else:
        return True
    return False


def _add(path: Path, found: Findings) -> None:
    try:
        status = path.stat()
    except OSError as error:
        found.unreadable.append((source_of(path), error))
        return
    if stat.S_ISREG(status.st_mode):
        found.files.append(LocalFile(path, source_of(path), status.st_size))
    else:
        found.left_out["not files"] += 1


async def has_content(file: LocalFile, *, size_bytes: int, sha256: str) -> bool:
    """Whether the file holds these bytes; read only if the size says so. Raises OSError."""
    if file.bytes != size_bytes:
        return False
    digest = hashlib.sha256()
    position = 0
    while read := await asyncio.to_thread(_hash_piece, file.path, position, digest):
        position += read
        if read < PIECE_BYTES:
            break
    return digest.hexdigest() == sha256


def _hash_piece(path: Path, position: int, digest: "hashlib._Hash") -> int:
    with path.open("rb", buffering=0) as content:
        content.seek(position)
        piece = content.read(PIECE_BYTES)
    digest.update(piece)
    return len(piece)


class SteadyFile:
    """A file to read from its beginning to its end, once or again, that must not change meanwhile. Raises FileChanged
    before the end is reached, so that a request made of it is never complete."""

    def __init__(self, path: Path, *, on_read: Callable[[int], None]):
        self._content = path.open("rb", buffering=0)
        self._opened_as = os.fstat(self._content.fileno())
        self._on_read = on_read
        self._left = self._opened_as.st_size

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._content.close()

    def fileno(self) -> int:
        """For its length."""
        return self._content.fileno()

    def seek(self, position: int, whence: int = SEEK_SET) -> int:
        """Back to the beginning, which is all that is needed."""
        assert (position, whence) == (0, SEEK_SET)
        self._left = self._opened_as.st_size
        return self._content.seek(0)

    def read(self, most: int) -> bytes:
        """The next bytes, none at the end. Raises FileChanged, OSError."""
        piece = self._content.read(min(most, self._left))
        self._left -= len(piece)
        if not piece and (self._left or self._is_changed()):
            raise FileChanged
        self._on_read(len(piece))
        return piece

    def _is_changed(self) -> bool:
        now, then = os.fstat(self._content.fileno()), self._opened_as
        return (now.st_size, now.st_mtime_ns) != (then.st_size, then.st_mtime_ns)
