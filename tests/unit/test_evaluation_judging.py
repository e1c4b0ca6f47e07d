"""Figures of one question, worked out by hand."""

import math
from typing import Any

import pytest

from ragstone.evaluation.judging import Row, judge, judge_failure
from ragstone.evaluation.matching import holds
from ragstone.evaluation.questions import Question
from ragstone.evaluation.replies import QuestionFailed, read_reply

NAMES = {"a.md": frozenset({"A"}), "b.md": frozenset({"B"}), "twins": frozenset({"B", "C"})}


def chunk(document: str, number: int, text: str = "") -> dict[str, Any]:
    return {"document_id": document, "chunk_id": f"{document}{number}", "title": document, "text": text}


def reply(
    *chunks: dict[str, Any], answer: str = "Yes. [1]", cited: tuple[int, ...] = (), abstained: bool = False
) -> dict[str, Any]:
    """A reply of the API; `cited` are places of chunks, from 0."""
    sources = [{"n": place, **source} for place, source in enumerate(chunks, start=1)]
    citations = [
        {"n": place + 1, "source": {**chunks[place], "quote": "?"}, "verified": True} for place in cited
    ]
    return {
        "answer": answer,
        "model": "extractive",
        "abstained": abstained,
        "sources": sources,
        "citations": citations,
        "metadata": {"request_id": "r", "search_ms": 2, "total_ms": 3.5, "is_ms": True, "retries": {}},
    }


def judged(question: Question, body: dict[str, Any], k: int = 5) -> Row:
    return judge(question, read_reply(body), NAMES, k=k)


class TestDocuments:
    def test_chunks_count_as_their_document_at_the_place_of_its_best_one(self) -> None:
        question = Question("?", documents=("b.md",))

        row = judged(question, reply(chunk("A", 1), chunk("A", 2), chunk("B", 1)))

        assert row.expected[0].rank == 2
        assert row.figures["recall"] == 1.0
        assert row.figures["mrr"] == 0.5
        assert row.figures["ndcg"] == pytest.approx(1 / math.log2(3))

    def test_of_two_one_is_found(self) -> None:
        question = Question("?", documents=("a.md", "b.md"))

        row = judged(question, reply(chunk("A", 1), chunk("X", 1)))

        assert row.figures["recall"] == 0.5
        assert row.figures["ndcg"] == pytest.approx(1 / (1 + 1 / math.log2(3)))
        assert row.faults == ("1 of 2 expected documents not retrieved",)

    def test_any_document_of_an_ambiguous_name_will_do_and_a_second_one_changes_nothing(self) -> None:
        row = judged(Question("?", documents=("twins",)), reply(chunk("C", 1), chunk("B", 1)))

        assert (row.figures["recall"], row.figures["ndcg"], row.figures["mrr"]) == (1.0, 1.0, 1.0)

    def test_a_name_that_no_document_has_is_a_miss(self) -> None:
        row = judged(Question("?", documents=("gone.md",)), reply(chunk("A", 1)))

        assert (row.figures["recall"], row.expected[0].rank) == (0.0, None)


class TestPassages:
    def test_it_is_found_whatever_the_white_space(self) -> None:
        question = Question("?", passages=("two \n days",))

        row = judged(question, reply(chunk("A", 1, "one day"), chunk("A", 2, "after two\tdays it")))

        assert row.figures["passage_recall"] == 1.0
        assert row.figures["mrr"] == 0.5

    def test_with_a_document_it_is_a_figure_of_its_own(self) -> None:
        question = Question("?", documents=("a.md",), passages=("two days",))

        row = judged(question, reply(chunk("A", 1, "one day")))

        assert (row.figures["recall"], row.figures["passage_recall"]) == (1.0, 0.0)
        assert row.faults == ("1 of 1 expected passages not retrieved",)


