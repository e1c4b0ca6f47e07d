"""Moving vectors to a server, and what a start makes of where they lie."""

import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from ragstone import migration
from ragstone.bootstrap import Container, build_container
from ragstone.config.settings import Settings, load_settings
from ragstone.core.errors import DataDirectoryInUse, MigrationFailed, StartupError, VectorsElsewhere
from ragstone.core.models import Scope
from ragstone.core.timing import Stopwatch
from ragstone.migration import Moved, move_vectors
from ragstone.pipelines.searching import Search
from ragstone.services import switching
from ragstone.services.documents import UploadFields
from ragstone.storage.move_file import read_move
from ragstone.storage.restoring import restore
from ragstone.testing.embedders import HashingEmbedder
from ragstone.testing.qdrant_server import Fault, QdrantServer
from ragstone.vectorstores import moving
from tests.engines import quick_folder
from tests.waiting import until

TEXTS = [f"Zebra {n} runs.\n\nOwl {n} hoots at night." for n in range(6)]


@pytest.fixture(autouse=True)
def _small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(switching, "FLUSH_EVERY_S", 0.0)
    monkeypatch.setattr(moving, "PAGE", 2)


@pytest.fixture
def folder() -> Iterator[Path]:
    with quick_folder() as made:
        yield made


@pytest_asyncio.fixture
async def qdrant(folder: Path) -> AsyncIterator[QdrantServer]:
    async with QdrantServer(folder / "qdrant") as server:
        yield server


def settings_of(data_dir: Path, qdrant: QdrantServer | None = None) -> Settings:
    """Without waits."""
    url = None if qdrant is None else qdrant.url
    return load_settings(data_dir=data_dir, qdrant_url=url, retry_min_wait=0, retry_max_wait=0)


@asynccontextmanager
async def opened(settings: Settings, **options: Any) -> AsyncIterator[Container]:
    async with build_container(settings, embedder=HashingEmbedder(64), **options) as container:
        yield container


async def fill(settings: Settings) -> list[tuple[str, float]]:
    """Documents named by their number; returns what a search finds."""
    async with opened(settings) as container:
        for number, text in enumerate(TEXTS):
            await container.documents.upload_text(text, UploadFields(Scope(), f"text {number}"))
        await until(lambda: has_documents(container, len(TEXTS)))
        return await ranking(container)


async def has_documents(container: Container, number: int) -> bool:
    """Whether so many are searchable."""
    return len(await container.manifest.visible_contents()) == number


async def ranking(container: Container) -> list[tuple[str, float]]:
    found = await container.query.search(Search(Scope(), "which owl hoots", 5), stopwatch=Stopwatch())
    return [(source.text, round(source.score, 3)) for source in found.sources]


async def move(data_dir: Path, qdrant: QdrantServer) -> Moved:
    settings = settings_of(data_dir, qdrant)
    return await move_vectors(settings, qdrant.url, told=lambda *_: None, command="test")


