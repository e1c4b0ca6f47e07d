"""Whether manifest, blobs and vectors agree, and what a start repairs."""

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from ragstone.core.models import DEFAULT_TENANT, DocumentStatus
from ragstone.services import switching
from ragstone.services.consistency import ORPHAN_BLOB_AGE_S
from tests.memory_store import MemoryStore
from tests.parts import World, open_world
from tests.waiting import until


@pytest.fixture(autouse=True)
def _flush_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(switching, "FLUSH_EVERY_S", 0.0)


async def filled(folder: Path) -> tuple[MemoryStore, str, World]:
    """A data directory at rest with one document of two chunks."""
    async with open_world(folder) as world:
        document = await world.ready("Refunds are paid.\n\nCats sleep.", "a")
        assert (await world.container.consistency.check()).is_consistent
    return world.store, document.id, world


async def test_a_healthy_directory_agrees_and_is_counted(tmp_path: Path) -> None:
    store, _, _ = await filled(tmp_path / "data")

    async with open_world(tmp_path / "data", store=store) as again:
        found = again.container.repaired

    assert found.is_consistent
    assert (found.documents, found.points) == (1, 2)


async def test_lost_points_are_indexed_again(tmp_path: Path) -> None:
    store, document_id, _ = await filled(tmp_path / "data")
    store.points.popitem()

    async with open_world(tmp_path / "data", store=store) as again:
        assert again.container.repaired.incomplete_versions == (f"{document_id}:1",)

        async def is_whole() -> bool:
            return (await again.container.consistency.check()).is_consistent

        await until(is_whole)
        assert (await again.get(document_id)).status is DocumentStatus.READY
        assert sorted(await again.texts("cats refunds")) == ["Cats sleep.", "Refunds are paid."]


async def test_points_of_no_version_are_deleted(tmp_path: Path) -> None:
    store, _, _ = await filled(tmp_path / "data")
    stray, *_ = store.points.values()
    store.points["stray"] = replace(
        stray, id="stray", payload={**stray.payload, "document_version": "nobody:1", "document_id": "nobody"}
    )

    async with open_world(tmp_path / "data", store=store) as again:
        assert again.container.repaired.orphan_versions == ("nobody:1",)
        assert "stray" not in store.points


async def test_bytes_of_no_version_are_deleted_at_a_start_since_nobody_uploads_yet(tmp_path: Path) -> None:
    store, _, _ = await filled(tmp_path / "data")
    orphan = leave_orphan(tmp_path / "data")

    async with open_world(tmp_path / "data", store=store) as again:
        assert again.container.repaired.orphan_blobs == (orphan.parent.name + orphan.name,)

    assert not orphan.exists()


async def test_while_uploads_arrive_fresh_bytes_of_no_version_are_no_difference(tmp_path: Path) -> None:
    store, _, _ = await filled(tmp_path / "data")
    async with open_world(tmp_path / "data", store=store) as again:
        orphan = leave_orphan(tmp_path / "data")
        assert (await again.container.consistency.check()).is_consistent

        os.utime(orphan, (time.time() - ORPHAN_BLOB_AGE_S - 1,) * 2)
        assert not (await again.container.consistency.check()).is_consistent


def leave_orphan(data_dir: Path) -> Path:
    """A blob that nothing refers to."""
    folder = data_dir / "blobs" / "ab"
    folder.mkdir(exist_ok=True)
    orphan = folder / ("c" * 62)
    orphan.write_text("left behind")
    return orphan


async def test_missing_originals_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store, document_id, _ = await filled(tmp_path / "data")
    async with open_world(tmp_path / "data", store=store) as world:
        _, path = await world.container.documents.content(DEFAULT_TENANT, document_id)
    path.unlink()

    async with open_world(tmp_path / "data", store=store) as again:
        (missing,) = again.container.repaired.missing_blobs
        assert path.name in missing
        assert await again.texts("cats")

    assert any("missing" in record.message for record in caplog.records)


async def test_work_that_a_crash_interrupted_is_taken_up_again(tmp_path: Path) -> None:
    async with open_world(tmp_path / "data") as world:
        await world.container.documents._queue.stop()  # type: ignore[attr-defined]
        acceptance = await world.upload("Refunds are paid.")
        (task,) = await world.container.manifest.claim_tasks(1)

    async with open_world(tmp_path / "data") as again:
        job = await again.finished(task.job.id)

    assert (job.document_id, job.attempts) == (acceptance.document.id, 2)
