"""What new work begins with, and when what it replaced is free."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

T = TypeVar("T")


class Current(Generic[T]):
    """A value that can be replaced while it is in use: work ends with what it began with."""

    def __init__(self, value: T):
        self._holding = _Held(value)

    @contextmanager
    def taken(self) -> Iterator[T]:
        """The value as of now, kept until the end of the block."""
        held = self._holding
        held.users += 1
        try:
            yield held.value
        finally:
            held.users -= 1
            held.note()

    def replace(self, value: T) -> asyncio.Event:
        """From now on `value` is taken; the event is set once nobody uses the one before."""
        replaced, self._holding = self._holding, _Held(value)
        replaced.is_replaced = True
        replaced.note()
        return replaced.is_free


class _Held(Generic[T]):
    def __init__(self, value: T):
        self.value = value
        self.users = 0
        self.is_replaced = False
        self.is_free = asyncio.Event()

    def note(self) -> None:
        if self.is_replaced and not self.users:
            self.is_free.set()
