"""OpenDocument text (LibreOffice Writer), read paragraph by paragraph.

Not in the text: headers and footers, comments, deleted and hidden text, alternative texts of pictures, the table of
contents. The file knows no pages, so nothing has a location.
"""

import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field

from ragstone.core.errors import Encrypted
from ragstone.core.models import BlockKind, ParsedDocument
from ragstone.parsers.blocks import BlockWriter, collapse_lines
from ragstone.parsers.bounds import BoundedParser
from ragstone.parsers.flow import Flow, Piece, TableRows
from ragstone.parsers.odt_lists import OdtLists
from ragstone.parsers.odt_styles import DRAW, OFFICE, STYLE_TAGS, TABLE, TEXT, OdtStyles
from ragstone.parsers.office_xml import Element, OfficePackage, release, sensible_title, whole_number
from ragstone.parsers.zips import open_office_zip

_PARAGRAPH, _HEADING, _LIST, _ITEM, _ITEM_HEADER, _NOTE, _SECTION = (
    f"{TEXT}{name}" for name in ("p", "h", "list", "list-item", "list-header", "note", "section")
)
_TABLE, _ROW, _CELL, _COVERED = (
    f"{TABLE}{name}" for name in ("table", "table-row", "table-cell", "covered-table-cell")
)
_BOXES = frozenset(
    f"{DRAW}{name}"
    for name in (
        "text-box",
        "custom-shape",
        "rect",
        "ellipse",
        "circle",
        "polygon",
        "path",
        "line",
        "caption",
    )
)
_LEFT_OUT = frozenset((f"{TEXT}tracked-changes", f"{TEXT}table-of-content", f"{OFFICE}annotation"))
_TAGS = (
    *(_PARAGRAPH, _HEADING, _LIST, _ITEM, _ITEM_HEADER, _NOTE, _SECTION, _TABLE, _ROW, _CELL, _COVERED),
    *(*_BOXES, *_LEFT_OUT, *STYLE_TAGS),
)
_NOT_SHOWN = (
    _BOXES
    | _LEFT_OUT
    | {_NOTE, f"{TEXT}ruby-text", f"{TEXT}hidden-text", f"{TEXT}script", f"{OFFICE}annotation-end"}
    | {f"{{urn:oasis:names:tc:opendocument:xmlns:svg-compatible:1.0}}{name}" for name in ("title", "desc")}
)
_LOWEST_HEADING = 6
_MOST_SPACES = 100
_SPACES = re.compile(r"[ \t\r\n]+")
_MANIFEST = "META-INF/manifest.xml"
_DC_TITLE = ".//{http://purl.org/dc/elements/1.1/}title"


class OdtParser(BoundedParser):
    """Implements `Parser` for application/vnd.oasis.opendocument.text."""

    def parse(self, content: bytes) -> ParsedDocument:
        """Raises NoText, ParseFailed, UnsafeArchive, UnsafeXml, Encrypted."""
        with open_office_zip(content, self.limits) as archive:
            _refuse_encrypted(archive)
            return _Reader(OfficePackage(archive)).document()


def _refuse_encrypted(archive: zipfile.ZipFile) -> None:
    names = archive.namelist()
    has_key = _MANIFEST in names and b"encryption-data" in archive.read(_MANIFEST)
    if has_key or "encrypted-package" in names:
        raise Encrypted("the document is protected by a password")


@dataclass(slots=True)
class _Container:
    """A cell, a text box or a note that is being read, and the lists that were open around it."""

    lists: OdtLists
    open_paragraphs: int
    pieces: list[Piece] = field(default_factory=list)