class TestMoving:
    async def test_the_same_answers_come_from_the_server_and_the_directory_is_free_of_vectors(
        self, folder: Path, qdrant: QdrantServer
    ) -> None:
        before = await fill(settings_of(folder / "data"))

        moved = await move(folder / "data", qdrant)

        assert (moved.versions, moved.copied) == (len(TEXTS), moved.points)
        assert list((folder / "data" / "vectors").iterdir()) == []
        async with opened(settings_of(folder / "data", qdrant)) as container:
            assert container.repaired is not None
            assert container.repaired.is_consistent
            assert await ranking(container) == before

    async def test_an_interrupted_move_goes_on(
        self, folder: Path, qdrant: QdrantServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await fill(settings_of(folder / "data"))
        qdrant.script(Fault("status", path="/points/batch", every=3))
        with pytest.raises(StartupError, match="run the command again"):
            await move(folder / "data", qdrant)

        moved = await move(folder / "data", qdrant)

        assert 0 < moved.copied < moved.points
        assert len(list((folder / "qdrant").iterdir())) == 1

    async def test_what_changed_between_two_tries_is_copied_again(
        self, folder: Path, qdrant: QdrantServer
    ) -> None:
        await fill(settings_of(folder / "data"))
        qdrant.script(Fault("status", path="/points/batch", every=3))
        with pytest.raises(StartupError):
            await move(folder / "data", qdrant)
        async with opened(settings_of(folder / "data")) as container:
            for key in list(await container.manifest.visible_contents())[:2]:
                await container.documents.delete("default", key.partition(":")[0])

        moved = await move(folder / "data", qdrant)

        assert moved.versions == len(TEXTS) - 2
        async with opened(settings_of(folder / "data", qdrant)) as container:
            assert container.repaired is not None
            assert container.repaired.is_consistent

    async def test_a_server_that_loses_points_is_noticed_and_nothing_is_switched(
        self, folder: Path, qdrant: QdrantServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await fill(settings_of(folder / "data"))
        monkeypatch.setattr("ragstone.testing.qdrant_server.collection._to_update", _half_of)

        with pytest.raises(MigrationFailed, match="other numbers of points"):
            await move(folder / "data", qdrant)

        async with opened(settings_of(folder / "data")) as container:
            assert container.repaired is not None
            assert container.repaired.is_consistent

    async def test_a_server_that_finds_others_is_noticed(
        self, folder: Path, qdrant: QdrantServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await fill(settings_of(folder / "data"))
        monkeypatch.setattr(migration, "SAMPLE_HITS", 3)
        monkeypatch.setattr("ragstone.testing.qdrant_server.terms._to_vector", _turned)

        with pytest.raises(MigrationFailed, match="finds others"):
            await move(folder / "data", qdrant)

        assert read_move(folder / "data") is not None

    async def test_a_directory_in_use_or_without_vectors_is_refused(
        self, folder: Path, qdrant: QdrantServer
    ) -> None:
        async with opened(settings_of(folder / "data")):
            with pytest.raises(DataDirectoryInUse):
                await move(folder / "data", qdrant)
        with pytest.raises(MigrationFailed, match="no vectors to move"):
            await move(folder / "another", qdrant)


class TestWhereVectorsLie:
    async def test_a_start_with_a_server_over_vectors_in_the_directory_names_the_command(
        self, folder: Path, qdrant: QdrantServer
    ) -> None:
        await fill(settings_of(folder / "data"))
        with pytest.raises(VectorsElsewhere, match=f"ragstone migrate --to {qdrant.url}"):
            async with opened(settings_of(folder / "data", qdrant)):
                pass

    async def test_a_start_without_the_server_refuses_or_indexes_anew_on_request(
        self, folder: Path, qdrant: QdrantServer
    ) -> None:
        before = await fill(settings_of(folder / "data", qdrant))
        with pytest.raises(VectorsElsewhere, match="QDRANT_URL is not set"):
            async with opened(settings_of(folder / "data")):
                pass
        async with opened(settings_of(folder / "data"), reindex=True) as container:
            await until(lambda: _finds(container, before))

    async def test_two_directories_on_one_server_do_not_see_each_other(
        self, folder: Path, qdrant: QdrantServer
    ) -> None:
        first, second = (settings_of(folder / name, qdrant) for name in ("first", "second"))
        before = await fill(first)
        async with opened(second) as empty:
            assert empty.repaired is not None
            assert empty.repaired.points == 0
        async with opened(first) as container:
            assert await ranking(container) == before

    async def test_a_restored_backup_has_its_own_vectors_and_leaves_the_server_alone(
        self, folder: Path, qdrant: QdrantServer
    ) -> None:
        before = await fill(settings_of(folder / "data", qdrant))
        async with opened(settings_of(folder / "data", qdrant)) as container:
            await container.backups.make(str(folder / "backup"), stopwatch=Stopwatch())
        restore(folder / "backup", folder / "restored", command="test")

        async with opened(settings_of(folder / "restored")) as container:
            assert await ranking(container) == before
        await move(folder / "restored", qdrant)

        assert len(list((folder / "qdrant").iterdir())) == 2
        async with opened(settings_of(folder / "data", qdrant)) as container:
            assert await ranking(container) == before

    async def test_a_changed_embedder_is_built_beside_on_the_server(
        self, folder: Path, qdrant: QdrantServer
    ) -> None:
        settings = settings_of(folder / "data", qdrant)
        await fill(settings)
        async with build_container(settings, embedder=HashingEmbedder(32), reindex=True) as container:
            reindexing = container.reindexing
            assert reindexing is not None

            async def has_one_collection() -> bool:
                return len(list((folder / "qdrant").iterdir())) == 1 and reindexing.progress is None

            await until(has_one_collection)
            assert len(await ranking(container)) == 5


async def _finds(container: Container, before: list[tuple[str, float]]) -> bool:
    """New versions have new ids, so equal scores may come in another order."""
    found = await ranking(container)
    return found[:1] == before[:1] and len(found) == len(before)


def _half_of(operation: Any) -> Any:
    from qdrant_edge import UpdateOperation

    from ragstone.testing.qdrant_server.terms import to_point

    if "upsert" not in operation:
        raise ValueError("not in this test")
    points = operation["upsert"]["points"]
    return UpdateOperation.upsert_points([to_point(point) for point in points[::2]])


def _turned(found: Any) -> Any:
    """Another direction for each vector."""
    from qdrant_edge import SparseVector

    if not isinstance(found, list):
        return SparseVector(found["indices"], found["values"])
    chance = random.Random(str([round(number, 2) for number in found]))
    return [chance.gauss(0, 1) for _ in found]
