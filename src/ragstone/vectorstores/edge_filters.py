"""Filters in Qdrant Edge's terms: the engine's side of `edge_fields`."""

from qdrant_edge import FieldCondition, Filter, HasIdCondition, MatchAny, MatchValue, RangeFloat

from ragstone.vectorstores.frames import Condition

NOTHING = HasIdCondition(set())


def has_value(key: str, *values: str) -> FieldCondition | HasIdCondition:
    """The payload key holds one of these keywords."""
    if not values:
        return NOTHING
    return FieldCondition(key, match=MatchValue(values[0]) if len(values) == 1 else MatchAny(list(values)))


def number_keys(condition: Condition) -> dict[str, bytes]:
    """The numbers whose order the condition asks for, each with the token of the points that have them."""
    match condition:
        case ["range", key, _, _, token]:
            return {key: token}
        case ["not", part]:
            return number_keys(part)
        case ["and" | "or", parts]:
            return {key: token for part in parts for key, token in number_keys(part).items()}
    return {}


def to_filter(condition: Condition) -> Filter:
    """The condition as a filter of its own."""
    match condition:
        case ["and", parts]:
            return Filter(must=[to_filter(part) for part in parts])
        case ["or", parts]:
            return Filter(should=[to_filter(part) for part in parts]) if parts else Filter(must=[NOTHING])
        case ["not", part]:
            return Filter(must_not=[to_filter(part)])
        case ["range", key, operator, number, token]:
            # The token comes first: points without the field are out before a number is looked at.
            bounds = RangeFloat(**{operator: number})
            return Filter(must=[_any_token([token]), FieldCondition(f"numbers.{key}", range=bounds)])
        case ["any", tokens]:
            return Filter(must=[_any_token(tokens)])
    raise ValueError(f"unknown condition {condition[0]!r}")


def _any_token(tokens: list[bytes]) -> FieldCondition | HasIdCondition:
    return has_value("tokens", *(token.hex() for token in tokens))