class _Reader:
    """Follows the events of content.xml. What is in cells, boxes and notes waits in `_containers` until they end."""

    def __init__(self, package: OfficePackage):
        self._package = package
        self._styles = OdtStyles()
        self._lists = OdtLists(self._styles)
        self._writer = BlockWriter()
        self._flow = Flow(self._writer)
        self._title: str | None = None
        self._containers: list[_Container] = []
        self._tables: list[TableRows] = []
        self._open_paragraphs = 0
        self._boxes: list[tuple[int, list[Piece]]] = (
            []
        )  # of open paragraphs, by the number of open containers
        self._pending_notes: list[str] = []  # until the paragraph or table is written that refers to them
        self._left_out = 0

    def document(self) -> ParsedDocument:
        """Read to the end. Raises NoText."""
        if self._package.has("styles.xml"):
            for style in self._package.root("styles.xml").iter(*STYLE_TAGS):
                self._styles.add(style)
        for event, element in self._package.stream("content.xml", _TAGS, ("start", "end")):
            if element.tag in _LEFT_OUT or _is_hidden_section(element):
                self._left_out += 1 if event == "start" else -1
            elif not self._left_out:
                (self._start if event == "start" else self._end)(element)
        self._flow.close()
        return self._writer.finish(title=self._title or self._meta_title())

    def _start(self, element: Element) -> None:
        tag = element.tag
        if tag in (_PARAGRAPH, _HEADING):
            self._open_paragraphs += 1
        elif tag == _LIST:
            self._lists.open_list(element)
        elif tag == _ITEM:
            self._lists.open_item(element)
        elif tag == _ITEM_HEADER:
            self._lists.open_header()
        elif tag == _TABLE:
            self._tables.append(TableRows())
        elif tag in (_CELL, _COVERED, _NOTE) or tag in _BOXES:
            self._containers.append(_Container(self._lists, self._open_paragraphs))
            self._lists, self._open_paragraphs = OdtLists(self._styles), 0

    def _end(self, element: Element) -> None:
        tag = element.tag
        if tag in (_PARAGRAPH, _HEADING):
            self._end_paragraph(element)
        elif tag == _LIST:
            self._lists.close_list()
            release(element, with_siblings=not self._containers and not self._lists.level)
        elif tag == _NOTE:
            self._pending_notes.append(" ".join(piece.line for piece in self._leave_container()))
        elif tag in _BOXES:
            self._end_box()
        elif tag in STYLE_TAGS:
            self._styles.add(element)
        elif tag.startswith(TABLE):
            self._end_of_table(element)

    def _end_of_table(self, element: Element) -> None:
        """Of a cell, a row or the table."""
        if element.tag in (_CELL, _COVERED):
            pieces = self._leave_container()
            if self._tables:
                self._tables[-1].add_cell(pieces if element.tag == _CELL else [])
            else:
                self._add_all(pieces)
        elif element.tag == _ROW and self._tables:
            self._tables[-1].close_row()
            release(element, with_siblings=True)
        elif element.tag == _TABLE:
            self._add_all(self._tables.pop().pieces())
            release(element, with_siblings=not self._containers)

    def _leave_container(self) -> list[Piece]:
        container = self._containers.pop()
        self._lists, self._open_paragraphs = container.lists, container.open_paragraphs
        return container.pieces

    def _end_box(self) -> None:
        """A box comes after the paragraph that it is fixed to, or at its place if it is fixed to none."""
        pieces = self._leave_container()
        if self._open_paragraphs:
            self._boxes.append((len(self._containers), pieces))
        else:
            self._add_all(pieces)

    # ---- paragraphs ----

    def _end_paragraph(self, element: Element) -> None:
        self._open_paragraphs -= 1
        self._add_all([self._piece(element)])
        while self._boxes and self._boxes[0][0] == len(self._containers):
            self._add_all(self._boxes.pop(0)[1])
        release(element, with_siblings=not self._containers)

    def _piece(self, element: Element) -> Piece:
        style = element.get(f"{TEXT}style-name", "")
        source = "" if self._styles.is_hidden(style) else "".join(self._shown(element)).replace("\u00ad", "")
        if self._styles.is_code(style):
            return Piece(BlockKind.CODE, source)
        text = collapse_lines(source, "\n")
        level = self._heading_level(element, style)
        if text and self._styles.is_title(style):
            self._title = self._title or text.replace("\n", " ")
        if level:
            return Piece(BlockKind.HEADING, text, level)
        if self._lists.level and text and (marker := self._lists.take_marker()):
            return Piece(BlockKind.LIST, text, self._lists.level - 1, marker)
        return Piece(BlockKind.PARAGRAPH, text)

    def _heading_level(self, element: Element, style: str) -> int:
        """From 1; 0 for text."""
        if element.tag == _HEADING:
            level = whole_number(element.get(f"{TEXT}outline-level"), 1)
        else:
            level = self._styles.outline_level(style) or int(self._styles.is_title(style))
        return min(max(level, 0), _LOWEST_HEADING)

    def _shown(self, element: Element) -> Iterator[str]:
        """Pieces of text in order. XML nests 256 levels at most, or it was refused."""
        if element.text:
            yield _SPACES.sub(" ", element.text)
        for child in element.iterchildren("*"):
            tag = child.tag
            if tag == f"{TEXT}s":
                yield " " * min(whole_number(child.get(f"{TEXT}c"), 1), _MOST_SPACES)
            elif tag == f"{TEXT}tab":
                yield "\t"
            elif tag == f"{TEXT}line-break":
                yield "\n"
            elif tag not in _NOT_SHOWN and not self._styles.is_hidden(child.get(f"{TEXT}style-name", "")):
                yield from self._shown(child)
            if child.tail:
                yield _SPACES.sub(" ", child.tail)

    def _add_all(self, pieces: list[Piece]) -> None:
        if self._containers:
            self._containers[-1].pieces += [piece for piece in pieces if piece.text.strip()]
        else:
            self._flow.add_all(pieces)
            self._flow.add_notes(self._pending_notes)
            self._pending_notes = []

    def _meta_title(self) -> str | None:
        if not self._package.has("meta.xml"):
            return None
        return sensible_title(self._package.root("meta.xml").findtext(_DC_TITLE))


def _is_hidden_section(element: Element) -> bool:
    display: str | None = element.get(f"{TEXT}display")
    return bool(element.tag == _SECTION) and display == "none"
