"""OpenAI's filters over attributes as ours over metadata."""

from typing import Annotated, Any

from pydantic import Field

from ragstone.core.errors import InvalidFilter
from ragstone.core.filters import MAX_DEPTH, METADATA_PREFIX

COMPARISONS = frozenset({"eq", "ne", "gt", "gte", "lt", "lte", "in", "nin"})
AttributeFilter = Annotated[
    dict[str, Any] | None,
    Field(
        description="`{type, key, value}` or `{type: and | or, filters: […]}`.",
        examples=[{"type": "eq", "key": "team", "value": "support"}],
    ),
]


def native_filter(given: Any, *, depth: int = 0) -> dict[str, Any]:
    """The same filter in the native grammar, whose own bounds hold. Raises InvalidFilter."""
    if not isinstance(given, dict) or depth > MAX_DEPTH:
        raise InvalidFilter(f"a filter is an object, at most {MAX_DEPTH} levels deep")
    kind, members = given.get("type"), given.keys()
    if kind in ("and", "or") and members == {"type", "filters"} and isinstance(given["filters"], list):
        return {str(kind): [native_filter(each, depth=depth + 1) for each in given["filters"]]}
    is_known = isinstance(kind, str) and kind in COMPARISONS
    if not is_known or members != {"type", "key", "value"} or not isinstance(given["key"], str):
        known = ", ".join(sorted(COMPARISONS))
        raise InvalidFilter(
            f"expected type, key and value, where type is one of {known}; or and, or with filters"
        )
    field, value = f"{METADATA_PREFIX}{given['key']}", given["value"]
    return {"not": {"field": field, "in": value}} if kind == "nin" else {"field": field, str(kind): value}
