"""Deleting: invisible at once, purged until read back as gone."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ragstone.core.errors import DocumentNotFound
from ragstone.core.models import DEFAULT_TENANT, Deletion, JobKind, JobState
from ragstone.services import documents, purging, switching
from tests.parts import World, open_world
from tests.waiting import until


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    monkeypatch.setattr(purging, "RETRY_AFTER_S", 0.01)
    monkeypatch.setattr(documents, "PURGE_WAIT_S", 2.0)
    monkeypatch.setattr(switching, "FLUSH_EVERY_S", 0.0)
    async with open_world(tmp_path / "data") as opened:
        yield opened


async def no_points_left(world: World) -> bool:
    return not world.store.points


async def test_a_receipt_tells_what_went(world: World) -> None:
    document = await world.ready("One.\n\nTwo.", "a")
    await world.ready("One.\n\nTwo.\n\nThree.", "a")

    receipt = await world.container.documents.delete(DEFAULT_TENANT, document.id)

    assert receipt.versions == 2
    assert receipt.verified_absent
    assert receipt.points_deleted >= 3
    assert receipt.blobs_deleted == 2
    assert world.store.points == {}
    assert await world.blobs.list() == []


async def test_a_receipt_counts_what_the_loop_purged_first(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = await world.ready("One.\n\nTwo.", "a")
    service = world.container.documents
    manifest, purger = service._manifest, service._purger
    delete_document = manifest.delete_document

    async def overtaken(tenant_id: str, document_id: str) -> Deletion:
        deletion = await delete_document(tenant_id, document_id)
        for target in deletion.targets:
            await purger.purge(target)
        return deletion

    monkeypatch.setattr(manifest, "delete_document", overtaken)

    receipt = await world.container.documents.delete(DEFAULT_TENANT, document.id)

    assert (receipt.points_deleted, receipt.blobs_deleted) == (2, 1)


async def test_bytes_that_another_document_has_stay(world: World) -> None:
    one, other = await world.ready("The same text.", "a"), await world.ready("The same text.", "b")

    receipt = await world.container.documents.delete(DEFAULT_TENANT, one.id)

    assert receipt.blobs_deleted == 0
    assert await world.container.documents.text(DEFAULT_TENANT, other.id) == "The same text."
    assert await world.texts("text") == ["The same text."]


async def test_a_deleted_document_is_gone_from_everywhere(world: World) -> None:
    document = await world.ready("Refunds are paid.", "a")
    service = world.container.documents
    await service.delete(DEFAULT_TENANT, document.id)

    reindex = world.container.changes.reindex
    for look in (service.get, service.text, service.content, service.delete, reindex):
        with pytest.raises(DocumentNotFound):
            await look(DEFAULT_TENANT, document.id)
    with pytest.raises(DocumentNotFound):
        await service.chunks(DEFAULT_TENANT, document.id, first=0, limit=1)
    assert await world.texts("refunds") == []


async def test_while_the_engine_is_down_a_delete_hides_now_and_purges_later(world: World) -> None:
    document = await world.ready("Refunds are paid.", "a")
    world.store.is_down = True

    receipt = await world.container.documents.delete(DEFAULT_TENANT, document.id)

    assert not receipt.verified_absent
    assert receipt.job is not None
    purge = await world.job(receipt.job.id)
    assert (purge.kind, purge.state) == (JobKind.PURGE, JobState.QUEUED)
    with pytest.raises(DocumentNotFound):
        await world.get(document.id)

    world.store.is_down = False
    assert await world.texts("refunds") == []
    assert (await world.finished(receipt.job.id)).state is JobState.SUCCEEDED
    assert world.store.points == {}


async def test_points_that_do_not_go_are_not_called_gone(world: World) -> None:
    document = await world.ready("Refunds are paid.", "a")
    world.store.keeps_points = True

    receipt = await world.container.documents.delete(DEFAULT_TENANT, document.id)

    assert not receipt.verified_absent
    assert await world.texts("refunds") == []

    world.store.keeps_points = False
    await until(lambda: no_points_left(world))


async def test_a_delete_during_the_parsing_leaves_nothing_behind(world: World) -> None:
    gate = world.reader.gates["slow"] = asyncio.Event()
    acceptance = await world.upload("A slow text.", "a")

    async def is_read() -> bool:
        return bool(world.reader.reading)

    await until(is_read)
    receipt = await world.container.documents.delete(DEFAULT_TENANT, acceptance.document.id)
    gate.set()

    assert receipt.verified_absent
    assert acceptance.job is not None
    assert (await world.job(acceptance.job.id)).state is JobState.CANCELLED
    assert world.store.points == {}


async def test_the_points_of_a_replaced_version_go_and_its_bytes_stay(world: World) -> None:
    await world.ready("The old text.", "a")
    document = await world.ready("The new text.", "a")

    async def only_the_new_points() -> bool:
        return await world.store.count_versions() == {f"{document.id}:2": 1}

    await until(only_the_new_points)
    assert len(await world.blobs.list()) == 2


async def test_a_cascade_purges_every_document_of_the_collection(world: World) -> None:
    from ragstone.core.models import Scope
    from ragstone.services.documents import UploadFields

    await world.container.collections.create(DEFAULT_TENANT, "handbook", "")
    accepted = await world.container.documents.upload_text(
        "A rule.", UploadFields(Scope(collection="handbook"))
    )
    assert accepted.job is not None
    await world.finished(accepted.job.id)

    assert await world.container.collections.delete(DEFAULT_TENANT, "handbook", cascade=True) == 1

    await until(lambda: no_points_left(world))


async def test_what_was_not_purged_before_a_stop_is_purged_after_the_start(tmp_path: Path) -> None:
    async with open_world(tmp_path / "data") as world:
        document = await world.ready("Refunds are paid.", "a")
        world.store.is_down = True
        await world.container.documents.delete(DEFAULT_TENANT, document.id)

    world.store.is_down = False
    async with open_world(tmp_path / "data", store=world.store) as again:
        await until(lambda: no_points_left(again))
