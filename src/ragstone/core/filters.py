"""The filter grammar: parsing, bounds, and what it means.

A store translates the tree; `matches` is the meaning itself, and what every translation is tested against. No type
coercion: a string never equals a number, `true` is not 1 (integers and floats are one type, number, as in JSON).
A list value matches when any of its elements does. A missing, null or empty field matches only `ne`, `not` and
`exists: false`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from ragstone.core.errors import InvalidFilter

MAX_DEPTH = 8
MAX_LEAVES = 100
MAX_VALUES = 1_000
MAX_EXACT_INTEGER = 2**53  # beyond it a float64, as the store compares, is not exact

FIELDS = frozenset({"document_id", "source", "title", "filename", "media_type", "created_at"})
METADATA_PREFIX = "metadata."
INTERNAL_FIELDS = frozenset({"document_version", "embedding_key"})  # never parsed, only built by our own code
ORDERING = frozenset({"gt", "gte", "lt", "lte"})
Operator = Literal["eq", "ne", "in", "gt", "gte", "lt", "lte", "exists"]
OPERATORS = frozenset({"eq", "ne", "in", "exists"}) | ORDERING
Scalar = str | int | float | bool


@dataclass(frozen=True, slots=True)
class Leaf:
    """One test of one field. `value` is a scalar, a tuple of scalars for `in`, a bool for `exists`. Values of
    `created_at` are integers: microseconds since the epoch."""

    field: str
    op: Operator
    value: Any


@dataclass(frozen=True, slots=True)
class And:
    """All hold; empty = true."""

    parts: tuple["Filter", ...]


@dataclass(frozen=True, slots=True)
class Or:
    """One holds; empty = false."""

    parts: tuple["Filter", ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The part does not hold."""

    part: "Filter"


Filter = Leaf | And | Or | Not


def parse_filter(raw: object) -> Filter:
    """Turn parsed JSON into a filter. Raises InvalidFilter with the place and what is accepted there."""
    budget = _Budget()
    return _parse(raw, "filter", depth=1, budget=budget)


def matches(condition: Filter, fields: Mapping[str, Any]) -> bool:
    """Whether a document with these fields passes. `fields` maps field names (`metadata.<key>` included) to values;
    `created_at` to microseconds since the epoch."""
    match condition:
        case And(parts):
            return all(matches(part, fields) for part in parts)
        case Or(parts):
            return any(matches(part, fields) for part in parts)
        case Not(part):
            return not matches(part, fields)
        case Leaf(name, op, value):
            return _leaf_matches(op, value, values_of(fields.get(name)))


def epoch_micros(moment: datetime) -> int:
    """Microseconds since the epoch of an aware datetime: exact, and exact as a float64 until the year 2255."""
    delta = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds


