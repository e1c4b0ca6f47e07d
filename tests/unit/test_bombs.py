"""Archives and office documents made to grow, read by a real worker: refused by name, in time, and the next one is read."""

import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from ragstone.core.errors import UnsafeArchive
from ragstone.parsers.bounds import Limits
from ragstone.parsers.pool import WorkerPool
from tests.containers import book, page, zipped
from tests.office_files import docx_parts, paragraph
from tests.spreadsheets import xlsx

CHUNKER = "ragstone.chunking.structural:build_chunker"
OFFICE = "application/vnd.openxmlformats-officedocument."
GROWN = 210 * 2**20


def deep_zip() -> bytes:
    content = b"text"
    for level in range(42):
        content = zipped({f"{level}.zip": content})
    return content


def wide_zip() -> bytes:
    """1,001 files, no more than 350 of them in one archive."""
    return zipped({f"{n}.zip": zipped({f"{m}": "" for m in range(350)}) for n in range(3)})


def docx_bomb() -> bytes:
    return zipped({**docx_parts(paragraph("x")), "word/media/a.bin": bytes(GROWN)})


def xlsx_bomb() -> bytes:
    return xlsx({"S": [["a"]]}, members={"xl/media/a.bin": "0" * GROWN})


def epub_bomb() -> bytes:
    return book({"a.xhtml": page("<p>x</p>")}, more={"OEBPS/a.bin": "0" * GROWN})


BOMBS: dict[str, tuple[str, Callable[[], bytes]]] = {
    "deep": ("application/zip", deep_zip),
    "wide": ("application/zip", wide_zip),
    "docx": (f"{OFFICE}wordprocessingml.document", docx_bomb),
    "xlsx": (f"{OFFICE}spreadsheetml.sheet", xlsx_bomb),
    "epub": ("application/epub+zip", epub_bomb),
}


@pytest.fixture
async def pool() -> AsyncIterator[WorkerPool]:
    pool = WorkerPool(CHUNKER, limits=Limits(niceness=0))
    yield pool
    await pool.close()


@pytest.mark.parametrize("name", BOMBS)
async def test_bomb_is_refused_in_time_and_the_next_document_is_read(
    name: str, pool: WorkerPool, tmp_path: Path
) -> None:
    media_type, make = BOMBS[name]
    bomb, text = tmp_path / "bomb", tmp_path / "text"
    bomb.write_bytes(make())
    text.write_text("Harmless.")
    assert bomb.stat().st_size < 2**20
    start = time.monotonic()
    with pytest.raises(UnsafeArchive):
        await pool.read(bomb, media_type=media_type, title=None, new_spool=lambda: bomb)
    refused = time.monotonic()
    document = await pool.read(text, media_type="text/plain", title=None, new_spool=lambda: bomb)
    assert document.parsed.text == "Harmless."
    assert refused - start < 5
    assert time.monotonic() - refused < 2
