"""What every answerer promises, as tests: subclass `LLMContract` and give it the fixture `llm`."""

import asyncio
import re
from collections.abc import Sequence

import numpy as np

from ragstone.core.models import Location, Sentence, Source
from ragstone.core.ports import LLM

QUESTION = "When are refunds paid?"
TEXTS = (
    "Refunds are paid within fourteen days. Gift cards cannot be returned.",
    "Parcels are sent on weekdays. Refunds need the number of the order.",
)


def numbered_sources(texts: Sequence[str] = TEXTS) -> list[Source]:
    """Sources as retrieval hands them over, each with two scored sentences."""
    return [_source(number, text) for number, text in enumerate(texts, start=1)]


class LLMContract:
    """Run on every implementation of the port."""

    async def test_it_has_a_name(self, llm: LLM) -> None:
        """Replies report it."""
        assert llm.name

    async def test_pieces_are_text(self, llm: LLM) -> None:
        """An answer is its pieces in a row."""
        pieces = [piece async for piece in llm.generate(QUESTION, numbered_sources(), ())]

        assert pieces
        assert all(isinstance(piece, str) for piece in pieces)

    async def test_it_cites_only_sources_that_it_was_given(self, llm: LLM) -> None:
        """Marks are the numbers of sources."""
        answer = "".join([piece async for piece in llm.generate(QUESTION, numbered_sources(), ())])

        assert {int(mark) for mark in re.findall(r"\[(\d+)\]", answer)} <= {1, 2}

    async def test_it_can_be_stopped_after_any_piece(self, llm: LLM) -> None:
        """Closing ends it at once, and it can be asked again."""
        pieces = llm.generate(QUESTION, numbered_sources(), ())
        await anext(pieces)

        await asyncio.wait_for(pieces.aclose(), timeout=1.0)

        assert [piece async for piece in pieces] == []
        assert [piece async for piece in llm.generate(QUESTION, numbered_sources(), ())]

    async def test_two_questions_do_not_disturb_each_other(self, llm: LLM) -> None:
        """One instance serves everybody."""

        async def ask() -> str:
            return "".join([piece async for piece in llm.generate(QUESTION, numbered_sources(), ())])

        first, second = await asyncio.gather(ask(), ask())

        assert first == second

    async def test_closing_twice_is_harmless(self, llm: LLM) -> None:
        """As every adapter promises."""
        await llm.close()
        await llm.close()


def _source(number: int, text: str) -> Source:
    end_of_first = text.index(".") + 1
    spans = [(0, end_of_first), (end_of_first + 1, len(text))]
    nothing = np.zeros(0, np.float32)
    sentences = tuple(
        Sentence(start, end, text[start:end], nothing, score=0.9 - 0.1 * number - 0.01 * row)
        for row, (start, end) in enumerate(spans)
    )
    return Source(
        n=number,
        document_id=f"document-{number}",
        version=1,
        chunk_id=f"chunk-{number}",
        title="Shop",
        heading=(),
        location=Location(),
        start=0,
        end=len(text),
        text=text,
        score=0.8,
        scores={},
        metadata={},
        sentences=sentences,
    )
