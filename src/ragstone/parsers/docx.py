"""Word documents, read paragraph by paragraph: python-docx takes 665 MB for 26 MB of them, this 122.

Not in the text: headers and footers, comments, deleted and hidden text, alternative texts of pictures, the lines of a
table of contents. Word has no pages in its files, so nothing has a location.
"""

from dataclasses import dataclass, field

from ragstone.core.models import BlockKind, ParsedDocument
from ragstone.parsers.blocks import BlockWriter, collapse_lines
from ragstone.parsers.bounds import BoundedParser
from ragstone.parsers.docx_numbering import BULLET, Numbering
from ragstone.parsers.docx_styles import WORD, Styles, is_on, value_of
from ragstone.parsers.docx_text import (
    FALLBACK,
    TEXT_BOX,
    ParagraphText,
    is_contents_line,
    is_replaced,
    read_paragraph,
)
from ragstone.parsers.drawings import Drawings
from ragstone.parsers.flow import Flow, Piece, TableRows
from ragstone.parsers.office_xml import Element, OfficePackage, release, whole_number
from ragstone.parsers.zips import open_office_zip

_PARAGRAPH, _TABLE, _ROW, _CELL = (f"{WORD}{name}" for name in ("p", "tbl", "tr", "tc"))
_TAGS = (_PARAGRAPH, _TABLE, _ROW, _CELL, TEXT_BOX, FALLBACK)
_NOTE_TAGS = {"footnotes": f"{WORD}footnote", "endnotes": f"{WORD}endnote"}
_LONGEST_HEADING = 500  # characters; beyond, it is text that somebody gave an outline level


class DocxParser(BoundedParser):
    """Implements `Parser` for Word documents."""

    def parse(self, content: bytes) -> ParsedDocument:
        """Raises NoText, ParseFailed, UnsafeArchive, UnsafeXml, Encrypted."""
        with open_office_zip(content, self.limits) as archive:
            return _Reader(OfficePackage(archive)).document()


@dataclass(slots=True)
class _Container:
    """A cell or a text box that is being read."""

    pieces: list[Piece] = field(default_factory=list)
    carried: str = ""


