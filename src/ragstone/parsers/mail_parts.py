"""The parts of a mail as spans of its bytes: nothing is copied before it is wanted, and a part that is a mail itself
keeps its bytes.

The email package's own parser takes a mail line by line, 420 MB for one of 50 MB, and asks of each line whether it ends
any of the parts around it.
"""

import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message

from ragstone.core.errors import UnsafeArchive
from ragstone.parsers.bounds import MOST_CHILDREN
from ragstone.parsers.mail_headers import MOST_HEADER_BYTES, decode_base64, filename, read_headers

MOST_PARTS = MOST_CHILDREN
_DEEPEST = 30  # parts in parts; what lies deeper is read as text
_END_OF_HEADERS = re.compile(rb"\n[ \t]*+\r?\n")


@dataclass(frozen=True, slots=True)
class Part:
    """A part and those inside it."""

    headers: Message
    body: memoryview
    parts: tuple["Part", ...] = ()

    @property
    def media_type(self) -> str:
        """As declared; text/plain if it is not."""
        return self.headers.get_content_type()

    @property
    def is_attachment(self) -> bool:
        """Whether it is not to be shown in the mail itself."""
        return self.headers.get_content_disposition() == "attachment" or filename(self.headers) is not None

    def content(self) -> bytes:
        """Without the encoding that it travelled in."""
        encoding = str(self.headers.get("content-transfer-encoding", "")).strip().lower()
        if encoding == "base64":
            return decode_base64(self.body)
        if encoding == "quoted-printable":
            return binascii.a2b_qp(self.body)
        return bytes(self.body)


def read_parts(content: bytes) -> Part:
    """The mail as the tree of its parts. Raises UnsafeArchive when there are too many."""
    start = len(content) - len(content.lstrip())
    return _Splitter(content).part(start, len(content), depth=0)


def headers_of(content: bytes) -> Message:
    """The headers of a mail."""
    head = content[:MOST_HEADER_BYTES].lstrip()
    found = _END_OF_HEADERS.search(head)
    return read_headers(head[: found.start()] if found is not None else head)


class _Splitter:
    def __init__(self, content: bytes):
        self._content = content
        self._view = memoryview(content)
        self._count = 0

    def part(self, start: int, end: int, *, depth: int) -> Part:
        """The part in these bytes, and those inside it. One that is inside begins with the end of its delimiter's
        line, so that the line break before a body without headers is there."""
        self._count += 1
        if self._count > MOST_PARTS:
            raise UnsafeArchive(f"the mail has more than {MOST_PARTS} parts")
        found = _END_OF_HEADERS.search(self._content, start, end)
        headers_end, body = found.span() if found is not None else (end, end)
        headers = read_headers(self._content[start:headers_end].strip(b"\r\n"))
        spans = self._inside(headers, body, end) if depth < _DEEPEST else ()
        parts = tuple(self.part(first, last, depth=depth + 1) for first, last in spans)
        return Part(headers, self._view[body:end], parts)

    def _inside(self, headers: Message, start: int, end: int) -> Iterator[tuple[int, int]]:
        """Where the parts of a multipart stand. The last one may lack its end."""
        if headers.get_content_maintype() != "multipart" or not (boundary := _boundary(headers)):
            return
        delimiter = re.compile(rb"\n--" + re.escape(boundary) + rb"(--)?[ \t]*+(?=\r?\n|\Z)")
        part_start = None
        for mark in delimiter.finditer(self._content, start - 1, end):
            if part_start is not None:
                has_return = self._content[mark.start() - 1 : mark.start()] == b"\r"
                yield part_start, max(part_start, mark.start() - has_return)
            if mark[1]:
                return
            part_start = mark.end()
        if part_start is not None:
            yield part_start, end


def _boundary(headers: Message) -> bytes:
    try:
        boundary = headers.get_boundary()
    except (ValueError, LookupError, TypeError):
        return b""
    return (boundary or "").rstrip().encode("utf-8", "replace")[:200]
