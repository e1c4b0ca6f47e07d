"""Every parser of the table against the one contract."""

import pytest

from ragstone.chunking.structural import build_chunker
from ragstone.core.models import ParsedDocument
from ragstone.core.ports import Parser
from ragstone.parsers import ARCHIVES, PARSERS, PICTURES, parser_for
from ragstone.parsers.tesseract import is_installed
from ragstone.testing.parser_contract import BinaryParserContract, TextParserContract
from tests.containers import book, page, tarred, zipped
from tests.office_files import docx, odt, paragraph
from tests.outlook import letter, ole
from tests.pdf_writer import Bookmark, Text, write_pdf
from tests.pictures import picture
from tests.slides import pptx
from tests.spreadsheets import ods, xls, xlsx

PAGE = ("The silver compass", "", "", "lies in the harbour", "of the old town.")
LETTERS = {"Größe.txt": "Größe".encode(), "Brief 2 – 漢字 😀.md": b"# Two\n\nText."}
DOCUMENTS = {
    "application/gzip": tarred(LETTERS, mode="w:gz"),
    "application/x-bzip2": tarred(LETTERS, mode="w:bz2"),
    "application/x-tar": tarred(LETTERS),
    "application/x-xz": tarred(LETTERS, mode="w:xz"),
    "application/zip": zipped(LETTERS),
    **{kind: picture(PAGE, kind=kind.removeprefix("image/").upper()) for kind in PICTURES},
    "application/epub+zip": book(
        {"a.xhtml": page("<h1>Größe</h1><p>Erster Absatz – 漢字 😀.</p><p>Zweiter.</p>")}
    ),
    "application/rtf": (
        b"{\\rtf1\\ansi\\ansicpg1252{\\stylesheet{\\s1 heading 1;}}\\pard\\s1 Gr\\'f6\\'dfe\\par\\pard Erster Absatz."
        b"\\par Zweiter \\u28450?\\u-10179?\\u-8704?\\par}"
    ),
    "application/vnd.ms-outlook": ole(letter("Größe 😀", "Erster Absatz.\n\nZweiter – 漢字.\n")),
    "message/rfc822": (
        "From: =?utf-8?q?J=C3=B6rg?= <j@example.org>\nSubject: =?utf-8?b?R3LDtsOfZQ==?=\nMIME-Version: 1.0\n"
        "Content-Type: text/plain; charset=utf-8\n\nErster Absatz.\n\nZweiter – 漢字 😀.\n"
    ).encode(),
    "application/xml": (
        "<?xml version='1.0'?><buch><titel>Größe</titel><p>Erster <i>Absatz</i> – 漢字 😀.</p><p>Ende.</p></buch>"
    ).encode(),
    "image/svg+xml": (
        "<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'><title>Größe</title><text>漢字 😀</text></svg>"
    ).encode(),
    "text/x-rst": (
        "Größe\n=====\n\nErster *Absatz*.\n\nTeil\n----\n\n- eins\n- zwei\n\n.. note:: Achtung 😀\n\n== ==\nü  漢\n== ==\n\n"
        "Code::\n\n    x = 'ß'\n"
    ).encode(),
    "application/json": '{"titel": "Größe", "zeilen": [{"wort": "Maß 😀", "zahl": 1}, {"wort": "漢字"}]}'.encode(),
    "application/jsonl": '{"wort": "Größe", "zahl": 1}\n{"wort": "漢字 😀"}\n["eins", "zwei"]\n'.encode(),
    "application/pdf": write_pdf(
        [
            [Text("Größe"), Text("Erster Absatz – mit Strich.", y=650)],
            [Text("Zweiter Absatz: 漢字.", unicode=True), Text("Dritter.", y=650)],
        ],
        bookmarks=[Bookmark("Größe", 1)],
        title="Größe",
    ),
    "application/vnd.ms-excel": xls([["Größe", "Zahl"], ["漢字", 1.0], ["Maß", 2.5]]),
    "application/vnd.oasis.opendocument.spreadsheet": ods(
        {"Größe": [["Wort", "Zahl"], ["漢字", 1]], "Zwei": [["ü"]]}
    ),
    "application/vnd.oasis.opendocument.text": odt(
        "<text:h text:outline-level='1'>Größe</text:h><text:p>Erster Absatz – 漢字.</text:p>"
        "<text:list><text:list-item><text:p>eins 😀</text:p></text:list-item></text:list><text:p>Ende.</text:p>"
    ),
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": pptx(
        ("Größe", ["Erster Absatz – 漢字.", "Zweiter 😀."]), ("Teil", ["Ende."])
    ),
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": docx(
        paragraph("Größe", "<w:outlineLvl w:val='0'/>")
        + paragraph("Erster – 漢字 😀.")
        + paragraph("Zweiter.")
    ),
    "application/x-ole-storage": ole(letter("Größe 😀", "Erster Absatz.\n\nZweiter – 漢字.\n")),
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": xlsx(
        {"Größe": [["Liste"], ["Wort", "Zahl"], ["漢字 😀", 1], ["Maß", True]], "Zwei": [["ü"]]}
    ),
    "application/x-ipynb+json": (
        '{"cells": [{"cell_type": "markdown", "source": ["# Größe\\n", "\\n", "Erster *Absatz*."]}, {"cell_type": "code",'
        ' "source": "print(\'漢\')", "outputs": [{"output_type": "stream", "text": "漢 😀"}]}], "nbformat": 4}'
    ).encode(),
    "text/csv": 'Größe;Wort\n1,5;Maß\n\n2,5;"漢字\n😀"\n'.encode(),
    "text/tab-separated-values": "Größe\tWort\n1\tMaß\n2\t漢字 😀\n".encode(),
    "text/x-source": "# Größe\n\ndef f():\n    return 'ß'\n\n    # Ende 😀\n".encode(),
    "text/plain": "Größe\n=====\n\nErster Absatz.\nNoch eine Zeile.\n\nZweiter – mit Strich. 漢字 😀\n".encode(),
    "text/markdown": (
        "---\ntitle: Größe\n---\n# Größe\n\nErster *Absatz*.\n\n## Teil\n\n- eins\n- zwei\n\n"
        "| a | b |\n|---|---|\n| ü | 漢 |\n\n```\nx = 'ß'\n\ny\n```\nEnde 😀 hier.\n"
    ).encode(),
    "text/html": (
        "<!doctype html><meta charset=utf-8><title>Größe</title><h1>Größe</h1><p>Erster <b>Absatz</b>.</p><h2>Teil</h2>"
        "<ul><li>eins<li>zwei</ul><table><tr><td>ü<td>漢</table><pre>x = 'ß'\n\ny</pre><p>Ende 😀 hier.</p>"
    ).encode(),
}


