"""Zip files that strangers made: inflated once under limits before any library sees them."""

import io
import re
import zipfile
import zlib

from ragstone.core.errors import Encrypted, ParseFailed, UnsafeArchive, UnsafeXml

MOST_MEMBERS = 10_000  # a presentation of 1,000 slides has about 5,000
MOST_INFLATED_BYTES = 400 * 2**20  # the worker that reads it may take 512 MiB
FREE_BYTES = 16 * 2**20  # of inflated content may come from next to nothing: small files compress well
MOST_RATIO = 100  # beyond that; office documents have 3 to 30
_SLICE = 1 << 20
_IS_ENCRYPTED = 0x1

_XML = re.compile(r"\.(?:xml|rels|vml|xhtml|html?|opf|ncx|svg)\Z", re.I)
_DOCTYPE = re.compile(
    rb"<\x00?!\x00?D\x00?O\x00?C\x00?T\x00?Y\x00?P\x00?E|<\x00?!\x00?E\x00?N\x00?T\x00?I\x00?T\x00?Y", re.I
)
_OVERLAP = 32  # bytes of a slice that the next one is read with, so that a cut hides nothing


def open_zip(content: bytes) -> zipfile.ZipFile:
    """The archive, all of whose members were inflated once, counted and thrown away: about 3 ms a megabyte. Raises
    ParseFailed, UnsafeArchive, Encrypted."""
    return _inspected(content, refuse_doctypes=False)


def open_office_zip(content: bytes) -> zipfile.ZipFile:
    """The same for office documents, in whose XML a document type declaration is never honest. Raises UnsafeXml
    besides."""
    return _inspected(content, refuse_doctypes=True)


def _inspected(content: bytes, *, refuse_doctypes: bool) -> zipfile.ZipFile:
    try:
        archive = zipfile.ZipFile(io.BytesIO(content))
        members = archive.infolist()
        if len(members) > MOST_MEMBERS:
            raise UnsafeArchive(f"the archive has {len(members)} members; at most {MOST_MEMBERS} are read")
        inflated = 0
        for member in members:
            if member.flag_bits & _IS_ENCRYPTED:
                raise Encrypted("members of the archive are protected by a password")
            is_xml = refuse_doctypes and _XML.search(member.filename) is not None
            inflated = _inflate(archive, member, inflated, len(content), is_xml=is_xml)
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, ValueError, OSError) as error:
        raise ParseFailed(f"the archive is damaged: {type(error).__name__}") from error
    return archive


def _inflate(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo, before: int, size: int, *, is_xml: bool
) -> int:
    """Count what the member adds; look through it if it is XML."""
    most = min(MOST_INFLATED_BYTES, max(FREE_BYTES, MOST_RATIO * size))
    total, tail = before, b""
    with archive.open(member) as stream:
        while part := stream.read(_SLICE):
            total += len(part)
            if total > most:
                raise UnsafeArchive(f"the archive of {size} bytes inflates to more than {most}")
            if is_xml and _DOCTYPE.search(tail + part) is not None:
                raise UnsafeXml(f"{member.filename!r} has a document type declaration")
            tail = part[-_OVERLAP:]
    return total
