"""Two runs of the same questions: the differences of all figures, question by question."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from ragstone.evaluation.figures import FIGURES, Better, better_of, label_of
from ragstone.evaluation.intervals import interval_of_mean
from ragstone.evaluation.judging import Row
from ragstone.evaluation.metrics import mean
from ragstone.evaluation.summary import Run

LEAST_UNEQUAL = 6  # fewer fall all on one side once in 20 times by mere chance: 2 · ½⁵ = 0.06


class Verdict(StrEnum):
    """The second run against the first."""

    BETTER = "better"
    WORSE = "worse"
    OTHER = "differs"
    UNCLEAR = "no clear difference"


@dataclass(frozen=True, slots=True)
class Difference:
    """Second minus first, over the `questions` that have the figure in both, with its paired 95 % interval."""

    name: str
    label: str
    questions: int
    first: float
    second: float
    difference: float
    low: float
    high: float
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Comparison:
    """`stages` compares means of milliseconds. Questions are matched by their key; `changed` have the same id and
    another text, and are left out as those are that only one run has."""

    first: str
    second: str
    questions: int
    figures: tuple[Difference, ...]
    stages: tuple[Difference, ...]
    only_first: tuple[str, ...]
    only_second: tuple[str, ...]
    changed: tuple[str, ...]


def compare(first: Run, second: Run) -> Comparison:
    """All that can be compared."""
    ours, theirs = ({row.key: row for row in run.rows} for run in (first, second))
    changed = [key for key in ours if key in theirs and ours[key].question != theirs[key].question]
    pairs = [(ours[key], theirs[key]) for key in ours if key in theirs and key not in set(changed)]
    k = first.k if first.k == second.k else "k"
    stages = dict.fromkeys(name for pair in pairs for row in pair for name in row.timings)
    return Comparison(
        first=first.label,
        second=second.label,
        questions=len(pairs),
        figures=_differences(FIGURES, pairs, lambda row: row.figures, k),
        stages=_differences(stages, pairs, lambda row: row.timings, k),
        only_first=tuple(key for key in ours if key not in theirs),
        only_second=tuple(key for key in theirs if key not in ours),
        changed=tuple(changed),
    )


def _differences(
    names: Mapping[str, object],
    pairs: Sequence[tuple[Row, Row]],
    values_of: Callable[[Row], Mapping[str, float]],
    k: object,
) -> tuple[Difference, ...]:
    differences = []
    for name in names:
        both = [
            (values_of(first)[name], values_of(second)[name])
            for first, second in pairs
            if name in values_of(first) and name in values_of(second)
        ]
        if both:
            differences.append(difference_of(name, label_of(name, k), both))
    return tuple(differences)


def difference_of(name: str, label: str, both: Sequence[tuple[float, float]]) -> Difference:
    """Of at least one pair of values."""
    steps = [second - first for first, second in both]
    low, high = interval_of_mean(steps)
    return Difference(
        name=name,
        label=label,
        questions=len(both),
        first=mean(first for first, _ in both),
        second=mean(second for _, second in both),
        difference=mean(steps),
        low=low,
        high=high,
        verdict=_verdict(steps, low, high, better_of(name)),
    )


def _verdict(steps: Sequence[float], low: float, high: float, better: Better) -> Verdict:
    """Clear only where the interval leaves out 0, and enough questions differ for that to mean something."""
    unequal = sum(step != 0 for step in steps)
    if low <= 0 <= high or unequal < LEAST_UNEQUAL:
        return Verdict.UNCLEAR
    if better is Better.NEITHER:
        return Verdict.OTHER
    return Verdict.BETTER if (low > 0) == (better is Better.HIGHER) else Verdict.WORSE
