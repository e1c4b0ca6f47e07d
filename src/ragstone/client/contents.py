"""What is uploaded: a file by its path, bytes, or an open file; read anew at each attempt, a piece at a time."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import IO, Any, Protocol, TypeAlias, cast

UNNAMED = "unnamed"  # to the server a file without a name: always a new document, unless `source` is given


class Readable(Protocol):
    """A file that was opened to read bytes. One that cannot be read again from its start is read into memory."""

    def read(self, most: int, /) -> bytes:
        """At most so many; none at the end."""


Content: TypeAlias = "bytes | str | os.PathLike[str] | Readable"
"""A text here is the path of a file."""

OnSent: TypeAlias = Callable[[int, int | None], None]
"""Is told how many bytes of a file were sent, of how many if that is known."""


@dataclass(frozen=True, slots=True)
class File:
    """A part of a form."""

    filename: str
    content: Content

    @contextmanager
    def opened(self, on_sent: OnSent | None) -> Iterator[bytes | IO[bytes]]:
        """As httpx2 takes it. Raises OSError."""
        with ExitStack() as stack:
            content: Any = self.content
            if isinstance(content, str | os.PathLike):
                content = stack.enter_context(Path(content).open("rb"))
            if on_sent is not None:
                content = _Counted(BytesIO(content) if isinstance(content, bytes) else content, on_sent)
            yield content


@dataclass(frozen=True, slots=True)
class Form:
    """Fields, and files that all go under one name."""

    fields: Mapping[str, str]
    part: str
    files: Sequence[File]
    on_sent: OnSent | None = None

    @contextmanager
    def opened(self) -> Iterator[dict[str, Any]]:
        """The arguments of a request, for one attempt."""
        with ExitStack() as stack:
            parts = [
                (self.part, (file.filename, stack.enter_context(file.opened(self.on_sent))))
                for file in self.files
            ]
            yield {"data": self.fields, "files": parts}

    def watched(self, on_sent: OnSent | None) -> "Form":
        """The same, telling what was sent."""
        return replace(self, on_sent=on_sent)


def file_of(content: Content, filename: str | None) -> File:
    """Named as it is said, else as the file is."""
    if isinstance(content, bytes):
        return File(filename or UNNAMED, content)
    if isinstance(content, str | os.PathLike):
        return File(filename or Path(content).name, content)
    name = getattr(content, "name", None)
    named = Path(name).name if isinstance(name, str) else UNNAMED
    return File(filename or named, content if _is_seekable(content) else _read_all(content))


def _is_seekable(content: Readable) -> bool:
    asked = getattr(content, "seekable", None)
    return hasattr(content, "seek") if asked is None else bool(asked())


def _read_all(content: Readable) -> bytes:
    return content.read(-1)


class _Counted:
    """A file that tells how far it is; all else is the file's own."""

    def __init__(self, content: Readable, on_sent: OnSent):
        self._content = cast("IO[bytes]", content)
        self._on_sent = on_sent
        self._sent = 0
        self._total = _length(self._content)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._content, name)

    def seek(self, position: int, whence: int = os.SEEK_SET) -> int:
        """Back to the start, for another attempt."""
        self._sent = 0
        return self._content.seek(position, whence)

    def read(self, most: int) -> bytes:
        """Pass it on."""
        piece = self._content.read(most)
        self._sent += len(piece)
        if piece:
            self._on_sent(self._sent, self._total)
        return piece


def _length(content: IO[bytes]) -> int | None:
    try:
        return os.fstat(content.fileno()).st_size
    except (AttributeError, OSError):
        return len(content.getbuffer()) if isinstance(content, BytesIO) else None
