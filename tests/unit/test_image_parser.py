"""Pictures, read by tesseract where it is installed; a stand-in on the PATH where its ways to fail are wanted."""

import asyncio
import os
import shutil
import time
from collections.abc import Callable
from itertools import chain
from pathlib import Path

import pytest

from ragstone.core.errors import IngestError, NoText, ParseFailed, ParseLimit, UnsupportedMediaType
from ragstone.core.models import Location, ParsedDocument
from ragstone.parsers import parser_for
from ragstone.parsers.bounds import Limits
from ragstone.parsers.detection import detect
from ragstone.parsers.pool import WorkerPool
from ragstone.parsers.tesseract import Tesseract
from tests.pictures import picture, scanned
from tests.waiting import until

CHUNKER = "ragstone.chunking.structural:build_chunker"
KINDS = ("GIF", "JPEG", "PNG", "TIFF", "WEBP")
LINES = (
    "The silver compass lies in the har-",
    "bour of the old town.",
    "",
    "",
    "Another paragraph, 42 km away.",
)
PARAGRAPHS = ["The silver compass lies in the harbour of the old town.", "Another paragraph, 42 km away."]

needs_tesseract = pytest.mark.skipif(shutil.which("tesseract") is None, reason="needs tesseract")
Program = Callable[[str], None]


def paragraphs(parsed: ParsedDocument) -> list[str]:
    return [parsed.text[block.start : block.end] for block in parsed.blocks]


def locations(parsed: ParsedDocument) -> list[Location]:
    return [block.location for block in parsed.blocks]


