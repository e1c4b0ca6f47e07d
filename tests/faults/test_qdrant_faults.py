"""HOSTILE E9 in our words: the vector store is another machine's, and that machine, or the way to it, fails."""

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from ragstone.bootstrap import Container, build_container
from ragstone.config.settings import load_settings
from ragstone.core.errors import (
    DeadlineExceeded,
    DocumentNotFound,
    EngineUnavailable,
    RagstoneError,
    StartupError,
)
from ragstone.core.models import Scope
from ragstone.core.timing import Stopwatch
from ragstone.pipelines.searching import Search
from ragstone.services import health, ingestion, switching, watching
from ragstone.services.documents import UploadFields
from ragstone.testing.embedders import HashingEmbedder
from ragstone.testing.qdrant_server import Fault, QdrantServer
from ragstone.testing.qdrant_server.collection import Collection
from tests.engines import quick_folder
from tests.waiting import until

ALWAYS = 0
LONG = "\n\n".join(f"Zebra number {n} of a long herd runs over a wide plain in the sun." for n in range(2400))


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(switching, "FLUSH_EVERY_S", 0.0)
    monkeypatch.setattr(watching, "LOOK_EVERY_S", 0.05)
    monkeypatch.setattr(health, "FRESH_S", 0.0)
    monkeypatch.setattr(ingestion, "RETRY_AFTER", ingestion.RETRY_AFTER / 100)


@pytest.fixture
def folder() -> Iterator[Path]:
    with quick_folder() as made:
        yield made


@pytest_asyncio.fixture
async def qdrant(folder: Path) -> AsyncIterator[QdrantServer]:
    async with QdrantServer(folder / "qdrant") as server:
        yield server


@asynccontextmanager
async def opened(folder: Path, qdrant: QdrantServer, **settings: Any) -> AsyncIterator[Container]:
    """A container whose vectors the server keeps."""
    waits = {"retry_min_wait": 0, "retry_max_wait": 0, "qdrant_timeout": 5, **settings}
    configured = load_settings(data_dir=folder / "data", qdrant_url=qdrant.url, **waits)
    async with build_container(configured, embedder=HashingEmbedder(64)) as container:
        yield container


async def upload(container: Container, text: str) -> str:
    """Upload and wait until it is searchable; its id."""
    accepted = await container.documents.upload_text(text, UploadFields(Scope()))

    async def is_ready() -> bool:
        return (await container.documents.get("default", accepted.document.id)).status.value == "ready"

    await until(is_ready)
    return accepted.document.id


async def searched(container: Container, question: str, timeout_s: float = 20.0) -> list[str]:
    """The texts that are found."""
    found = await container.query.search(
        Search(Scope(), question, 3), stopwatch=Stopwatch(), timeout_s=timeout_s
    )
    assert found.degraded == ()
    return [source.text for source in found.sources]


async def is_ready(container: Container) -> bool:
    return (await container.health.check()).is_ready


class TestQuestions:
    async def test_two_seconds_of_latency_are_within_the_deadline_or_end_at_it(
        self, folder: Path, qdrant: QdrantServer
    ) -> None:
        async with opened(folder, qdrant) as container:
            await upload(container, "Zebras run.")
            qdrant.script(Fault("late", times=1, seconds=2.0))
            assert await searched(container, "zebras") == ["Zebras run."]
            qdrant.script(Fault("late", times=ALWAYS, seconds=2.0))
            began = time.monotonic()
            with pytest.raises(DeadlineExceeded):
                await searched(container, "zebras", timeout_s=1.0)
            assert time.monotonic() - began < 1.5

    async def test_a_black_hole_ends_at_the_deadline_and_the_next_question_is_answered(
        self, folder: Path, qdrant: QdrantServer
    ) -> None:
        async with opened(folder, qdrant) as container:
            await upload(container, "Zebras run.")
            qdrant.script(Fault("hang", times=ALWAYS))
            began = time.monotonic()
            asked = [searched(container, "zebras", timeout_s=0.5) for _ in range(100)]
            found = await asyncio.gather(*asked, return_exceptions=True)
            assert all(isinstance(each, DeadlineExceeded) for each in found)
            assert time.monotonic() - began < 5.0
            qdrant.script()
            assert await searched(container, "zebras") == ["Zebras run."]

    @pytest.mark.parametrize("kind", ["reset", "reset_after", "cut", "status"])
    async def test_one_broken_answer_is_asked_for_again(
        self, folder: Path, qdrant: QdrantServer, kind: Any
    ) -> None:
        async with opened(folder, qdrant) as container:
            await upload(container, "Zebras run.")
            qdrant.script(Fault(kind, path="/query/batch"))
            assert await searched(container, "zebras") == ["Zebras run."]

    async def test_the_server_may_restart(self, folder: Path, qdrant: QdrantServer) -> None:
        async with opened(folder, qdrant) as container:
            await upload(container, "Zebras run.")
            await qdrant.stop()
            with pytest.raises(EngineUnavailable, match="cannot be reached"):
                await searched(container, "zebras")
            assert not await is_ready(container)
            await qdrant.start()
            assert await is_ready(container)
            assert await searched(container, "zebras") == ["Zebras run."]


