"""Intervals, verdicts and the matching of two runs."""

import pytest

from ragstone.evaluation.comparison import (
    LEAST_UNEQUAL,
    Comparison,
    Difference,
    Verdict,
    compare,
    difference_of,
)
from ragstone.evaluation.intervals import BLOCK, interval_of_mean
from ragstone.evaluation.judging import Row, judge_failure
from ragstone.evaluation.questions import Question
from ragstone.evaluation.replies import QuestionFailed
from ragstone.evaluation.summary import Run, summarise


def row(key: str, text: str = "?", **figures: float) -> Row:
    """Of a question with these figures, and as many milliseconds as its recall."""
    empty = judge_failure(Question(text, id=key), QuestionFailed("c", "m"))
    return Row(
        key=key,
        question=text,
        answers=(),
        is_answerable=None,
        expected=(),
        answer="",
        model="m",
        abstained=False,
        found=empty.found,
        citations=(),
        figures=figures,
        timings={"total_ms": figures.get("recall", 0.0)},
        faults=(),
        error=None,
    )


def run(label: str, *rows: Row, k: int = 5) -> Run:
    return Run(label, "here", {"top_k": k}, (), summarise(rows, k=k), rows)


class TestIntervals:
    def test_equal_values_leave_no_doubt(self) -> None:
        assert interval_of_mean([0.25] * 7) == (0.25, 0.25)

    def test_the_same_values_give_the_same_interval(self) -> None:
        values = [0.0, 1.0, 0.5, 0.25, 1.0, 0.0]

        assert interval_of_mean(values) == interval_of_mean(values)

    def test_it_is_the_binomial_one_for_yes_and_no(self) -> None:
        """Of 100 answers half are right: the mean of a resample has a deviation of √(.25 / 100) = .05."""
        low, high = interval_of_mean([0.0, 1.0] * 50)

        assert low == pytest.approx(0.5 - 1.96 * 0.05, abs=0.012)
        assert high == pytest.approx(0.5 + 1.96 * 0.05, abs=0.012)

    def test_many_values_are_resampled_in_blocks(self) -> None:
        low, high = interval_of_mean([0.0, 1.0] * (BLOCK // 1_000))

        assert 0.45 < low < 0.5 < high < 0.55


class TestVerdicts:
    def verdict(self, name: str, first: list[float], second: list[float]) -> Verdict:
        return difference_of(name, name, list(zip(first, second, strict=True))).verdict

    def test_all_up_is_better_and_all_down_worse(self) -> None:
        low, high = [0.0] * 10, [1.0] * 10

        assert self.verdict("recall", low, high) is Verdict.BETTER
        assert self.verdict("recall", high, low) is Verdict.WORSE

    def test_errors_and_times_should_be_low(self) -> None:
        assert self.verdict("false_answer", [1.0] * 10, [0.0] * 10) is Verdict.BETTER
        assert self.verdict("search_ms", [1.0] * 10, [2.0] * 10) is Verdict.WORSE

    def test_longer_answers_are_neither(self) -> None:
        assert self.verdict("words", [10.0] * 10, [20.0] * 10) is Verdict.OTHER

    def test_few_questions_that_differ_say_nothing(self) -> None:
        """The interval alone would: 5 of 6 resamples of 100 questions hold at least one of the 5."""
        first = [0.0] * 100
        few = [1.0] * (LEAST_UNEQUAL - 1) + [0.0] * (100 - LEAST_UNEQUAL + 1)

        found = difference_of("recall", "recall", list(zip(first, few, strict=True)))

        assert found.low > 0
        assert found.verdict is Verdict.UNCLEAR

    def test_as_many_up_as_down_is_no_clear_difference(self) -> None:
        assert self.verdict("recall", [0.0, 1.0] * 10, [1.0, 0.0] * 10) is Verdict.UNCLEAR


class TestComparisons:
    def only(self, found: Comparison, name: str) -> Difference:
        (difference,) = [each for each in (*found.figures, *found.stages) if each.name == name]
        return difference

    def test_questions_are_paired_by_their_key_in_any_order(self) -> None:
        first = run("a", row("1", recall=0.0), row("2", recall=1.0))
        second = run("b", row("2", recall=1.0), row("1", recall=0.5))

        found = compare(first, second)

        recall = self.only(found, "recall")
        assert (recall.first, recall.second, recall.difference, recall.questions) == (0.5, 0.75, 0.25, 2)
        assert recall.label == "recall@5"
        assert self.only(found, "total_ms").difference == 0.25

    def test_what_does_not_match_is_said_and_left_out(self) -> None:
        first = run("a", row("1", recall=0.0), row("2", "old", recall=0.0), row("3", recall=0.5))
        second = run("b", row("2", "new", recall=1.0), row("3", recall=0.5), row("4", recall=1.0))

        found = compare(first, second)

        assert (found.only_first, found.only_second, found.changed) == (("1",), ("4",), ("2",))
        assert (found.questions, self.only(found, "recall").difference) == (1, 0.0)

    def test_a_figure_that_only_one_run_has_is_not_compared(self) -> None:
        found = compare(run("a", row("1", recall=0.0)), run("b", row("1", recall=0.0, words=4.0)))

        assert [each.name for each in found.figures] == ["recall"]

    def test_another_number_of_passages_is_in_no_label(self) -> None:
        found = compare(run("a", row("1", recall=0.0)), run("b", row("1", recall=0.0), k=10))

        assert self.only(found, "recall").label == "recall@k"

    def test_runs_without_a_common_question_have_nothing_to_compare(self) -> None:
        found = compare(run("a", row("1", recall=0.0)), run("b", row("2", recall=0.0)))

        assert (found.questions, found.figures, found.stages) == (0, (), ())
