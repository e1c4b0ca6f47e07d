"""A new collection is filled beside the one that serves, and takes its place without a gap."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ragstone.adapters import Successor
from ragstone.core.errors import BadEmbedding, EmbedderUnavailable
from ragstone.core.models import DEFAULT_TENANT, Embedding, KnownChunk, ReadDocument, Scope, Vector
from ragstone.core.timing import Stopwatch
from ragstone.pipelines.searching import Search
from ragstone.services import reindexing, switching
from ragstone.services.embedding_space import SERVING, SUCCESSOR, EmbeddingSpace, read_space, write_space
from ragstone.storage.manifest import open_manifest
from tests.memory_store import MemoryStore
from tests.parts import ParagraphReader, World, open_world
from tests.waiting import until
from tests.words import WordEmbedder

NEW = EmbeddingSpace("mirrored words", "minilm", {}, 64, "0123456789abcdef")


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(switching, "FLUSH_EVERY_S", 0.0)
    monkeypatch.setattr(reindexing, "RETRY_S", 0.01)


class MirroredEmbedder(WordEmbedder):
    """Words point the other way: a query of one embedder finds nothing sensible among vectors of the other."""

    fingerprint = "mirrored"

    async def embed_query(self, text: str) -> Vector:
        """See the port."""
        return -(await super().embed_query(text))

    async def embed_documents(self, inputs: Any) -> list[Embedding]:
        """See the port; a text that holds a word of `gates` waits, `failures` are raised first."""
        for item in inputs:
            for word, gate in self.gates.items():
                if word in item.text:
                    await gate.wait()
        if self.failures:
            raise self.failures.pop()
        return [Embedding(-each.vector, -each.spans) for each in await super().embed_documents(inputs)]

    def __init__(self) -> None:
        super().__init__()
        self.gates: dict[str, asyncio.Event] = {}
        self.failures: list[Exception] = []


@dataclass
class Change:
    """A directory with documents, and the collection that is to replace theirs."""

    folder: Path
    old: MemoryStore = field(default_factory=MemoryStore)
    new: MemoryStore = field(default_factory=MemoryStore)
    embedder: MirroredEmbedder = field(default_factory=MirroredEmbedder)
    retired: list[str] = field(default_factory=list)
    first: str = ""
    """The document that is copied first, and a word of the one that is copied last."""
    last_word: str = ""

    @asynccontextmanager
    async def world(self, **changes: Any) -> AsyncIterator[World]:
        """Serve the old collection while the new one is filled."""
        manifest = await open_manifest(self.folder / "manifest.db")
        await write_space(manifest, SUCCESSOR, NEW)
        await manifest.close()
        successor = Successor(self.embedder, self.new, self._retire)
        async with open_world(self.folder, store=self.old, successor=successor, **changes) as world:
            yield world

    async def _retire(self) -> None:
        self.retired.append("old")

    async def has_copied_first(self) -> bool:
        """Whether the first document is in the new collection."""
        return f"{self.first}:1" in versions_in(self.new)

    async def finished(self) -> None:
        """Wait until the old collection is free."""

        async def is_retired() -> bool:
            return bool(self.retired)

        await until(is_retired)


@pytest.fixture
async def change(tmp_path: Path) -> Change:
    """Two documents at rest."""
    found = Change(tmp_path / "data")
    async with open_world(found.folder, store=found.old) as world:
        one = await world.ready("Refunds are paid.\n\nCats sleep.", "a")
        other = await world.ready("Zebras run.", "b", metadata={"kind": "animal"}, title="Animals")
    found.first = min(one.id, other.id)
    found.last_word = "Zebras" if found.first == one.id else "Refunds"
    return found


def versions_in(store: MemoryStore) -> dict[str, int]:
    """Points by version."""
    counts: dict[str, int] = {}
    for point in store.points.values():
        key = point.payload["document_version"]
        counts[key] = counts.get(key, 0) + 1
    return counts


class TestSwitching:
    async def test_all_documents_are_found_with_the_new_embedder(self, change: Change) -> None:
        async with change.world() as world:
            await change.finished()

            hits = await world.texts("zebras run", top_k=1)
            space = await read_space(world.container.manifest, SERVING)

        assert hits == ["Zebras run."]
        assert change.embedder.queries == ["zebras run"]
        assert space == NEW
        assert versions_in(change.new) == versions_in(change.old)

    async def test_points_keep_their_ids_titles_and_metadata(self, change: Change) -> None:
        async with change.world():
            await change.finished()

        assert change.new.points.keys() == change.old.points.keys()
        for point_id, point in change.new.points.items():
            before = change.old.points[point_id]
            for name in ("title", "metadata", "text", "start", "end", "source", "document_version"):
                assert point.payload[name] == before.payload[name]
            np.testing.assert_allclose(point.dense, -np.array(before.dense))

    async def test_until_then_questions_are_answered_by_the_old_embedder(self, change: Change) -> None:
        gate = change.embedder.gates["Zebras"] = asyncio.Event()
        async with change.world() as world:
            assert await world.texts("zebras run", top_k=1) == ["Zebras run."]
            assert world.embedder.queries == ["zebras run"]
            assert change.embedder.queries == []

            gate.set()
            await change.finished()

    async def test_a_request_in_flight_ends_before_the_old_collection_is_freed(self, change: Change) -> None:
        async with change.world() as world:
            query = world.container.query
            with query._parts.taken() as parts:

                async def has_switched() -> bool:
                    return query._parts._holding.value is not parts

                await until(has_switched)
                await asyncio.sleep(0.02)
                assert change.retired == []
            await change.finished()


class TestMeanwhile:
    async def test_an_upload_is_searchable_at_once_and_after_the_switch(self, change: Change) -> None:
        gate = change.embedder.gates["Zebras"] = asyncio.Event()
        async with change.world() as world:
            await world.ready("Owls hoot.", "c")
            assert await world.texts("owls hoot", top_k=1) == ["Owls hoot."]

            gate.set()
            await change.finished()

            assert await world.texts("owls hoot", top_k=1) == ["Owls hoot."]

    async def test_a_new_version_replaces_the_one_that_was_copied(self, change: Change) -> None:
        gate = change.embedder.gates["Zebras"] = asyncio.Event()
        async with change.world() as world:
            document = await world.ready("Refunds are late.", "a")
            gate.set()
            await change.finished()

            async def is_purged() -> bool:
                return versions_in(change.new).get(f"{document.id}:1", 0) == 0

            await until(is_purged)
            assert "Refunds are late." in await world.texts("refunds")
            assert (await world.container.consistency.check()).is_consistent

    async def test_a_document_deleted_while_it_is_copied_is_in_neither(self, change: Change) -> None:
        gate = change.embedder.gates["Zebras"] = asyncio.Event()
        async with change.world() as world:
            (zebras,) = [each for each in await all_documents(world) if each.source == "b"]
            receipt = await world.container.documents.delete(DEFAULT_TENANT, zebras.id)
            gate.set()
            await change.finished()

        assert receipt.verified_absent
        assert f"{zebras.id}:1" not in versions_in(change.old) | versions_in(change.new)

    async def test_a_document_deleted_after_it_was_copied_is_in_neither(self, change: Change) -> None:
        gate = change.embedder.gates[change.last_word] = asyncio.Event()
        async with change.world() as world:
            await until(change.has_copied_first)
            await world.container.documents.delete(DEFAULT_TENANT, change.first)
            assert f"{change.first}:1" not in versions_in(change.new)
            gate.set()
            await change.finished()

        assert f"{change.first}:1" not in versions_in(change.old) | versions_in(change.new)

    async def test_without_the_old_embedder_words_answer_and_uploads_wait(self, change: Change) -> None:
        gate = change.embedder.gates["Zebras"] = asyncio.Event()
        async with change.world(can_embed=False) as world:
            world.embedder.failure = EmbedderUnavailable("it is gone")
            search = Search(Scope(), "zebras", 1)
            found = await world.container.query.search(search, stopwatch=Stopwatch())
            waiting = await world.upload("Owls hoot.", "c")
            assert waiting.job is not None

            gate.set()
            await change.finished()
            await world.finished(waiting.job.id)

            assert found.degraded == ("dense",)
            assert [source.text for source in found.sources] == ["Zebras run."]
            assert await world.texts("owls hoot", top_k=1) == ["Owls hoot."]


class TestObstacles:
    async def test_an_embedder_that_is_down_is_waited_for(self, change: Change) -> None:
        change.embedder.failures = [EmbedderUnavailable("not now")] * 3
        async with change.world():
            await change.finished()

        assert versions_in(change.new) == versions_in(change.old)

    async def test_a_collection_without_vectors_never_serves(self, change: Change) -> None:
        change.embedder.failures = [BadEmbedding("64 numbers were expected") for _ in range(1000)]
        async with change.world() as world:
            running = world.container.reindexing
            assert running is not None

            async def is_waiting() -> bool:
                return running.progress is not None and running.progress.waits_because is not None

            await until(is_waiting)
            assert await world.texts("zebras run", top_k=1) == ["Zebras run."]
            assert running.progress is not None
            assert running.progress.waits_because == "64 numbers were expected"

            change.embedder.failures.clear()
            await change.finished()
            assert running.progress is None

        assert versions_in(change.new) == versions_in(change.old)

    async def test_originals_that_are_not_mounted_keep_the_old_collection(self, change: Change) -> None:
        (change.folder / "blobs").rename(change.folder / "elsewhere")
        async with change.world() as world:
            running = world.container.reindexing
            assert running is not None

            async def is_waiting() -> bool:
                return "2 of 2 documents" in str(running.progress and running.progress.waits_because)

            await until(is_waiting)
            assert await world.texts("zebras run", top_k=1) == ["Zebras run."]

        assert change.new.points == {}
        assert change.retired == []

    async def test_what_an_interrupted_run_wrote_is_not_embedded_again(self, change: Change) -> None:
        change.embedder.gates[change.last_word] = asyncio.Event()
        async with change.world():
            await until(change.has_copied_first)
        kept = dict(change.new.points)

        change.embedder.gates.clear()
        async with change.world():
            await change.finished()

        assert versions_in(change.new) == versions_in(change.old)
        assert all(change.new.points[key] is point for key, point in kept.items())

    async def test_half_a_version_and_leftovers_are_no_obstacle(self, change: Change) -> None:
        async with change.world():
            await change.finished()
        stray, *_ = change.new.points.values()
        some, *_ = [key for key, count in versions_in(change.new).items() if count == 2]
        change.new.points.pop(next(k for k, p in change.new.points.items() if versions(p) == some))
        payload = {**stray.payload, "document_version": "nobody:1"}
        change.new.points["stray"] = type(stray)("stray", stray.dense, stray.sparse, payload)
        change.retired.clear()

        async with change.world():
            await change.finished()

        assert versions_in(change.new) == versions_in(change.old)

    async def test_a_lost_original_is_left_out_and_named(
        self, change: Change, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with open_world(change.folder, store=change.old) as world:
            document_id = await only(world, "b")
            _, path = await world.container.documents.content(DEFAULT_TENANT, document_id)
        path.unlink()

        async with change.world() as world:
            await change.finished()
            assert len(await all_documents(world)) == 2

        assert f"{document_id}:1" not in versions_in(change.new)
        assert any("cannot be indexed anew" in record.message for record in caplog.records)

    async def test_an_original_that_reads_otherwise_becomes_a_new_version_first(self, change: Change) -> None:
        async with change.world(reader=SplittingReader()) as world:
            await change.finished()

            (changed,) = [each for each in await all_documents(world) if each.source == "b"]
            assert (changed.version, changed.chunks) == (2, 2)
            assert {"Zebras", "run."} <= set(await world.texts("zebras run"))
            assert await world.container.documents.text(DEFAULT_TENANT, changed.id) == "Zebras\n\nrun."
            assert (await world.container.consistency.check()).is_consistent

    async def test_without_the_old_embedder_such_originals_follow_after_the_switch(
        self, change: Change
    ) -> None:
        async with change.world(reader=SplittingReader(every=True), can_embed=False) as world:
            await change.finished()

            async def is_whole() -> bool:
                return (await world.container.consistency.check()).is_consistent

            await until(is_whole)
            assert {each.version for each in await all_documents(world)} == {2}
            assert "run." in await world.texts("zebras run")


class SplittingReader(ParagraphReader):
    """A later release: the same bytes, another text, of one document or of all."""

    def __init__(self, *, every: bool = False):
        super().__init__()
        self._every = every

    async def read(
        self,
        path: Path,
        *,
        media_type: str,
        title: str | None,
        new_spool: Callable[[], Path],
        known: Sequence[KnownChunk] = (),
        chunk_tokens: int | None = None,
    ) -> ReadDocument:
        """See the port."""
        read = await super().read(
            path,
            media_type=media_type,
            title=title,
            new_spool=new_spool,
            known=known,
            chunk_tokens=chunk_tokens,
        )
        text = read.parsed.text.replace("Zebras ", "Zebras\n\n")
        text = text + "\n\nRead anew." if self._every else text
        other = path.parent / "other"
        other.write_text(text)
        try:
            return await super().read(
                other,
                media_type=media_type,
                title=title,
                new_spool=new_spool,
                known=known,
                chunk_tokens=chunk_tokens,
            )
        finally:
            other.unlink()


def versions(point: Any) -> str:
    """The version that a point belongs to."""
    return str(point.payload["document_version"])


async def all_documents(world: World) -> Any:
    """Everything that is listed."""
    page = await world.container.documents.list(
        Scope(), status=None, title=None, parent_id=None, where=None, sort="created_at", limit=50, cursor=None
    )
    return page.items


async def only(world: World, source: str) -> str:
    """The id of the document with this source."""
    (found,) = [each.id for each in await all_documents(world) if each.source == source]
    return str(found)
