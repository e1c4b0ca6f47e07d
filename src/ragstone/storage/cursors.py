"""Opaque cursors of lists: where the next page starts, in a form that only the same list accepts."""

import base64
import json
from collections.abc import Sequence
from typing import Any

from ragstone.core.errors import InvalidCursor

_MAX_LENGTH = 8_192  # a title key of 500 characters outside ASCII takes 4,000 in base64
_INT64 = 2**63


def encode_cursor(listing: str, key: Sequence[str | int]) -> str:
    """`key` is the sort key of the last item of a page; `listing` names the list and its order."""
    content = json.dumps([listing, *key], separators=(",", ":"))
    return base64.urlsafe_b64encode(content.encode()).decode().rstrip("=")


def decode_cursor(cursor: str, listing: str, types: Sequence[type[str | int]]) -> list[str | int]:
    """The key again, its values of exactly these types. Raises InvalidCursor."""
    try:
        found, *key = _items(cursor)
    except (ValueError, TypeError, RecursionError) as error:
        raise _invalid() from error
    is_ours = found == listing and [type(value) for value in key] == list(types)
    if not is_ours or not all(_is_storable(value) for value in key):
        raise _invalid()
    return key


def _items(cursor: str) -> Sequence[Any]:
    if len(cursor) > _MAX_LENGTH:
        raise ValueError("longer than any of ours")
    content = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    items: Sequence[Any] = json.loads(content)
    return items


def _is_storable(value: str | int) -> bool:
    """Databases refuse lone surrogates and integers beyond 64 bits."""
    if isinstance(value, int):
        return -_INT64 <= value < _INT64
    return not any("\ud800" <= character <= "\udfff" for character in value)


def _invalid() -> InvalidCursor:
    return InvalidCursor("the cursor was not issued by this list; start again without one")
