"""What works and what does not, and how long anybody waits to hear it."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator

import pytest

from ragstone.services import health
from ragstone.services.health import Finding, HealthService, Probe
from tests.waiting import until

WAIT_S, SILENT_S = 0.05, 0.3


class Part:
    """A component that is well, ill, in trouble, broken, or does not answer until it is let."""

    def __init__(self, state: str = "well"):
        self.state = state
        self.asked = 0
        self.gate = asyncio.Event()

    async def measure(self) -> Finding:
        self.asked += 1
        if self.state == "silent":
            await self.gate.wait()
        if self.state == "broken":
            raise RuntimeError
        return Finding(self.state != "ill", None if self.state == "well" else self.state)


class Parts:
    """A required part and an optional one, and the service that asks them."""

    def __init__(self) -> None:
        self.store, self.queue = Part(), Part()
        self.service = HealthService(
            [Probe("store", self.store.measure, required=True), Probe("queue", self.queue.measure)]
        )


@pytest.fixture
async def parts(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Parts]:
    monkeypatch.setattr(health, "WAIT_S", WAIT_S)
    monkeypatch.setattr(health, "SILENT_S", SILENT_S)
    monkeypatch.setattr(health, "FRESH_S", 0.0)
    monkeypatch.setattr(health, "WATCH_EVERY_S", 0.01)
    made = Parts()
    yield made
    await made.service.stop()


async def test_all_is_well(parts: Parts) -> None:
    found = await parts.service.check()

    assert (found.status, found.is_ready) == ("healthy", True)
    assert found.uptime_s >= 0
    assert all(part.healthy and part.reason is None for part in found.components.values())


@pytest.mark.parametrize("state", ["ill", "broken"])
async def test_without_a_required_part_the_server_is_not_ready(parts: Parts, state: str) -> None:
    parts.store.state = state

    found = await parts.service.check()

    assert (found.status, found.is_ready) == ("unhealthy", False)


async def test_without_an_optional_part_questions_are_still_answered(parts: Parts) -> None:
    parts.queue.state = "ill"

    found = await parts.service.check()

    assert (found.status, found.is_ready) == ("degraded", True)
    assert found.components["queue"].reason == "ill"


async def test_a_required_part_in_trouble_that_works_leaves_the_server_ready(parts: Parts) -> None:
    parts.store.state = "restarted lately"

    found = await parts.service.check()

    assert (found.status, found.is_ready) == ("degraded", True)


async def test_a_server_on_its_way_out_is_not_ready(parts: Parts) -> None:
    parts.service.is_stopping = True

    assert not (await parts.service.check()).is_ready


class TestPartsThatHang:
    async def test_nobody_waits_for_one_and_it_is_down_once_it_is_silent_for_long(self, parts: Parts) -> None:
        parts.store.state = "silent"
        started = time.monotonic()
        early = await parts.service.check()
        waited_s = time.monotonic() - started
        await asyncio.sleep(SILENT_S)
        late = await parts.service.check()

        assert waited_s < SILENT_S
        assert (early.status, late.status) == ("healthy", "unhealthy")
        assert late.components["store"].reason == "no answer"

    async def test_a_second_caller_does_not_wait_at_all(
        self, parts: Parts, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(health, "FRESH_S", 60.0)
        parts.store.state = "silent"
        await parts.service.check()
        await asyncio.sleep(WAIT_S)
        waiting = parts.service.check()

        with pytest.raises(StopIteration):
            waiting.send(None)

    async def test_its_age_is_the_time_that_it_has_not_answered(self, parts: Parts) -> None:
        parts.store.state = "silent"
        await parts.service.check()
        await asyncio.sleep(SILENT_S)
        found = await parts.service.check()

        assert found.components["store"].age_s >= SILENT_S

    async def test_it_is_asked_once_and_back_as_soon_as_it_answers(self, parts: Parts) -> None:
        parts.store.state = "silent"
        for _ in range(3):
            await parts.service.check()
        await asyncio.sleep(SILENT_S)
        assert (await parts.service.check()).status == "unhealthy"
        parts.store.state = "well"
        parts.store.gate.set()
        await asyncio.sleep(0)

        assert parts.store.asked == 1
        assert (await parts.service.check()).status == "healthy"

    async def test_stopping_gives_it_up(self, parts: Parts) -> None:
        parts.store.state = "silent"
        parts.service.start()
        await parts.service.check()

        await asyncio.wait_for(parts.service.stop(), timeout=5)


async def test_a_fresh_finding_is_told_again_without_asking(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "FRESH_S", 60.0)

    await asyncio.gather(*(parts.service.check() for _ in range(5)))
    found = await parts.service.check()

    assert parts.store.asked == parts.queue.asked == 1
    assert 0 <= found.components["store"].age_s < 60


async def test_what_changes_is_logged_once_though_nobody_asks(
    parts: Parts, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "ragstone.services.health")
    parts.service.start()
    for state, asked in (("ill", 5), ("well", 10)):
        parts.queue.state = state
        await _asked(parts.queue, asked)

    changes = [(record.levelname, vars(record)["component"]) for record in caplog.records]
    assert changes == [("WARNING", "queue"), ("INFO", "queue")]


async def _asked(part: Part, times: int) -> None:
    async def enough() -> bool:
        return part.asked >= times

    await until(enough)
