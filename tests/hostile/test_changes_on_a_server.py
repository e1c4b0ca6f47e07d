"""Operations on one document at the same moment, with the vectors on a server that answers at its own pace."""

import random
from pathlib import Path
from typing import Any, cast

import pytest

from ragstone.bootstrap import build_container
from ragstone.config.settings import load_settings
from ragstone.services import switching
from ragstone.testing.embedders import HashingEmbedder
from ragstone.testing.qdrant_server import Fault, QdrantServer
from tests.engines import quick_folder
from tests.hostile.test_changes_at_once import interleave
from tests.parts import World

INTERLEAVINGS = 8


class ServedWorld(World):
    """With the real way to count words, for which the marks of the texts are not rare: all hits are looked at."""

    async def texts(self, question: str, *, top_k: int = 100) -> list[str]:
        """What a search finds."""
        return await super().texts(question, top_k=top_k)


@pytest.mark.parametrize("is_deleted", [False, True])
async def test_put_restore_and_delete_at_once(
    is_deleted: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(switching, "FLUSH_EVERY_S", 0.0)
    with quick_folder() as folder:
        async with QdrantServer(folder) as server:
            settings = load_settings(data_dir=tmp_path, qdrant_url=server.url)
            server.script(Fault("late", times=0, every=3, seconds=0.005))
            async with build_container(settings, embedder=HashingEmbedder(64)) as container:
                world = ServedWorld(container, *cast("tuple[Any, Any, Any, Any]", (None,) * 4))
                for seed in range(INTERLEAVINGS):
                    await interleave(world, random.Random(seed), is_deleted=is_deleted)
