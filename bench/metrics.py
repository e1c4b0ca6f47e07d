"""Figures of merit: scores of two classes, spans of text, and those that a user's own evaluation has as well."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ragstone.evaluation.metrics import mean, ndcg, percentile, recall, reciprocal_rank, share

__all__ = [
    "Overlap",
    "auroc",
    "best_floor",
    "mean",
    "ndcg",
    "percentile",
    "recall",
    "reciprocal_rank",
    "share",
    "token_overlap",
]


def auroc(positives: Collection[float], negatives: Collection[float]) -> float:
    """Chance that a positive scores above a negative, ties counting half (Mann-Whitney); .5 where a side is empty."""
    if not positives or not negatives:
        return 0.5
    high, low = np.sort(np.fromiter(positives, float)), np.sort(np.fromiter(negatives, float))
    below = np.searchsorted(low, high, side="left")
    not_above = np.searchsorted(low, high, side="right")
    return float((below + not_above).sum() / 2 / (len(high) * len(low)))


@dataclass(frozen=True, slots=True)
class Overlap:
    """How well retrieved spans cover gold spans, counted in tokens."""

    recall: float
    precision: float
    iou: float


def token_overlap(
    tokens: Sequence[tuple[int, int]], retrieved: Sequence[tuple[int, int]], gold: Sequence[tuple[int, int]]
) -> Overlap:
    """Tokens (character spans) that any span of each side touches; a token that two spans touch counts once."""
    found, wanted = _touched(tokens, retrieved), _touched(tokens, gold)
    both, either = int((found & wanted).sum()), int((found | wanted).sum())
    return Overlap(
        recall=both / wanted.sum() if wanted.any() else 0.0,
        precision=both / found.sum() if found.any() else 0.0,
        iou=both / either if either else 0.0,
    )


def _touched(
    tokens: Sequence[tuple[int, int]], spans: Sequence[tuple[int, int]]
) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
    bounds = np.asarray(tokens, dtype=np.int64).reshape(-1, 2)
    touched = np.zeros(len(bounds), dtype=np.bool_)
    for start, end in spans:
        touched |= (bounds[:, 0] < end) & (bounds[:, 1] > start)
    return touched


def best_floor(positives: Sequence[float], negatives: Sequence[float]) -> float:
    """The score from which to say yes so that errors on both sides, each as a share, sum to the least (Youden);
    the middle of the gap, and the lowest such floor on a tie."""
    scores = sorted({*positives, *negatives})
    candidates = [scores[0], *((low + high) / 2 for low, high in pairwise(scores))] if scores else [0.0]
    return min(candidates, key=lambda floor: (_errors(positives, negatives, floor), floor))


def _errors(positives: Sequence[float], negatives: Sequence[float], floor: float) -> float:
    return share(score < floor for score in positives) + share(score >= floor for score in negatives)
