"""Texts made to be slow or endless: the time of parsing and chunking stays linear, and no chunk grows over its limits.

Times are of the processor, the best of two; four times the text may take ten times as long (sixteen is quadratic).
"""

import time
from collections.abc import Callable

import pytest

from ragstone.chunking.structural import MAX_CHARACTERS, MAX_TOKENS, StructuralChunker
from ragstone.core.errors import NoText
from ragstone.core.models import ParsedDocument
from ragstone.core.tokenizer import WordPieceTokenizer
from ragstone.parsers import parser_for

TOKENIZER = WordPieceTokenizer.load()
SLACK_S = 0.1

TEXT_BAITS = {
    "white space": "x" + " " * 999,
    "combining marks": "\u0301",
    "zero width": "\u200b",
    "one word": "a",
    "words": "lorem ipsum dolor ",
    "brackets": "[",
    "dots": ". . ",
    "quotes": '"',
    "quoted ends": '."',
    "initials": "A. b. ",
    "short lines": "x\n",
    "tiny paragraphs": "x\n\n",
    "no spaces": "漢字",
    "joiners": "👨\u200d",
    "flags": "🇩",
}
MARKDOWN_BAITS = {
    "links": "[a](",
    "link titles": '[a](b "',
    "link targets": "[a](<b",
    "images": "![",
    "emphasis": "*a_",
    "closing emphasis": "a** ",
    "code": "` `` ",
    "escapes": "\\",
    "comments": "<!-- ",
    "comment lines": "<!--\n",
    "tags": "<a ",
    "autolinks": "<a@",
    "entities": "&a",
    "quotes": "> ",
    "nested items": "- ",
    "items": "- a\n",
    "headings": "# a\n",
    "underlines": "a\n---\n",
    "fences": "```\n~~~\n",
    "tables": "|a|\n|-|\n",
    "cells": "|a",
    "definitions": "[a]: b\n",
    "html headings": "<h1>a",
}
HTML_BAITS = {
    "nested blocks": "<div>",
    "nested lists": "<ul><li>",
    "nested tables": "<table><tr><td>",
    "nested inline": "<span>",
    "formatting": "<b><i><p>",
    "open links": "<a><div>",
    "balanced": "<div></div>",
    "paragraphs": "<p>x",
    "cells": "<td>x",
    "comments": "<!--",
    "tags": "<",
    "attributes": "<a b=",
    "scripts": "<script>",
    "declarations": "<meta ",
    "hidden": "<p hidden>x</p>",
}


def repeated(bait: str, characters: int) -> bytes:
    return (bait * (characters // len(bait) + 1))[:characters].encode()


def processor_time(work: Callable[[], object]) -> float:
    times = []
    for _ in range(2):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


def parsed(media_type: str, content: bytes) -> ParsedDocument | None:
    try:
        return parser_for(media_type).parse(content)
    except NoText:
        return None


@pytest.mark.parametrize(
    ("media_type", "bait"),
    [
        *(pytest.param("text/plain", bait, id=f"text {name}") for name, bait in TEXT_BAITS.items()),
        *(
            pytest.param("text/markdown", bait, id=f"markdown {name}")
            for name, bait in MARKDOWN_BAITS.items()
        ),
        *(pytest.param("text/html", "<html>" + bait, id=f"html {name}") for name, bait in HTML_BAITS.items()),
    ],
)
def test_parsing_is_linear(media_type: str, bait: str) -> None:
    small, large = repeated(bait, 20_000), repeated(bait, 80_000)
    once = processor_time(lambda: parsed(media_type, small))
    assert processor_time(lambda: parsed(media_type, large)) <= 10 * once + SLACK_S


@pytest.mark.parametrize("bait", TEXT_BAITS.values(), ids=TEXT_BAITS)
def test_chunking_is_linear_and_bounded(bait: str) -> None:
    chunker = StructuralChunker(TOKENIZER)
    small, large = parsed("text/plain", repeated(bait, 2_500)), parsed("text/plain", repeated(bait, 10_000))
    if small is None or large is None:
        return
    once = processor_time(lambda: chunker.chunk(small, None))
    assert processor_time(lambda: chunker.chunk(large, None)) <= 10 * once + SLACK_S
    for chunk in chunker.chunk(large, None):
        assert TOKENIZER.count(chunk.embedding_text) <= MAX_TOKENS
        assert len(chunk.text) <= MAX_CHARACTERS


@pytest.mark.parametrize("media_type", ["text/html", "text/markdown"])
def test_two_hundred_thousand_nested_tags_are_read(media_type: str) -> None:
    document = parsed(media_type, b"<html>" + b"<div>" * 200_000 + b"deep inside")
    assert document is not None
    assert "deep inside" in document.text


def test_line_of_five_megabytes_is_read() -> None:
    document = parsed("text/html", b"<p>" + b"word " * 1_000_000)
    assert document is not None
    assert len(document.text) == 4_999_999
