"""The retry layer: what is tried again, how long it waits, and when it stops asking."""

import asyncio
import time

import pytest

from ragstone.core import retry
from ragstone.core.deadline import Deadline
from ragstone.core.errors import (
    DeadlineExceeded,
    RagstoneError,
    UpstreamGarbled,
    UpstreamRateLimited,
    UpstreamRefused,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from ragstone.core.retry import (
    BUDGET_BURST,
    OPENS_AFTER,
    BreakerState,
    CircuitOpen,
    Dependency,
    RetryBudget,
    RetryPolicy,
)
from ragstone.core.timing import Stopwatch

QUICK = RetryPolicy(attempts=3, min_wait_s=0.0, max_wait_s=0.001, attempt_timeout_s=5.0)


class Flaky:
    """Raises what it is given, one failure a call, then answers."""

    def __init__(self, *failures: RagstoneError):
        self.failures = list(failures)
        self.calls = 0

    async def __call__(self) -> str:
        self.calls += 1
        if self.failures:
            raise self.failures.pop(0)
        return "answer"


def down() -> UpstreamUnavailable:
    return UpstreamUnavailable("down")


async def ask(
    dependency: Dependency, operation: Flaky, *, limit_s: float = 5.0, stopwatch: Stopwatch | None = None
) -> str:
    return await dependency.call(
        operation, deadline=Deadline.after(limit_s), stopwatch=stopwatch or Stopwatch()
    )


async def trip(dependency: Dependency) -> None:
    """Fail until the circuit is open."""
    while dependency.breaker.state is BreakerState.CLOSED:
        with pytest.raises(UpstreamUnavailable):
            await ask(dependency, Flaky(down(), down(), down()))


class TestRetries:
    async def test_a_passing_failure_is_tried_again_and_counted(self) -> None:
        dependency, operation, stopwatch = Dependency("llm", QUICK), Flaky(down(), down()), Stopwatch()

        assert await ask(dependency, operation, stopwatch=stopwatch) == "answer"

        assert operation.calls == 3
        assert stopwatch.retries == {"llm": 2}
        assert (dependency.attempts, dependency.retries) == (3, 2)
        assert dependency.failures == {"upstream_unavailable": 2}

    async def test_after_the_last_attempt_its_failure_is_raised(self) -> None:
        operation = Flaky(down(), down(), UpstreamRateLimited("the last one"), down())

        with pytest.raises(UpstreamRateLimited, match="the last one"):
            await ask(Dependency("llm", QUICK), operation)

        assert operation.calls == 3

    async def test_a_refusal_is_logged_since_the_configuration_is_wrong(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        with pytest.raises(UpstreamRefused):
            await ask(Dependency("llm", QUICK, provider="openai"), Flaky(UpstreamRefused("the key")))

        (line,) = [vars(record) for record in caplog.records]
        assert (line["msg"], line["dependency"], line["provider"]) == ("service refused", "llm", "openai")
        assert line["reason"] == "the key"

    @pytest.mark.parametrize("failure", [UpstreamRefused("401"), UpstreamGarbled("html")])
    async def test_what_cannot_pass_is_asked_once(self, failure: RagstoneError) -> None:
        operation = Flaky(failure)

        with pytest.raises(type(failure)):
            await ask(Dependency("llm", QUICK), operation)

        assert operation.calls == 1

    async def test_one_attempt_means_no_retry(self) -> None:
        operation = Flaky(down())

        with pytest.raises(UpstreamUnavailable):
            await ask(Dependency("llm", RetryPolicy(attempts=1)), operation)

        assert operation.calls == 1

    async def test_a_second_failure_of_another_kind_ends_it(self) -> None:
        operation = Flaky(down(), UpstreamRefused("401"))

        with pytest.raises(UpstreamRefused):
            await ask(Dependency("llm", QUICK), operation)

        assert operation.calls == 2

    async def test_a_defect_passes_through_and_frees_the_breaker(self) -> None:
        async def broken() -> str:
            raise ZeroDivisionError

        dependency = Dependency("llm", QUICK)
        with pytest.raises(ZeroDivisionError):
            await dependency.call(broken, deadline=Deadline.after(1), stopwatch=Stopwatch())

        assert dependency.breaker.state is BreakerState.CLOSED


class TestWaits:
    def test_waits_grow_between_the_bounds(self) -> None:
        policy = RetryPolicy(min_wait_s=1.0, max_wait_s=10.0)

        for attempt, most in ((1, 2.0), (2, 4.0), (3, 8.0), (4, 10.0), (10, 10.0)):
            waits = [policy.wait_s(attempt, None) for _ in range(200)]
            assert 1.0 <= min(waits) <= max(waits) <= most
        assert len(set(waits)) > 100

    def test_what_the_server_asks_for_is_the_least(self) -> None:
        assert RetryPolicy().wait_s(1, 7.5) == 7.5
        assert RetryPolicy().wait_s(1, 0.001) >= 1.0

    async def test_a_requested_wait_is_kept(self) -> None:
        operation = Flaky(UpstreamRateLimited("busy", retry_after_s=0.2))
        started = time.monotonic()

        await ask(Dependency("llm", QUICK), operation)

        assert time.monotonic() - started >= 0.2

    async def test_a_wait_beyond_the_deadline_is_not_begun(self) -> None:
        operation = Flaky(UpstreamRateLimited("busy", retry_after_s=120.0))
        started = time.monotonic()

        with pytest.raises(UpstreamRateLimited) as failure:
            await ask(Dependency("llm", QUICK), operation, limit_s=10.0)

        assert time.monotonic() - started < 1.0
        assert failure.value.retry_after_s == 120.0


class TestTime:
    async def test_an_attempt_that_takes_too_long_is_cut_and_tried_again(self) -> None:
        calls = 0

        async def slow_once() -> str:
            nonlocal calls
            calls += 1
            await asyncio.sleep(30 if calls == 1 else 0)
            return "answer"

        policy = RetryPolicy(attempts=2, min_wait_s=0.0, max_wait_s=0.001, attempt_timeout_s=0.05)
        dependency = Dependency("llm", policy)

        assert await dependency.call(slow_once, deadline=Deadline.after(5), stopwatch=Stopwatch()) == "answer"
        assert dependency.failures == {"upstream_timeout": 1}

    async def test_the_deadline_ends_everything(self) -> None:
        async def hang() -> str:
            await asyncio.sleep(30)
            return "never"

        started = time.monotonic()
        with pytest.raises(DeadlineExceeded, match=r"0\.1 s"):
            await Dependency("llm", QUICK).call(hang, deadline=Deadline.after(0.1), stopwatch=Stopwatch())

        assert time.monotonic() - started < 0.6

    async def test_short_deadlines_of_callers_do_not_open_the_circuit(self) -> None:
        async def takes_a_while() -> str:
            await asyncio.sleep(1)
            return "answer"

        dependency = Dependency("llm", QUICK)
        for _ in range(2 * OPENS_AFTER):
            with pytest.raises(DeadlineExceeded):
                await dependency.call(takes_a_while, deadline=Deadline.after(0.001), stopwatch=Stopwatch())

        assert dependency.breaker.state is BreakerState.CLOSED

    async def test_a_time_out_of_the_operation_itself_is_not_taken_for_ours(self) -> None:
        async def times_out() -> str:
            raise TimeoutError("its own")

        with pytest.raises(TimeoutError, match="its own"):
            await Dependency("llm", QUICK).call(times_out, deadline=Deadline.after(1), stopwatch=Stopwatch())


class TestBudget:
    def test_retries_are_a_tenth_of_the_calls_once_the_burst_is_spent(self) -> None:
        budget = RetryBudget()
        allowed = 0
        for _ in range(1_000):
            budget.earn()
            allowed += budget.spend() + budget.spend()

        assert 100 <= allowed <= 100 + BUDGET_BURST

    async def test_without_budget_the_first_failure_is_final(self) -> None:
        dependency = Dependency("llm", QUICK)
        while dependency.budget.spend():
            pass
        operation = Flaky(down())

        with pytest.raises(UpstreamUnavailable):
            await ask(dependency, operation)

        assert operation.calls == 1


class TestBreaker:
    @pytest.fixture(autouse=True)
    def _short(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(retry, "OPEN_S", 0.1)

    async def test_it_opens_after_failures_in_a_row_and_nothing_is_asked_then(self) -> None:
        dependency, operation = Dependency("llm", QUICK), Flaky()
        await trip(dependency)

        with pytest.raises(CircuitOpen) as failure:
            await ask(dependency, operation)

        assert operation.calls == 0
        assert failure.value.retry_after_s is not None
        assert failure.value.status == 503

    async def test_one_probe_at_a_time_after_a_while(self) -> None:
        dependency = Dependency("llm", QUICK)
        await trip(dependency)
        await asyncio.sleep(0.12)
        gate = asyncio.Event()

        async def probe() -> str:
            await gate.wait()
            return "answer"

        probing = asyncio.create_task(
            dependency.call(probe, deadline=Deadline.after(5), stopwatch=Stopwatch())
        )
        await asyncio.sleep(0)
        with pytest.raises(CircuitOpen):
            await ask(dependency, Flaky())
        gate.set()

        assert await probing == "answer"
        assert dependency.breaker.state is BreakerState.CLOSED

    async def test_a_failed_probe_opens_it_again(self) -> None:
        dependency = Dependency("llm", QUICK)
        await trip(dependency)
        await asyncio.sleep(0.12)

        with pytest.raises(UpstreamUnavailable):
            await ask(dependency, Flaky(down(), down(), down()))

        assert dependency.breaker.state is BreakerState.OPEN

    async def test_stragglers_of_the_outage_do_not_keep_it_open(self) -> None:
        dependency = Dependency("llm", RetryPolicy(attempts=1))
        gates = [asyncio.Event() for _ in range(10)]

        async def late(gate: asyncio.Event) -> str:
            await gate.wait()
            raise down()

        stragglers = [
            asyncio.create_task(
                dependency.call(lambda gate=gate: late(gate), deadline=Deadline.after(5), stopwatch=Stopwatch())  # type: ignore[misc]
            )
            for gate in gates
        ]
        await asyncio.sleep(0)
        await trip(dependency)
        await asyncio.sleep(0.08)
        for gate in gates:
            gate.set()
        await asyncio.gather(*stragglers, return_exceptions=True)
        await asyncio.sleep(0.04)

        assert await ask(dependency, Flaky()) == "answer"

    async def test_a_straggler_that_is_cancelled_does_not_free_the_place_of_the_probe(self) -> None:
        dependency = Dependency("llm", RetryPolicy(attempts=1))

        async def hang() -> str:
            await asyncio.sleep(30)
            return "never"

        straggler = asyncio.create_task(
            dependency.call(hang, deadline=Deadline.after(5), stopwatch=Stopwatch())
        )
        await asyncio.sleep(0)
        await trip(dependency)
        await asyncio.sleep(0.12)
        probe = asyncio.create_task(dependency.call(hang, deadline=Deadline.after(5), stopwatch=Stopwatch()))
        await asyncio.sleep(0)
        straggler.cancel()
        await asyncio.gather(straggler, return_exceptions=True)

        with pytest.raises(CircuitOpen):
            await ask(dependency, Flaky())
        probe.cancel()
        await asyncio.gather(probe, return_exceptions=True)

    async def test_a_part_of_this_server_has_no_circuit(self) -> None:
        dependency = Dependency("search", RetryPolicy(attempts=1), is_local=True)

        for _ in range(2 * OPENS_AFTER):
            with pytest.raises(UpstreamUnavailable):
                await ask(dependency, Flaky(down()))

        assert await ask(dependency, Flaky()) == "answer"

    async def test_a_cancelled_probe_leaves_room_for_another(self) -> None:
        dependency = Dependency("llm", QUICK)
        await trip(dependency)
        await asyncio.sleep(0.12)

        async def hang() -> str:
            await asyncio.sleep(30)
            return "never"

        probing = asyncio.create_task(
            dependency.call(hang, deadline=Deadline.after(5), stopwatch=Stopwatch())
        )
        await asyncio.sleep(0)
        probing.cancel()
        await asyncio.gather(probing, return_exceptions=True)

        assert await ask(dependency, Flaky()) == "answer"

    async def test_refusals_and_rate_limits_come_from_a_service_that_runs(self) -> None:
        dependency = Dependency("llm", RetryPolicy(attempts=1))

        for failure in [UpstreamRefused("401"), UpstreamRateLimited("429")] * OPENS_AFTER:
            with pytest.raises(type(failure)):
                await ask(dependency, Flaky(failure))

        assert dependency.breaker.state is BreakerState.CLOSED

    async def test_a_success_in_between_starts_the_count_anew(self) -> None:
        dependency = Dependency("llm", RetryPolicy(attempts=1))

        for _ in range(3):
            for _ in range(OPENS_AFTER - 1):
                with pytest.raises(UpstreamUnavailable):
                    await ask(dependency, Flaky(down()))
            await ask(dependency, Flaky())

        assert dependency.breaker.state is BreakerState.CLOSED

    async def test_total_failure_reaches_the_other_side_as_a_trickle(self) -> None:
        """What a thousand requests cost a service that is down."""
        dependency, operation = Dependency("llm", QUICK), Flaky(*(down() for _ in range(5_000)))

        for _ in range(1_000):
            with pytest.raises((UpstreamUnavailable, UpstreamTimeout)):
                await ask(dependency, operation)

        assert operation.calls <= 1.2 * 1_000