class TestCitations:
    def test_an_expected_document_or_its_passage_or_the_answer_is_right(self) -> None:
        question = Question("?", documents=("a.md",), passages=("two days",), answers=("48 hours",))
        chunks = (
            chunk("A", 1),
            chunk("X", 1, "in two  days"),
            chunk("X", 2, "48 hours"),
            chunk("X", 3, "no"),
        )

        row = judged(question, reply(*chunks, cited=(0, 1, 2, 3), answer="48 hours"))

        assert [each.is_right for each in row.citations] == [True, True, True, False]
        assert row.figures["citation_precision"] == 0.75
        assert row.faults == ("1 of 4 citations point elsewhere",)

    def test_an_answer_without_citations_has_no_precision(self) -> None:
        row = judged(Question("?", documents=("a.md",)), reply(chunk("A", 1)))

        assert "citation_precision" not in row.figures

    def test_without_an_expectation_nothing_is_judged(self) -> None:
        row = judged(Question("?"), reply(chunk("A", 1), cited=(0,)))

        assert row.citations[0].is_right is None
        assert row.figures == {"error": 0.0, "words": 1.0}


class TestAnswers:
    def test_marks_do_not_hide_an_accepted_string(self) -> None:
        row = judged(
            Question("?", answers=("x", "14 days"), is_answerable=True),
            reply(answer="Within the 14 [1] days! [2]"),
        )

        assert row.figures["answer_holds"] == 1.0
        assert row.figures["words"] == 4.0
        assert row.figures["false_abstention"] == 0.0

    def test_an_abstention_holds_nothing(self) -> None:
        question = Question("?", answers=("yes",), is_answerable=True)

        row = judged(question, reply(answer="Yes, nothing.", abstained=True))

        assert row.figures["answer_holds"] == 0.0
        assert row.figures["false_abstention"] == 1.0
        assert "words" not in row.figures
        assert row.faults == ("not answered",)

    @pytest.mark.parametrize(("abstained", "faults"), [(True, 0), (False, 1)])
    def test_an_unanswerable_question_should_not_be_answered(self, abstained: bool, faults: int) -> None:
        row = judged(Question("?", is_answerable=False), reply(abstained=abstained))

        assert row.figures["false_answer"] == float(not abstained)
        assert len(row.faults) == faults

    def test_strings_are_compared_without_case_articles_and_punctuation(self) -> None:
        assert holds("It fell to the Duke, of Normandy.", ["a duke of normandy"])


class TestFailures:
    def test_it_is_a_miss_in_every_figure_that_the_question_has(self) -> None:
        question = Question("?", documents=("a.md",), passages=("p",), answers=("x",), is_answerable=True)

        row = judge_failure(question, QuestionFailed("unavailable", "full"))

        assert row.error is not None
        assert (row.error.code, row.error.message) == ("unavailable", "full")
        worst = {"error": 1.0, "false_abstention": 1.0}
        assert (
            row.figures
            == dict.fromkeys(
                ["recall", "ndcg", "mrr", "passage_recall", "citation_precision", "answer_holds"], 0.0
            )
            | worst
        )

    def test_it_has_the_figures_that_a_reply_would_have(self) -> None:
        for question in (Question("?", answers=("x",)), Question("?", is_answerable=False), Question("?")):
            answered = judged(question, reply(chunk("A", 1), cited=(0,))).figures.keys() - {"words"}
            assert judge_failure(question, QuestionFailed("c", "m")).figures.keys() == answered


class TestReplies:
    def test_every_numeric_stage_is_taken(self) -> None:
        assert read_reply(reply()).timings == {"search_ms": 2.0, "total_ms": 3.5}

    @pytest.mark.parametrize(
        "change",
        [
            {"answer": None},
            {"sources": [1]},
            {"citations": [{"n": 1}]},
            {"metadata": None},
            {"sources": [{"n": "x"}]},
            {"sources": [{"n": 1, **chunk("A", 1), "text": None}]},
        ],
    )
    def test_what_is_no_reply_is_a_failure_of_the_question(self, change: dict[str, Any]) -> None:
        with pytest.raises(QuestionFailed) as caught:
            read_reply({**reply(), **change})

        assert caught.value.code == "bad_reply"

    def test_a_lone_surrogate_does_not_reach_the_report(self) -> None:
        assert read_reply(reply(answer="a\ud800")).text == "a?"
