"""Pictures: the text that tesseract sees in them, page by page."""

from collections.abc import Iterable
from itertools import groupby

from ragstone.core.errors import NoText, ParseFailed, ParseLimit
from ragstone.core.models import BlockKind, Location, ParsedDocument
from ragstone.parsers.blocks import BlockWriter
from ragstone.parsers.bounds import BoundedParser
from ragstone.parsers.pdf_paragraphs import join
from ragstone.parsers.tesseract import HINT, Line, Tesseract, is_installed

# Exactly as tesseract tells them; anything else would not be read as a picture.
_BEGINNINGS = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"II*\0", b"MM\0*", b"GIF87a", b"GIF89a")


class ImageParser(BoundedParser):
    """Implements `Parser` for PNG, JPEG, TIFF, WebP and GIF."""

    def parse(self, content: bytes) -> ParsedDocument:
        """Raises NoText (also where tesseract is missing), ParseFailed, ParseLimit."""
        if not is_picture(content):
            raise ParseFailed("this is no picture")
        if not is_installed():
            raise NoText(f"the document is a picture; {HINT}")
        writer = BlockWriter()
        pages = 0
        for page, lines in groupby(Tesseract(self.limits).lines(content), lambda line: line.page):
            if page > self.limits.pages:
                raise ParseLimit(f"the picture has more than {self.limits.pages} pages")
            pages = page
            write_page(writer, page, lines)
        if writer.is_empty:
            raise NoText("tesseract finds no text in the picture")
        return writer.finish(title=None, pages=pages)


def is_picture(content: bytes) -> bool:
    """Whether tesseract will take it for one."""
    is_webp = content.startswith(b"RIFF") and content[8:12] == b"WEBP"
    return is_webp or content.startswith(_BEGINNINGS)


def write_page(writer: BlockWriter, page: int, lines: Iterable[Line]) -> None:
    """A page's paragraphs, each as one block."""
    writer.location = Location(page)
    for _, paragraph in groupby(lines, lambda line: line.paragraph):
        text = ""
        for line in paragraph:
            text = _joined(text, line.text)
        writer.add(BlockKind.PARAGRAPH, text)


def _joined(text: str, following: str) -> str:
    is_hyphenated = len(text) > 1 and text.endswith("-") and text[-2].isalpha()
    return (
        join(text[:-1] if is_hyphenated else text, following, is_hyphenated=is_hyphenated)
        if text
        else following
    )