def payload_fields(payload: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a point's payload by the names that filters use, the internal ones of the vector store included."""
    fields = {name: payload.get(name) for name in FIELDS | INTERNAL_FIELDS}
    metadata = payload.get("metadata")
    if isinstance(metadata, Mapping):
        fields.update((METADATA_PREFIX + key, value) for key, value in metadata.items())
    return fields


def values_of(value: object) -> tuple[Scalar, ...]:
    """What a filter sees of a field's value: the value, the elements of a list without nulls, or nothing."""
    if value is None:
        return ()
    if isinstance(value, str | int | float | bool):
        return (value,)
    if isinstance(value, Sequence):
        return tuple(item for item in value if item is not None)
    return ()


class _Budget:
    """Counts leaves and values over one whole filter."""

    def __init__(self) -> None:
        self.leaves = 0
        self.values = 0

    def spend(self, values: int) -> None:
        self.leaves += 1
        self.values += values
        if self.leaves > MAX_LEAVES:
            raise InvalidFilter(f"a filter holds at most {MAX_LEAVES} tests")
        if self.values > MAX_VALUES:
            raise InvalidFilter(f"a filter holds at most {MAX_VALUES} values")


def _parse(raw: object, place: str, *, depth: int, budget: _Budget) -> Filter:
    if depth > MAX_DEPTH:
        raise InvalidFilter(f"a filter nests at most {MAX_DEPTH} levels deep")
    if not isinstance(raw, Mapping):
        raise InvalidFilter(f"{place}: expected an object")
    if "field" in raw:
        return _parse_leaf(raw, place, budget)
    if len(raw) != 1:
        raise InvalidFilter(f"{place}: expected one of and, or, not, or a field with one operator")
    ((key, value),) = raw.items()
    if key == "not":
        return Not(_parse(value, f"{place}.not", depth=depth + 1, budget=budget))
    if key in ("and", "or"):
        parts = _parse_parts(value, f"{place}.{key}", depth=depth + 1, budget=budget)
        return And(parts) if key == "and" else Or(parts)
    raise InvalidFilter(f"{place}: expected one of and, or, not, or a field with one operator")


def _parse_parts(raw: object, place: str, *, depth: int, budget: _Budget) -> tuple[Filter, ...]:
    if not isinstance(raw, Sequence) or isinstance(raw, str) or not raw:
        raise InvalidFilter(f"{place}: expected a non-empty list")
    if len(raw) > MAX_LEAVES:
        raise InvalidFilter(f"a filter holds at most {MAX_LEAVES} tests")
    return tuple(
        _parse(part, f"{place}[{index}]", depth=depth, budget=budget) for index, part in enumerate(raw)
    )


def _parse_leaf(raw: Mapping[str, object], place: str, budget: _Budget) -> Leaf:
    name = raw["field"]
    if not isinstance(name, str) or not _is_field(name):
        known = ", ".join(sorted(FIELDS))
        raise InvalidFilter(f"{place}.field: unknown field; known: {known}, metadata.<key>")
    _check_text(name, f"{place}.field")
    operators = [key for key in raw if key != "field"]
    if len(operators) != 1 or operators[0] not in OPERATORS:
        raise InvalidFilter(f"{place}: expected exactly one operator of {', '.join(sorted(OPERATORS))}")
    op: Any = operators[0]
    value = _parse_value(name, op, raw[op], f"{place}.{op}")
    budget.spend(len(value) if isinstance(value, tuple) else 1)
    return Leaf(name, op, value)


def _is_field(name: str) -> bool:
    return name in FIELDS or (name.startswith(METADATA_PREFIX) and len(name) > len(METADATA_PREFIX))


def _parse_value(name: str, op: str, value: object, place: str) -> Any:
    if op == "exists":
        if not isinstance(value, bool):
            raise InvalidFilter(f"{place}: expected true or false")
        return value
    if op == "in":
        if not isinstance(value, Sequence) or isinstance(value, str) or not value:
            raise InvalidFilter(f"{place}: expected a non-empty list of values")
        if len(value) > MAX_VALUES:
            raise InvalidFilter(f"a filter holds at most {MAX_VALUES} values")
        return tuple(_parse_scalar(name, item, place) for item in value)
    scalar = _parse_scalar(name, value, place)
    if op in ORDERING and (isinstance(scalar, str | bool)):
        raise InvalidFilter(f"{place}: only numbers and created_at have an order")
    return scalar


def _parse_scalar(name: str, value: object, place: str) -> Scalar:
    if not isinstance(value, str | int | float | bool):
        raise InvalidFilter(f"{place}: expected a string, number or boolean")
    if name == "created_at":
        return _parse_time(value, place)
    if isinstance(value, str):
        _check_text(value, place)
    elif not isinstance(value, bool) and not abs(value) <= MAX_EXACT_INTEGER:
        raise InvalidFilter(f"{place}: numbers lie between -2^53 and 2^53")
    return value


def _parse_time(value: object, place: str) -> int:
    if not isinstance(value, str):
        raise InvalidFilter(f"{place}: expected an RFC 3339 time")
    try:
        moment = datetime.fromisoformat(value)
    except ValueError as error:
        raise InvalidFilter(f"{place}: expected an RFC 3339 time") from error
    if moment.tzinfo is None:
        raise InvalidFilter(f"{place}: a time needs its offset, such as Z")
    return epoch_micros(moment)


def _check_text(value: str, place: str) -> None:
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise InvalidFilter(f"{place}: the text holds a lone surrogate")


def _leaf_matches(op: Operator, wanted: Any, values: tuple[Scalar, ...]) -> bool:
    if op == "exists":
        return bool(values) is wanted
    if op == "ne":
        return not any(_same(value, wanted) for value in values)
    if op == "in":
        return any(_same(value, item) for value in values for item in wanted)
    if op == "eq":
        return any(_same(value, wanted) for value in values)
    return any(_in_order(op, value, wanted) for value in values)


def _same(value: Scalar, wanted: Scalar) -> bool:
    if isinstance(value, bool) or isinstance(wanted, bool):
        return value is wanted
    if isinstance(value, str) or isinstance(wanted, str):
        return isinstance(value, str) and isinstance(wanted, str) and value == wanted
    return value == wanted


def _in_order(op: Operator, value: Scalar, wanted: Scalar) -> bool:
    if isinstance(value, bool | str) or isinstance(wanted, bool | str):
        return False
    match op:
        case "gt":
            return value > wanted
        case "gte":
            return value >= wanted
        case "lt":
            return value < wanted
        case _:
            return value <= wanted
