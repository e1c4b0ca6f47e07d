"""The one retry layer: attempts within a deadline, a budget for retries, and a circuit breaker per dependency.

Adapters make one attempt; pipelines call them through a `Dependency`. Retried is only what may pass by itself
(`RagstoneError.is_passing`). The wait before attempt n + 1 is drawn evenly from min … min(max, min · 2^n), or is what
the other side asked for (Retry-After) if that is longer; a wait that would outlast the deadline is not begun.
"""

import logging
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeVar

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_attempt

from ragstone.core.deadline import Deadline
from ragstone.core.errors import (
    ExternalServiceError,
    RagstoneError,
    Unavailable,
    UpstreamRefused,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from ragstone.core.timing import Stopwatch

log = logging.getLogger(__name__)

T = TypeVar("T")

BUDGET_BURST = 10.0  # retries that a quiet server may make at once
BUDGET_SHARE = 0.1  # and one for every ten calls: under total failure the other side sees 1.1 times the calls
OPENS_AFTER = 5  # failed attempts in a row
OPEN_S = 5.0  # then it is left alone for so long; with one probe after it, recovery is seen within 10 s
LEAST_STEP_S = 0.5  # from which waits grow, even where they may be as short as nothing
SLOW_S = 5.0  # an attempt that its caller's deadline cuts says something about the other side only after this


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """`attempts` in all, waits in seconds, and the longest one attempt may take (None: as long as the deadline)."""

    attempts: int = 3
    min_wait_s: float = 1.0
    max_wait_s: float = 10.0
    attempt_timeout_s: float | None = 60.0

    def wait_s(self, attempt: int, retry_after_s: float | None) -> float:
        """The pause after attempt number `attempt` (from 1) failed."""
        most = max(self.min_wait_s, min(self.max_wait_s, max(self.min_wait_s, LEAST_STEP_S) * 2.0**attempt))
        jittered = random.uniform(self.min_wait_s, most)  # noqa: S311 - spreads load, keeps no secret
        return max(jittered, retry_after_s or 0.0)


class RetryBudget:
    """Retries stay a share of the calls, so that they cannot multiply an outage."""

    def __init__(self) -> None:
        self._left = BUDGET_BURST

    def earn(self) -> None:
        """A call was made."""
        self._left = min(BUDGET_BURST, self._left + BUDGET_SHARE)

    def spend(self) -> bool:
        """Whether a retry is allowed; if so it is paid for."""
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True


class BreakerState(StrEnum):
    """Closed lets everything pass, open nothing, half-open one probe."""

    CLOSED = "closed"
    HALF_OPEN = "half_open"
    OPEN = "open"


class CircuitOpen(UpstreamUnavailable):
    """The dependency failed again and again, so it is not asked for a while."""

    is_passing = False


@dataclass(frozen=True, slots=True)
class Permit:
    """That an attempt may be made. What attempts of an earlier `era` find does not count: they began before the
    breaker opened, or closed."""

    era: int
    is_probe: bool = False


class CircuitBreaker:
    """Counts failed attempts in a row. Each permit is followed by exactly one of succeed, fail and give_up."""

    def __init__(self) -> None:
        self._failures = 0
        self._opened_at = 0.0
        self._era = 0
        self._is_probing = False

    @property
    def state(self) -> BreakerState:
        """As of now."""
        if self._failures < OPENS_AFTER:
            return BreakerState.CLOSED
        return BreakerState.OPEN if self.reopens_in_s > 0 else BreakerState.HALF_OPEN

    @property
    def reopens_in_s(self) -> float:
        """Until the next probe may be made."""
        return max(0.0, self._opened_at + OPEN_S - time.monotonic())

    def enter(self) -> Permit | None:
        """A permit, where an attempt may be made."""
        state = self.state
        if state is BreakerState.CLOSED:
            return Permit(self._era)
        if state is BreakerState.OPEN or self._is_probing:
            return None
        self._is_probing = True
        return Permit(self._era, is_probe=True)

    def succeed(self, permit: Permit) -> None:
        """The other side works."""
        if permit.era == self._era:
            self.reset()

    def fail(self, permit: Permit) -> None:
        """It does not."""
        if permit.era != self._era:
            return
        self._failures += 1
        if self._failures >= OPENS_AFTER:
            self._era += 1
            self._opened_at, self._is_probing = time.monotonic(), False

    def give_up(self, permit: Permit) -> None:
        """The attempt ended without telling anything about the other side."""
        if permit.is_probe and permit.era == self._era:
            self._is_probing = False

    def reset(self) -> None:
        """Closed, as if nothing had failed."""
        if self._failures >= OPENS_AFTER:
            self._era += 1
        self._failures, self._is_probing = 0, False


@dataclass(slots=True)
class Dependency:
    """One service that requests depend on, shared by all of them. `name` says what it does (llm, embedding, search),
    `provider` who does it; both are labels. What `is_local`, a part of this server, has no circuit to open: it restarts
    by itself, and its own errors are the true ones."""

    name: str
    policy: RetryPolicy = field(default_factory=RetryPolicy)
    provider: str = ""
    budget: RetryBudget = field(default_factory=RetryBudget)
    is_local: bool = False
    breaker: CircuitBreaker = field(default_factory=CircuitBreaker)
    attempts: int = 0
    retries: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    """By error code."""

    async def call(
        self, operation: Callable[[], Awaitable[T]], *, deadline: Deadline, stopwatch: Stopwatch
    ) -> T:
        """The result of the first attempt that succeeds. Raises what the last one raised, UpstreamTimeout,
        CircuitOpen, DeadlineExceeded."""
        self.budget.earn()
        try:
            return await self._attempt(operation, deadline)
        except RagstoneError as error:
            if not error.is_passing or self.policy.attempts < 2:
                raise
            first = error
        return await self._try_again(operation, first, deadline, stopwatch)

    async def _try_again(
        self,
        operation: Callable[[], Awaitable[T]],
        first: RagstoneError,
        deadline: Deadline,
        clock: Stopwatch,
    ) -> T:
        """Attempts two and up. The first is made without the retry library, whose 40 µs a working call need not pay;
        its failure is replayed here."""
        failed: list[RagstoneError] = [first]

        async def attempt() -> T:
            if failed:
                raise failed.pop()
            return await self._attempt(operation, deadline)

        def wait(state: RetryCallState) -> float:
            return self.policy.wait_s(state.attempt_number, _failure(state).retry_after_s)

        def is_hopeless(state: RetryCallState) -> bool:
            return state.upcoming_sleep >= deadline.remaining_s or not self.budget.spend()

        def note(state: RetryCallState) -> None:
            self.retries += 1
            clock.count_retry(self.name)
            fields = {"dependency": self.name, "code": _failure(state).code, "attempt": state.attempt_number}
            log.warning("retrying", extra={**fields, "wait_s": round(state.upcoming_sleep, 3)})

        retrying = AsyncRetrying(
            stop=lambda state: enough(state) or is_hopeless(state),
            wait=wait,
            retry=retry_if_exception(lambda error: isinstance(error, RagstoneError) and error.is_passing),
            before_sleep=note,
            reraise=True,
        )
        enough = stop_after_attempt(self.policy.attempts)
        return await retrying(attempt)

    def note_broken(self, error: RagstoneError) -> None:
        """An answer broke off after the attempt had succeeded. It is counted; whether the service is up, is another
        question."""
        self.failures[error.code] += 1

    async def _attempt(self, operation: Callable[[], Awaitable[T]], deadline: Deadline) -> T:
        permit = Permit(0) if self.is_local else self.breaker.enter()
        if permit is None:
            raise self._open_circuit()
        self.attempts += 1
        started = time.monotonic()
        try:
            async with deadline.timeout(self.policy.attempt_timeout_s) as scope:
                result = await operation()
        except RagstoneError as error:
            self._note_failure(error, permit)
            raise
        except TimeoutError:
            if not scope.expired():
                self._tell(CircuitBreaker.give_up, permit)
                raise
            raise self._late(deadline, time.monotonic() - started, permit) from None
        except BaseException:  # cancelled, or a defect: the attempt says nothing about the other side
            self._tell(CircuitBreaker.give_up, permit)
            raise
        self._tell(CircuitBreaker.succeed, permit)
        return result

    def _tell(self, found: Callable[[CircuitBreaker, Permit], None], permit: Permit) -> None:
        if not self.is_local:
            found(self.breaker, permit)

    def _note_failure(self, error: RagstoneError, permit: Permit) -> None:
        """A refusal, a 429, an answer we cannot read: all of them come from a service that runs."""
        if isinstance(error, ExternalServiceError | Unavailable):
            self.failures[error.code] += 1
        if isinstance(error, UpstreamRefused):  # the configuration is wrong, and stays so
            fields = {"dependency": self.name, "provider": self.provider, "reason": error.message}
            log.warning("service refused", extra=fields)
        self._tell(CircuitBreaker.fail if error.opens_circuit else CircuitBreaker.succeed, permit)

    def _late(self, deadline: Deadline, took_s: float, permit: Permit) -> RagstoneError:
        late = UpstreamTimeout(f"{self.name}: no answer within {took_s:.1f} s")
        self.failures[late.code] += 1
        says_something = not deadline.is_over or took_s >= SLOW_S
        self._tell(CircuitBreaker.fail if says_something else CircuitBreaker.give_up, permit)
        return deadline.exceeded() if deadline.is_over else late

    def _open_circuit(self) -> CircuitOpen:
        wait_s = max(1.0, self.breaker.reopens_in_s)
        return CircuitOpen(
            f"{self.name}: failed {OPENS_AFTER} times in a row, not asked again for {wait_s:.0f} s",
            retry_after_s=wait_s,
        )


def _failure(state: RetryCallState) -> RagstoneError:
    error = state.outcome.exception() if state.outcome else None
    assert isinstance(error, RagstoneError)
    return error


def is_outage(error: RagstoneError) -> bool:
    """Whether a service is down, full or late, so that a request may go on without it; all else must be loud."""
    return error.is_passing or isinstance(error, CircuitOpen)
