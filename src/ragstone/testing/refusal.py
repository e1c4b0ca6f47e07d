"""Expecting a refusal without pytest, which a user of the conformance suites may not have."""

from collections.abc import Awaitable
from typing import TypeVar

from ragstone.core.errors import RagstoneError

E = TypeVar("E", bound=RagstoneError)


async def refusal(call: Awaitable[object], kind: type[E]) -> E:
    """The error of this kind that the call raises; AssertionError if it raises none."""
    try:
        await call
    except kind as error:
        return error
    raise AssertionError(f"{kind.__name__} was not raised")
