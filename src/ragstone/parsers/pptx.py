"""Presentations, slide by slide: the title, then the shapes from top to bottom and left to right, then the notes.

Hidden slides are read: their author kept them. Not in the text: hidden shapes, comments, what every slide repeats
(date, footer, number), words that only the layout has, alternative texts of pictures.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ragstone.core.models import BlockKind, Location, ParsedDocument
from ragstone.parsers.blocks import BlockWriter
from ragstone.parsers.bounds import BoundedParser
from ragstone.parsers.drawings import CHART, DIAGRAM, DRAWING, Drawings
from ragstone.parsers.flow import Flow, Piece
from ragstone.parsers.office_xml import COMPATIBILITY, RELATIONSHIP, Element, OfficePackage
from ragstone.parsers.pptx_layouts import (
    SLIDE,
    TITLES,
    Box,
    Layout,
    Layouts,
    Placeholder,
    box_of,
    placeholder_of,
)
from ragstone.parsers.pptx_text import frame_pieces, frame_text, table_pieces
from ragstone.parsers.zips import open_office_zip

_SHAPE, _GROUP, _FRAME = (f"{SLIDE}{name}" for name in ("sp", "grpSp", "graphicFrame"))
_CHOICE, _FALLBACK = f"{COMPATIBILITY}Choice", f"{COMPATIBILITY}Fallback"
_REPEATED = frozenset(("dt", "ftr", "sldNum", "hdr", "sldImg"))
_TREE = f"{SLIDE}cSld/{SLIDE}spTree"
_NOWHERE = Box(0, 0, 0)
_OFF = frozenset(("0", "false"))


class PptxParser(BoundedParser):
    """Implements `Parser` for PowerPoint presentations."""

    def parse(self, content: bytes) -> ParsedDocument:
        """Raises NoText, ParseFailed, UnsafeArchive, UnsafeXml, Encrypted."""
        with open_office_zip(content, self.limits) as archive:
            return _Reader(OfficePackage(archive)).document()


class _Shape(NamedTuple):
    element: Element
    box: Box
    placeholder: Placeholder | None


class _Reader:
    """Writes slide after slide. A slide that the presentation names twice is read once."""

    def __init__(self, package: OfficePackage):
        self._package = package
        self._layouts = Layouts(package)
        self._drawings = Drawings(package)
        self._writer = BlockWriter()
        self._flow = Flow(self._writer)

    def document(self) -> ParsedDocument:
        """Read all slides. Raises NoText."""
        for number, slide in enumerate(self._slides(), 1):
            self._writer.close_headings()
            self._writer.location = Location(slide=number)
            self._read_slide(slide)
        return self._writer.finish(title=self._package.title())

    def _slides(self) -> Sequence[str]:
        """The slides' parts in the order in which they are shown."""
        presentation = self._package.main_part()
        relationships = self._package.relationships(presentation)
        listed = (
            one.get(f"{RELATIONSHIP}id") for one in self._package.root(presentation).iter(f"{SLIDE}sldId")
        )
        parts = (relationships[one].target for one in listed if one in relationships)
        return [part for part in dict.fromkeys(parts) if self._package.has(part)]

    def _read_slide(self, part: str) -> None:
        layout = self._layouts.of(part)
        tree = self._package.root(part).find(_TREE)
        shapes = [] if tree is None else _in_reading_order(_shapes(tree, layout))
        title = next((shape for shape in shapes if _is_title(shape)), None)
        if title is not None:
            self._writer.add_heading(1, frame_text(title.element.find(f"{SLIDE}txBody")))
        for shape in shapes:
            if shape is not title:
                self._flow.add_all(self._pieces(shape, part, layout))
                self._flow.close()
        self._write_notes(part)

    def _pieces(self, shape: _Shape, part: str, layout: Layout) -> Iterator[Piece]:
        element = shape.element
        if element.tag == _SHAPE:
            styles = _list_styles(shape, layout)
            yield from frame_pieces(element.find(f"{SLIDE}txBody"), styles)
        elif element.tag == _GROUP:
            for inner in _in_reading_order(_shapes(element, layout)):
                yield from self._pieces(inner, part, layout)
        elif element.tag == _FRAME:
            yield from self._frame_pieces(element, part)

    def _frame_pieces(self, element: Element, part: str) -> Iterator[Piece]:
        for table in element.iterfind(f".//{DRAWING}tbl"):
            yield from table_pieces(table)
        for chart in element.iter(f"{CHART}chart"):
            yield from self._drawings.pieces(part, chart.get(f"{RELATIONSHIP}id", ""))
        for diagram in element.iter(f"{DIAGRAM}relIds"):
            yield from self._drawings.pieces(part, diagram.get(f"{RELATIONSHIP}dm", ""))

    def _write_notes(self, slide: str) -> None:
        part = self._package.related(slide, "notesSlide")
        tree = self._package.root(part).find(_TREE) if part is not None else None
        shapes = [] if tree is None else _shapes(tree, Layout())
        bodies = [
            one.element for one in shapes if one.placeholder is not None and one.placeholder.kind == "body"
        ]
        pieces = [piece for body in bodies for piece in frame_pieces(body.find(f"{SLIDE}txBody"), [])]
        if pieces:
            self._flow.add(Piece(BlockKind.PARAGRAPH, "Notes"))
            self._flow.add_all(pieces)
            self._flow.close()


