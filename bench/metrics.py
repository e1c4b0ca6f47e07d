"""Figures of merit: rankings, scores of two classes, spans of text, and the spread of repeated measurements."""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np


def ndcg(ranking: Sequence[str], grades: Mapping[str, int], *, k: int = 10) -> float:
    """nDCG@k as trec_eval has it: gain = grade, discount = 1 / log2(rank + 1), over the best possible order."""
    found = sum(grades.get(item, 0) / math.log2(rank + 1) for rank, item in enumerate(ranking[:k], start=1))
    best = sorted((grade for grade in grades.values() if grade > 0), reverse=True)[:k]
    ideal = sum(grade / math.log2(rank + 1) for rank, grade in enumerate(best, start=1))
    return found / ideal if ideal else 0.0


def recall(ranking: Sequence[str], grades: Mapping[str, int], *, k: int) -> float:
    """Part of the relevant items (grade > 0) that stand among the first k."""
    relevant = {item for item, grade in grades.items() if grade > 0}
    return len(relevant.intersection(ranking[:k])) / len(relevant) if relevant else 0.0


def reciprocal_rank(ranking: Sequence[str], grades: Mapping[str, int], *, k: int = 10) -> float:
    """1 / rank of the first relevant item among the first k, else 0."""
    ranks = (rank for rank, item in enumerate(ranking[:k], start=1) if grades.get(item, 0) > 0)
    return 1 / next(ranks, math.inf)


def auroc(positives: Collection[float], negatives: Collection[float]) -> float:
    """Chance that a positive scores above a negative, ties counting half (Mann-Whitney); .5 where a side is empty."""
    if not positives or not negatives:
        return 0.5
    high, low = np.sort(np.fromiter(positives, float)), np.sort(np.fromiter(negatives, float))
    below = np.searchsorted(low, high, side="left")
    not_above = np.searchsorted(low, high, side="right")
    return float((below + not_above).sum() / 2 / (len(high) * len(low)))


def share(verdicts: Iterable[bool]) -> float:
    """Part of the verdicts that is true; 0 where there are none."""
    counted = list(verdicts)
    return sum(counted) / len(counted) if counted else 0.0


def mean(values: Iterable[float]) -> float:
    """Arithmetic mean; 0 where there are none."""
    counted = list(values)
    return math.fsum(counted) / len(counted) if counted else 0.0


def percentile(values: Sequence[float], percent: float) -> float:
    """Linear between neighbours; NaN where there are no values."""
    return float(np.percentile(values, percent)) if len(values) else math.nan


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
