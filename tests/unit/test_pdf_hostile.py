"""PDFs made to exhaust or confuse: a worker's limits end what does not end, and the next document is read."""

import asyncio
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from ragstone.core.errors import IngestError, ParseLimit, WorkerDied
from ragstone.core.models import ReadDocument
from ragstone.parsers.bounds import Limits
from ragstone.parsers.pool import WorkerPool
from tests.pdf_writer import PdfFile, Text, write_content, write_pdf

CHUNKER = "ragstone.chunking.structural:build_chunker"
PARSERS = {"application/pdf": "ragstone.parsers.pdf:PdfParser"}
LIMITS = Limits(memory_bytes=320 * 2**20, cpu_s=3, wall_s=30, niceness=0)
PAGE = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 99 99] %b >>"


def deflated(block: bytes, count: int) -> bytes:
    packer = zlib.compressobj(9)
    return b"".join(packer.compress(block) for _ in range(count)) + packer.flush()


def flate_bomb() -> bytes:
    """2 KB that inflate to 1 GB."""
    twice = zlib.compress(deflated(b" " * 2**20, 1_000), 9)
    return write_content(twice, b"/Filter [/FlateDecode /FlateDecode]")


def operator_stream() -> bytes:
    """54 MB of operators, each of which shows a letter."""
    return write_content(
        deflated(b"BT /F1 10 Tf 72 700 Td (x) Tj ET\n" * 10_000, 165), b"/Filter /FlateDecode"
    )


def forms_of_forms() -> bytes:
    """A letter, shown ten to the ninth times."""
    file = PdfFile()
    tree, page = file.add(), file.add()
    form = b"/Type /XObject /Subtype /Form /BBox [0 0 99 99] "
    shown = file.stream(b"BT /F1 1 Tf 9 9 Td (lol) Tj ET", form)
    for _ in range(9):
        shown = file.stream(b"/X Do " * 10, form + b"/Resources << /XObject << /X %d 0 R >> >>" % shown)
    content = b"/Resources << /XObject << /X %d 0 R >> >> /Contents %d 0 R" % (shown, file.stream(b"/X Do"))
    return closed(file, tree, page, content)


def form_of_itself() -> bytes:
    file = PdfFile()
    tree, page = file.add(), file.add()
    resources = b"/Resources << /XObject << /X 4 0 R >> >>"
    file.stream(b"/X Do /X Do", b"/Type /XObject /Subtype /Form /BBox [0 0 9 9] " + resources)
    return closed(file, tree, page, resources + b" /Contents 4 0 R")


def deep_arrays() -> bytes:
    file = PdfFile()
    tree, page = file.add(), file.add()
    return closed(file, tree, page, b"/Annots " + b"[" * 10_000 + b"]" * 10_000)


def deep_operands() -> bytes:
    return write_content(b"[" * 10_000 + b"]" * 10_000 + b" TJ")


def many_pages() -> bytes:
    file = PdfFile()
    tree = file.add()
    kids = b" ".join(b"%d 0 R" % file.add(PAGE % b"") for _ in range(200_000))
    file.put(tree, b"<< /Type /Pages /Count 200000 /Kids [%b] >>" % kids)
    file.put(1, b"<< /Type /Catalog /Pages 2 0 R >>")
    return file.written()


def circle_of_pages() -> bytes:
    file = PdfFile()
    tree = file.add(b"<< /Type /Pages /Count 9 /Kids [3 0 R 3 0 R] /Parent 3 0 R >>")
    file.add(b"<< /Type /Pages /Count 9 /Kids [%d 0 R 2 0 R] /Parent 2 0 R >>" % tree)
    file.put(1, b"<< /Type /Catalog /Pages 2 0 R >>")
    return file.written()


def circle_of_references() -> bytes:
    """The table of references names itself as the one before it."""
    content = write_pdf([[Text("Text.")]])
    return content.replace(b"/Root", b"/Prev %d /Root" % content.index(b"xref\n"))


def closed(file: PdfFile, tree: int, page: int, entries: bytes) -> bytes:
    file.put(page, PAGE % entries)
    file.put(tree, b"<< /Type /Pages /Count 1 /Kids [%d 0 R] >>" % page)
    file.put(1, b"<< /Type /Catalog /Pages %d 0 R >>" % tree)
    return file.written()


async def read(pool: WorkerPool, path: Path) -> ReadDocument:
    return await pool.read(path, media_type="application/pdf", title=None, new_spool=no_spool)


def no_spool() -> Path:
    raise AssertionError("a PDF has no children")


async def outcome(make: Callable[[], bytes], folder: Path) -> tuple[object, float]:
    """What becomes of the document, and the seconds that the one after it takes."""
    hostile, harmless = folder / "hostile.pdf", folder / "harmless.pdf"
    hostile.write_bytes(make())
    harmless.write_bytes(write_pdf([[Text("Harmless.")]]))
    pool = WorkerPool(CHUNKER, parsers=PARSERS, limits=LIMITS)
    result: object
    try:
        try:
            result = await read(pool, hostile)
        except (IngestError, WorkerDied) as error:
            result = error
        start = time.monotonic()
        document = await read(pool, harmless)
        assert document.parsed.text == "Harmless."
        return result, time.monotonic() - start
    finally:
        await pool.close()


@pytest.mark.parametrize("make", [flate_bomb, operator_stream, forms_of_forms, form_of_itself])
def test_limits_end_what_exhausts(make: Callable[[], bytes], tmp_path: Path) -> None:
    result, next_s = asyncio.run(outcome(make, tmp_path))
    # PDFium aborts when it gets no memory, so that its worker may seem to have died by itself.
    assert isinstance(result, ParseLimit | WorkerDied)
    assert next_s < 5


def test_too_many_pages_are_refused_at_once(tmp_path: Path) -> None:
    result, _ = asyncio.run(outcome(many_pages, tmp_path))
    assert isinstance(result, ParseLimit)
    assert "200000 pages" in result.message


@pytest.mark.parametrize("make", [deep_arrays, deep_operands, circle_of_pages, circle_of_references])
def test_what_goes_round_or_deep_ends_by_itself(make: Callable[[], bytes], tmp_path: Path) -> None:
    result, _ = asyncio.run(outcome(make, tmp_path))
    assert not isinstance(result, WorkerDied | ParseLimit)
