"""A run in figures: means with their intervals, times by stage, failures by code."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ragstone.evaluation.figures import FIGURES, label_of
from ragstone.evaluation.intervals import interval_of_mean
from ragstone.evaluation.judging import Row
from ragstone.evaluation.metrics import mean, percentile


@dataclass(frozen=True, slots=True)
class Mean:
    """Of one figure, over the questions that have it, with its 95 % interval."""

    name: str
    label: str
    questions: int
    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Stage:
    """Milliseconds of one stage, over the questions that were answered."""

    name: str
    questions: int
    mean: float
    p5: float
    p25: float
    p50: float
    p75: float
    p95: float


@dataclass(frozen=True, slots=True)
class Summary:
    """A whole run."""

    questions: int
    means: tuple[Mean, ...]
    stages: tuple[Stage, ...]
    errors: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Run:
    """One configuration: what it is called, where it was asked, what was sent, and what came of it. `not_there` are
    names of expected documents that no searchable document of the collection has."""

    label: str
    server: str
    parameters: Mapping[str, Any]
    not_there: tuple[str, ...]
    summary: Summary
    rows: tuple[Row, ...]

    @property
    def k(self) -> int:
        """Passages that were asked for."""
        return int(self.parameters["top_k"])


def summarise(rows: Sequence[Row], *, k: int) -> Summary:
    """Figures in the order of their table, stages in the order in which they were first told."""
    stages = dict.fromkeys(name for row in rows for name in row.timings)
    return Summary(
        questions=len(rows),
        means=tuple(_mean(name, rows, k) for name in FIGURES if any(name in row.figures for row in rows)),
        stages=tuple(_stage(name, rows) for name in stages),
        errors=dict(Counter(row.error.code for row in rows if row.error is not None).most_common()),
    )


def _mean(name: str, rows: Sequence[Row], k: int) -> Mean:
    values = [row.figures[name] for row in rows if name in row.figures]
    low, high = interval_of_mean(values)
    return Mean(name, label_of(name, k), len(values), mean(values), low, high)


def _stage(name: str, rows: Sequence[Row]) -> Stage:
    values = [row.timings[name] for row in rows if name in row.timings]
    p5, p25, p50, p75, p95 = (percentile(values, percent) for percent in (5, 25, 50, 75, 95))
    return Stage(name, len(values), mean(values), p5, p25, p50, p75, p95)
