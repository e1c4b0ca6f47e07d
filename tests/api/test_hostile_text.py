"""Texts that make careless code slow or wrong, as questions and as documents."""

import time

import pytest

from ragstone.chunking import CHUNKER
from ragstone.core.models import Chunk
from ragstone.core.registry import load_object
from ragstone.parsers import parser_for
from tests.apiclient import Api

SIZE = 60_000
MOST_TOKENS = 254
TEXTS = {
    "spaces": " ",
    "one letter": "a",
    "combining marks": "e\u0301\u0302\u0303\u0304",
    "zero width": "\u200b\u200d\ufeff",
    "emoji joined": "👨‍👩‍👧‍👦\u200d",
    "unclosed markdown": "**_[`~",
    "unclosed html": "<div><a href='",
    "nested brackets": "[([{<",
    "sentence bait": "e.g. U.S.A. 3.14 Mr. ...?! ",
    "quotes and terminators": '."\'”)]',
    "line breaks": "\n\r\n",
    "markdown lists": "- 1. > # ",
    "table rows": "| a | b |\n|---|---|\n",
    "right to left": "\u202eאבג\u202c ",
    "ideographs": "中文句子在这里",
    "numbers": "1234567890,",
}


def of_length(seed: str, length: int) -> str:
    """The seed again and again, with something to read in front."""
    return "Hello there. " + (seed * (length // len(seed) + 1))[:length]


def read(text: str, media_type: str) -> tuple[float, list[Chunk], str]:
    """Parse and chunk as the worker does; CPU seconds, the chunks, the text they are cut from."""
    started = time.process_time()
    parsed = parser_for(media_type).parse(text.encode())
    chunks = load_object(CHUNKER)().chunk(parsed, None)
    return time.process_time() - started, chunks, parsed.text


@pytest.fixture(scope="module", autouse=True)
def _warm() -> None:
    """Libraries and the tokenizer are loaded before time is taken."""
    for media_type in ("text/plain", "text/markdown", "text/html"):
        read("Hello there.", media_type)


class TestDocuments:
    @pytest.mark.parametrize("media_type", ["text/plain", "text/markdown", "text/html"])
    @pytest.mark.parametrize("name", TEXTS)
    def test_twice_the_text_takes_about_twice_the_time(self, name: str, media_type: str) -> None:
        """Generous, since the machine is shared; what is quadratic takes four times as long."""
        once = min(read(of_length(TEXTS[name], SIZE), media_type)[0] for _ in range(2))
        twice = min(read(of_length(TEXTS[name], 2 * SIZE), media_type)[0] for _ in range(2))

        assert twice <= 2.8 * once + 0.05

    @pytest.mark.parametrize("media_type", ["text/plain", "text/markdown", "text/html"])
    @pytest.mark.parametrize("name", TEXTS)
    def test_chunks_are_slices_in_order_and_never_over_the_encoders_limit(self, name: str, media_type: str) -> None:
        from ragstone.core.tokenizer import WordPieceTokenizer

        _, chunks, text = read(of_length(TEXTS[name], 5_000), media_type)

        count = WordPieceTokenizer.load().count
        assert chunks
        assert all(chunk.text == text[chunk.start : chunk.end] for chunk in chunks)
        assert all(before.end <= after.start for before, after in zip(chunks, chunks[1:], strict=False))
        assert all(count(chunk.embedding_text) <= MOST_TOKENS for chunk in chunks)
        for chunk in chunks:
            assert all(chunk.start <= start < end <= chunk.end for start, end in chunk.sentences)


class TestQuestions:
    @pytest.mark.parametrize("mode", ["hybrid", "sparse"])
    async def test_the_longest_question_of_each_kind_is_answered_quickly(self, api: Api, collection: str, mode: str) -> None:
        await api.ready_text("Cats sleep most of the day.", collection=collection)
        for name, seed in TEXTS.items():
            question = of_length(seed, 7_900)
            started = time.process_time()
            await api.query(question, collection=collection, mode=mode)
            assert time.process_time() - started < 1.0, name

    @pytest.mark.parametrize("question", [" ", "\n\t", "\u3000\u2003", "\u00a0", "\x1c\x1f", "\x85\u2028"])
    async def test_a_blank_question_or_text_is_422(self, api: Api, question: str) -> None:
        for path, name in (("/query", "query"), ("/search", "query"), ("/documents", "text")):
            await api.refused("POST", path, 422, json={name: question})


class TestIngest:
    async def test_each_kind_of_text_ends_ready_or_failed_with_a_reason(self, api: Api, collection: str) -> None:
        uploads = [
            await api.upload(of_length(seed, 20_000).encode(), f"{at}.md", collection=collection)
            for at, seed in enumerate(TEXTS.values())
        ]

        for upload in uploads:
            document = await api.settled(upload)
            assert document["status"] == "ready" or document["error"]["code"] in {"no_text", "parse_limit"}
