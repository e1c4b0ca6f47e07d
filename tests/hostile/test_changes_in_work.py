"""Changes that meet work on the same document."""

import asyncio
from pathlib import Path

from ragstone.core.filters import parse_filter
from ragstone.core.models import DEFAULT_TENANT, DocumentPatch, Scope
from ragstone.core.timing import Stopwatch
from ragstone.pipelines.searching import Search
from tests.parts import World, open_world
from tests.waiting import until


async def found_by(world: World, team: str) -> list[str]:
    """Texts that a filter on the metadata lets pass."""
    where = parse_filter({"field": "metadata.team", "eq": team})
    search = Search(Scope(), "word", 10, where=where)
    return [
        source.text for source in (await world.container.query.search(search, stopwatch=Stopwatch())).sources
    ]


async def test_a_patch_during_the_first_ingest_reaches_the_filters(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        gate = world.reader.gates["word"] = asyncio.Event()
        accepted = await world.upload("a word", "source", metadata={"team": "old"})
        assert accepted.job is not None

        async def is_read() -> bool:
            return bool(world.reader.reading)

        await until(is_read)
        patch = DocumentPatch(metadata={"team": "new"})
        await world.container.changes.update(DEFAULT_TENANT, accepted.document.id, patch)
        gate.set()
        await world.finished(accepted.job.id)

        async def is_found() -> bool:
            return await found_by(world, "new") == ["a word"]

        await until(is_found)
        assert await found_by(world, "old") == []
