"""The media type of an upload, decided by its content. Names and declarations only tell kinds of text apart."""

import re
from pathlib import Path

from ragstone.parsers import PARSERS, PICTURES, unsupported
from ragstone.parsers.decoding import has_mark, wide_encoding
from ragstone.parsers.ole_kinds import OLE, ole_kind_of
from ragstone.parsers.tesseract import is_installed
from ragstone.parsers.zip_kinds import ZIP, zip_kind

HEAD_BYTES = 8_192  # as much of the content as detection looks at

_PLAIN, _MARKDOWN, _HTML, _MAIL = "text/plain", "text/markdown", "text/html", "message/rfc822"
_XML, _SVG = "application/xml", "image/svg+xml"
_JSON_KINDS = frozenset(("application/json", "application/jsonl", "application/x-ipynb+json"))
_KINDS_BY_SUFFIX = {
    **dict.fromkeys((".md", ".markdown", ".mdown", ".mkd", ".mdx"), _MARKDOWN),
    **dict.fromkeys((".html", ".htm", ".xhtml"), _HTML),
    **dict.fromkeys((".rst", ".rest"), "text/x-rst"),
    **dict.fromkeys((".jsonl", ".ndjson"), "application/jsonl"),
    ".json": "application/json",
    **dict.fromkeys((".xml", ".svg", ".rss", ".atom", ".xsl", ".xsd"), _XML),
    ".ipynb": "application/x-ipynb+json",
    ".csv": "text/csv",
    **dict.fromkeys((".tsv", ".tab"), "text/tab-separated-values"),
    ".eml": _MAIL,
    **dict.fromkeys(
        (
            *(
                ".py",
                ".pyi",
                ".js",
                ".mjs",
                ".jsx",
                ".ts",
                ".tsx",
                ".java",
                ".kt",
                ".scala",
                ".go",
                ".rs",
                ".rb",
            ),
            *(
                ".c",
                ".h",
                ".cc",
                ".cpp",
                ".hpp",
                ".cs",
                ".swift",
                ".m",
                ".php",
                ".pl",
                ".lua",
                ".r",
                ".jl",
                ".hs",
            ),
            *(
                ".sh",
                ".bash",
                ".zsh",
                ".ps1",
                ".sql",
                ".css",
                ".scss",
                ".vue",
                ".ex",
                ".exs",
                ".erl",
                ".clj",
                ".dart",
            ),
            *(
                ".yaml",
                ".yml",
                ".toml",
                ".ini",
                ".cfg",
                ".conf",
                ".tf",
                ".gradle",
                ".cmake",
                ".proto",
                ".graphql",
            ),
        ),
        "text/x-source",
    ),
}
_KINDS_BY_TYPE = {
    **{kind: kind for kind in _KINDS_BY_SUFFIX.values()},
    "text/x-markdown": _MARKDOWN,
    "application/xhtml+xml": _HTML,
    **dict.fromkeys(("application/rss+xml", "application/atom+xml", _SVG, "text/xml"), _XML),
    "application/x-ndjson": "application/jsonl",
    "text/prs.fallenstein.rst": "text/x-rst",
}
_MAIL_HEADER = re.compile(
    r"(?:from|to|cc|subject|date|received|return-path|delivered-to|message-id|mime-version|content-type|reply-to): ",
    re.I,
)
_FEWEST_MAIL_HEADERS = 3  # without the name of a mail; a letter may well begin with two such lines

