"""Zip files that strangers made: inflated once under limits before any library sees them."""

import io
import lzma
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from ragstone.core.errors import Encrypted, ParseFailed, UnsafeArchive, UnsafeXml
from ragstone.parsers.bounds import Limits
from ragstone.parsers.inflation import Inflation

MOST_MEMBERS = 10_000  # a presentation of 1,000 slides has about 5,000
_SLICE = 1 << 20
_IS_ENCRYPTED = 0x1

_XML = re.compile(r"\.(?:xml|rels|vml|xhtml|html?|opf|ncx|svg)\Z", re.I)
_DOCTYPE = re.compile(
    rb"<\x00?!\x00?D\x00?O\x00?C\x00?T\x00?Y\x00?P\x00?E|<\x00?!\x00?E\x00?N\x00?T\x00?I\x00?T\x00?Y", re.I
)
_OVERLAP = 32  # bytes of a slice that the next one is read with, so that a cut hides nothing
_DAMAGED = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error),
    *(NotImplementedError, EOFError, ValueError, OSError),
)


def open_zip(content: bytes, limits: Limits) -> zipfile.ZipFile:
    """The archive, all of whose members were inflated once, counted and thrown away: about 3 ms a megabyte. Raises
    ParseFailed, UnsafeArchive, Encrypted."""
    return _inspected(content, limits, refuse_doctypes=False)


def open_office_zip(content: bytes, limits: Limits) -> zipfile.ZipFile:
    """The same for office documents, in whose XML a document type declaration is never honest. Raises UnsafeXml
    besides."""
    return _inspected(content, limits, refuse_doctypes=True)


@contextmanager
def damage_named() -> Iterator[None]:
    """What zipfile raises for archives that are cut off or contradict themselves, as ParseFailed."""
    try:
        yield
    except _DAMAGED as error:
        raise ParseFailed(f"the archive is damaged: {type(error).__name__}") from error


def require_readable(members: list[zipfile.ZipInfo]) -> None:
    """Raises UnsafeArchive for more members than can be meant, Encrypted if one of them is."""
    if len(members) > MOST_MEMBERS:
        raise UnsafeArchive(f"the archive has {len(members)} members; at most {MOST_MEMBERS} are read")
    if any(member.flag_bits & _IS_ENCRYPTED for member in members):
        raise Encrypted("members of the archive are protected by a password")


def inflated(archive: zipfile.ZipFile, member: zipfile.ZipInfo, inflation: Inflation) -> Iterator[bytes]:
    """A member's content in slices, counted. Raises ParseFailed, UnsafeArchive."""
    with damage_named(), archive.open(member) as stream:
        while part := stream.read(_SLICE):
            inflation.add_bytes(len(part))
            yield part


def _inspected(content: bytes, limits: Limits, *, refuse_doctypes: bool) -> zipfile.ZipFile:
    inflation = Inflation(len(content), limits)
    with damage_named():
        archive = zipfile.ZipFile(io.BytesIO(content))
        require_readable(archive.infolist())
        for member in archive.infolist():
            is_xml = refuse_doctypes and _XML.search(member.filename) is not None
            _inspect(archive, member, inflation, is_xml=is_xml)
    return archive


def _inspect(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo, inflation: Inflation, *, is_xml: bool
) -> None:
    """Count what the member adds; look through it if it is XML."""
    tail = b""
    for part in inflated(archive, member, inflation):
        if is_xml and _DOCTYPE.search(tail + part) is not None:
            raise UnsafeXml(f"{member.filename!r} has a document type declaration")
        tail = part[-_OVERLAP:]
