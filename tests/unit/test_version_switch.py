"""Switching to indexed versions."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ragstone.core.errors import EngineUnavailable, Unavailable
from ragstone.core.models import DocumentStatus, JobState
from ragstone.services import switching
from tests.parts import World, open_world
from tests.waiting import until


class SlowFlush:
    """Flushes that wait for permission."""

    def __init__(self, world: World):
        self.began = asyncio.Event()
        self.allowed = asyncio.Event()
        self._flush = world.store.flush
        world.store.flush = self  # type: ignore[method-assign]

    async def __call__(self) -> None:
        self.began.set()
        await self.allowed.wait()
        await self._flush()


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    monkeypatch.setattr(switching, "RETRY_DELAY", timedelta(milliseconds=10))
    monkeypatch.setattr(switching, "FLUSH_EVERY_S", 0.1)
    async with open_world(tmp_path / "data") as opened:
        yield opened


async def test_a_version_is_not_visible_before_its_points_are_flushed(world: World) -> None:
    flush = SlowFlush(world)
    acceptance = await world.upload("Refunds are paid.")
    await flush.began.wait()

    assert world.store.points
    assert await world.texts("refunds") == []
    assert (await world.get(acceptance.document.id)).status is DocumentStatus.PROCESSING

    flush.allowed.set()
    assert acceptance.job is not None
    await world.finished(acceptance.job.id)
    assert await world.texts("refunds") == ["Refunds are paid."]


async def test_one_flush_covers_all_versions_that_wait(world: World) -> None:
    flush = SlowFlush(world)
    first = await world.upload("The first one.")
    await flush.began.wait()
    others = [await world.upload(f"Number {number} of many.") for number in range(5)]

    async def all_indexed() -> bool:
        return len(world.store.points) == 6

    await until(all_indexed)
    flush.allowed.set()
    for acceptance in (first, *others):
        assert acceptance.job is not None
        await world.finished(acceptance.job.id)

    assert world.store.flushes <= 3


async def test_a_failed_flush_gives_the_jobs_back_and_they_succeed_later(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    flush, failures = world.store.flush, [OSError("disk full"), EngineUnavailable("restarting")]

    async def fails_twice() -> None:
        if failures:
            raise failures.pop()
        await flush()

    monkeypatch.setattr(world.store, "flush", fails_twice)
    acceptance = await world.upload("Refunds are paid.")
    assert acceptance.job is not None

    job = await world.finished(acceptance.job.id)

    assert job.state is JobState.SUCCEEDED
    assert job.attempts == 3


async def test_versions_that_can_neither_be_switched_nor_given_back_are_tried_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = world.container.manifest
    switch_versions, requeue, failures = manifest.switch_versions, manifest.requeue, ["switch", "requeue"]

    async def fails_once(*arguments: Any, **options: Any) -> Any:
        if "switch" in failures:
            failures.remove("switch")
            raise Unavailable("the disk is full")
        return await switch_versions(*arguments, **options)

    async def fails_once_too(*arguments: Any, **options: Any) -> Any:
        if "requeue" in failures:
            failures.remove("requeue")
            raise Unavailable("the disk is full")
        return await requeue(*arguments, **options)

    monkeypatch.setattr(manifest, "switch_versions", fails_once)
    monkeypatch.setattr(manifest, "requeue", fails_once_too)

    document = await world.ready("Refunds are paid.")

    assert document.status is DocumentStatus.READY
    assert failures == []


async def test_a_stop_waits_for_the_switch_at_hand(tmp_path: Path) -> None:
    async with open_world(tmp_path / "data") as world:
        flush = SlowFlush(world)
        acceptance = await world.upload("Refunds are paid.")
        await flush.began.wait()
        asyncio.get_running_loop().call_later(0.05, flush.allowed.set)

    async with open_world(tmp_path / "data") as again:
        assert (await again.get(acceptance.document.id)).status is DocumentStatus.READY


async def test_a_stop_switches_what_waits_for_its_flush(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(switching, "FLUSH_EVERY_S", 60.0)
    async with open_world(tmp_path / "data") as world:
        await world.ready("The first is flushed at once.")
        waits = await world.upload("The second waits for a minute.")

        async def is_indexed() -> bool:
            return len(world.store.points) == 2

        await until(is_indexed)
        await asyncio.sleep(0.05)

    async with open_world(tmp_path / "data") as again:
        assert (await again.get(waits.document.id)).status is DocumentStatus.READY
