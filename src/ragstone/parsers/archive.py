"""Archives: their members become documents of their own; the archive's text is the list of the members' names.

Nothing is written to disk, no link is followed. What is inside a member is another parser's business, except that
archives inside are looked into first: they count towards the limits of the one around them.
"""

import io
import zipfile
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ragstone.core.errors import Encrypted, ParseFailed, UnsafeArchive
from ragstone.core.models import BlockKind, ChildDocument, ParsedDocument
from ragstone.parsers.blocks import BlockWriter
from ragstone.parsers.bounds import DEEPEST, BoundedParser, Limits
from ragstone.parsers.inflation import Inflation
from ragstone.parsers.members import Children, is_system_file, safe_path
from ragstone.parsers.tars import is_tar, tar_members
from ragstone.parsers.zip_kinds import ZIP, zip_kind
from ragstone.parsers.zips import damage_named, inflated, require_readable

_ZIP_MARKS = (b"PK\x03\x04", b"PK\x05\x06")
_HEAD_BYTES = 512  # a tar file's first header
_IS_UTF8 = 0x800
_UNIX, _KIND_OF_FILE, _REGULAR = 3, 0o170000, 0o100000


class Member(NamedTuple):
    """A file in an archive: a path that leads nowhere else, its size as announced, its content in slices that are read
    once, before the next member comes."""

    path: str
    size: int
    slices: Iterator[bytes]


class ArchiveParser(BoundedParser):
    """Implements `Parser` for zip and tar files, and for what gzip, bzip2 and xz made of a file."""

    def parse(self, content: bytes) -> ParsedDocument:
        """Raises NoText (there is no file in it), ParseFailed, UnsafeArchive, Encrypted."""
        children, inflation = Children("archive", self.limits), Inflation(len(content), self.limits)
        for member in _members(content, inflation):
            children.require_room(member.size)
            child = children.add(member.path, _joined(member, self.limits))
            _look_into(child.content, inflation, self.limits, depth=1)
        writer = BlockWriter()
        writer.add(BlockKind.LIST, "\n".join(child.filename for child in children.all()))
        return writer.finish(title=None, children=children.all())


def look_into_children(children: Iterable[ChildDocument], container_bytes: int, limits: Limits) -> None:
    """Archives that are attached to a mail count like those in an archive. Raises UnsafeArchive."""
    inflation = Inflation(container_bytes, limits)
    for child in children:
        inflation.add_file()
        _look_into(child.content, inflation, limits, depth=1)


def _look_into(content: bytes, inflation: Inflation, limits: Limits, *, depth: int) -> None:
    """Count what an archive holds that lies `depth` containers deep. One that cannot be read is left to fail by
    itself. Raises UnsafeArchive."""
    if not _is_archive(content):
        return
    if depth >= DEEPEST:
        raise UnsafeArchive(f"archives inside the archive lie more than {DEEPEST} deep")
    try:
        for member in _members(content, inflation):
            inside = _joined_if_archive(member, limits)
            _look_into(inside, inflation, limits, depth=depth + 1)
    except (ParseFailed, Encrypted):
        return


def _members(content: bytes, inflation: Inflation) -> Iterator[Member]:
    """The files that somebody put there, counted. Raises ParseFailed, UnsafeArchive, Encrypted."""
    found = _zip_members(content, inflation) if content.startswith(b"PK") else tar_members(content, inflation)
    for name, size, slices in found:
        path = safe_path(name)
        if path and not is_system_file(path):
            inflation.add_file()
            yield Member(path, size, slices)


def _is_archive(content: bytes) -> bool:
    """Office documents and books are zip files too, but no archives."""
    if content.startswith(_ZIP_MARKS):
        return zip_kind(io.BytesIO(content)) == ZIP
    return is_tar(content)


def _joined(member: Member, limits: Limits) -> bytes:
    content = bytearray()
    for part in member.slices:
        content += part
        if len(content) > limits.child_bytes:
            raise UnsafeArchive(f"a file in the archive has more than {limits.child_bytes} bytes")
    return bytes(content)


def _joined_if_archive(member: Member, limits: Limits) -> bytes:
    """Anything else is inflated and counted, but not held: the beginning is enough to tell."""
    first = next(member.slices, b"")
    if first.startswith(_ZIP_MARKS) or is_tar(first[:_HEAD_BYTES]):
        return first + _joined(member, limits)
    for _ in member.slices:
        pass
    return b""


# ---- zip ----


def _zip_members(content: bytes, inflation: Inflation) -> Iterator[tuple[str, int, Iterator[bytes]]]:
    with damage_named(), zipfile.ZipFile(io.BytesIO(content)) as archive:
        require_readable(archive.infolist())
        for member in archive.infolist():
            if _is_file(member):
                yield _name(member), member.file_size, inflated(archive, member, inflation)


def _name(member: zipfile.ZipInfo) -> str:
    """Without a mark of UTF-8 a name is read as cp437, though many programs write UTF-8 all the same."""
    if member.flag_bits & _IS_UTF8:
        return member.filename
    try:
        return member.filename.encode("cp437").decode()
    except UnicodeError:
        return member.filename


def _is_file(member: zipfile.ZipInfo) -> bool:
    """Neither a directory nor, as Unix knows them, a link or a device."""
    kind = (member.external_attr >> 16) & _KIND_OF_FILE if member.create_system == _UNIX else 0
    return not member.is_dir() and kind in (0, _REGULAR)
