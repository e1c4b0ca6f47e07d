"""Texts that make careless code slow or wrong, as questions and as whole documents."""

import time

import pytest

from tests.apiclient import Api

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
    "quotes and terminators": ".\"'”)]",
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


class TestQuestions:
    @pytest.mark.parametrize("mode", ["hybrid", "sparse"])
    async def test_the_longest_question_of_each_kind_is_answered_quickly(
        self, api: Api, collection: str, mode: str
    ) -> None:
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
    async def test_each_kind_of_text_ends_ready_or_failed_with_a_reason(
        self, api: Api, collection: str
    ) -> None:
        uploads = [
            await api.upload(of_length(seed, 20_000).encode(), f"{at}.md", collection=collection)
            for at, seed in enumerate(TEXTS.values())
        ]

        for upload in uploads:
            document = await api.settled(upload)
            assert document["status"] == "ready" or document["error"]["code"] in {"no_text", "parse_limit"}
        for question in ("Hello there", "How is e.g. the U.S.A. [1] 中文句子在这里 👨‍👩‍👧‍👦 meant?"):
            started = time.process_time()
            await api.query(question, collection=collection, top_k=100)
            assert time.process_time() - started < 2.0
