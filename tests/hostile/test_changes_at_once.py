"""Operations on one document at the same moment end as the last acknowledged one says."""

import asyncio
import random
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from ragstone.core.errors import Conflict, DocumentNotFound
from ragstone.core.models import DEFAULT_TENANT, Acceptance, DocumentStatus, Scope
from ragstone.services import switching
from ragstone.services.documents import UploadFields
from tests.parts import World, open_world
from tests.waiting import until

INTERLEAVINGS = 100


async def put(world: World, document_id: str, text: str) -> Acceptance:
    return await world.container.changes.replace_text(
        DEFAULT_TENANT, document_id, text, UploadFields(Scope())
    )


async def restore(world: World, document_id: str) -> Acceptance:
    return await world.container.changes.restore(DEFAULT_TENANT, document_id, 1)


async def reindex(world: World, document_id: str) -> Acceptance:
    return await world.container.changes.reindex(DEFAULT_TENANT, document_id)


async def after(chance: random.Random, work: Coroutine[Any, Any, Any]) -> Any:
    """A few turns of the event loop later; what is refused as it may be is a result as well."""
    for _ in range(chance.randrange(12)):
        await asyncio.sleep(chance.choice((0, 0, 0.001)))
    try:
        return await work
    except (Conflict, DocumentNotFound) as error:
        return error


async def settle(world: World) -> None:
    async def is_settled() -> bool:
        counts = await world.container.manifest.counts()
        return not (counts["jobs_queued"] or counts["jobs_running"] or counts["purges_pending"])

    await until(is_settled)


@pytest.mark.parametrize("is_deleted", [False, True])
async def test_put_restore_and_delete_at_once(
    is_deleted: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(switching, "FLUSH_EVERY_S", 0.0)
    async with open_world(tmp_path) as world:
        for seed in range(INTERLEAVINGS):
            await interleave(world, random.Random(seed), is_deleted=is_deleted)


async def interleave(world: World, chance: random.Random, *, is_deleted: bool) -> None:
    mark = f"word{chance.random()}"
    document = await world.ready(f"{mark} first")
    works = [put(world, document.id, f"{mark} second"), put(world, document.id, f"{mark} third")]
    works += [restore(world, document.id), reindex(world, document.id)]
    if is_deleted:
        works.append(world.container.documents.delete(DEFAULT_TENANT, document.id))  # type: ignore[arg-type]
    await asyncio.gather(*(after(chance, work) for work in works))
    await settle(world)

    if is_deleted:
        assert await world.texts(mark) == []
        with pytest.raises(DocumentNotFound):
            await world.get(document.id)
    else:
        newest = (await world.container.documents.versions(DEFAULT_TENANT, document.id))[0]
        seen = await world.get(document.id)
        assert (seen.status, seen.version, seen.pending) == (DocumentStatus.READY, newest.version, None)
        text = await world.container.documents.text(DEFAULT_TENANT, document.id)
        assert [found for found in await world.texts(mark) if found.startswith(mark)] == [text]
    assert (await world.container.consistency.check(orphan_age_s=0.0)).is_consistent
