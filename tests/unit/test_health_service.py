"""What works and what does not."""

import asyncio
from typing import Any, cast

import pytest

from ragstone.services import health
from ragstone.services.health import HealthService


class Part:
    """A component that is well, ill, or does not answer."""

    def __init__(self, state: str):
        self.is_alive = state == "well"
        self._state = state

    async def is_healthy(self) -> bool:
        if self._state == "silent":
            await asyncio.sleep(60)
        return self._state == "well"


def service(*, manifest: str = "well", store: str = "well", queue: str = "well") -> HealthService:
    return HealthService(*(cast("Any", Part(state)) for state in (manifest, store, queue)))


async def test_all_is_well() -> None:
    found = await service().check()

    assert (found.status, found.is_ready) == ("healthy", True)
    assert found.uptime_s >= 0
    assert all(part.healthy for part in found.components.values())


@pytest.mark.parametrize("part", ["manifest", "store"])
async def test_without_a_required_part_the_server_is_not_ready(part: str) -> None:
    found = await service(**{part: "ill"}).check()

    assert (found.status, found.is_ready) == ("unhealthy", False)


async def test_without_ingestion_questions_are_still_answered() -> None:
    found = await service(queue="ill").check()

    assert (found.status, found.is_ready) == ("degraded", True)


async def test_a_part_that_does_not_answer_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "PROBE_LIMIT_S", 0.01)

    found = await service(store="silent").check()

    assert not found.components["vector_store"].healthy


async def test_a_server_on_its_way_out_is_not_ready() -> None:
    stopping = service()
    stopping.is_stopping = True

    assert not (await stopping.check()).is_ready
