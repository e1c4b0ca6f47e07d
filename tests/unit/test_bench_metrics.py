"""The evaluation's figures of merit against cases worked out by hand."""

import math

import pytest

from bench.metrics import auroc, best_floor, ndcg, percentile, recall, reciprocal_rank, share, token_overlap

RANKING = ["a", "b", "c", "d"]


class TestNdcg:
    def test_one_relevant_item_at_rank_two_is_discounted_by_log2_of_three(self) -> None:
        assert ndcg(RANKING, {"b": 1}) == pytest.approx(1 / math.log2(3))

    def test_perfect_order_is_one(self) -> None:
        assert ndcg(["x", "y"], {"x": 2, "y": 1}) == pytest.approx(1.0)

    def test_grades_are_linear_gains(self) -> None:
        found = 1 / 1 + 3 / math.log2(3)
        ideal = 3 / 1 + 1 / math.log2(3)
        assert ndcg(["y", "x"], {"x": 3, "y": 1}) == pytest.approx(found / ideal)

    def test_items_beyond_k_count_for_nothing(self) -> None:
        assert ndcg(RANKING, {"d": 1}, k=3) == 0.0

    def test_ideal_order_is_cut_at_k(self) -> None:
        assert ndcg(["a"], {"a": 1, "b": 1, "c": 1}, k=1) == pytest.approx(1.0)

    def test_question_without_relevant_items_is_zero(self) -> None:
        assert ndcg(RANKING, {"a": 0}) == 0.0


class TestRecall:
    def test_is_the_part_of_relevant_items_among_the_first_k(self) -> None:
        assert recall(RANKING, {"a": 1, "c": 1, "z": 1}, k=2) == pytest.approx(1 / 3)

    def test_grade_zero_is_not_relevant(self) -> None:
        assert recall(RANKING, {"a": 1, "b": 0}, k=10) == 1.0

    def test_without_relevant_items_is_zero(self) -> None:
        assert recall(RANKING, {}, k=10) == 0.0


class TestReciprocalRank:
    def test_first_relevant_item_counts(self) -> None:
        assert reciprocal_rank(RANKING, {"c": 1, "d": 1}) == pytest.approx(1 / 3)

    def test_nothing_among_the_first_k_is_zero(self) -> None:
        assert reciprocal_rank(RANKING, {"d": 1}, k=3) == 0.0


class TestAuroc:
    def test_separated_classes_are_one(self) -> None:
        assert auroc([0.8, 0.9], [0.1, 0.2]) == 1.0

    def test_counts_pairs_in_the_right_order(self) -> None:
        # pairs: .9>.5, .9>.1, .3<.5, .3>.1
        assert auroc([0.9, 0.3], [0.5, 0.1]) == pytest.approx(0.75)

    def test_ties_count_half(self) -> None:
        assert auroc([0.5, 0.7], [0.5]) == pytest.approx(0.75)

    def test_empty_side_says_nothing(self) -> None:
        assert auroc([], [0.1]) == 0.5


class TestTokenOverlap:
    TOKENS = ((0, 3), (4, 7), (8, 11), (12, 15))

    def test_counts_tokens_that_spans_touch(self) -> None:
        overlap = token_overlap(self.TOKENS, [(0, 11)], [(5, 15)])  # found 3, wanted 3, both 2, either 4
        assert (overlap.recall, overlap.precision, overlap.iou) == pytest.approx((2 / 3, 2 / 3, 0.5))

    def test_overlapping_spans_count_a_token_once(self) -> None:
        overlap = token_overlap(self.TOKENS, [(0, 7), (0, 7)], [(0, 3)])
        assert (overlap.recall, overlap.precision, overlap.iou) == pytest.approx((1.0, 0.5, 0.5))

    def test_end_is_exclusive(self) -> None:
        assert token_overlap(self.TOKENS, [(0, 4)], [(4, 7)]).recall == 0.0

    def test_nothing_retrieved_is_zero(self) -> None:
        overlap = token_overlap(self.TOKENS, [], [(0, 3)])
        assert (overlap.recall, overlap.precision, overlap.iou) == (0.0, 0.0, 0.0)


class TestBestFloor:
    def test_lies_in_the_middle_of_the_gap(self) -> None:
        assert best_floor([0.6, 0.8], [0.2, 0.4]) == pytest.approx(0.5)

    def test_weighs_both_sides_as_shares(self) -> None:
        # at .35: 0 of 2 yes lost, 1 of 4 no let through; any higher floor loses half of the yes side
        assert best_floor([0.4, 0.9], [0.1, 0.2, 0.3, 0.5]) == pytest.approx(0.35)


def test_percentile_lies_between_neighbours() -> None:
    assert percentile([1.0, 2.0, 3.0, 4.0], 50) == pytest.approx(2.5)


def test_percentile_of_nothing_is_not_a_number() -> None:
    assert math.isnan(percentile([], 95))


def test_share_of_verdicts() -> None:
    assert share([True, False, True, True]) == 0.75
    assert share([]) == 0.0
