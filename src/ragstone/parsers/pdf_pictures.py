"""Pages of a PDF that are nothing but pictures, rendered one by one for tesseract."""

from collections.abc import Iterator
from contextlib import closing
from itertools import islice

import pypdfium2 as pdfium
import pypdfium2.raw as native

from ragstone.parsers.blocks import BlockWriter
from ragstone.parsers.bounds import Limits
from ragstone.parsers.image import write_page
from ragstone.parsers.tesseract import Tesseract

_DOTS_A_POINT = 300 / 72  # what tesseract was trained on
_MOST_DOTS = 5_000  # of a side: A3 at that density; 25 MB
_OBJECTS_OF_A_PAGE = 1_000  # that are looked at


def read_pictures(pdf: pdfium.PdfDocument, limits: Limits) -> BlockWriter:
    """All that is to be read on them; nothing if nothing is. Raises ParseFailed, ParseLimit."""
    writer, tesseract = BlockWriter(), Tesseract(limits)
    for index, picture in _pictures(pdf):
        write_page(writer, index + 1, tesseract.lines(picture))
    return writer


def shows_image(pdf: pdfium.PdfDocument, index: int) -> bool:
    """Whether there is a picture on a page."""
    try:
        with closing(pdf[index]) as page:
            found = islice(page.get_objects(max_depth=3), _OBJECTS_OF_A_PAGE)
            return any(item.type == native.FPDF_PAGEOBJ_IMAGE for item in found)
    except pdfium.PdfiumError:
        return False


def _pictures(pdf: pdfium.PdfDocument) -> Iterator[tuple[int, bytes]]:
    for index in range(len(pdf)):
        if shows_image(pdf, index):
            yield index, _rendered(pdf, index)


def _rendered(pdf: pdfium.PdfDocument, index: int) -> bytes:
    """As a grey picture in PGM, of which each row is as long as the picture is wide."""
    with closing(pdf[index]) as page:
        scale = min(_DOTS_A_POINT, _MOST_DOTS / max(page.get_size()))
        with closing(page.render(scale=scale, grayscale=True)) as bitmap:
            dots, width, stride = memoryview(bitmap.buffer).cast("B"), bitmap.width, bitmap.stride
            rows = (dots[row * stride : row * stride + width] for row in range(bitmap.height))
            return b"P5 %d %d 255\n" % (width, bitmap.height) + b"".join(rows)
