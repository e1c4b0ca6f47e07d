"""Pictures of lines of text, as a scanner would make them, in the formats of pictures."""

import io
from collections.abc import Sequence

import pypdfium2 as pdfium
from PIL import Image

from tests.pdf_writer import Text, write_pdf


def picture(*pages: Sequence[str], kind: str = "PNG") -> bytes:
    """Each page's lines one below the other; an empty one leaves a gap. More than one page needs TIFF."""
    images = [_drawn(lines) for lines in pages]
    target = io.BytesIO()
    more = {"save_all": True, "append_images": images[1:]} if len(images) > 1 else {}
    images[0].save(target, kind, **more)
    return target.getvalue()


def scanned(*pages: Sequence[str]) -> bytes:
    """A PDF of nothing but such pictures."""
    images = [_drawn(lines) for lines in pages]
    target = io.BytesIO()
    images[0].save(target, "PDF", save_all=True, append_images=images[1:], resolution=200)
    return target.getvalue()


def _drawn(lines: Sequence[str]) -> Image.Image:
    texts = [Text(line, y=740 - 24 * n, size=14) for n, line in enumerate(lines) if line]
    pdf = pdfium.PdfDocument(write_pdf([texts]))
    page = pdf[0]
    bitmap = page.render(scale=200 / 72, grayscale=True)
    image: Image.Image = bitmap.to_pil().copy()
    for opened in (bitmap, page, pdf):
        opened.close()
    return image