def parse(content: bytes, kind: str = "image/png", limits: Limits | None = None) -> ParsedDocument:
    return parser_for(kind, limits).parse(content)


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    """Puts a script in the place of tesseract."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    def write(script: str) -> None:
        path = folder / "tesseract"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o700)

    return write


@pytest.fixture
def no_program(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))


@needs_tesseract
class TestPictures:
    @pytest.mark.parametrize("kind", KINDS)
    def test_lines_become_paragraphs_in_every_format(self, kind: str) -> None:
        parsed = parse(picture(LINES, kind=kind), f"image/{kind.lower()}")
        assert paragraphs(parsed) == PARAGRAPHS
        assert (parsed.pages, locations(parsed)) == (1, [Location(1), Location(1)])

    def test_pages_of_a_picture_are_told_apart(self) -> None:
        parsed = parse(picture(LINES, ["Second page."], kind="TIFF"), "image/tiff")
        assert paragraphs(parsed) == [*PARAGRAPHS, "Second page."]
        assert locations(parsed)[-1] == Location(2)

    def test_pages_of_a_scanned_pdf_are_read(self) -> None:
        parsed = parse(scanned(LINES, ["Second page."]), "application/pdf")
        assert paragraphs(parsed) == [*PARAGRAPHS, "Second page."]
        assert (parsed.pages, locations(parsed)[-1]) == (2, Location(2))

    def test_picture_without_text_is_refused(self) -> None:
        with pytest.raises(NoText):
            parse(picture([]))
        with pytest.raises(NoText):
            parse(scanned([]), "application/pdf")

    @pytest.mark.parametrize("cut", [0.1, 0.5])
    def test_damaged_picture_is_refused_or_read_as_far_as_it_goes(self, cut: float) -> None:
        content = picture(LINES, kind="PNG")
        with pytest.raises(IngestError):
            parse(content[: int(len(content) * cut)])

    def test_language_that_is_missing_is_named(self) -> None:
        with pytest.raises(ParseFailed, match=r"'xyz' of RAGSTONE_OCR_LANGUAGES"):
            parse(picture(LINES), limits=Limits(ocr_languages="xyz"))

    def test_pages_beyond_the_limit_are_refused(self) -> None:
        with pytest.raises(ParseLimit, match="1 pages"):
            parse(picture(LINES, LINES, kind="TIFF"), "image/tiff", Limits(pages=1))


def test_words_of_a_line_belong_together(program: Program) -> None:
    words = [(1, 1, "well-"), (1, 2, "known"), (1, 3, " "), (2, 1, "har-"), (2, 2, "bour")]
    table = "".join(
        f"5\\t1\\t1\\t1\\t{line}\\t{n}\\t0\\t0\\t9\\t9\\t90\\t{word}\\n" for line, n, word in words
    )
    program(f"cat >/dev/null; printf 'level\\n{table}'")
    lines = list(Tesseract(Limits()).lines(b""))
    assert [line.text for line in lines] == ["well- known", "har- bour"]


class TestWithoutTesseract:
    @pytest.mark.usefixtures("no_program")
    def test_picture_is_refused_with_the_cure(self) -> None:
        with pytest.raises(UnsupportedMediaType, match=r"image/png .*install.*tesseract-ocr") as refusal:
            detect(picture(LINES), "scan.png", None)
        assert "image/png" not in refusal.value.message.partition("supported: ")[2]

    @pytest.mark.usefixtures("no_program")
    def test_scanned_pdf_has_no_text_and_a_hint(self) -> None:
        with pytest.raises(NoText, match="tesseract-ocr"):
            parse(scanned(LINES), "application/pdf")
        with pytest.raises(NoText, match="tesseract-ocr"):
            parse(picture(LINES))


@pytest.mark.parametrize(
    "content", [b"/etc/passwd\n", b"http://127.0.0.1/a.png", b"GIF8 /etc/passwd", b"\x89PNG\n"]
)
def test_what_tesseract_would_take_for_a_list_of_files_never_reaches_it(
    content: bytes, program: Program
) -> None:
    program("exit 3")
    with pytest.raises(ParseFailed, match="no picture"):
        parse(content)


class TestProgram:
    """How it may fail, shown by a stand-in."""

    @pytest.mark.parametrize(
        ("script", "kind"),
        [
            ("exit 1", ParseFailed),
            ("kill -KILL $$", ParseLimit),
            ("kill -XCPU $$", ParseLimit),
            ("echo 'pixdata_malloc fail' >&2; exit 1", ParseLimit),
            ("printf 'no table'", NoText),
        ],
    )
    def test_its_end_is_told_apart(self, script: str, kind: type[IngestError], program: Program) -> None:
        program(f"cat >/dev/null; {script}")
        with pytest.raises(kind):
            parse(picture(LINES))

    def test_time_of_all_pictures_counts_together(self, program: Program) -> None:
        program("cat >/dev/null; i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done")
        tesseract = Tesseract(Limits(cpu_s=0.05))
        pictures = chain.from_iterable(tesseract.lines(b"") for _ in range(50))
        with pytest.raises(ParseLimit, match="RAGSTONE_PARSE_CPU_SECONDS"):
            list(pictures)


class TestInTheWorker:
    """The limits of the process hold for what it starts."""

    async def read(self, folder: Path, **limits: float) -> str:
        path = folder / "picture"
        path.write_bytes(picture(LINES))
        pool = WorkerPool(CHUNKER, limits=Limits(niceness=0, **limits))  # type: ignore[arg-type]
        try:
            document = await pool.read(path, media_type="image/png", title=None, new_spool=lambda: path)
            return document.parsed.text
        finally:
            await pool.close()

    @needs_tesseract
    async def test_picture_is_read_within_the_limits(self, tmp_path: Path) -> None:
        assert await self.read(tmp_path) == "\n\n".join(PARAGRAPHS)

    @pytest.mark.parametrize(
        "script",
        [
            "while :; do :; done",
            "x=0123456789; while :; do x=$x$x; done",
            "echo much >$0.txt || exit 1; kill -9 0",
        ],
    )
    async def test_it_gets_no_more_than_the_worker(
        self, script: str, tmp_path: Path, program: Program
    ) -> None:
        program(script)
        start = time.monotonic()
        with pytest.raises((ParseLimit, ParseFailed)):
            await self.read(tmp_path, cpu_s=1, memory_bytes=256 * 2**20)
        assert time.monotonic() - start < 10

    @pytest.mark.parametrize("wall_s", [3, 60])
    async def test_it_ends_with_the_worker(self, wall_s: int, tmp_path: Path, program: Program) -> None:
        program(f"exec sleep {100 + wall_s}")
        reading = asyncio.create_task(self.read(tmp_path, wall_s=wall_s))
        await until_sleepers(100 + wall_s, are_there=True)
        if wall_s > 3:
            reading.cancel()
        with pytest.raises((ParseLimit, asyncio.CancelledError)):
            await reading
        await until_sleepers(100 + wall_s, are_there=False)


async def until_sleepers(seconds: int, *, are_there: bool) -> None:
    async def holds() -> bool:
        return bool(sleepers(seconds)) == are_there

    await until(holds)


def sleepers(seconds: int) -> list[str]:
    wanted = f"sleep\0{seconds}\0".encode()
    return [path.parent.name for path in Path("/proc").glob("[0-9]*/cmdline") if _command(path) == wanted]


def _command(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
