"""Health."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

import ragstone
from ragstone.api.main import create_app
from ragstone.bootstrap import Container
from ragstone.config.settings import load_settings
from ragstone.core.retry import OPENS_AFTER
from ragstone.services import health
from ragstone.testing.llms import FakeLLM
from tests.apiclient import Api
from tests.live import Live, live_server
from tests.parts import World, open_world


async def test_health_has_the_shape_that_its_users_know(api: Api) -> None:
    health = await api.get("/health")

    assert (health["status"], health["qdrant_connected"]) == ("healthy", True)
    assert health["api_version"] == ragstone.__version__
    assert health["uptime"] >= 0
    assert {"manifest", "vector_store", "ingestion", "disk"} <= set(health["components"])
    for part in health["components"].values():
        assert set(part) == {"healthy", "reason", "required", "age_s"}


async def test_alive_and_ready(api: Api) -> None:
    assert await api.get("/health/live") == {"status": "alive"}
    assert (await api.get("/health/ready"))["status"] == "ready"


async def test_a_server_on_its_way_out_is_alive_but_not_ready(api: Api, container: Container) -> None:
    container.health.is_stopping = True
    try:
        response = await api.http.get("/health/ready")
        assert (response.status_code, response.json()["status"]) == (503, "not_ready")
        assert response.headers["retry-after"] == "1"
        assert (await api.get("/health"))["status"] == "unhealthy"
        assert await api.get("/health/live") == {"status": "alive"}
    finally:
        container.health.is_stopping = False


class TestTrouble:
    """What is told when parts fail, over a container of its own."""

    @pytest.fixture
    async def world(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
        monkeypatch.setattr(health, "FRESH_S", 0.0)
        monkeypatch.setattr(health, "SILENT_S", 0.5)
        async with open_world(
            tmp_path / "data", llm=FakeLLM("Yes."), settings={"max_queued_jobs": 1}
        ) as world:
            yield world

    @pytest.fixture
    async def own(self, world: World, tmp_path: Path) -> AsyncIterator[Api]:
        app = create_app(load_settings(data_dir=tmp_path / "data"), world.container)
        transport = httpx2.ASGITransport(app=app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
            yield Api(http)

    async def test_a_model_that_is_left_alone_makes_the_server_degraded_and_ready(
        self, own: Api, world: World
    ) -> None:
        (llm,) = [each for each in world.container.dependencies if each.name == "llm"]
        for _ in range(OPENS_AFTER):
            permit = llm.breaker.enter()
            assert permit is not None
            llm.breaker.fail(permit)

        found = await own.get("/health")

        assert found["status"] == "degraded"
        assert found["components"]["llm:fake"]["reason"] == "failed again and again"
        assert (await own.get("/health/ready"))["status"] == "ready"

    async def test_a_full_queue_makes_it_degraded(self, own: Api, world: World) -> None:
        world.reader.gates["slow"] = asyncio.Event()
        for number in range(5):  # four at work, one waits
            await own.upload_text(f"slow {number}", status=202)
            await asyncio.sleep(0.1)

        found = await own.get("/health")

        assert (found["status"], found["components"]["ingestion"]["reason"]) == ("degraded", "queue full")
        world.reader.gates["slow"].set()

    async def test_parts_that_hang_hold_up_nothing_and_liveness_never_notices(
        self, own: Api, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def hang() -> bool:
            await asyncio.sleep(60)
            return True

        monkeypatch.setattr(world.store, "is_healthy", hang)
        monkeypatch.setattr(world.container.manifest, "queue_state", hang)
        started = time.monotonic()
        await own.get("/health")
        await asyncio.sleep(health.SILENT_S)
        found = await own.get("/health")
        refused = await own.http.get("/health/ready")
        alive = [await own.get("/health/live") for _ in range(20)]

        assert time.monotonic() - started < 20
        assert (found["status"], refused.status_code) == ("unhealthy", 503)
        assert found["components"]["vector_store"]["reason"] == "no answer"
        assert found["components"]["vector_store"]["age_s"] >= health.SILENT_S
        assert found["components"]["manifest"]["healthy"]
        assert alive == [{"status": "alive"}] * 20


@pytest.fixture
async def live(tmp_path: Path) -> AsyncIterator[Live]:
    from ragstone.testing.embedders import HashingEmbedder

    settings = load_settings(data_dir=tmp_path / "data")
    async with live_server(settings, HashingEmbedder(dimension=64)) as running:
        yield running


async def test_liveness_answers_while_a_large_document_is_read_and_many_ask(live: Live) -> None:
    await live.api.ready_text("Refunds are paid within 14 days.")
    sentences = " ".join(f"Number {number} of many sentences." for number in range(60_000))
    await live.api.upload(sentences.encode(), "large.txt")
    asking = asyncio.gather(*(live.stream("When are refunds paid?") for _ in range(20)))
    times_s: list[float] = []
    while not asking.done() or len(times_s) < 20:
        started = time.perf_counter()
        assert await live.api.get("/health/live") == {"status": "alive"}
        times_s.append(time.perf_counter() - started)
        await asyncio.sleep(0.01)
    answers = await asking

    assert {answer.kinds[-1] for answer in answers} == {"done"}
    assert sorted(times_s)[len(times_s) // 2] < 1.0  # on a busy machine; the bench has the figures
    assert (await live.api.get("/health"))["status"] != "unhealthy"
