"""95 % intervals by the bootstrap: how far a mean, or a mean difference, could be another with other questions."""

from collections.abc import Sequence

import numpy as np

RESAMPLES = 2_000
SEED = 20_260_101  # fixed: the same replies give the same report
LOWEST, HIGHEST = 2.5, 97.5  # percentiles
BLOCK = 1_000_000  # picks that are in memory at a time


def interval_of_mean(values: Sequence[float]) -> tuple[float, float]:
    """The percentile interval of the mean of values (at least one), each of one question. Of differences of the same
    questions it is a paired one."""
    counted = np.asarray(values, dtype=np.float64)
    random = np.random.default_rng(SEED)
    at_a_time = max(1, BLOCK // len(counted))
    means: list[float] = []
    while len(means) < RESAMPLES:
        picks = random.integers(len(counted), size=(min(at_a_time, RESAMPLES - len(means)), len(counted)))
        means.extend(counted[picks].mean(axis=1))
    low, high = np.percentile(means, (LOWEST, HIGHEST))
    return float(low), float(high)
