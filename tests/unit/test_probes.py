"""How each part is asked how it is."""

import asyncio
import time
from typing import Any, cast

import pytest

from ragstone.core.errors import EngineUnavailable, Unavailable
from ragstone.core.models import EngineState, QueueState
from ragstone.core.retry import OPENS_AFTER, Dependency
from ragstone.services import probes
from ragstone.services.health import Finding
from ragstone.services.probes import (
    LoopLag,
    dependency_probes,
    disk_probe,
    ingestion_probe,
    manifest_probe,
    store_probe,
)
from ragstone.services.serving import ServingStore
from tests.memory_store import MemoryStore


class Engine(MemoryStore):
    """A store whose engine can be down, and counts its restarts."""

    def __init__(self) -> None:
        super().__init__()
        self.restarts = 0

    async def engine_state(self) -> EngineState:
        if self.is_down:
            raise EngineUnavailable("down")
        return EngineState(points=7, memory_bytes=1_000)


class Jobs:
    """Implements what the probe needs of manifest and queue."""

    def __init__(self, queued: int = 0, *, is_alive: bool = True, failure: Exception | None = None):
        self.is_alive = is_alive
        self._queued, self._failure = queued, failure

    async def queue_state(self) -> QueueState:
        if self._failure is not None:
            raise self._failure
        return QueueState(self._queued, 2, 1.5)

    async def is_healthy(self) -> bool:
        return self.is_alive


async def ingestion(jobs: Jobs) -> Finding:
    return await ingestion_probe(cast("Any", jobs), cast("Any", jobs), max_queued_jobs=10).measure()


class TestStore:
    async def test_an_engine_tells_its_figures(self) -> None:
        found = await store_probe(ServingStore(Engine())).measure()

        assert found == Finding(True, None, {"up": 1, "points": 7, "memory_bytes": 1_000, "restarts": 0})

    async def test_an_engine_that_is_down_is_told(self) -> None:
        engine = Engine()
        engine.is_down = True

        found = await store_probe(ServingStore(engine)).measure()

        assert (found.healthy, found.reason, found.figures["up"]) == (False, "unreachable", 0)

    async def test_a_restart_is_told_for_a_while(self, monkeypatch: pytest.MonkeyPatch) -> None:
        engine = Engine()
        probe = store_probe(ServingStore(engine))
        engine.restarts = 1

        assert (await probe.measure()).reason == "restarted lately"
        monkeypatch.setattr(probes, "RESTART_SHOWS_S", 0.0)
        assert await probe.measure() == Finding(
            True, None, {"up": 1, "points": 7, "memory_bytes": 1_000, "restarts": 1}
        )

    async def test_a_store_that_knows_no_engine_is_asked_whether_it_is_healthy(self) -> None:
        store = MemoryStore()
        store.is_down = True

        assert not (await store_probe(ServingStore(store)).measure()).healthy
        assert (await store_probe(ServingStore(MemoryStore())).measure()).healthy


class TestIngestion:
    async def test_the_queue_tells_its_figures(self) -> None:
        assert await ingestion(Jobs(3)) == Finding(True, None, {"queued": 3, "running": 2, "oldest_s": 1.5})

    @pytest.mark.parametrize(
        ("jobs", "reason"),
        [
            (Jobs(is_alive=False), "stopped"),
            (Jobs(10), "queue full"),
            (Jobs(failure=Unavailable("locked")), "unreachable"),
        ],
    )
    async def test_what_is_wrong_is_said(self, jobs: Jobs, reason: str) -> None:
        found = await ingestion(jobs)

        assert (found.healthy, found.reason) == (False, reason)


class TestOthers:
    async def test_a_manifest_that_does_not_answer_is_unreachable(self) -> None:
        probe = manifest_probe(cast("Any", Jobs(is_alive=False)))

        assert (probe.required, (await probe.measure()).reason) == (True, "unreachable")

    @pytest.mark.parametrize(("free", "reason"), [(500, None), (499, "nearly full")])
    async def test_the_disk_must_have_room_for_a_few_of_the_largest_uploads(
        self, free: int, reason: str | None
    ) -> None:
        found = await disk_probe(lambda: free, max_upload_bytes=100).measure()

        assert (found.reason, found.figures) == (reason, {"free_bytes": free})

    async def test_a_disk_that_is_gone_is_unreachable(self) -> None:
        def fail() -> int:
            raise FileNotFoundError

        assert (await disk_probe(fail, max_upload_bytes=1).measure()).reason == "unreachable"

    async def test_a_service_whose_circuit_is_open_is_down_and_is_not_asked(self) -> None:
        remote, local = Dependency("llm", provider="openai"), Dependency("embedding", is_local=True)
        (probe,) = dependency_probes([remote, local])
        before = await probe.measure()
        for _ in range(OPENS_AFTER):
            permit = remote.breaker.enter()
            assert permit is not None
            remote.breaker.fail(permit)

        assert (probe.name, probe.required) == ("llm:openai", False)
        assert (before.healthy, (await probe.measure()).healthy, remote.attempts) == (True, False, 0)


async def test_whoever_holds_the_event_loop_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LoopLag, "EVERY_S", 0.01)
    lag = LoopLag()
    lag.start()
    await asyncio.sleep(0.03)
    time.sleep(0.2)  # noqa: ASYNC251 - on purpose
    await asyncio.sleep(0.03)
    await lag.stop()

    assert 0.1 < lag.worst_s < 5
