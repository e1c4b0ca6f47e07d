"""Score fusion of the two legs."""

import pytest

from ragstone.core.models import ScoredId
from ragstone.pipelines.fusion import ALPHA, Candidate, fuse, single_leg


def hits(**scores: float) -> list[ScoredId]:
    return [ScoredId(name, score) for name, score in scores.items()]


def test_scores_are_fused_relative_to_the_best_bm25_of_the_query() -> None:
    best, other = fuse(hits(a=0.5, b=0.4), hits(a=2.0, b=8.0), alpha=0.5)

    assert (best.id, best.dense, best.sparse) == ("b", 0.4, 8.0)
    assert best.score == pytest.approx(0.5 * 0.4 + 0.5 * 1.0)
    assert (other.id, other.dense, other.sparse) == ("a", 0.5, 2.0)
    assert other.score == pytest.approx(0.5 * 0.5 + 0.5 * 0.25)


def test_a_negative_cosine_counts_as_nothing_but_is_reported() -> None:
    (only,) = fuse(hits(a=-0.3), [])

    assert (only.score, only.dense, only.sparse) == (0.0, -0.3, 0.0)


def test_without_any_lexical_hit_the_dense_leg_decides() -> None:
    assert [found.score for found in fuse(hits(a=0.9, b=0.8), [])] == [ALPHA * 0.9, ALPHA * 0.8]


def test_a_hit_of_one_leg_alone_is_kept() -> None:
    found = {candidate.id: candidate for candidate in fuse(hits(a=0.9), hits(b=3.0))}

    assert found["a"].sparse == 0.0
    assert found["b"].dense == 0.0


def test_equal_scores_are_ordered_by_id() -> None:
    ids = [candidate.id for candidate in fuse(hits(c=0.5, a=0.5, b=0.5), [])]

    assert ids == ["a", "b", "c"]


@pytest.mark.parametrize(("leg", "dense", "sparse"), [("dense", 0.7, None), ("sparse", None, 0.7)])
def test_one_leg_alone_reports_its_raw_score_and_none_for_the_other(
    leg: str, dense: float | None, sparse: float | None
) -> None:
    assert single_leg(hits(a=0.7), leg=leg) == [Candidate("a", 0.7, dense, sparse)]


def test_a_script_that_the_encoder_cannot_read_lets_words_decide() -> None:
    first, second = fuse(hits(a=0.9, b=0.1), hits(b=3.0), legibility=0.0)

    assert (first.id, second.score) == ("b", 0.0)
    assert first.score == pytest.approx(1 - ALPHA)
