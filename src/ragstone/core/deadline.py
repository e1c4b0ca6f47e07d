"""How long a request may still take: one value, handed to everything that is done for it."""

import asyncio
import time
from dataclasses import dataclass

from ragstone.core.errors import DeadlineExceeded


@dataclass(frozen=True, slots=True)
class Deadline:
    """A point of the monotonic clock, and the limit in seconds that led to it."""

    at: float
    limit_s: float

    @classmethod
    def after(cls, limit_s: float) -> "Deadline":
        """`limit_s` from now."""
        return cls(time.monotonic() + limit_s, limit_s)

    @property
    def remaining_s(self) -> float:
        """Never negative."""
        return max(0.0, self.at - time.monotonic())

    @property
    def is_over(self) -> bool:
        """Whether the time is up."""
        return time.monotonic() >= self.at

    def timeout(self, most_s: float | None = None) -> asyncio.Timeout:
        """A scope that is cancelled when the time is up, or after `most_s` if that is sooner."""
        remaining_s = self.remaining_s
        return asyncio.timeout(remaining_s if most_s is None else min(most_s, remaining_s))

    def exceeded(self) -> DeadlineExceeded:
        """What to raise once it is over."""
        return DeadlineExceeded(f"not done within {self.limit_s:g} s")
