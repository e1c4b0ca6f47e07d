"""HTML before it is parsed: its declared encoding, and a bound on how deep its tags nest."""

import codecs
import re

from ragstone.core.errors import UnsafeXml

_DECLARATION_BYTES = 4096  # the standard looks at 1024; real pages put long comments first
_DECLARED = re.compile(
    rb"<meta[^>]{1,500}?charset\s*=\s*[\"']?\s*([A-Za-z0-9_.:-]{2,40})"
    rb"|<\?xml[^>]{1,200}?encoding\s*=\s*[\"']([A-Za-z0-9_.:-]{2,40})",
    re.IGNORECASE,
)
# Encodings of the WHATWG standard that Python knows: other codecs (zlib, punycode …) must not run on a file's word.
_HONOURED = frozenset(
    str.split(
        "utf-8 ascii iso8859-1 iso8859-2 iso8859-3 iso8859-4 iso8859-5 iso8859-6 iso8859-7 iso8859-8 iso8859-10 iso8859-13"
        " iso8859-14 iso8859-15 iso8859-16 koi8-r koi8-u mac-roman mac-cyrillic cp866 cp874 tis-620 cp1250 cp1251 cp1252"
        " cp1253 cp1254 cp1255 cp1256 cp1257 cp1258 gb2312 gbk gb18030 big5 euc_jp iso2022_jp shift_jis cp932 euc_kr"
        " cp949"
    )
)
# What the standard reads them as: supersets that real pages mean.
_MEANT = {
    "ascii": "cp1252",
    "iso8859-1": "cp1252",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
    "iso8859-9": "cp1254",
    "tis-620": "cp874",
}

_OWN_ENTITIES = re.compile(
    r"(?:\s++|<!--(?s:.)*?-->|<\?[^>]*+>)*+<!DOCTYPE[^>\[]*+\[(?:(?!<!ENTITY)[^\]])*+<!ENTITY", re.IGNORECASE
)

DEEPEST = 512  # levels of nesting, as in Chromium; the time of HTML's tree construction is tags times depth

_TAG = re.compile(r"<(?:(!--)|(/?)([A-Za-z][^\s/>]*+))")
# Elements that cannot nest in themselves without others between, or hold none: their end tags are mostly left out.
_NOT_COUNTED = frozenset(
    str.split(
        "area base basefont bgsound body br col colgroup dd dt embed frame h1 h2 h3 h4 h5 h6 head hr html image img input"
        " keygen li link meta optgroup option p param rb rp rt rtc source tbody td tfoot th thead tr track wbr"
    )
)
_RAW_TEXT = frozenset(str.split("script style textarea title xmp iframe noembed noframes plaintext"))
_RAW_END = {name: re.compile(rf"</{name}", re.IGNORECASE) for name in _RAW_TEXT}


def declared_encoding(content: bytes) -> str | None:
    """The encoding that a meta element or an XML declaration names, as Python's codec; None if there is none that a
    page may have."""
    found = _DECLARED.search(content[:_DECLARATION_BYTES])
    return encoding_named((found[1] or found[2]).decode("ascii")) if found is not None else None


def encoding_named(name: str) -> str | None:
    """The encoding that a page or a mail means by this name, as Python's codec; None if there is none."""
    try:
        name = codecs.lookup(name).name
    except (LookupError, ValueError):  # ValueError: a NUL in the name
        return None
    name = _MEANT.get(name, name)
    return name if name in _HONOURED else None


def refuse_entities(html: str) -> None:
    """A browser would not read them, but the page's other readers may. Raises UnsafeXml."""
    if _OWN_ENTITIES.match(html) is not None:
        raise UnsafeXml("the page's document type declares entities")


def limit_depth(html: str) -> str:
    """The same page with tags below `DEEPEST` turned into line breaks: their text stays, their nesting goes."""
    if html.count("<") <= DEEPEST:
        return html
    pieces: list[str] = []
    copied = 0
    for start, end in _too_deep(html):
        pieces += (html[copied:start], "br")
        copied = end
    return "".join((*pieces, html[copied:])) if pieces else html


def _too_deep(html: str) -> list[tuple[int, int]]:
    """Spans of the names of tags that open or close an element below the deepest level."""
    spans: list[tuple[int, int]] = []
    open_names: list[str] = []
    open_counts: dict[str, int] = {}
    at = 0
    while (tag := _TAG.search(html, at)) is not None:
        at = tag.end()
        if tag[1] or (not tag[2] and tag[3].lower() in _RAW_TEXT):
            at = _end_of_raw(html, tag)
            continue
        name = tag[3].lower()
        if name in _NOT_COUNTED:
            continue
        if not tag[2]:
            open_names.append(name)
            open_counts[name] = open_counts.get(name, 0) + 1
        if len(open_names) > DEEPEST and (not tag[2] or open_counts.get(name)):
            spans.append(tag.span(3))
        if tag[2] and open_counts.get(name):
            _close(name, open_names, open_counts)
    return spans


def _close(name: str, open_names: list[str], open_counts: dict[str, int]) -> None:
    """An end tag closes its element and all that was left open in it."""
    closed = ""
    while closed != name:
        closed = open_names.pop()
        open_counts[closed] -= 1


def _end_of_raw(html: str, tag: re.Match[str]) -> int:
    """Where a comment, or an element that holds no tags, ends; the end of the page if it is left open."""
    if tag[1]:
        end = html.find("-->", tag.end())
        return end if end >= 0 else len(html)
    closing = _RAW_END[tag[3].lower()].search(html, tag.end())
    return closing.end() if closing is not None else len(html)
