"""Which embedder and which collection a start chooses, and when it refuses."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ragstone.bootstrap import Container, build_container
from ragstone.config.settings import load_settings
from ragstone.core.errors import EmbedderUnavailable, FingerprintChanged
from ragstone.core.models import Embedding, EmbeddingInput, Scope, Vector
from ragstone.core.timing import Stopwatch
from ragstone.embeddings.bm25 import Bm25Encoder
from ragstone.pipelines.searching import Search
from ragstone.services import reindexing, switching
from ragstone.services.documents import UploadFields
from ragstone.services.embedding_space import SERVING, read_space
from ragstone.testing.embedders import HashingEmbedder
from ragstone.vector_opening import EMBEDDERS
from tests.waiting import until

REMOTE: dict[str, Any] = {
    "embedding_provider": "openai",
    "embedding_model": "words",
    "embedding_dimension": 64,
}


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(switching, "FLUSH_EVERY_S", 0.0)
    monkeypatch.setattr(reindexing, "RETRY_S", 0.01)


class Remote(HashingEmbedder):
    """An embedder over the network: `turned` is another model under the same name."""

    def __init__(self, *, turned: bool = False):
        super().__init__(64)
        self.turned = turned
        self.is_down = False
        self.asked = 0

    async def embed_query(self, text: str) -> Vector:
        """See the port."""
        self._require_up()
        return self._turn(await super().embed_query(text))

    async def embed_documents(self, inputs: Sequence[EmbeddingInput]) -> list[Embedding]:
        """See the port."""
        self._require_up()
        found = await super().embed_documents(inputs)
        return [Embedding(self._turn(each.vector), each.spans) for each in found]

    def _require_up(self) -> None:
        self.asked += 1
        if self.is_down:
            raise EmbedderUnavailable("it does not answer")

    def _turn(self, vector: Vector) -> Vector:
        return np.roll(vector, 1) if self.turned else vector


@asynccontextmanager
async def opened(
    folder: Path, embedder: Any, *, reindex: bool = False, **settings: Any
) -> AsyncIterator[Container]:
    """A container over the folder."""
    configured = load_settings(data_dir=folder, **settings)
    async with build_container(configured, embedder=embedder, reindex=reindex) as container:
        yield container


async def upload(container: Container, text: str) -> None:
    """Upload and wait until it is searchable."""
    accepted = await container.documents.upload_text(text, UploadFields(Scope()))

    async def is_ready() -> bool:
        document = await container.documents.get("default", accepted.document.id)
        return document.status.value == "ready"

    await until(is_ready)


async def searched(container: Container, question: str) -> tuple[list[str], tuple[str, ...]]:
    """Texts, and the legs that are missing."""
    found = await container.query.search(Search(Scope(), question, 1), stopwatch=Stopwatch())
    return [source.text for source in found.sources], found.degraded


def collections(folder: Path) -> list[str]:
    """The folders of vectors."""
    return sorted(path.name for path in (folder / "vectors").iterdir())


async def has_switched(container: Container, folder: Path) -> None:
    """Wait until the new collection serves and the old one is gone."""
    assert container.reindexing is not None
    running = container.reindexing._loop
    assert running is not None
    await asyncio.wait_for(running, 60)
    assert len(collections(folder)) == 1


class TestChangedConfiguration:
    async def test_a_start_refuses_and_names_the_command(self, tmp_path: Path) -> None:
        async with opened(tmp_path, HashingEmbedder(64)):
            pass

        with pytest.raises(FingerprintChanged, match="ragstone serve --reindex"):
            async with opened(tmp_path, HashingEmbedder(32)):
                pass

        assert len(collections(tmp_path)) == 1

    async def test_on_request_it_serves_and_switches_and_the_old_collection_goes(
        self, tmp_path: Path
    ) -> None:
        async with opened(tmp_path, HashingEmbedder(64)) as container:
            await upload(container, "Zebras run.")
            before = collections(tmp_path)

        async with opened(tmp_path, HashingEmbedder(32), reindex=True) as container:
            assert (await searched(container, "zebras"))[0] == ["Zebras run."]
            await has_switched(container, tmp_path)
            assert await searched(container, "zebras") == (["Zebras run."], ())
            await upload(container, "Owls hoot.")

        assert collections(tmp_path) != before
        async with opened(tmp_path, HashingEmbedder(32)) as again:
            assert again.reindexing is None
            assert again.repaired is not None
            assert again.repaired.is_consistent
            assert await searched(again, "owls") == (["Owls hoot."], ())

    async def test_the_old_embedder_is_built_again_and_serves_until_then(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(EMBEDDERS, "minilm", "tests.unit.test_vector_opening:former")
        async with opened(tmp_path, HashingEmbedder(64)) as container:
            await upload(container, "Zebras run.")
        never = HashingEmbedder(32)
        never.embed_documents = _never  # type: ignore[method-assign]

        async with opened(tmp_path, never, reindex=True) as container:
            assert await searched(container, "zebras") == (["Zebras run."], ())
            await upload(container, "Owls hoot.")
            assert await searched(container, "owls") == (["Owls hoot."], ())

    async def test_going_back_before_the_switch_forgets_what_was_begun(self, tmp_path: Path) -> None:
        async with opened(tmp_path, HashingEmbedder(64)) as container:
            await upload(container, "Zebras run.")
        never = HashingEmbedder(32)
        never.embed_documents = _never  # type: ignore[method-assign]
        async with opened(tmp_path, never, reindex=True):
            assert len(collections(tmp_path)) == 2

        async with opened(tmp_path, HashingEmbedder(64)) as container:
            assert len(collections(tmp_path)) == 1
            assert await searched(container, "zebras") == (["Zebras run."], ())

    async def test_there_and_back_again(self, tmp_path: Path) -> None:
        async with opened(tmp_path, HashingEmbedder(64)) as container:
            await upload(container, "Zebras run.")
        for dimension in (32, 64):
            async with opened(tmp_path, HashingEmbedder(dimension), reindex=True) as container:
                await has_switched(container, tmp_path)
                assert await searched(container, "zebras") == (["Zebras run."], ())

    async def test_a_directory_of_an_earlier_build_is_known_by_its_fingerprint(self, tmp_path: Path) -> None:
        async with opened(tmp_path, HashingEmbedder(64)) as container:
            await upload(container, "Zebras run.")
            fingerprint = f"hashing:64:unit {Bm25Encoder().fingerprint}"
            await container.manifest.set_property("embedding_fingerprint", fingerprint)
            await container.manifest.set_property(SERVING, "")

        with pytest.raises(FingerprintChanged):
            async with opened(tmp_path, HashingEmbedder(32)):
                pass
        async with opened(tmp_path, HashingEmbedder(64)) as container:
            assert await searched(container, "zebras") == (["Zebras run."], ())

    async def test_words_counted_in_another_way_are_never_mixed(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with opened(tmp_path, HashingEmbedder(64)):
            pass
        monkeypatch.setattr(Bm25Encoder, "fingerprint", "bm25:other")

        with pytest.raises(FingerprintChanged, match="RAGSTONE_DATA_DIR"):
            async with opened(tmp_path, HashingEmbedder(64), reindex=True):
                pass


def former(*, precision: str) -> HashingEmbedder:
    """What the first start was configured with."""
    return HashingEmbedder(64)


async def _never(inputs: Sequence[EmbeddingInput]) -> list[Embedding]:
    await asyncio.sleep(600)
    raise AssertionError(inputs)


class TestProbes:
    async def test_the_same_model_is_accepted_and_asked_once_a_start(self, tmp_path: Path) -> None:
        for _ in range(2):
            embedder = Remote()
            async with opened(tmp_path, embedder, **REMOTE) as container:
                space = await read_space(container.manifest, SERVING)
            assert embedder.asked == 1
        assert space is not None
        assert len(space.probes or ()) == 3

    async def test_another_model_behind_the_name_is_refused(self, tmp_path: Path) -> None:
        async with opened(tmp_path, Remote(), **REMOTE):
            pass

        with pytest.raises(FingerprintChanged, match="another model"):
            async with opened(tmp_path, Remote(turned=True), **REMOTE):
                pass

    async def test_on_request_its_vectors_replace_the_old_ones(self, tmp_path: Path) -> None:
        async with opened(tmp_path, Remote(), **REMOTE) as container:
            await upload(container, "Zebras run.")

        async with opened(tmp_path, Remote(turned=True), reindex=True, **REMOTE) as container:
            await has_switched(container, tmp_path)
            assert await searched(container, "zebras") == (["Zebras run."], ())
        async with opened(tmp_path, Remote(turned=True), **REMOTE) as container:
            assert container.reindexing is None

    async def test_one_that_is_down_does_not_stop_a_start_and_is_checked_before_it_is_used(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with opened(tmp_path, Remote(), **REMOTE) as container:
            await upload(container, "Zebras run.")
        other = Remote(turned=True)
        other.is_down = True

        async with opened(tmp_path, other, retry_min_wait=0, **REMOTE) as container:
            assert any("cannot be checked" in record.message for record in caplog.records)
            other.is_down = False
            found = await searched(container, "zebras")

        assert found == (["Zebras run."], ("dense",))

    async def test_one_that_was_down_at_the_first_start_is_remembered_later(self, tmp_path: Path) -> None:
        embedder = Remote()
        embedder.is_down = True
        async with opened(tmp_path, embedder, **REMOTE) as container:
            embedder.is_down = False
            await upload(container, "Zebras run.")

        with pytest.raises(FingerprintChanged, match="another model"):
            async with opened(tmp_path, Remote(turned=True), **REMOTE):
                pass

    async def test_no_key_is_written_down(self, tmp_path: Path) -> None:
        secrets: dict[str, Any] = {
            "embedding_api_key": "sk-canary",
            "embedding_base_url": "http://user:canary@127.0.0.1:9/v1",
        }
        async with opened(tmp_path, Remote(), **REMOTE, **secrets) as container:
            space = await read_space(container.manifest, SERVING)

        assert space is not None
        assert space.options["base_url"] == "http://127.0.0.1:9/v1"
        assert b"canary" not in (tmp_path / "manifest.db").read_bytes()