def _shapes(tree: Element, layout: Layout) -> list[_Shape]:
    """The visible shapes right below, as they are stacked."""
    shapes: list[_Shape] = []
    for element in _chosen(tree):
        if element.tag not in (_SHAPE, _GROUP, _FRAME) or _is_hidden(element):
            continue
        placeholder = placeholder_of(element)
        if placeholder is None or placeholder.kind not in _REPEATED:
            shapes.append(_Shape(element, _place(element, placeholder, layout), placeholder))
    return shapes


def _chosen(tree: Element) -> Iterator[Element]:
    """The elements right below; where there are alternatives, the first."""
    for element in tree.iterchildren("*"):
        if element.tag == f"{COMPATIBILITY}AlternateContent":
            alternative = next(element.iterchildren(_CHOICE, _FALLBACK), None)
            yield from _chosen(alternative) if alternative is not None else ()
        else:
            yield element


def _place(element: Element, placeholder: Placeholder | None, layout: Layout) -> Box:
    inherited = layout.inherited(placeholder) if placeholder is not None else ()
    boxes = (box_of(one) for one in (element, *inherited))
    return next((box for box in boxes if box is not None), _NOWHERE)


def _in_reading_order(shapes: Sequence[_Shape]) -> list[_Shape]:
    """Shapes that begin above the middle of the topmost one left are beside it."""
    row: list[_Shape] = []
    ordered: list[_Shape] = []
    for shape in sorted(shapes, key=lambda one: one.box.top):
        if row and shape.box.top >= row[0].box.top + max(row[0].box.height // 2, 1):
            ordered += sorted(row, key=lambda one: one.box.left)
            row = []
        row.append(shape)
    return ordered + sorted(row, key=lambda one: one.box.left)


def _list_styles(shape: _Shape, layout: Layout) -> list[Element]:
    """Where it is said which paragraphs have bullets, nearest first."""
    placeholder = shape.placeholder
    inherited = layout.inherited(placeholder) if placeholder is not None else ()
    styles = [one.find(f"{SLIDE}txBody/{DRAWING}lstStyle") for one in (shape.element, *inherited)]
    if placeholder is not None:
        styles.append(layout.list_style(placeholder.kind))
    return [style for style in styles if style is not None]


def _is_title(shape: _Shape) -> bool:
    return shape.placeholder is not None and shape.placeholder.kind in TITLES


def _is_hidden(element: Element) -> bool:
    name = element.find(f"./*/{SLIDE}cNvPr")
    return name is not None and name.get("hidden", "0") not in _OFF
