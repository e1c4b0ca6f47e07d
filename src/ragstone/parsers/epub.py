"""EPUB books: the chapters in the order of reading, without the pages that only lead to them."""

import posixpath
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import unquote

from selectolax.lexbor import LexborHTMLParser, LexborNode

from ragstone.core.errors import Encrypted, ParseFailed
from ragstone.core.models import ParsedDocument
from ragstone.parsers.blocks import BlockWriter
from ragstone.parsers.bounds import BoundedParser
from ragstone.parsers.decoding import decode
from ragstone.parsers.html import read_page
from ragstone.parsers.html_source import declared_encoding, limit_depth
from ragstone.parsers.zips import open_zip

_CONTAINER = "META-INF/container.xml"
_ENCRYPTION = "META-INF/encryption.xml"
# These only keep fonts from being copied out of the book.
_FONT_OBFUSCATION = ("http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#rc")
_PAGES = frozenset(("application/xhtml+xml", "text/html", "application/x-dtbook+xml"))
_PAGE_SUFFIXES = (".xhtml", ".html", ".htm")

_PREFIX = re.compile(r"<(/?)(?:[A-Za-z][\w.-]{0,40}+):(?=[A-Za-z])")
# In XML an element may end where it begins; read as HTML a title or a script would swallow what follows.
_EMPTY = re.compile(r"<([A-Za-z][\w:.-]*+)((?:[^<>\"']++|\"[^\"<]*+\"|'[^'<]*+')*+)(?<=/)>")
_VOID = frozenset(str.split("area base br col embed hr img input link meta param source track wbr"))


class EpubParser(BoundedParser):
    """Implements `Parser` for application/epub+zip."""

    def parse(self, content: bytes) -> ParsedDocument:
        """Raises NoText, ParseFailed, ParseLimit, UnsafeArchive, Encrypted."""
        with open_zip(content, self.limits) as archive:
            book = _Book(archive)
            book.refuse_encrypted()
            package = book.package()
            writer = BlockWriter()
            for path in package.chapters or book.pages():
                if (chapter := book.read(path)) is not None:
                    read_page(close_empty_elements(_text(chapter)), writer)
            return writer.finish(title=package.title)


@dataclass(frozen=True, slots=True)
class _Package:
    """What the book says of itself."""

    title: str | None = None
    chapters: tuple[str, ...] = ()


class _Book:
    def __init__(self, archive: zipfile.ZipFile):
        self._archive = archive
        self._names = {name.lower(): name for name in archive.namelist()}

    def read(self, path: str) -> bytes | None:
        """A file of the book; None if it is missing."""
        name = self._names.get(path.lower())
        return self._archive.read(name) if name is not None else None

    def pages(self) -> list[str]:
        """All that look like pages, by name: the order of a book whose own is lost. Raises ParseFailed."""
        found = sorted(name for name in self._names.values() if name.lower().endswith(_PAGE_SUFFIXES))
        if not found:
            raise ParseFailed("the book has no pages")
        return found

    def refuse_encrypted(self) -> None:
        """Raises Encrypted if more than its fonts is."""
        for method in _tree(self.read(_ENCRYPTION)).css("encryptionmethod"):
            if _attribute(method, "algorithm").lower() not in _FONT_OBFUSCATION:
                raise Encrypted("the book is protected against copying")

    def package(self) -> _Package:
        """Empty if there is none."""
        root = _tree(self.read(_CONTAINER)).css_first("rootfile[full-path]")
        path = _attribute(root, "full-path") if root is not None else ""
        tree = _tree(self.read(path))
        title = tree.css_first("metadata title") or tree.css_first("title")
        chapters = tuple(dict.fromkeys(_chapters(tree, posixpath.dirname(path))))
        return _Package(title.text() if title is not None else None, chapters)


def _chapters(package: LexborHTMLParser, folder: str) -> Iterator[str]:
    """Paths of the spine's pages, but for tables of contents."""
    contents = {
        _path(folder, _attribute(node, "href"))
        for node in package.css("reference")
        if _attribute(node, "type").lower() == "toc"
    }
    items = {_attribute(item, "id"): item for item in package.css("item")}
    for reference in package.css("itemref"):
        item = items.get(_attribute(reference, "idref"))
        if item is None or "nav" in _attribute(item, "properties").split():
            continue
        path = _path(folder, _attribute(item, "href"))
        is_page = _attribute(item, "media-type").lower() in _PAGES or path.lower().endswith(_PAGE_SUFFIXES)
        if is_page and path not in contents:
            yield path


def _path(folder: str, reference: str) -> str:
    return posixpath.normpath(posixpath.join(folder, unquote(reference.partition("#")[0])))


def _attribute(node: LexborNode, name: str) -> str:
    return node.attributes.get(name) or ""


def _text(content: bytes) -> str:
    return decode(content, declared=declared_encoding(content)).text


def _tree(content: bytes | None) -> LexborHTMLParser:
    """A file of XML, read as HTML: it has no entities to grow, and forgives what is broken. Names lose their prefix."""
    source = _PREFIX.sub(r"<\1", _text(content or b""))
    return LexborHTMLParser(limit_depth(close_empty_elements(source)))


def close_empty_elements(source: str) -> str:
    """XHTML as HTML: `<title/>` becomes `<title></title>`; elements that are always empty stay."""
    return _EMPTY.sub(_closed, source)


def _closed(element: re.Match[str]) -> str:
    name = element[1]
    if name.lower() in _VOID:
        return element[0]
    return f"<{name}{element[2].removesuffix('/')}></{name}>"
