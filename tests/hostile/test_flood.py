"""More uploads than the queue has room for: it stays bounded, and what was accepted comes to its end."""

import asyncio
from pathlib import Path

import pytest

from ragstone.core.errors import QueueFull
from ragstone.core.models import Acceptance, JobState
from ragstone.services import switching
from tests.parts import open_world

ROOM = 50
UPLOADS = 500


async def test_a_flood_is_refused_beyond_the_bound_and_the_accepted_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(switching, "FLUSH_EVERY_S", 0.0)
    async with open_world(tmp_path, settings={"max_queued_jobs": ROOM}) as world:
        gate = world.reader.gates["word"] = asyncio.Event()
        replies = await asyncio.gather(
            *(world.upload(f"word {number}", f"source {number}") for number in range(UPLOADS)),
            return_exceptions=True,
        )
        accepted = [reply for reply in replies if isinstance(reply, Acceptance)]
        refused = [reply for reply in replies if isinstance(reply, QueueFull)]
        counts = await world.container.manifest.counts()

        assert len(accepted) + len(refused) == UPLOADS
        assert ROOM <= len(accepted) <= ROOM + 10  # a few were claimed meanwhile
        assert counts["jobs_queued"] <= ROOM
        gate.set()
        jobs = [await world.finished(reply.job.id) for reply in accepted if reply.job]
        assert {job.state for job in jobs} == {JobState.SUCCEEDED}
