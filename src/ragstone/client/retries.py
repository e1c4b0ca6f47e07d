"""When a call is sent again: as often as asked for, when the server says or after a random pause, within its time."""

import random
import time
from dataclasses import dataclass
from typing import Protocol

from ragstone.client.errors import CallFailed

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 8.0


class Attempts(Protocol):
    """Of one call."""

    @property
    def timeout_s(self) -> float | None:
        """How long the server may be silent during the next one."""

    def pause_s(self, failure: CallFailed) -> float:
        """How long to wait before the next one. Raises the failure where there is none."""

    def succeed(self) -> None:
        """The last one did."""


class Retries(Protocol):
    """A rule for all calls of a client."""

    def begin(self, timeout_s: float | None) -> Attempts:
        """`timeout_s` is the client's limit for a call, None for one without."""


@dataclass(frozen=True, slots=True)
class BoundedRetries:
    """At most so many attempts after the first. A pause that would outlast the call's time is not begun."""

    most: int = 2

    def begin(self, timeout_s: float | None) -> "BoundedAttempts":
        """All attempts together have `timeout_s`."""
        return BoundedAttempts(self.most, None if timeout_s is None else time.monotonic() + timeout_s)


class BoundedAttempts:
    """Pauses are those of `Retry-After`, else drawn evenly from nothing to a bound that doubles."""

    def __init__(self, left: int, end: float | None):
        self._left = left
        self._end = end
        self._bound_s = FIRST_PAUSE_S

    @property
    def timeout_s(self) -> float | None:
        """What is left of the call's time."""
        return None if self._end is None else max(self._end - time.monotonic(), 0.001)

    def pause_s(self, failure: CallFailed) -> float:
        """Raises the failure after the last attempt, or where there is no time for another."""
        if self._left <= 0:
            raise failure
        self._left -= 1
        pause_s = failure.retry_after_s
        if pause_s is None:
            pause_s = random.uniform(0, self._bound_s)  # noqa: S311 - spreads load, keeps no secret
        self._bound_s = min(2 * self._bound_s, LONGEST_PAUSE_S)
        if self._end is not None and time.monotonic() + pause_s >= self._end:
            raise failure
        return pause_s

    def succeed(self) -> None:
        """Nothing is kept."""
