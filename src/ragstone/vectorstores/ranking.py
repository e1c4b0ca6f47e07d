"""The order of hits that all stores keep: best first, equal scores by id."""

import math
from collections.abc import Sequence
from typing import Any, Protocol

TIE_SLACK = 8
"""So many more hits are asked for, to see whether equal scores reach beyond the last one."""
MANY_TIES = 1_000
"""And so many when they do: copies of a text in many documents."""

Hits = tuple[list[str], list[float]]
"""Ids and scores of one leg, best first."""


class Scored(Protocol):
    """A hit as an engine reports it."""

    @property
    def id(self) -> Any:
        """What names the point."""
        ...

    @property
    def score(self) -> float:
        """The larger, the better."""
        ...


def ties_reach_beyond(points: Sequence[Scored], limit: int) -> bool:
    """Whether hits that are as good as the last wanted one may have been left out of `limit + TIE_SLACK`."""
    return len(points) == limit + TIE_SLACK and points[-1].score == points[limit - 1].score


def rank(points: Sequence[Scored], limit: int) -> Hits:
    """The first `limit` of hits that come best first, by score, then id."""
    worst = points[limit - 1].score if len(points) > limit else -math.inf
    scored = ((-score, point) for point in points if (score := point.score) >= worst)
    ranked = sorted((negated, str(point.id)) for negated, point in scored)[:limit]
    return [id_ for _, id_ in ranked], [-negated for negated, _ in ranked]
