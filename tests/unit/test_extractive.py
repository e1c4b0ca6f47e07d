"""Answers without a model: which sentences are chosen, and how they are told."""

import numpy as np
import pytest

from ragstone.core.models import Ending, Location, Prompt, Sentence, Source
from ragstone.llms.extractive import MAX_ITEMS, MAX_SENTENCES, ExtractiveLLM, select_quotes


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
    return [quote.text for quote in select_quotes(question, sources)]


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


def laid_out(n: int, *lines: tuple[str, float]) -> Source:
    """A source of lines; marks of items are no part of its sentences."""
    text = "\n".join(line for line, _ in lines)
    start, sentences = 0, []
    for line, score in lines:
        first = start + len(line) - len(line.lstrip("- "))
        sentences.append(
            Sentence(
                first, start + len(line), text[first : start + len(line)], np.zeros(0, np.float32), score
            )
        )
        start += len(line) + 1
    kept = tuple(sentence for sentence in sentences if sentence.text)
    return Source(n, "d", 1, "c", "Title", (), Location(), 0, len(text), text, 1.0, {}, {}, kept)


async def said(question: str, *sources: Source) -> str:
    pieces = [piece async for piece in ExtractiveLLM().generate(Prompt(question, sources, language="en"))]
    return "".join(piece for piece in pieces if isinstance(piece, str))


KIT = (
    ("The kit weighs two kilograms.", 0.3),
    ("These parts are in the kit:", 0.8),
    ("- a brass compass", 0.4),
    ("- a folded map. It is waterproof.", 0.5),
    ("  - its case of leather", 0.2),
    ("The kit is sold in May.", 0.3),
)


class TestLists:
    async def test_a_list_is_told_as_a_whole_with_its_lead_in_each_sentence_cited(self) -> None:
        assert await said("List the parts.", laid_out(1, *KIT)) == (
            "These parts are in the kit: [1]\n- a brass compass [1]\n- a folded map. [1] It is waterproof. [1]\n"
            "  - its case of leather [1]"
        )

    async def test_words_in_front_of_a_list_are_no_answer_without_it(self) -> None:
        assert (await said("Compass?", laid_out(1, *KIT))).count("\n") == 3

    async def test_other_questions_get_the_item_that_answers(self) -> None:
        lines = [("Parts:", 0.1), ("- a brass compass", 0.9), ("- a folded map", 0.2)]

        assert await said("What is of brass?", laid_out(1, *lines)) == "a brass compass [1]"

    async def test_a_better_sentence_elsewhere_comes_first(self) -> None:
        other = laid_out(1, ("There are three parts in each kit.", 0.85))

        assert (await said("List the parts.", other, laid_out(2, *KIT))).startswith(
            "There are three parts in each kit. [1]\nThese parts are in the kit: [2]\n- a brass"
        )

    async def test_a_long_list_is_told_up_to_a_bound(self) -> None:
        items = [(f"- the part that is number {number}", 0.7) for number in range(30)]

        answer = await said("List the parts.", laid_out(1, ("Parts of the kit:", 0.8), *items))

        assert answer.count("\n") == MAX_ITEMS

    async def test_an_item_beyond_the_bound_is_told_alone(self) -> None:
        items = [(f"- the part that is number {number}", 0.1) for number in range(30)]
        items[20] = ("- here is the part with the lens", 0.9)

        assert await said("List the parts.", laid_out(1, *items)) == "here is the part with the lens [1]"


class TestTables:
    async def test_a_row_is_told_behind_its_header(self) -> None:
        table = laid_out(
            3, ("Boat | Seats | Price", 0.9), ("Marlin | 6 | 220 EUR", 0.8), ("Dolphin | 4 | 180 EUR", 0.5)
        )

        assert (
            await said("Seats of the Marlin?", table) == "Boat | Seats | Price [3]\nMarlin | 6 | 220 EUR [3]"
        )

    async def test_the_header_of_several_rows_is_told_once_and_prose_gets_a_line_of_its_own(self) -> None:
        table = laid_out(
            1,
            ("Boat | Seats | Price", 0.1),
            ("Marlin | 6 | 220 EUR", 0.8),
            ("Dolphin | 4 | 180 EUR", 0.79),
            ("All boats are blue.", 0.8),
        )

        assert await said("Boats?", table) == (
            "Boat | Seats | Price [1]\nMarlin | 6 | 220 EUR [1]\nDolphin | 4 | 180 EUR [1]\nAll boats are blue. [1]"
        )

    async def test_rows_that_name_their_cells_need_no_header(self) -> None:
        rows = laid_out(1, ("Boat: Marlin | Seats: 6", 0.4), ("Boat: Dolphin | Seats: 4", 0.8))

        assert await said("Seats of the Dolphin?", rows) == "Boat: Dolphin | Seats: 4 [1]"


@pytest.mark.parametrize("ending", ["?", "？", "؟", "?!", "?“", "?»)"])
def test_a_question_is_no_answer_whatever_stands_behind_its_mark(ending: str) -> None:
    assert chosen("refunds", source(1, (f"What are refunds and who pays them{ending}", 0.9))) == []
