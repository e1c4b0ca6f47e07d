"""Tar files, and what gzip, bzip2 and xz made of them or of a single file: read once, front to back."""

import bz2
import gzip
import io
import lzma
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol, Self

from ragstone.core.errors import ParseFailed, UnsafeArchive
from ragstone.core.models import UNNAMED
from ragstone.parsers.inflation import Inflation
from ragstone.parsers.zips import MOST_MEMBERS

GZIP, BZIP2, XZ = b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00"
_BLOCK = tarfile.BLOCKSIZE
_SLICE = 1 << 20
# Of a header that describes the next one: a path of 4,096 characters and some attributes. Longer ones take tarfile
# time that grows with their square.
_MOST_EXTENSION_BYTES = 16 * 1024
_EXTENSIONS = (
    *(tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK),
    *(tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE),
)
_DAMAGED = (tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, OSError, ValueError, IndexError)


def is_tar(content: bytes) -> bool:
    """Whether it begins as a tar file or a compressed file does."""
    return content.startswith((GZIP, BZIP2, XZ)) or content[257:262] == b"ustar"


def tar_members(content: bytes, inflation: Inflation) -> Iterator[tuple[str, int, Iterator[bytes]]]:
    """Name, size as announced and slices of each ordinary file; each is read before the next one comes. A compressed
    file that is no archive is its single member. Raises UnsafeArchive, ParseFailed."""
    stream = _Inflating(_opened(content), inflation)
    with _damage_named():
        if stream.begins_a_tar():
            yield from _members(stream)
        else:
            yield _compressed_name(content), 0, _slices(stream)


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


class _Header(tarfile.TarInfo):
    """Refuses what would make tarfile read, or count, without end, or end early without a word."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        try:
            header = super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            if not any(buf):
                raise  # the archive's end
            raise tarfile.HeaderError(str(error)) from error  # which it does not take for the end, too
        is_extension = header.type not in tarfile.SUPPORTED_TYPES or header.type in _EXTENSIONS
        if header.size < 0 or (is_extension and header.size > _MOST_EXTENSION_BYTES):
            raise tarfile.HeaderError(f"a header of {header.size} bytes")
        return header


class _Inflating(io.BufferedIOBase):
    """A stream that is read once, counted on its way."""

    def __init__(self, stream: _Readable, inflation: Inflation):
        super().__init__()
        self._stream = stream
        self._inflation = inflation
        self._ahead = b""

    def read(self, size: int | None = -1, /) -> bytes:
        """At most a slice at a time. Raises UnsafeArchive."""
        size = _SLICE if size is None or not 0 <= size <= _SLICE else size
        part, self._ahead = self._ahead[:size], self._ahead[size:]
        if len(part) < size:
            part += self._stream.read(size - len(part))
        self._inflation.add_bytes(len(part))
        return part

    def begins_a_tar(self) -> bool:
        """Whether the first block is a header, or nothing but zeros: the end of an empty archive."""
        self._ahead = self._stream.read(_BLOCK)
        try:
            tarfile.TarInfo.frombuf(self._ahead, "utf-8", "surrogateescape")
        except tarfile.HeaderError:
            return len(self._ahead) == _BLOCK and not any(self._ahead)
        return True


def _opened(content: bytes) -> _Readable:
    raw = io.BytesIO(content)
    if content.startswith(GZIP):
        return gzip.GzipFile(fileobj=raw)
    if content.startswith(BZIP2):
        return bz2.BZ2File(raw)
    if content.startswith(XZ):
        return lzma.LZMAFile(raw)
    return raw


def _compressed_name(content: bytes) -> str:
    """The name that gzip keeps of the file; others keep none. Raises ParseFailed for what is not compressed."""
    if not content.startswith((GZIP, BZIP2, XZ)):
        raise ParseFailed("the archive has no header that can be read")
    flags = content[3] if content.startswith(GZIP) else 0
    if not flags & 8:
        return UNNAMED
    start = 12 + int.from_bytes(content[10:12], "little") if flags & 4 else 10
    return content[start : start + 256].partition(b"\0")[0].decode("latin-1")


def _members(stream: _Inflating) -> Iterator[tuple[str, int, Iterator[bytes]]]:
    """Never back: a header cannot lead in a circle. Links, devices and sparse files are left out."""
    count = 0
    with tarfile.open(fileobj=stream, mode="r|", tarinfo=_Header, errors="replace") as archive:
        while (member := archive.next()) is not None:
            count += 1
            if count > MOST_MEMBERS:
                raise UnsafeArchive(f"the archive has more than {MOST_MEMBERS} members")
            archived = archive.extractfile(member) if member.isreg() and not member.issparse() else None
            if archived is not None:
                yield member.name, member.size, _slices(archived)


def _slices(stream: _Readable) -> Iterator[bytes]:
    with _damage_named():
        while part := stream.read(_SLICE):
            yield part


@contextmanager
def _damage_named() -> Iterator[None]:
    try:
        yield
    except _DAMAGED as error:
        raise ParseFailed(f"the archive is damaged: {type(error).__name__}") from error