# Formats with a structure that can break: BinaryParserContract holds them.
BINARY: frozenset[str] = frozenset(
    (
        *ARCHIVES,
        *PICTURES,
        "application/epub+zip",
        "application/json",
        "application/pdf",
        "application/rtf",
        "application/vnd.ms-excel",
        "application/vnd.ms-outlook",
        "application/vnd.oasis.opendocument.spreadsheet",
        "application/vnd.oasis.opendocument.text",
        "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "application/x-ipynb+json",
        "application/x-ole-storage",
        "message/rfc822",
    )
)

MONOTONIC = ("page", "slide")  # sheets have names


class _Fixtures:
    @pytest.fixture
    def parser(self, media_type: str) -> Parser:
        return parser_for(media_type)

    @pytest.fixture
    def document(self, media_type: str) -> bytes:
        if media_type in PICTURES and not is_installed():
            pytest.skip("needs tesseract")
        return DOCUMENTS[media_type]


@pytest.mark.parametrize("media_type", sorted(PARSERS.keys() - BINARY))
class TestTextParsers(_Fixtures, TextParserContract):
    pass


@pytest.mark.parametrize("media_type", sorted(BINARY))
class TestBinaryParsers(_Fixtures, BinaryParserContract):
    pass


@pytest.mark.parametrize("media_type", sorted(PARSERS))
class TestPlaces(_Fixtures):
    """What a quote relies on, in every format."""

    @pytest.fixture
    def parsed(self, parser: Parser, document: bytes) -> ParsedDocument:
        return parser.parse(document)

    def test_chunk_is_exactly_its_span_of_the_text(self, parsed: ParsedDocument) -> None:
        chunks = build_chunker().chunk(parsed, None)
        assert chunks
        assert [parsed.text[chunk.start : chunk.end] for chunk in chunks] == [chunk.text for chunk in chunks]
        for chunk in chunks:
            assert all(chunk.start <= start < end <= chunk.end for start, end in chunk.sentences)

    def test_chunks_and_their_places_go_forward(self, parsed: ParsedDocument) -> None:
        chunks = build_chunker().chunk(parsed, None)
        assert [chunk.start for chunk in chunks] == sorted({chunk.start for chunk in chunks})
        for name in MONOTONIC:
            places = [getattr(chunk.location, name) for chunk in chunks]
            assert [place is None for place in places] in ([True] * len(places), [False] * len(places))
            assert None in places or places == sorted(places)
