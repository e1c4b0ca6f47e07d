"""What the failure of an ingest means for its job and its document."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from ragstone.core.errors import ParseFailed, ParseLimit, WorkerDied
from ragstone.core.models import DocumentStatus, JobState, OnDuplicate
from ragstone.services import ingestion, switching
from tests.parts import World, open_world
from tests.waiting import until


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    monkeypatch.setattr(ingestion, "RETRY_AFTER", timedelta(milliseconds=10))
    monkeypatch.setattr(switching, "RETRY_DELAY", timedelta(milliseconds=10))
    monkeypatch.setattr(switching, "FLUSH_EVERY_S", 0.0)
    async with open_world(tmp_path / "data") as opened:
        yield opened


async def failed(world: World, text: str, source: str | None = None) -> tuple[str, str]:
    """Upload, wait for the failure; returns the document's id and the job's error code."""
    acceptance = await world.upload(text, source)
    assert acceptance.job is not None
    job = await world.finished(acceptance.job.id)
    assert job.state is JobState.FAILED
    assert job.error is not None
    return acceptance.document.id, job.error.code


async def test_an_uploaded_text_becomes_searchable(world: World) -> None:
    document = await world.ready("Refunds are paid.\n\nCats sleep.", "a")

    assert (document.status, document.version, document.chunks) == (DocumentStatus.READY, 1, 2)
    assert await world.texts("When are refunds paid?", top_k=1) == ["Refunds are paid."]


async def test_the_times_of_the_stages_are_kept_with_the_job(world: World) -> None:
    acceptance = await world.upload("Refunds are paid.", "a")
    assert acceptance.job is not None

    job = await world.finished(acceptance.job.id)

    assert set(job.stage_ms) == {"parse_ms", "chunk_ms", "embed_ms", "index_ms"}


class TestFailures:
    async def test_a_damaged_document_fails_at_once_and_says_why(self, world: World) -> None:
        world.reader.faults["damaged"] = [ParseFailed("the table is cut off", page=3)]

        document_id, code = await failed(world, "damaged")

        document = await world.get(document_id)
        assert code == "parse_failed"
        assert document.status is DocumentStatus.FAILED
        assert document.error is not None
        assert (document.error.message, document.error.page) == ("the table is cut off", 3)
        assert len(world.reader.reading) == 1

    async def test_a_blank_document_fails_as_no_text(self, world: World) -> None:
        _, code = await failed(world, " \n ")

        assert code == "no_text"

    async def test_a_document_that_kills_the_parser_every_time_is_poison_after_three_deaths(
        self, world: World
    ) -> None:
        world.reader.faults["deadly"] = [WorkerDied("signal 11")] * 5

        _, code = await failed(world, "deadly")

        assert code == "poison"
        assert len(world.reader.reading) == 3

    async def test_a_parser_that_dies_twice_gets_a_third_chance(self, world: World) -> None:
        world.reader.faults["unlucky"] = [WorkerDied("signal 9"), WorkerDied("signal 9")]

        document = await world.ready("unlucky but harmless")

        assert document.status is DocumentStatus.READY

    async def test_a_defect_is_tried_three_times_and_hides_its_message(self, world: World) -> None:
        world.reader.faults["odd"] = [KeyError("secret")] * 5

        document_id, code = await failed(world, "odd")

        assert code == "internal_error"
        assert len(world.reader.reading) == 3
        error = (await world.get(document_id)).error
        assert error is not None
        assert "secret" not in error.message

    async def test_a_failed_document_does_not_hold_up_the_others(self, world: World) -> None:
        world.reader.faults["deadly"] = [WorkerDied("signal 11")] * 5
        await world.upload("deadly")

        assert (await world.ready("harmless")).status is DocumentStatus.READY


class TestOutage:
    async def test_a_document_waits_for_the_engine_and_is_not_blamed(self, world: World) -> None:
        world.store.is_down = True
        acceptance = await world.upload("Refunds are paid.", "a")
        assert acceptance.job is not None
        job_id = acceptance.job.id

        async def tried_often() -> bool:
            return (await world.job(job_id)).attempts > ingestion.MAX_STRIKES

        await until(tried_often)
        job = await world.job(job_id)
        assert job.error is not None
        assert job.error.code == "engine_unavailable"

        world.store.is_down = False
        assert (await world.finished(job_id)).state is JobState.SUCCEEDED

    async def test_it_fails_in_the_end(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(ingestion, "MAX_ATTEMPTS", 2)
        world.store.is_down = True

        _, code = await failed(world, "Refunds are paid.")

        assert code == "engine_unavailable"


class TestUpdates:
    async def test_a_failed_update_leaves_the_old_version_in_place(self, world: World) -> None:
        document = await world.ready("The old text.", "a")
        world.reader.faults["unsafe"] = [ParseLimit("too large")]

        await failed(world, "An unsafe text.", "a")

        now = await world.get(document.id)
        assert (now.status, now.version) == (DocumentStatus.READY, 1)
        assert now.pending is not None
        assert (now.pending.version, now.pending.status) == (2, DocumentStatus.FAILED)
        assert now.pending.error is not None
        assert now.pending.error.code == "parse_limit"
        assert await world.texts("text") == ["The old text."]

    async def test_a_version_that_was_overtaken_is_not_finished(self, world: World) -> None:
        import asyncio

        gate = world.reader.gates["slow"] = asyncio.Event()
        overtaken = await world.upload("A slow text.", "a")
        assert overtaken.job is not None

        document = await world.ready("A newer text.", "a")
        gate.set()

        assert (await world.finished(overtaken.job.id)).state is JobState.CANCELLED
        assert document.version == 2
        assert await world.texts("text") == ["A newer text."]

    async def test_skip_keeps_what_is_there(self, world: World) -> None:
        await world.ready("The old text.", "a")

        acceptance = await world.upload("A new text.", "a", on_duplicate=OnDuplicate.SKIP)

        assert acceptance.job is None
        assert await world.texts("text") == ["The old text."]

    async def test_a_title_in_the_document_is_used_where_none_was_given(self, world: World) -> None:
        given = await world.ready("Some text.", "a", title="Given")
        taken = await world.ready("Other text.", "b")

        assert (given.title, taken.title) == ("Given", "Untitled")
