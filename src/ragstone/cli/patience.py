"""Waiting for a server: as long as it says when to come back, and for a while where it says nothing."""

import time
from collections.abc import Callable

from ragstone.client import ApiError, CallFailed, RateLimited, Unavailable

PATIENCE_S = 60.0  # a restart takes seconds, with a large data directory up to ten
FIRST_WAIT_S, LONGEST_WAIT_S = 0.25, 5.0


class Patience:
    """A rule for a client's retries. A full queue is waited for without end, since the server works it off; one that is
    down or does not answer for `patience_s`."""

    def __init__(self, *, say: Callable[[str], None], patience_s: float = PATIENCE_S):
        self._say = say
        self._patience_s = patience_s

    def begin(self, timeout_s: float | None) -> "PatientAttempts":
        """Each attempt has the whole time."""
        return PatientAttempts(timeout_s, say=self._say, patience_s=self._patience_s)


class PatientAttempts:
    """Of one call. What is waited for is said, and when that is over."""

    def __init__(self, timeout_s: float | None, *, say: Callable[[str], None], patience_s: float):
        self.timeout_s = timeout_s
        self._say = say
        self._patience_s = patience_s
        self._give_up_at: float | None = None
        self._backing_off_s = FIRST_WAIT_S

    def pause_s(self, failure: CallFailed) -> float:
        """Raises the failure where patience is over, or where it would not help."""
        if isinstance(failure, ApiError) and not isinstance(failure, RateLimited | Unavailable):
            raise failure
        self._give_up_at = self._next_end(failure)
        if isinstance(failure, ApiError):
            return failure.retry_after_s or LONGEST_WAIT_S
        wait_s = self._backing_off_s
        self._backing_off_s = min(2 * wait_s, LONGEST_WAIT_S)
        return wait_s

    def succeed(self) -> None:
        """Nothing is waited for any more."""
        self._say("")

    def _next_end(self, failure: CallFailed) -> float | None:
        """Until when to try. Raises the failure when that is past."""
        if isinstance(failure, RateLimited):
            self._say("the server's queue is full; waiting")
            return None
        now = time.monotonic()
        give_up_at = now + self._patience_s if self._give_up_at is None else self._give_up_at
        if now >= give_up_at:
            raise failure
        self._say(f"{failure}; trying for another {give_up_at - now:.0f} s")
        return give_up_at
