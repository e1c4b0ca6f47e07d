"""A message inside an Outlook message, written as a mail of the common kind: only such a one has bytes of its own."""

from base64 import encodebytes
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import quote

from ragstone.parsers.blocks import collapse_spaces

_UNKNOWN = "application/octet-stream"
_BOUNDARY = "=_part"  # every part is written in base64, where this cannot stand


@dataclass(frozen=True, slots=True)
class Letter:
    """What is shown of a message."""

    subject: str
    headers: tuple[tuple[str, str], ...]
    body: str
    html: str


def as_mail(letter: Letter, attachments: Iterable[tuple[str, bytes, str | None]]) -> bytes:
    """The mail with its attachments: name, content and media type of each. Its headers are UTF-8 (RFC 6532)."""
    headers = [("Subject", letter.subject), *letter.headers, ("MIME-Version", "1.0")]
    lines = [f"{name}: {collapse_spaces(value)}" for name, value in headers if value]
    opening = "\n".join((*lines, f'Content-Type: multipart/mixed; boundary="{_BOUNDARY}"', "", ""))
    kind, body = ("plain", letter.body) if letter.body.strip() else ("html", letter.html)
    parts = [_part(f"text/{kind}; charset=utf-8", body.encode("utf-8", "replace"))]
    parts += (
        _part(
            f"{collapse_spaces(media_type or _UNKNOWN)}\nContent-Disposition: {_disposition(name)}", content
        )
        for name, content, media_type in attachments
    )
    return b"".join((opening.encode("utf-8", "replace"), *parts, f"--{_BOUNDARY}--\n".encode()))


def _part(description: str, content: bytes) -> bytes:
    head = f"--{_BOUNDARY}\nContent-Type: {description}\nContent-Transfer-Encoding: base64\n\n"
    return head.encode("utf-8", "replace") + encodebytes(content)


def _disposition(name: str) -> str:
    return f"attachment; filename*=utf-8''{quote(name.encode('utf-8', 'replace'))}"
