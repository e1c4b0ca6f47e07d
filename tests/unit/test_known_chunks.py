"""What a version is divided like: as the one before it, where nothing changed."""

from pathlib import Path

import pytest

from ragstone.core.models import DEFAULT_TENANT, KnownChunk, Scope
from ragstone.pipelines import known
from ragstone.services import switching
from ragstone.services.documents import UploadFields
from tests.parts import open_world


def known_of(text: str) -> list[KnownChunk]:
    return [KnownChunk.of(paragraph) for paragraph in text.split("\n\n")]


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(switching, "FLUSH_EVERY_S", 0.0)
    monkeypatch.setattr(known, "_AT_ONCE", 2)


@pytest.mark.parametrize("chunks", [1, 2, 3, 4, 5])
async def test_a_new_version_is_read_with_the_chunks_of_the_one_before(tmp_path: Path, chunks: int) -> None:
    first, second = ("\n\n".join(f"{word} {n}" for n in range(chunks)) for word in ("first", "second"))
    async with open_world(tmp_path) as world:
        document = await world.ready(first)
        for text in (second, "third"):
            changed = await world.container.changes.replace_text(
                DEFAULT_TENANT, document.id, text, UploadFields(Scope())
            )
            assert changed.job is not None
            await world.finished(changed.job.id)
        assert world.reader.known == [[], known_of(first), known_of(second)]


async def test_a_reindexed_document_is_divided_anew(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        document = await world.ready("first")
        again = await world.container.changes.reindex(DEFAULT_TENANT, document.id)
        assert again.job is not None
        await world.finished(again.job.id)
        assert world.reader.known == [[], []]
