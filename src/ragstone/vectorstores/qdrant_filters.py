"""Filters in the terms of Qdrant's client: the same conditions as `edge_filters`, from the same `fields`."""

from collections.abc import Sequence
from typing import TypeAlias

from qdrant_client import models

from ragstone.core.filters import Filter
from ragstone.vectorstores.fields import encode_filter
from ragstone.vectorstores.frames import Condition, number_field

AnyCondition: TypeAlias = models.Condition

NOTHING = models.HasIdCondition(has_id=[])


def has_value(key: str, *values: str) -> AnyCondition:
    """The payload key holds one of these keywords."""
    if not values:
        return NOTHING
    if len(values) == 1:
        return models.FieldCondition(key=key, match=models.MatchValue(value=values[0]))
    return models.FieldCondition(key=key, match=models.MatchAny(any=list(values)))


def select(scope: str, where: Filter | None = None, ids: Sequence[str] | None = None) -> models.Filter:
    """The points of a scope that pass, and have one of these ids."""
    conditions = [has_value("scope", scope)]
    if where is not None:
        conditions += to_conditions(encode_filter(where))
    if ids is not None:
        conditions.append(models.HasIdCondition(has_id=list(ids)))
    return models.Filter(must=conditions)


def to_conditions(condition: Condition) -> list[AnyCondition]:
    """What must all hold, as flat as can be: a planner looks at the conditions on top."""
    if condition[0] == "and":
        return [found for part in condition[1] for found in to_conditions(part)]
    return [_to_condition(condition)]


def _to_condition(condition: Condition) -> AnyCondition:
    match condition:
        case ["any", tokens]:
            return has_value("tokens", *(token.hex() for token in tokens))
        case ["and", _]:
            return models.Filter(must=to_conditions(condition))
        case ["or", parts]:
            return models.Filter(should=[_to_condition(part) for part in parts]) if parts else NOTHING
        case ["not", part]:
            return models.Filter(must_not=[_to_condition(part)])
        case ["range", key, operator, number, _]:
            return models.FieldCondition(key=number_field(key), range=models.Range(**{operator: number}))
    raise ValueError(f"unknown condition {condition[0]!r}")