# Formats that are no text although some of them look like it at first. (beginning, what it is). A letter may begin
# with "BZhang", with "GIF8" or have "WAVE" where sound has it: what could be text is asked for in full.
_SIGNATURES = tuple(
    (re.compile(beginning, re.DOTALL), media_type)
    for beginning, media_type in (
        (rb"%PDF-", "application/pdf"),
        (rb"PK\x03\x04", ZIP),  # also docx, xlsx, pptx, odt, epub
        (rb"PK\x05\x06", ZIP),
        (rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", OLE),  # doc, xls, ppt, msg
        (rb"\{\\rtf", "application/rtf"),
        (rb"%!PS", "application/postscript"),
        (rb"\x1f\x8b", "application/gzip"),
        (rb"BZh[1-9](?:1AY&SY|\x17rE8P\x90|\Z)", "application/x-bzip2"),
        (rb"\xfd7zXZ\0", "application/x-xz"),
        (rb".{257}ustar[\0 ]", "application/x-tar"),
        (rb"\x7fELF", "application/x-executable"),
        (rb"\x89PNG", "image/png"),
        (rb"GIF8[79]a", "image/gif"),
        (rb"\xff\xd8\xff", "image/jpeg"),
        (rb"RIFF.{4}WEBP", "image/webp"),
        (rb"II\*\0", "image/tiff"),
        (rb"MM\0\*", "image/tiff"),
        (rb"RIFF.{4}WAVE", "audio/wav"),
        (rb"\0\0.{2}ftyp", "video/mp4"),
    )
)
_BY_THEIR_MEMBERS = {ZIP: zip_kind, OLE: ole_kind_of}
_PDF_HEAD_BYTES = 1024  # readers of PDF accept its mark anywhere in them

_CONTROLS = bytes((*range(0x09), 0x0B, *range(0x0E, 0x1B), *range(0x1C, 0x20), 0x7F))
_MOST_CONTROLS = 0.02  # of bytes that are not UTF-8; in compressed or compiled content it is a tenth
_MOST_CONTROLS_IN_UTF8 = 0.3

_PREAMBLE = re.compile(r"(?:\s++|<!--(?s:.)*?-->|<\?xml[^>]*+>)*+")
_PAGE = re.compile(r"<(?:!doctype\s++html|html|head|body)(?=[\s>])", re.IGNORECASE)
# (the declaration, the root's name), behind comments, instructions and a document type
_XML_ROOT = re.compile(
    r"\s*+(<\?xml\b[^>]*+>)?(?:\s++|<!--(?s:.)*?-->|<\?[^>]*+>|<!DOCTYPE[^>\[]*+(?:\[(?s:.)*?\]\s*+)?>)*+<([A-Za-z_][^\s/>]*+)",
)
_MARKUP = re.compile(
    r"</?(?:a|article|b|blockquote|br|code|div|em|h[1-6]|hr|i|img|li|link|main|meta|nav|ol|p|pre|script|section|span"
    r"|strong|style|table|td|title|tr|ul)(?=[\s/>])",
    re.IGNORECASE,
)


def detect(head: bytes, filename: str | None, declared: str | None, path: Path | None = None) -> str:
    """The media type of content that begins with `head` (at least its first `HEAD_BYTES`, or all of it) and lies at
    `path`, where the names of its members tell office documents, mails and archives apart.

    Content that no parser reads raises UnsupportedMediaType, whatever its name. A whole HTML page is text/html under
    any name, a mail with its usual headers is a mail; otherwise the file name's suffix, or the declared type, says
    which kind of text it is. Empty content is text/plain.
    """
    head = head[:HEAD_BYTES]
    if not head:
        return _PLAIN
    suffix = _suffix(filename)
    if not has_mark(head) and (binary := _binary_type(head)) is not None:
        if binary in _BY_THEIR_MEMBERS and path is not None:
            with path.open("rb") as file:
                binary = _BY_THEIR_MEMBERS[binary](file)
        if binary not in PARSERS or (binary in PICTURES and not is_installed()):
            raise unsupported(f"{binary} ({suffix})" if suffix else binary)
        return binary
    return _kind_of_text(_readable(head), suffix, (declared or "").partition(";")[0].strip().lower())


def _binary_type(head: bytes) -> str | None:
    """What the content is, if it is no text."""
    for beginning, media_type in _SIGNATURES:
        if beginning.match(head) is not None:
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
    begins_at = start.end() if start is not None else 0
    if _PAGE.match(head, begins_at) is not None:
        return _HTML
    kind = _KINDS_BY_SUFFIX.get(suffix) or _KINDS_BY_TYPE.get(declared, _PLAIN)
    if kind == _HTML and _MARKUP.search(head) is None:
        return _PLAIN
    if kind in (_PLAIN, _XML) and (root := _XML_ROOT.match(head)) is not None and (root[1] or kind == _XML):
        return _SVG if root[2].rpartition(":")[2] == "svg" else _XML
    if kind == _XML:
        return _PLAIN
    if kind in _JSON_KINDS and not head.lstrip().startswith(("{", "[")):
        return _PLAIN
    return _MAIL if kind == _PLAIN and _is_mail(head) else kind


def _is_mail(head: str) -> bool:
    """Whether it begins with a block of headers as mails have them."""
    lines = head.lstrip("\r\n").replace("\r\n", "\n").partition("\n\n")[0].split("\n")
    if _MAIL_HEADER.match(lines[0]) is None:
        return False
    return sum(_MAIL_HEADER.match(line) is not None for line in lines) >= _FEWEST_MAIL_HEADERS


def _readable(head: bytes) -> str:
    """The head as far as marks of ASCII are to be found in it, in any encoding."""
    return head.replace(b"\0", b"").removeprefix(b"\xef\xbb\xbf").lstrip(b"\xff\xfe").decode("latin-1")


def _suffix(filename: str | None) -> str:
    name = (filename or "").strip().lower()
    return name[dot:] if (dot := name.rfind(".")) >= 0 else ""
