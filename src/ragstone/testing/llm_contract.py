"""What every answerer promises, as tests: subclass `LLMContract` and give it the fixture `llm`."""

import asyncio
import re
from collections.abc import Sequence

import numpy as np

from ragstone.core.models import Ending, Location, Message, Prompt, Sentence, Source
from ragstone.core.ports import LLM

QUESTION = "When are refunds paid?"
TEXTS = (
    "Refunds are paid within fourteen days. Gift cards cannot be returned.",
    "Parcels are sent on weekdays. Refunds need the number of the order.",
)
OTHER_TEXTS = ("Refunds are paid at the end of the month. Shipping is never refunded.",)
_NONCE = "abc123"


def numbered_sources(texts: Sequence[str] = TEXTS) -> list[Source]:
    """Sources as retrieval hands them over, each with two scored sentences."""
    return [_source(number, text) for number, text in enumerate(texts, start=1)]


def prompt_about(texts: Sequence[str] = TEXTS) -> Prompt:
    """A prompt for either kind of answerer: sources to choose from, and messages that hold them."""
    sources = numbered_sources(texts)
    told = (f"<<<source {each.n} {_NONCE}>>>\n{each.text}\n<<<end {each.n} {_NONCE}>>>" for each in sources)
    messages = (
        Message("system", "Answer from the sources alone and cite them as [n]."),
        Message("user", "\n".join([*told, QUESTION])),
    )
    return Prompt(QUESTION, sources, messages)


async def ask(llm: LLM, prompt: Prompt) -> tuple[str, Ending]:
    """The whole text and the proof of its end, which is the last of all."""
    *pieces, ending = [piece async for piece in llm.generate(prompt)]
    assert isinstance(ending, Ending)
    return "".join(_texts(pieces)), ending


class LLMContract:
    """Run on every implementation of the port."""

    async def test_it_names_its_models(self, llm: LLM) -> None:
        """The default first; replies report it."""
        assert llm.models
        assert all(llm.models)

    async def test_pieces_are_text_and_not_empty(self, llm: LLM) -> None:
        """An answer is its pieces in a row."""
        *pieces, _ = [piece async for piece in llm.generate(prompt_about())]

        assert pieces
        assert all(_texts(pieces))

    async def test_exactly_one_ending_comes_last(self, llm: LLM) -> None:
        """It gives the reason and the tokens counted."""
        *_, ending = everything = [piece async for piece in llm.generate(prompt_about())]

        assert [isinstance(each, Ending) for each in everything].count(True) == 1
        assert isinstance(ending, Ending)
        assert ending.finish_reason
        assert ending.usage.prompt_tokens >= 0 <= ending.usage.completion_tokens

    async def test_it_cites_only_sources_that_it_was_given(self, llm: LLM) -> None:
        """Marks are the numbers of sources."""
        answer, _ = await ask(llm, prompt_about())

        assert {int(mark) for mark in re.findall(r"\[(\d+)\]", answer)} <= {1, 2}

    async def test_it_can_be_stopped_after_any_piece(self, llm: LLM) -> None:
        """Closing ends it at once, and it can be asked again."""
        answer = await ask(llm, prompt_about())
        count = len([piece async for piece in llm.generate(prompt_about())])
        for taken in range(count + 1):
            pieces = llm.generate(prompt_about())
            for _ in range(taken):
                await anext(pieces)

            await asyncio.wait_for(pieces.aclose(), timeout=1.0)

            assert [piece async for piece in pieces] == []
        assert await ask(llm, prompt_about()) == answer

    async def test_questions_at_the_same_time_do_not_disturb_each_other(self, llm: LLM) -> None:
        """One instance serves everybody."""
        prompts = [prompt_about(TEXTS), prompt_about(OTHER_TEXTS)]
        alone = [await ask(llm, prompt) for prompt in prompts]

        together = await asyncio.gather(*(ask(llm, prompt) for prompt in prompts * 3))

        assert together == alone * 3

    async def test_closing_twice_is_harmless(self, llm: LLM) -> None:
        """As every adapter promises."""
        await llm.close()
        await llm.close()


def _texts(pieces: Sequence[str | Ending]) -> list[str]:
    texts = [piece for piece in pieces if isinstance(piece, str)]
    assert len(texts) == len(pieces)
    return texts


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
