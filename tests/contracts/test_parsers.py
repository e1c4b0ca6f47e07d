"""Every parser of the table against the one contract."""

import pytest

from ragstone.core.ports import Parser
from ragstone.parsers import PARSERS, parser_for
from ragstone.testing.parser_contract import ParserContract

DOCUMENTS = {
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


@pytest.mark.parametrize("media_type", sorted(PARSERS))
class TestParsers(ParserContract):
    @pytest.fixture
    def parser(self, media_type: str) -> Parser:
        return parser_for(media_type)

    @pytest.fixture
    def document(self, media_type: str) -> bytes:
        return DOCUMENTS[media_type]
