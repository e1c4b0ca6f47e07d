"""The headers of a mail and of its parts, whatever is wrong with them.

The email package's newer policy is not used: it takes 14 s for a Content-Type of 64 KB, and nested parentheses in an
address raise RecursionError. Its older one is linear, but leaves the decoding to us.
"""

import binascii
import re
from email.message import Message
from email.parser import HeaderParser
from email.policy import compat32

from ragstone.parsers.blocks import collapse_spaces
from ragstone.parsers.decoding import decode
from ragstone.parsers.html_source import encoding_named

MOST_HEADER_BYTES = 256 * 1024  # of one part; mailing lists and gateways add some dozens of KB
_PARAMETER_CHARACTERS = (
    8_192  # of a header with parameters: parsing them takes time that grows with the square
)
_SHOWN_CHARACTERS = 10_000  # of a header in the text: some 300 recipients
_STRUCTURED = ("content-type", "content-disposition")

_HEADER_LINE = re.compile(r"[!-9;-~]{1,100}+[ \t]*+:|[ \t]+\S")
_WORD = re.compile(r"=\?([^?\s]{1,40})\?([BbQq])\?([^?]*+)\?=")
_KNOWN = frozenset(
    str.split(
        "from to cc bcc sender reply-to subject date message-id received return-path delivered-to mime-version"
        " content-type in-reply-to references x-mailer"
    )
)


def read_headers(block: bytes) -> Message:
    """The headers in a block of lines. Bytes beyond ASCII, which have no place there, are read as what they seem."""
    lines = decode(block[:MOST_HEADER_BYTES]).text.split("\n")
    # At a line that is none of a header's the parser would take all the rest for the body.
    kept = "\n".join(line for line in lines if _HEADER_LINE.match(line) is not None)
    headers = HeaderParser(policy=compat32).parsestr(kept)
    for name in _STRUCTURED:
        if len(value := str(headers.get(name, ""))) > _PARAMETER_CHARACTERS:
            headers.replace_header(name, value[:_PARAMETER_CHARACTERS])
    return headers


def is_mail(headers: Message) -> bool:
    """Whether they look like those of a mail."""
    return any(name.lower() in _KNOWN for name in headers)


def shown(headers: Message, name: str) -> str:
    """A header as a mail program shows it; empty if there is none."""
    values = [decode_words(str(value)) for value in headers.get_all(name, ())]
    return collapse_spaces(", ".join(values))[:_SHOWN_CHARACTERS]


def filename(headers: Message) -> str | None:
    """The name of an attachment, encoded in any of the ways in use."""
    try:
        name = headers.get_filename()
    except (ValueError, LookupError, TypeError):  # numbered parameters that contradict each other
        return None
    return collapse_spaces(decode_words(name)) or None if name else None


def decode_words(text: str) -> str:
    """The text with its encoded words decoded. Words of one encoding in a row are decoded together, since some
    programs cut characters in two; white space between them belongs to no text."""
    pieces: list[str] = []
    run, run_charset = b"", ""
    at = 0
    for word in _WORD.finditer(text):
        gap, at = text[at : word.start()], word.end()
        charset = word[1].partition("*")[0].lower()
        if run and (gap.strip() or charset != run_charset):
            pieces.append(_decoded(run, run_charset))
            run = b""
        if gap.strip() or not run_charset:
            pieces.append(gap)
        run, run_charset = run + _bytes_of(word), charset
    return "".join((*pieces, _decoded(run, run_charset), text[at:]))


def _bytes_of(word: re.Match[str]) -> bytes:
    content = word[3].encode("utf-8", "replace")
    if word[2] in "Qq":
        return binascii.a2b_qp(content, header=True)
    return decode_base64(content)


def decode_base64(content: bytes | memoryview) -> bytes:
    """What can be decoded: bytes that are not base64 are passed over, the end may be missing."""
    try:
        return binascii.a2b_base64(content)
    except binascii.Error:
        digits = re.sub(rb"[^A-Za-z0-9+/]", b"", bytes(content).partition(b"=")[0])
        digits = digits[: len(digits) - (len(digits) % 4 == 1)]
        return binascii.a2b_base64(digits + b"=" * (-len(digits) % 4))


def _decoded(content: bytes, charset: str) -> str:
    return decode(content, declared=encoding_named(charset)).text if content else ""
