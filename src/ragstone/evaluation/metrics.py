"""Figures of merit of a ranking, shares, means and percentiles."""

import math
from collections.abc import Iterable, Mapping, Sequence

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
