"""Answers without a model: which sentences are chosen, and how they are told."""

import numpy as np
import pytest

from ragstone.core.models import Ending, Location, Prompt, Sentence, Source
from ragstone.llms.extractive import MAX_SENTENCES, ExtractiveLLM, select_sentences


def source(
    n: int, *sentences: tuple[str, float], title: str = "Title", heading: tuple[str, ...] = ()
) -> Source:
    start, made = 0, []
    for text, score in sentences:
        made.append(Sentence(start, start + len(text), text, np.zeros(0, np.float32), score))
        start += len(text) + 1
    text = " ".join(sentence for sentence, _ in sentences)
    return Source(n, "d", 1, "c", title, heading, Location(), 0, len(text), text, 1.0, {}, {}, tuple(made))


def chosen(question: str, *sources: Source) -> list[str]:
    return [text for _, text in select_sentences(question, sources)]


def test_only_sentences_close_to_the_best_are_told() -> None:
    found = source(1, ("Refunds take fourteen days.", 0.80), ("Cats sleep a lot of the day.", 0.50))

    assert chosen("When are refunds paid?", found) == ["Refunds take fourteen days."]


def test_close_sentences_are_told_in_reading_order_not_in_order_of_score() -> None:
    first = source(1, ("First of all comes alpha.", 0.75), ("Then comes beta for sure.", 0.80))
    second = source(2, ("Gamma follows in the end.", 0.78))

    assert chosen("What comes?", second, first) == [
        "First of all comes alpha.",
        "Then comes beta for sure.",
        "Gamma follows in the end.",
    ]


def test_a_question_that_wants_an_explanation_gets_more_sentences() -> None:
    sentences = [(f"Sentence number {word} explains it.", 0.8 - 0.1 * at) for at, word in enumerate("abcdef")]
    distinct = source(
        1, ("Install the package first.", 0.8), ("Write a settings file.", 0.7), ("Then start it up.", 0.65)
    )

    assert len(chosen("How do I install it?", distinct)) == 3
    assert len(chosen("What is it?", distinct)) == 1
    assert len(chosen("How do I install it?", source(1, *sentences))) <= MAX_SENTENCES


def test_the_same_thing_is_not_told_twice() -> None:
    one, two = source(1, ("Refunds take fourteen days.", 0.8)), source(
        2, ("refunds take fourteen days.", 0.79)
    )

    assert chosen("When?", one, two) == ["Refunds take fourteen days."]


@pytest.mark.parametrize(
    "text", ["Too short", "Is this a question for you?", "The Whole Heading", "The Whole Title"]
)
def test_labels_questions_and_headings_answer_nothing(text: str) -> None:
    found = source(1, (text, 0.9), heading=("The Whole Heading",), title="The Whole Title")

    assert chosen("What?", found) == []


async def test_each_piece_ends_with_the_mark_of_its_source() -> None:
    one, two = source(1, ("Alpha is the first letter.", 0.8)), source(4, ("Omega is the last one.", 0.8))

    pieces = [piece async for piece in ExtractiveLLM().generate(Prompt("Letters?", [one, two]))]

    assert pieces == ["Alpha is the first letter. [1]", " Omega is the last one. [4]", Ending("stop")]


async def test_nothing_is_said_without_sources() -> None:
    assert [piece async for piece in ExtractiveLLM().generate(Prompt("Why?"))] == [Ending("stop")]


async def test_marks_inside_the_source_are_not_repeated() -> None:
    found = source(1, ("As Smith [7] showed,\n it works well.", 0.8))

    assert chosen("What?", found) == ["As Smith showed, it works well."]


async def test_it_chooses_and_does_not_write() -> None:
    llm = ExtractiveLLM()
    await llm.close()
    assert list(llm.models) == ["extractive"]
    assert not llm.is_generative
