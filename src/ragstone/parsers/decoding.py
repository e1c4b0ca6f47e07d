"""Bytes to clean text: byte order marks, a declared encoding, UTF-8, and as the last resort detection."""

import re
from dataclasses import dataclass

from ragstone.core.errors import NoText

# Longest first: the mark of UTF-32 begins with that of UTF-16.
_MARKS = (
    (b"\x00\x00\xfe\xff", "utf-32-be"),
    (b"\xff\xfe\x00\x00", "utf-32-le"),
    (b"\xef\xbb\xbf", "utf-8"),
    (b"\xfe\xff", "utf-16-be"),
    (b"\xff\xfe", "utf-16-le"),
)

# What real files without a mark or declaration are written in; asking about all of Python's codecs takes ten times
# as long and answers with encodings nobody uses.
_CANDIDATES = str.split(
    "cp1252 cp1250 cp1251 cp1253 cp1254 cp1255 cp1256 cp1257 cp1258 cp874 koi8_r koi8_u iso8859_2 iso8859_5 iso8859_7 "
    "cp932 euc_jp iso2022_jp gb18030 big5 cp949"
)
_FALLBACK = "cp1252"  # every byte means something in it, or nearly so, and it is the most frequent by far
_SAMPLE_BYTES = 64 * 1024  # detection sees this much: its time must not grow with the file
_WIDE_HEAD_BYTES = 4096

_LINE_ENDS = re.compile("\r\n?|[\x0b\x0c\x85\u2028\u2029]")
# C0 and C1 controls (among them NUL, and ESC, which could command a terminal that shows a quote), lone surrogates,
# byte order marks inside the text.
_UNWANTED = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufeff]")
_ASCII_LINE_ENDS = bytes.maketrans(b"\r\x0b\x0c", b"\n\n\n")
_ASCII_UNWANTED = bytes((*range(0x09), *range(0x0E, 0x20), 0x7F))
_VISIBLE = re.compile(
    "[^\\s\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff]"
)


@dataclass(frozen=True, slots=True)
class Decoded:
    """Clean text and the encoding that it was read as."""

    text: str
    encoding: str


def decode(content: bytes, *, declared: str | None = None) -> Decoded:
    """Never fails, depends on nothing but its arguments, linear. `declared` is a Python codec's name; it is believed
    when all of the content fits it. What cannot be decoded becomes U+FFFD."""
    mark, encoding = _by_mark(content)
    if encoding is None:
        encoding = wide_encoding(content) or _fitting(content, declared) or _by_content(content)
    return Decoded(clean(content[len(mark) :].decode(encoding, "replace")), encoding)


def clean(text: str) -> str:
    """Line ends become `\\n`; control characters except tab and lone surrogates go."""
    if text.isascii():  # the same, ten times as fast
        text = text.replace("\r\n", "\n")
        return text.encode("ascii").translate(_ASCII_LINE_ENDS, _ASCII_UNWANTED).decode("ascii")
    return _UNWANTED.sub("", _LINE_ENDS.sub("\n", text))


def require_text(text: str) -> None:
    """Raises NoText when nothing in the text could be seen."""
    if _VISIBLE.search(text) is None:
        raise NoText("the document holds no text")


def wide_encoding(content: bytes) -> str | None:
    """The kind of UTF-16 that content without a mark is in, judged by where its NUL bytes stand; None if it is not."""
    head = content[:_WIDE_HEAD_BYTES]
    even, odd = head[0::2], head[1::2]
    if not odd or len(content) % 2:
        return None
    nul_even, nul_odd = even.count(0) / len(even), odd.count(0) / len(odd)
    if nul_odd > 0.4 and nul_even < 0.05:
        return "utf-16-le"
    if nul_even > 0.4 and nul_odd < 0.05:
        return "utf-16-be"
    return None


def has_mark(content: bytes) -> bool:
    """Whether the content begins with a byte order mark."""
    return _by_mark(content)[1] is not None


def _by_mark(content: bytes) -> tuple[bytes, str | None]:
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            return mark, encoding
    return b"", None


def _fitting(content: bytes, encoding: str | None) -> str | None:
    if encoding is None:
        return None
    try:
        content.decode(encoding)
    except UnicodeDecodeError:
        return None
    return encoding


def _by_content(content: bytes) -> str:
    try:
        content.decode()
    except UnicodeDecodeError as error:
        return "utf-8" if _is_damaged_utf8(content) else _detect(content, error.start)
    # Pure ASCII with these escapes is Japanese mail; everything else that fits UTF-8 is UTF-8.
    return "iso2022_jp" if b"\x1b$B" in content[:_SAMPLE_BYTES] and content.isascii() else "utf-8"


def _is_damaged_utf8(content: bytes) -> bool:
    """Whether nearly all that is not ASCII is valid UTF-8: one broken byte must not turn all of it to mojibake."""
    text = content.decode("utf-8", "replace")
    broken = text.count("\ufffd")
    characters = len(text) - len(text.encode("ascii", "ignore"))
    return characters > 10 * broken


def _detect(content: bytes, first_foreign: int) -> str:
    from charset_normalizer import from_bytes

    matches = from_bytes(_sample(content, first_foreign), cp_isolation=_CANDIDATES)
    best = matches.best()
    if best is None:
        return _FALLBACK
    # Code pages of one family often read a text equally well; then the frequent one it is.
    for match in matches:
        if match.chaos <= best.chaos and _FALLBACK in match.could_be_from_charset:
            return _FALLBACK
    return str(best.encoding)


def _sample(content: bytes, first_foreign: int) -> bytes:
    """Up to `_SAMPLE_BYTES` of whole lines around the first byte that is not ASCII."""
    if len(content) <= _SAMPLE_BYTES:
        return content
    start = max(
        content.rfind(b"\n", max(0, first_foreign - 1024), first_foreign) + 1, first_foreign - 1024, 0
    )
    end = content.rfind(b"\n", start, start + _SAMPLE_BYTES)
    return content[start : end if end > first_foreign else start + _SAMPLE_BYTES]
