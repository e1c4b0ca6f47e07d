"""PDF: the text of its pages in reading order, with page numbers, under the headings that its bookmarks name.

PDFium reads the file. It is not safe for threads; this runs in the worker's child process, which has one at work.
Pages are read, written and closed one by one.
"""

import re
from collections.abc import Iterator
from contextlib import closing

import pypdfium2 as pdfium
import pypdfium2.raw as native

from ragstone.core.errors import Encrypted, NoText, ParseFailed, ParseLimit
from ragstone.core.models import BlockKind, Location, ParsedDocument
from ragstone.parsers.blocks import BlockWriter
from ragstone.parsers.bounds import BoundedParser, Limits
from ragstone.parsers.pdf_layout import reading_order
from ragstone.parsers.pdf_outline import read_outline, with_headings
from ragstone.parsers.pdf_paragraphs import Paragraph, paragraphs
from ragstone.parsers.pdf_pictures import read_pictures, shows_image
from ragstone.parsers.pdf_running import NumberedPage, RunningLines
from ragstone.parsers.pdf_text import read_page
from ragstone.parsers.tesseract import HINT, is_installed

_PAGES_WITH_IMAGES = 20  # that are looked at to explain why there is no text

_LONGEST_TITLE = 300
_FILE_NAME = re.compile(
    r"\.(?:docx?|docm|dotx?|pdf|tex|dvi|indd|qxd|xlsx?|pptx?|rtf|od[tps]|html?|txt|md|ps|eps|ai|cdr|pages|pub|wpd)\Z",
    re.I,
)
_NO_TITLE = re.compile(
    r"microsoft (?:word|powerpoint|excel) - .*|\(?(?:untitled|anonymous|unspecified|no title|title|unknown)\)?[\s\d-]*"
    r"|(?:document|slide|powerpoint presentation|presentation|book|template|layout)\s*\d*|https?://.*|about:blank",
    re.I,
)


class PdfParser(BoundedParser):
    """Implements `Parser` for application/pdf."""

    def parse(self, content: bytes) -> ParsedDocument:
        """Raises ParseFailed, ParseLimit, Encrypted, NoText."""
        with closing(_open(content)) as pdf:
            pages = len(pdf)
            if pages > self.limits.pages:
                raise ParseLimit(f"the document has {pages} pages; at most {self.limits.pages} are read")
            writer = _read(pdf)
            writer.first_title = None  # the first chapter's is not the document's
            if writer.is_empty and _holds_images(pdf):
                writer = _read_pictures(pdf, self.limits)
            return writer.finish(title=_title(pdf), pages=pages)


def _open(content: bytes) -> pdfium.PdfDocument:
    try:
        return pdfium.PdfDocument(content)
    except pdfium.PdfiumError as error:
        if error.err_code in (native.FPDF_ERR_PASSWORD, native.FPDF_ERR_SECURITY):
            raise Encrypted("the document is protected by a password") from error
        raise ParseFailed("the document is no PDF, or too damaged to be read") from error


def _read(pdf: pdfium.PdfDocument) -> BlockWriter:
    """All pages. One that is damaged is left out, unless they all are."""
    document = _DocumentWriter()
    outline = read_outline(pdf)
    running = RunningLines()
    for page in _all_pages(pdf, running):
        body, notes = paragraphs(with_headings(page.lines, outline.get(page.number, ())))
        notes.extend(Paragraph(BlockKind.PARAGRAPH, text) for text in page.turned)
        document.add_page(page.number, body, notes)
    return document.finish()


def _all_pages(pdf: pdfium.PdfDocument, running: RunningLines) -> Iterator[NumberedPage]:
    for number in range(1, len(pdf) + 1):
        yield from running.push(_page(pdf, number))
    yield from running.rest()


def _page(pdf: pdfium.PdfDocument, number: int) -> NumberedPage:
    try:
        page = pdf[number - 1]
    except pdfium.PdfiumError:
        return NumberedPage(number, [])
    with closing(page):
        try:
            found = read_page(page, number)
        except pdfium.PdfiumError:
            return NumberedPage(number, [])
    return NumberedPage(number, reading_order(found.segments), found.turned)


class _DocumentWriter:
    """Writes the pages' paragraphs. The last one of a page stays open, it may run on; notes that stand below it wait."""

    def __init__(self) -> None:
        self._writer = BlockWriter()
        self._open: Paragraph | None = None
        self._pages = (0, 0)
        self._notes: list[tuple[int, Paragraph]] = []

    def add_page(self, number: int, body: list[Paragraph], notes: list[Paragraph]) -> None:
        """The next page's paragraphs in order, and what stands in small print below them."""
        for paragraph in body:
            may_run_on = number - self._pages[0] <= 1  # over more pages, a quote's place would mean little
            if may_run_on and self._open is not None and self._open.is_continued_by(paragraph):
                self._open.continue_with(paragraph)
                self._pages = (self._pages[0], number)
            else:
                self._close()
                self._open, self._pages = paragraph, (number, number)
        self._notes.extend((number, note) for note in notes)
        if self._open is not None and not self._open.is_open:
            self._close()

    def finish(self) -> BlockWriter:
        """Write what is left."""
        self._close()
        return self._writer

    def _close(self) -> None:
        if self._open is not None:
            self._write(self._open, *self._pages)
        for number, note in self._notes:
            self._write(note, number, number)
        self._open, self._notes = None, []

    def _write(self, paragraph: Paragraph, page: int, page_end: int) -> None:
        self._writer.location = Location(page, page_end if page_end > page else None)
        if paragraph.kind is BlockKind.HEADING:
            self._writer.add_heading(paragraph.level, paragraph.text)
        else:
            self._writer.add(paragraph.kind, paragraph.text_as_it_ends)


def _read_pictures(pdf: pdfium.PdfDocument, limits: Limits) -> BlockWriter:
    if not is_installed():
        raise NoText(f"the document holds only pictures of its pages; {HINT}")
    writer = read_pictures(pdf, limits)
    if writer.is_empty:
        raise NoText("the document holds only pictures of its pages, and tesseract finds no text in them")
    return writer


def _title(pdf: pdfium.PdfDocument) -> str | None:
    """What the document says its title is, unless a program left a file's name there, or nothing of meaning."""
    try:
        title = " ".join(pdf.get_metadata_value("Title").split())
    except (pdfium.PdfiumError, UnicodeDecodeError):
        return None
    is_title = any(character.isalpha() for character in title) and len(title) <= _LONGEST_TITLE
    return title if is_title and not (_FILE_NAME.search(title) or _NO_TITLE.fullmatch(title)) else None


def _holds_images(pdf: pdfium.PdfDocument) -> bool:
    return any(shows_image(pdf, index) for index in range(min(len(pdf), _PAGES_WITH_IMAGES)))
