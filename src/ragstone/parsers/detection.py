"""The media type of an upload, decided by its content. Names and declarations only tell kinds of text apart."""

import re

from ragstone.parsers import unsupported
from ragstone.parsers.decoding import has_mark, wide_encoding

HEAD_BYTES = 8_192  # as much of the content as detection looks at

_PLAIN, _MARKDOWN, _HTML = "text/plain", "text/markdown", "text/html"
_MARKDOWN_SUFFIXES = frozenset((".md", ".markdown", ".mdown", ".mkd", ".mdx"))
_MARKDOWN_TYPES = frozenset((_MARKDOWN, "text/x-markdown"))
_HTML_SUFFIXES = frozenset((".html", ".htm", ".xhtml"))
_HTML_TYPES = frozenset((_HTML, "application/xhtml+xml"))

# Formats that are no text although some of them look like it at first. (offset, beginning, what it is)
_SIGNATURES = (
    (0, b"%PDF-", "application/pdf"),
    (0, b"PK\x03\x04", "application/zip"),  # also docx, xlsx, pptx, odt, epub
    (0, b"PK\x05\x06", "application/zip"),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/x-ole-storage"),  # doc, xls, ppt, msg
    (0, b"{\\rtf", "application/rtf"),
    (0, b"%!PS", "application/postscript"),
    (0, b"\x1f\x8b", "application/gzip"),
    (0, b"\x7fELF", "application/x-executable"),
    (0, b"\x89PNG", "image/png"),
    (0, b"GIF8", "image/gif"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (8, b"WEBP", "image/webp"),
    (8, b"WAVE", "audio/wav"),
    (4, b"ftyp", "video/mp4"),
)
_PDF_HEAD_BYTES = 1024  # readers of PDF accept its mark anywhere in them

_CONTROLS = bytes((*range(0x09), 0x0B, *range(0x0E, 0x1B), *range(0x1C, 0x20), 0x7F))
_MOST_CONTROLS = 0.02  # of bytes that are not UTF-8; in compressed or compiled content it is a tenth
_MOST_CONTROLS_IN_UTF8 = 0.3

_PREAMBLE = re.compile(r"(?:\s++|<!--(?s:.)*?-->|<\?xml[^>]*+>)*+")
_PAGE = re.compile(r"<(?:!doctype\s++html|html|head|body)(?=[\s>])", re.IGNORECASE)
_MARKUP = re.compile(
    r"</?(?:a|article|b|blockquote|br|code|div|em|h[1-6]|hr|i|img|li|link|main|meta|nav|ol|p|pre|script|section|span"
    r"|strong|style|table|td|title|tr|ul)(?=[\s/>])",
    re.IGNORECASE,
)


def detect(head: bytes, filename: str | None, declared: str | None) -> str:
    """The media type of content that begins with `head` (at least its first `HEAD_BYTES`, or all of it).

    Content that is no text raises UnsupportedMediaType, whatever its name. A whole HTML page is text/html under any
    name; otherwise the file name's suffix, or the declared type, says which kind of text it is. Empty content is
    text/plain.
    """
    head = head[:HEAD_BYTES]
    if not head:
        return _PLAIN
    suffix = _suffix(filename)
    if not has_mark(head) and (binary := _binary_type(head)) is not None:
        raise unsupported(f"{binary} ({suffix})" if suffix else binary)
    return _kind_of_text(_readable(head), suffix, (declared or "").partition(";")[0].strip().lower())


def _binary_type(head: bytes) -> str | None:
    """What the content is, if it is no text."""
    for offset, beginning, media_type in _SIGNATURES:
        if head.startswith(beginning, offset):
            return media_type
    if wide_encoding(head[: len(head) // 2 * 2]) is not None or not _is_binary(head):
        return None
    return "application/pdf" if b"%PDF-" in head[:_PDF_HEAD_BYTES] else _guess_name(head)


def _is_binary(head: bytes) -> bool:
    controls = len(head) - len(head.translate(None, _CONTROLS))
    allowed = _MOST_CONTROLS_IN_UTF8 if _is_utf8(head) else _MOST_CONTROLS
    return controls > allowed * len(head)


def _is_utf8(head: bytes) -> bool:
    try:
        head.decode()
    except UnicodeDecodeError as error:
        return error.start >= len(head) - 3  # a character that the end of the head cuts
    return True


def _guess_name(head: bytes) -> str:
    """What the content seems to be, for the message only: signatures of two bytes are no proof."""
    import puremagic

    try:
        name = str(puremagic.from_string(head, mime=True))
    except (puremagic.PureError, ValueError):
        name = ""
    return name if name and not name.startswith("text/") else "binary content"


def _kind_of_text(head: str, suffix: str, declared: str) -> str:
    start = _PREAMBLE.match(head)
    if start is not None and _PAGE.match(head, start.end()) is not None:
        return _HTML
    if suffix in _MARKDOWN_SUFFIXES or declared in _MARKDOWN_TYPES:
        return _MARKDOWN
    if (suffix in _HTML_SUFFIXES or declared in _HTML_TYPES) and _MARKUP.search(head) is not None:
        return _HTML
    return _PLAIN


def _readable(head: bytes) -> str:
    """The head as far as marks of ASCII are to be found in it, in any encoding."""
    return head.replace(b"\0", b"").removeprefix(b"\xef\xbb\xbf").lstrip(b"\xff\xfe").decode("latin-1")


def _suffix(filename: str | None) -> str:
    name = (filename or "").strip().lower()
    return name[dot:] if (dot := name.rfind(".")) >= 0 else ""
