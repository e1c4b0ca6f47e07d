"""Filters in Qdrant Edge's terms: the engine's side of `fields`."""

from collections.abc import Collection
from typing import Any, TypeAlias

from qdrant_edge import FieldCondition, Filter, HasIdCondition, MatchAny, MatchValue, RangeFloat

from ragstone.vectorstores.frames import Condition, number_field

AnyCondition: TypeAlias = Any
"""One of Edge's condition classes, a filter among them."""

NOTHING = HasIdCondition(set())


def has_value(key: str, *values: str) -> AnyCondition:
    """The payload key holds one of these keywords."""
    if not values:
        return NOTHING
    return FieldCondition(key, match=MatchValue(values[0]) if len(values) == 1 else MatchAny(list(values)))


def to_conditions(condition: Condition, indexed: Collection[str]) -> list[AnyCondition]:
    """What must all hold, as flat as can be: Edge plans with the conditions on top and walks through nested ones."""
    if condition[0] == "and":
        return [found for part in condition[1] for found in to_conditions(part, indexed)]
    return [_to_condition(condition, indexed)]


def _to_condition(condition: Condition, indexed: Collection[str]) -> AnyCondition:
    match condition:
        case ["any", tokens]:
            return has_value("tokens", *(token.hex() for token in tokens))
        case ["and", _]:
            return Filter(must=to_conditions(condition, indexed))
        case ["or", parts]:
            return Filter(should=[_to_condition(part, indexed) for part in parts]) if parts else NOTHING
        case ["not", part]:
            return Filter(must_not=[_to_condition(part, indexed)])
        case ["range", key, operator, number, token]:
            return _to_range(number_field(key), RangeFloat(**{operator: number}), token, indexed)
    raise ValueError(f"unknown condition {condition[0]!r}")


def _to_range(field: str, bounds: RangeFloat, token: bytes, indexed: Collection[str]) -> AnyCondition:
    ordered = FieldCondition(field, range=bounds)
    if field in indexed:
        return ordered
    return Filter(
        must=[has_value("tokens", token.hex()), ordered]
    )  # reads the numbers of those that have any
