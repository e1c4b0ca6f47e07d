"""What reading costs: files and MB per CPU-second by format, against the library that opens it and does nothing else,
and the memory of a PDF of a thousand pages.

Both read the same made-up documents in this process; megabytes are those of the text that comes out. The floor of a
format is what a tutorial would write: all text of all pages, cells or paragraphs, without order, headings or places.
"""

import email
import email.policy
import io
import json
import time
import zipfile
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from email.message import EmailMessage
from html import escape
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import wrap

import pypdfium2 as pdfium
from lxml import etree  # type: ignore[import-untyped]
from python_calamine import load_workbook
from selectolax.lexbor import LexborHTMLParser

from bench.corpus import make_paragraphs
from bench.figures import Figure, against_bare, at_most
from ragstone.adapters import CHUNKER
from ragstone.parsers import PARSERS, parser_for
from ragstone.parsers.bounds import Limits
from ragstone.parsers.child import ParseProcess
from ragstone.parsers.wire import Reading, ReadRequest, decode_reply, encode_request
from tests.containers import book, page
from tests.office_files import docx, paragraph
from tests.pdf_writer import Text, write_pdf
from tests.spreadsheets import xlsx

ROUNDS = 5
PARAGRAPHS = 400
PAGES = 1_000
MOST_ADDED_MB = 300.0


@dataclass(frozen=True, slots=True)
class Format:
    """A document of it, and what its library alone makes of it."""

    name: str
    media_type: str
    content: bytes
    read_bare: Callable[[bytes], str]


async def measure() -> list[Figure]:
    """Two rows a format, then memory."""
    paragraphs = list(islice(make_paragraphs(), PARAGRAPHS))
    figures = [figure for one in _formats(paragraphs) for figure in _compare(one)]
    return [*figures, await _measure_memory()]


def _formats(paragraphs: Sequence[str]) -> Iterable[Format]:
    office = "application/vnd.openxmlformats-officedocument."
    yield Format("PDF", "application/pdf", _pdf(paragraphs), _bare_pdf)
    yield Format(
        "DOCX",
        f"{office}wordprocessingml.document",
        docx("".join(map(paragraph, map(escape, paragraphs)))),
        _bare_docx,
    )
    yield Format(
        "XLSX",
        f"{office}spreadsheetml.sheet",
        xlsx({"Rows": [["Number", "Text"], *enumerate(paragraphs)]}),
        _bare_xlsx,
    )
    yield Format("EPUB", "application/epub+zip", book({"a.xhtml": page(_html(paragraphs))}), _bare_epub)
    yield Format("HTML", "text/html", f"<!doctype html><body>{_html(paragraphs)}".encode(), _bare_html)
    yield Format("EML", "message/rfc822", _mail(paragraphs), _bare_mail)
    lines = "\n".join(json.dumps({"text": text}) for text in paragraphs).encode()
    yield Format("JSONL", "application/jsonl", lines, _bare_jsonl)
    yield Format("text", "text/plain", "\n\n".join(paragraphs).encode(), bytes.decode)


def _compare(one: Format) -> list[Figure]:
    parser = parser_for(one.media_type)
    ours, bare = [], []
    for _ in range(ROUNDS):
        bare.append(_cpu_s(lambda: one.read_bare(one.content)))
        ours.append(_cpu_s(lambda: parser.parse(one.content)))
    megabytes = len(parser.parse(one.content).text.encode()) / 1e6
    files = [1 / seconds for seconds in ours], [1 / seconds for seconds in bare]
    speeds = [megabytes / seconds for seconds in ours], [megabytes / seconds for seconds in bare]
    size = f"{megabytes:.2f} MB of text each"
    return [
        against_bare(f"{one.name}, files per CPU-second ({size})", *files),
        against_bare(f"{one.name}, MB per CPU-second", *speeds),
    ]


def _cpu_s(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


# ---- the libraries alone ----


def _bare_pdf(content: bytes) -> str:
    with closing(pdfium.PdfDocument(content)) as pdf:
        return "\n".join(pdf[index].get_textpage().get_text_range() for index in range(len(pdf)))


def _bare_docx(content: bytes) -> str:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return "\n".join(etree.fromstring(archive.read("word/document.xml")).itertext())


def _bare_xlsx(content: bytes) -> str:
    workbook = load_workbook(io.BytesIO(content))
    rows = (row for name in workbook.sheet_names for row in workbook.get_sheet_by_name(name).to_python())
    return "\n".join(" ".join(map(str, row)) for row in rows)


def _bare_epub(content: bytes) -> str:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        pages = [name for name in archive.namelist() if name.endswith(".xhtml")]
        return "\n".join(_bare_html(archive.read(name)) for name in pages)


def _bare_html(content: bytes) -> str:
    return LexborHTMLParser(content).text()


def _bare_mail(content: bytes) -> str:
    body = email.message_from_bytes(content, policy=email.policy.default).get_body()
    return "" if body is None else str(body.get_content())


def _bare_jsonl(content: bytes) -> str:
    return "\n".join(json.loads(line)["text"] for line in content.splitlines())


# ---- memory ----


async def _measure_memory() -> Figure:
    """The worker's peak: it is gone afterwards, so all of it counts, with Python and the tokenizer."""
    with TemporaryDirectory(prefix="ragstone-bench-") as folder:
        path = Path(folder) / "long.pdf"
        path.write_bytes(_pdf(list(islice(make_paragraphs(), PAGES)), paragraphs_a_page=1))
        worker = await ParseProcess.start(Limits())
        try:
            request = ReadRequest(str(path), PARSERS["application/pdf"], CHUNKER, None)
            reply = decode_reply(await worker.ask(encode_request(request)))
        finally:
            await worker.end()
    assert isinstance(reply.outcome, Reading)
    assert reply.outcome.parsed.pages == PAGES
    name = f"memory that a PDF of {PAGES:,} pages adds, all of the worker at its peak"
    return at_most(name, reply.peak_bytes / 2**20, MOST_ADDED_MB, unit="MB")


# ---- the documents ----


def _pdf(paragraphs: Sequence[str], *, paragraphs_a_page: int = 4) -> bytes:
    starts = range(0, len(paragraphs), paragraphs_a_page)
    return write_pdf([_page(paragraphs[start : start + paragraphs_a_page]) for start in starts])


def _page(paragraphs: Sequence[str]) -> list[Text]:
    """Lines of a book's length, with a gap after each paragraph."""
    lines = [
        line for text in paragraphs for line in (*wrap(text.encode("ascii", "replace").decode(), 95), "")
    ]
    return [Text(line, y=760 - 12 * number) for number, line in enumerate(lines) if line]


def _mail(paragraphs: Sequence[str]) -> bytes:
    message = EmailMessage()
    message["From"], message["Subject"], message["Date"] = (
        "a@example.org",
        "Report",
        "Mon, 2 Mar 2026 10:00:00 +0000",
    )
    message.set_content("\n\n".join(paragraphs))
    return message.as_bytes()


def _html(paragraphs: Sequence[str]) -> str:
    return "".join(f"<p>{escape(text)}</p>" for text in paragraphs)
