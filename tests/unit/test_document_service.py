"""Documents as their users handle them."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ragstone.core.errors import BlobMissing, Conflict, DocumentNotFound, QueueFull
from ragstone.core.models import DEFAULT_TENANT, Acceptance, DocumentPatch, DocumentStatus, JobState
from ragstone.services import switching
from tests.parts import World, open_world
from tests.waiting import until


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    monkeypatch.setattr(switching, "FLUSH_EVERY_S", 0.0)
    async with open_world(tmp_path / "data", settings={"max_queued_jobs": 5}) as opened:
        yield opened


async def test_chunks_come_in_pages_in_reading_order(world: World) -> None:
    document = await world.ready("One.\n\nTwo.\n\nThree.")
    service = world.container.documents

    first = await service.chunks(DEFAULT_TENANT, document.id, first=0, limit=2)
    last = await service.chunks(DEFAULT_TENANT, document.id, first=first.next_index or 0, limit=2)

    assert [point.payload["text"] for point in (*first.points, *last.points)] == ["One.", "Two.", "Three."]
    assert (first.next_index, last.next_index) == (2, None)
    assert (await service.chunks(DEFAULT_TENANT, document.id, first=99, limit=2)).points == ()


async def test_a_document_that_is_not_ready_has_no_text_and_no_chunks_yet(world: World) -> None:
    world.reader.gates["slow"] = asyncio.Event()
    acceptance = await world.upload("A slow one.")
    service = world.container.documents

    assert acceptance.document.status is DocumentStatus.QUEUED
    assert await service.text(DEFAULT_TENANT, acceptance.document.id) == ""
    assert (await service.chunks(DEFAULT_TENANT, acceptance.document.id, first=0, limit=9)).points == ()


async def test_lost_bytes_are_named_and_not_shown_as_empty(world: World) -> None:
    document = await world.ready("Refunds are paid.")
    for path in (world.container.directory.path / "blobs").glob("??/*"):
        path.unlink()

    with pytest.raises(BlobMissing):
        await world.container.documents.text(DEFAULT_TENANT, document.id)
    with pytest.raises(BlobMissing):
        await world.container.documents.content(DEFAULT_TENANT, document.id)


async def test_an_unknown_document_is_not_found(world: World) -> None:
    with pytest.raises(DocumentNotFound):
        await world.container.documents.text(DEFAULT_TENANT, "nobody")


class TestReindex:
    async def test_the_stored_bytes_become_a_new_version_that_is_embedded_anew(self, world: World) -> None:
        document = await world.ready("Refunds are paid.", "a")

        acceptance = await world.container.changes.reindex(DEFAULT_TENANT, document.id)
        assert acceptance.job is not None
        await world.finished(acceptance.job.id)

        assert (await world.get(document.id)).version == 2
        assert world.reader.reading == ["Refunds are paid."] * 2

    async def test_one_at_a_time(self, world: World) -> None:
        world.reader.gates["slow"] = asyncio.Event()
        acceptance = await world.upload("A slow one.")

        with pytest.raises(Conflict):
            await world.container.changes.reindex(DEFAULT_TENANT, acceptance.document.id)


async def test_a_full_queue_refuses_and_keeps_what_it_has(world: World) -> None:
    gate = world.reader.gates["slow"] = asyncio.Event()
    accepted: list[Acceptance] = []

    async def fill() -> None:
        while True:
            accepted.append(await world.upload(f"slow {len(accepted)}"))

    with pytest.raises(QueueFull):
        await fill()

    assert 5 <= len(accepted) <= 10  # some run already
    gate.set()
    for acceptance in accepted:
        assert acceptance.job is not None
        await world.finished(acceptance.job.id)


class TestCancel:
    async def test_a_cancelled_first_version_has_failed_and_nothing_works_on_it(self, world: World) -> None:
        world.reader.gates["slow"] = asyncio.Event()
        acceptance = await world.upload("A slow one.")
        assert acceptance.job is not None
        await until(lambda: _is_true(world.reader.reading))

        job = await world.container.jobs.cancel(DEFAULT_TENANT, acceptance.job.id)

        document = await world.get(acceptance.document.id)
        assert (job.state, document.status) == (JobState.CANCELLED, DocumentStatus.FAILED)
        assert document.error is not None
        assert document.error.code == "cancelled"
        await world.ready("Another one is read at once.")

    async def test_a_cancelled_update_leaves_the_visible_version(self, world: World) -> None:
        document = await world.ready("Refunds are paid.", "a")
        world.reader.gates["slow"] = asyncio.Event()
        acceptance = await world.upload("A slow one.", "a")
        assert acceptance.job is not None

        await world.container.jobs.cancel(DEFAULT_TENANT, acceptance.job.id)

        assert (await world.get(document.id)).status is DocumentStatus.READY
        assert await world.texts("refunds") == ["Refunds are paid."]


class TestPatch:
    async def test_while_the_engine_is_down_points_are_changed_later(self, world: World) -> None:
        document = await world.ready("Refunds are paid.", "a")
        world.store.is_down = True

        patched = await world.container.changes.update(
            DEFAULT_TENANT, document.id, DocumentPatch(metadata={"team": "x"})
        )

        assert patched.metadata == {"team": "x"}
        world.store.is_down = False

        async def points_have_it() -> bool:
            return all(point.payload["metadata"] == {"team": "x"} for point in world.store.points.values())

        await until(points_have_it)


async def _is_true(found: object) -> bool:
    return bool(found)
