"""What HTTP says while a part is down or full."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import httpx2
import pytest

from ragstone.api.main import create_app
from ragstone.config.settings import load_settings
from ragstone.services import documents, health, ingestion, purging, switching
from tests.apiclient import Api, Json
from tests.parts import World, open_world
from tests.waiting import until


@dataclass
class Fragile:
    """A server whose engine can be switched off."""

    api: Api
    world: World


@pytest.fixture
async def fragile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Fragile]:
    monkeypatch.setattr(switching, "FLUSH_EVERY_S", 0.0)
    monkeypatch.setattr(health, "FRESH_S", 0.0)
    monkeypatch.setattr(purging, "RETRY_AFTER_S", 0.01)
    monkeypatch.setattr(documents, "PURGE_WAIT_S", 0.05)
    monkeypatch.setattr(ingestion, "RETRY_AFTER", timedelta(milliseconds=10))
    async with open_world(tmp_path / "data", settings={"max_queued_jobs": 3}) as world:
        app = create_app(load_settings(data_dir=tmp_path / "data"), world.container)
        transport = httpx2.ASGITransport(app=app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
            yield Fragile(Api(http), world)


async def test_questions_are_503_with_retry_after(fragile: Fragile) -> None:
    fragile.world.store.is_down = True

    for path in ("/search", "/query"):
        error = await fragile.api.refused("POST", path, 503, json={"query": "cats"})
        assert (error["code"], error["retryable"]) == ("engine_unavailable", True)


async def test_uploads_are_still_accepted_and_become_ready_later(fragile: Fragile) -> None:
    fragile.world.store.is_down = True
    upload = await fragile.api.upload_text("Cats sleep.")

    fragile.world.store.is_down = False

    assert (await fragile.api.settled(upload))["status"] == "ready"


async def test_the_server_is_alive_but_not_ready(fragile: Fragile) -> None:
    fragile.world.store.is_down = True

    response = await fragile.api.http.get("/health/ready")
    health = await fragile.api.get("/health")

    assert (response.status_code, response.json()["status"]) == (503, "not_ready")
    assert response.json()["components"]["vector_store"]["healthy"] is False
    assert (health["status"], health["qdrant_connected"]) == ("unhealthy", False)
    assert await fragile.api.get("/health/live") == {"status": "alive"}


async def test_a_delete_is_202_with_the_job_that_goes_on(fragile: Fragile) -> None:
    api, store = fragile.api, fragile.world.store
    document = await api.ready_text("Cats sleep.")
    store.is_down = True

    receipt = await api.delete(f"/documents/{document['id']}", 202)

    assert (receipt["verified_absent"], receipt["points_deleted"]) == (False, 0)
    assert (receipt["job"]["kind"], receipt["job"]["state"]) == ("purge", "queued")
    await api.refused("GET", f"/documents/{document['id']}", 404)
    await api.refused("DELETE", f"/documents/{document['id']}", 404)
    store.is_down = False
    assert (await api.finished(receipt["job"]["id"]))["state"] == "succeeded"
    assert store.points == {}


async def test_a_full_queue_is_429_and_takes_uploads_again_later(fragile: Fragile) -> None:
    api, reader = fragile.api, fragile.world.reader
    reader.gates["slow"] = asyncio.Event()
    accepted: list[Json] = []
    refused = 0
    while not refused:
        response = await api.call("POST", "/documents", json={"text": f"slow {len(accepted)}"})
        if response.status_code == 429:
            refused += 1
            assert response.json()["error"]["code"] == "queue_full"
        else:
            accepted.append(response.json())
        assert len(accepted) < 20

    parts = [("files", (f"{number}.txt", b"slow")) for number in range(3)]
    many = await api.call("POST", "/documents", files=parts)
    assert many.status_code == 429
    assert {item["error"]["code"] for item in many.json()["items"]} == {"queue_full"}
    reader.gates["slow"].set()
    for upload in accepted:
        assert (await api.settled(upload))["status"] == "ready"
    assert (await api.settled(await api.upload_text("slow again")))["status"] == "ready"


async def test_a_reindex_while_a_version_is_in_work_is_409(fragile: Fragile) -> None:
    fragile.world.reader.gates["slow"] = asyncio.Event()
    upload = await fragile.api.upload_text("A slow one.")

    error = await fragile.api.refused("POST", f"/documents/{upload['document']['id']}/reindex", 409)

    assert error["code"] == "conflict"


async def test_a_job_tells_how_far_it_is(fragile: Fragile) -> None:
    gate = fragile.world.reader.gates["slow"] = asyncio.Event()
    upload = await fragile.api.upload_text("A slow one.")

    async def is_running() -> bool:
        return bool((await fragile.api.get(f"/jobs/{upload['job']['id']}"))["state"] == "running")

    await until(is_running)
    document = await fragile.api.get(f"/documents/{upload['document']['id']}")
    assert document["status"] == "processing"
    gate.set()
    await fragile.api.settled(upload)


async def test_a_newer_version_in_work_is_pending_behind_the_visible_one(fragile: Fragile) -> None:
    api = fragile.api
    gate = fragile.world.reader.gates["slow"] = asyncio.Event()
    old = await api.ready_text("The old text.", source="a")

    upload = await api.upload_text("A slow new text.", source="a")

    document = upload["document"]
    assert (document["status"], document["version"], document["sha256"]) == ("ready", 1, old["sha256"])
    assert (document["pending"]["version"], document["pending"]["job_id"]) == (2, upload["job"]["id"])
    assert document["pending"]["status"] in {"queued", "processing"}
    assert [hit["text"] for hit in await api.search("text")] == ["The old text."]
    gate.set()
    assert (await api.settled(upload))["version"] == 2


async def test_a_document_whose_newer_version_is_in_work_can_be_deleted(
    fragile: Fragile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(documents, "PURGE_WAIT_S", 60.0)  # a slow disk must not decide
    api = fragile.api
    fragile.world.reader.gates["slow"] = asyncio.Event()
    await api.ready_text("The old text.", source="a")
    upload = await api.upload_text("A slow new text.", source="a")

    receipt = await api.delete(f"/documents/{upload['document']['id']}")

    assert (receipt["versions"], receipt["verified_absent"]) == (2, True)
    assert (await api.get(f"/jobs/{upload['job']['id']}"))["state"] == "cancelled"
    assert fragile.world.store.points == {}
    assert await api.search("text") == []


async def test_lost_bytes_are_500_in_our_shape(fragile: Fragile) -> None:
    document = await fragile.api.ready_text("Cats sleep.")
    for path in (fragile.world.container.directory.path / "blobs").glob("??/*"):
        path.unlink()

    for part in ("content", "text"):
        error = await fragile.api.refused("GET", f"/documents/{document['id']}/{part}", 500)
        assert error["code"] == "blob_missing"