class TestDocuments:
    @pytest.mark.parametrize(
        "fault",
        [
            Fault("status", path="/points/batch", every=3, times=4, code=500),
            Fault("reset", path="/points/batch", every=2, times=3),
            Fault("reset_after", path="/points/batch", every=2, times=3),
            Fault("cut", path="/points/batch", every=3, times=3),
        ],
    )
    async def test_the_points_are_exact_where_a_batch_of_some_fails(
        self, folder: Path, qdrant: QdrantServer, fault: Fault
    ) -> None:
        async with opened(folder, qdrant) as container:
            qdrant.script(fault)
            document_id = await upload(container, LONG)
            document = await container.documents.get("default", document_id)
            found = await container.consistency.check()
            assert found.is_consistent
            assert found.points == document.chunks > 64

    async def test_a_delete_is_acknowledged_while_the_server_is_down_and_purged_when_it_is_up(
        self, folder: Path, qdrant: QdrantServer
    ) -> None:
        async with opened(folder, qdrant) as container:
            document_id = await upload(container, "Zebras run.")
            await qdrant.stop()
            receipt = await container.documents.delete("default", document_id)
            assert not receipt.verified_absent
            with pytest.raises(DocumentNotFound):
                await container.documents.get("default", document_id)
            await qdrant.start()

            async def is_purged() -> bool:
                return (await container.consistency.check()).points == 0

            await until(is_purged)

    async def test_what_the_server_lost_is_indexed_again_when_it_is_back(
        self, folder: Path, qdrant: QdrantServer
    ) -> None:
        async with opened(folder, qdrant) as container:
            await upload(container, "Zebras run.")
            await qdrant.stop()
            await asyncio.sleep(4 * watching.LOOK_EVERY_S)
            _lose_points(folder / "qdrant")
            await qdrant.start()

            async def is_found_again() -> bool:
                return await searched(container, "zebras") == ["Zebras run."]

            await until(is_found_again)
            repair = await container.consistency.last_repair()
            assert repair is not None
            assert repair.versions_queued == 1

    async def test_a_server_that_comes_back_empty_is_filled_again(
        self, folder: Path, qdrant: QdrantServer
    ) -> None:
        async with opened(folder, qdrant) as container:
            await upload(container, "Zebras run.")
            await qdrant.stop()
            shutil.rmtree(folder / "qdrant")
            await qdrant.start()

            async def is_whole() -> bool:
                return (
                    (await container.consistency.check()).is_consistent
                    if await is_ready(container)
                    else False
                )

            await until(is_whole)
            assert await searched(container, "zebras") == ["Zebras run."]


class TestStarts:
    async def test_a_server_that_is_down_is_told_and_used_when_it_is_up(
        self, folder: Path, qdrant: QdrantServer, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with opened(folder, qdrant) as container:
            await upload(container, "Zebras run.")
        await qdrant.stop()
        caplog.clear()
        async with opened(folder, qdrant) as container:
            assert any("the vector store is down" in record.message for record in caplog.records)
            assert not await is_ready(container)
            assert container.repaired is None
            await qdrant.start()
            assert await searched(container, "zebras") == ["Zebras run."]
            assert await is_ready(container)

    async def test_a_first_start_before_its_server_makes_the_collection_later(
        self, folder: Path, qdrant: QdrantServer
    ) -> None:
        await qdrant.stop()
        async with opened(folder, qdrant) as container:
            accepted = await container.documents.upload_text("Zebras run.", UploadFields(Scope()))
            await qdrant.start()

            async def is_searchable() -> bool:
                document = await container.documents.get("default", accepted.document.id)
                return document.status.value == "ready"

            await until(is_searchable)
            assert await searched(container, "zebras") == ["Zebras run."]

    async def test_a_wrong_key_and_an_old_server_stop_the_start(self, folder: Path) -> None:
        async with QdrantServer(folder / "locked", key="right") as locked:
            with pytest.raises(StartupError, match="QDRANT_API_KEY"):
                async with opened(folder, locked, qdrant_api_key="wrong"):
                    pass
            async with opened(folder, locked, qdrant_api_key="right") as container:
                assert await is_ready(container)
        async with QdrantServer(folder / "old", version="1.18.3") as old:
            with pytest.raises(StartupError, match=r"1\.19 or later"):
                async with opened(folder, old):
                    pass

    async def test_something_else_behind_the_url_is_told(self, folder: Path, qdrant: QdrantServer) -> None:
        qdrant.script(Fault("garbled", times=ALWAYS))
        with pytest.raises(RagstoneError, match="not its protocol"):
            async with opened(folder, qdrant):
                pass


def _lose_points(folder: Path) -> None:
    """As a power loss may take away what was written last."""
    (path,) = folder.iterdir()
    collection = Collection(path)
    collection.update({"operations": [{"delete": {"filter": {"must_not": [{"has_id": []}]}}}]})
    collection.close()