class _Reader:
    """Follows the body's events. What is in cells and text boxes waits in `_containers` until they end."""

    def __init__(self, package: OfficePackage):
        self._package = package
        self._part = package.main_part()
        self._styles = Styles(self._related_root("styles"))
        self._numbering = Numbering(self._related_root("numbering"))
        self._notes = {kind: self._read_notes(kind) for kind in _NOTE_TAGS}
        self._drawings = Drawings(package)
        self._writer = BlockWriter()
        self._flow = Flow(self._writer)
        self._title: str | None = None
        self._containers: list[_Container] = []
        self._carried = ""  # text of a paragraph whose end was deleted
        self._tables: list[TableRows] = []
        self._boxes: list[tuple[int, list[Piece]]] = (
            []
        )  # text boxes of open paragraphs, by the depth of these
        self._pending_notes: list[str] = []  # until the paragraph or table is written that refers to them
        self._replaced = 0

    def document(self) -> ParsedDocument:
        """Read to the end. Raises NoText."""
        for event, element in self._package.stream(self._part, _TAGS, ("start", "end")):
            if element.tag == FALLBACK:
                if is_replaced(element):
                    self._replaced += 1 if event == "start" else -1
            elif not self._replaced:
                (self._start if event == "start" else self._end)(element)
        self._flow.close()
        for notes in self._notes.values():
            for note in notes.values():
                self._writer.add(BlockKind.PARAGRAPH, note)
        return self._writer.finish(title=self._title or self._package.title())

    def _start(self, element: Element) -> None:
        if element.tag == _TABLE:
            self._tables.append(TableRows())
        elif element.tag in (_CELL, TEXT_BOX):
            self._containers.append(_Container())

    def _end(self, element: Element) -> None:
        tag = element.tag
        if tag == _PARAGRAPH:
            self._end_paragraph(element)
            release(element, with_siblings=not self._containers)
        elif tag == TEXT_BOX:
            box = self._containers.pop()
            self._boxes.append((len(self._containers), box.pieces))
        elif tag == _CELL:
            self._end_cell(element)
        elif tag == _ROW and self._tables:
            self._end_row(element)
        elif tag == _TABLE:
            self._add_all(self._tables.pop().pieces())
            release(element, with_siblings=not self._containers)

    # ---- paragraphs ----

    def _end_paragraph(self, element: Element) -> None:
        if not len(element):
            return
        found = read_paragraph(element, self._styles)
        self._pending_notes += (self._notes[kind].pop(note_id, "") for kind, note_id in found.notes)
        properties = element.find(f"{WORD}pPr")
        style_id = self._styles.of(properties)
        is_contents = self._styles.is_contents(style_id) and is_contents_line(element)
        if not is_contents and not self._carries(found.text, properties):
            self._add(self._piece(self._uncarried() + found.text, style_id, properties))
        self._add_referenced(found)

    def _carries(self, text: str, properties: Element | None) -> bool:
        """A paragraph whose end is a tracked deletion goes on in the next one."""
        mark = properties.find(f"{WORD}rPr") if properties is not None else None
        if mark is None or mark.find(f"{WORD}del") is None:
            return False
        if self._containers:
            self._containers[-1].carried += text
        else:
            self._carried += text
        return True

    def _uncarried(self) -> str:
        if self._containers:
            text, self._containers[-1].carried = self._containers[-1].carried, ""
        else:
            text, self._carried = self._carried, ""
        return text

    def _piece(self, source: str, style_id: str, properties: Element | None) -> Piece:
        if self._styles.is_code(style_id):
            return Piece(BlockKind.CODE, source)
        text = collapse_lines(source, "\n")
        if not text:
            return Piece(BlockKind.PARAGRAPH, "")
        label, level = self._label(style_id, properties)
        heading = self._styles.heading_level(style_id, properties)
        if self._styles.is_title(style_id):
            self._title = self._title or text.replace("\n", " ")
            heading = heading or 1
        if heading is not None and len(text) <= _LONGEST_HEADING:
            number = "" if label in ("", BULLET) else f"{label} "
            return Piece(BlockKind.HEADING, number + text, heading)
        if label:
            return Piece(BlockKind.LIST, text, level, f"{label} ")
        return Piece(BlockKind.PARAGRAPH, text)

    def _label(self, style_id: str, properties: Element | None) -> tuple[str, int]:
        """Number or bullet, and its level."""
        by_style, style_level = self._styles.numbering(style_id)
        direct = properties.find(f"{WORD}numPr") if properties is not None else None
        number_id = value_of(direct, "numId") or by_style
        if not number_id or number_id == "0":
            return "", 0
        level = self._numbering.level(number_id, value_of(direct, "ilvl") or style_level, style_id)
        return self._numbering.label(number_id, level), level

    def _add_referenced(self, found: ParagraphText) -> None:
        """Drawings and text boxes come after the paragraph that they belong to."""
        for relationship_id in found.drawings:
            self._add_all(self._drawings.pieces(self._part, relationship_id))
        while self._boxes and self._boxes[0][0] == len(self._containers):
            self._add_all(self._boxes.pop(0)[1])

    # ---- tables ----

    def _end_cell(self, element: Element) -> None:
        """What a merged cell covers is empty, so that the columns stay what they are."""
        pieces = self._containers.pop().pieces
        if not self._tables:
            self._add_all(pieces)
            return
        properties = element.find(f"{WORD}tcPr")
        is_covered = value_of(properties, "vMerge") in ("", "continue")
        self._tables[-1].add_cell([] if is_covered else pieces)
        self._tables[-1].cover(whole_number(value_of(properties, "gridSpan"), 1) - 1)

    def _end_row(self, element: Element) -> None:
        properties = element.find(f"{WORD}trPr")
        is_deleted = properties is not None and properties.find(f"{WORD}del") is not None
        if is_deleted or is_on(properties, "hidden"):
            self._tables[-1].drop_row()
        else:
            self._tables[-1].close_row()
        release(element, with_siblings=True)

    # ---- where text goes ----

    def _add(self, piece: Piece) -> None:
        self._add_all([piece])

    def _add_all(self, pieces: list[Piece]) -> None:
        if self._containers:
            self._containers[-1].pieces += [piece for piece in pieces if piece.text.strip()]
        else:
            self._flow.add_all(pieces)
            self._flow.add_notes(self._pending_notes)
            self._pending_notes = []

    # ---- parts beside the body ----

    def _related_root(self, kind: str) -> Element | None:
        part = self._package.related(self._part, kind)
        return None if part is None else self._package.root(part)

    def _read_notes(self, kind: str) -> dict[str, str]:
        """Texts of the notes by their ids, without those that draw the line above them."""
        part = self._package.related(self._part, kind)
        notes: dict[str, str] = {}
        for _, element in self._package.stream(part, [_NOTE_TAGS[kind]]) if part is not None else ():
            if element.get(f"{WORD}type", "normal") == "normal":
                texts = (
                    read_paragraph(paragraph, self._styles).text for paragraph in element.iter(_PARAGRAPH)
                )
                notes[element.get(f"{WORD}id", "")] = collapse_lines("\n".join(texts), "\n")
            release(element, with_siblings=True)
        return notes
