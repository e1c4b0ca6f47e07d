"""Score fusion of the two legs: α · g · max(0, cosine) + (1 - α) · BM25 / max(BM25 of this query), where g is how far the
encoder reads the question's script.

Scores, not ranks, are fused, so that a weak leg cannot ruin a strong one (docs/decisions/0006).
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from ragstone.core.models import ScoredId

ALPHA = 0.65  # best on the mean of three public sets; flat between .55 and .75 (docs/quality.md)


class Candidate(NamedTuple):
    """A point with what each leg says of it; None where the leg was not asked."""

    id: str
    score: float
    dense: float | None
    sparse: float | None
    terms: Mapping[str, float] = MappingProxyType({})
    """Further scores that `score` is made of."""


def fuse(
    dense: Sequence[ScoredId], sparse: Sequence[ScoredId], *, alpha: float = ALPHA, legibility: float = 1.0
) -> list[Candidate]:
    """Both legs' true scores to candidates, best first, ties by id. A point without a dense score is counted 0."""
    cosines = {hit.id: hit.score for hit in dense}
    weights = {hit.id: hit.score for hit in sparse}
    top = max(weights.values(), default=0.0)
    candidates = [
        Candidate(
            id=point_id,
            score=alpha * legibility * max(0.0, cosines.get(point_id, 0.0))
            + (1 - alpha) * (weights.get(point_id, 0.0) / top if top > 0 else 0.0),
            dense=cosines.get(point_id, 0.0),
            sparse=weights.get(point_id, 0.0),
        )
        for point_id in cosines.keys() | weights.keys()
    ]
    return in_order(candidates)


def single_leg(hits: Sequence[ScoredId], *, leg: str) -> list[Candidate]:
    """One leg's hits as candidates; its raw score is the score."""
    candidates = [
        Candidate(
            id=hit.id,
            score=hit.score,
            dense=hit.score if leg == "dense" else None,
            sparse=hit.score if leg == "sparse" else None,
        )
        for hit in hits
    ]
    return in_order(candidates)


def falling(candidates: Sequence[Candidate], most: float) -> list[Candidate]:
    """In the order in which they are, with scores of `most` at most that never rise."""
    found = []
    for candidate in candidates:
        most = min(most, candidate.score)
        found.append(candidate._replace(score=most))
    return found


def in_order(candidates: list[Candidate]) -> list[Candidate]:
    """Best first; equal scores by id, so that the same question always gives the same order."""
    return sorted(candidates, key=lambda candidate: (-candidate.score, candidate.id))
