"""Bounded work: so many at once, a line behind them, and a quick word to everybody beyond."""

import asyncio
import time

import pytest

from ragstone.core.deadline import Deadline
from ragstone.core.errors import DeadlineExceeded, Unavailable
from ragstone.core.places import Places
from ragstone.core.timing import Stopwatch


class Visitor:
    """Takes a place and keeps it until told."""

    def __init__(self, places: Places, *, patience_s: float = 5.0):
        self.stopwatch = Stopwatch()
        self.is_in = False
        self._done = asyncio.Event()
        self.visit = asyncio.create_task(self._visit(places, Deadline.after(patience_s)))

    async def _visit(self, places: Places, deadline: Deadline) -> None:
        async with places.taken(deadline, self.stopwatch):
            self.is_in = True
            await self._done.wait()

    async def leave(self) -> None:
        """And wait until others had their turn."""
        self._done.set()
        await self.visit
        await settle()

    async def cancel(self) -> None:
        """As a client that leaves."""
        self.visit.cancel()
        await asyncio.gather(self.visit, return_exceptions=True)
        await settle()


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def visitors(places: Places, count: int) -> list[Visitor]:
    found = [Visitor(places) for _ in range(count)]
    await settle()
    return found


async def test_beyond_those_at_work_others_wait_and_come_in_order() -> None:
    first, second, third, fourth = await visitors(Places("at work", at_work=2, in_line=2), 4)
    assert [each.is_in for each in (first, second, third, fourth)] == [True, True, False, False]

    await second.leave()

    assert (third.is_in, fourth.is_in) == (True, False)
    await first.leave()
    assert fourth.is_in
    for each in (third, fourth):
        await each.leave()


async def test_beyond_the_line_they_are_told_at_once_and_when_to_come_back() -> None:
    places = Places("at work", at_work=1, in_line=1)
    inside = await visitors(places, 2)

    (late,) = await visitors(places, 1)

    with pytest.raises(Unavailable, match="2 at work") as refused:
        await late.visit
    assert refused.value.retry_after_s is not None
    assert places.is_full
    for each in inside:
        await each.leave()
    assert not places.is_full


async def test_who_leaves_the_line_makes_room_and_takes_no_turn() -> None:
    places = Places("at work", at_work=1, in_line=1)
    inside, waiting = await visitors(places, 2)

    await waiting.cancel()
    (other,) = await visitors(places, 1)
    await inside.leave()

    assert other.is_in
    await other.leave()
    (again,) = await visitors(places, 1)
    assert again.is_in
    await again.leave()


async def test_who_is_cancelled_just_when_his_turn_comes_gives_it_on() -> None:
    places = Places("at work", at_work=1, in_line=2)
    inside, waiting, last = await visitors(places, 3)

    inside._done.set()
    await inside.visit  # the turn is granted, though nobody has taken it yet
    await waiting.cancel()

    assert last.is_in
    await last.leave()


async def test_waiting_ends_with_the_deadline() -> None:
    places = Places("at work", at_work=1, in_line=1)
    (inside,) = await visitors(places, 1)

    with pytest.raises(DeadlineExceeded):
        await Visitor(places, patience_s=0.02).visit

    await inside.leave()
    assert not places.is_full


async def test_a_wait_is_a_stage_and_no_wait_is_none() -> None:
    inside, waiting = await visitors(Places("at work", at_work=1, in_line=1), 2)

    await asyncio.sleep(0.01)
    await inside.leave()
    await waiting.leave()

    assert "queue_ms" not in inside.stopwatch.stages()
    assert waiting.stopwatch.stages()["queue_ms"] >= 9


class TestPace:
    async def slow_line(self, *, in_line: int, interval_s: float) -> tuple[Places, list[Visitor]]:
        """Of which two have ended at this interval."""
        places = Places("at work", at_work=1, in_line=in_line)
        inside = await visitors(places, in_line + 1)
        for _ in range(3):
            await inside.pop(0).leave()
            await asyncio.sleep(interval_s)
        return places, inside

    async def test_who_has_less_time_than_the_line_takes_need_not_wait_for_the_end_of_it(self) -> None:
        places, inside = await self.slow_line(in_line=40, interval_s=0.05)
        started = time.monotonic()

        with pytest.raises(Unavailable):
            await Visitor(places, patience_s=0.05).visit

        assert time.monotonic() - started < 0.04
        for each in inside:
            await each.cancel()

    async def test_a_line_that_would_take_too_long_is_full(self, monkeypatch: pytest.MonkeyPatch) -> None:
        places, inside = await self.slow_line(in_line=40, interval_s=0.05)
        assert not places.is_full

        monkeypatch.setattr("ragstone.core.places.LONGEST_WAIT_S", 0.05)

        assert places.is_full
        assert 0 < (places.refusal().retry_after_s or 0) < 5
        for each in inside:
            await each.cancel()

    async def test_a_quiet_time_is_no_slow_work(self) -> None:
        places = Places("at work", at_work=1, in_line=40)
        for _ in range(3):
            (visitor,) = await visitors(places, 1)
            await asyncio.sleep(0.03)
            await visitor.leave()

        assert places.refusal().retry_after_s == 0
