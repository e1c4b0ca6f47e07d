"""Copying the engine's files while it answers: nothing moves under the copy, or the copy is refused."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ragstone.core.errors import EngineUnavailable
from ragstone.core.files import sha256_of
from ragstone.core.filters import Leaf
from ragstone.testing.vector_store_contract.scenes import DIMENSION, axis, fresh_scope, point, tokens
from ragstone.vectorstores.edge import EdgeVectorStore
from ragstone.vectorstores.edge_engine import Engine
from tests.engines import InProcessLink, open_engine, quick_folder, store_of

MANY = 250
"""Enough points for an ordering to be worth an index."""


@pytest.fixture
def engine() -> Iterator[Engine]:
    with quick_folder() as folder, open_engine(folder, dimension=DIMENSION) as opened:
        yield opened


def hashes(shard: Path) -> dict[str, str]:
    return {str(path.relative_to(shard)): sha256_of(path) for path in shard.rglob("*") if path.is_file()}


async def test_no_file_changes_between_begin_and_end_whatever_is_asked(engine: Engine) -> None:
    store, scope = store_of(engine, dimension=DIMENSION), fresh_scope()
    await store.upsert(scope, [point(f"word{n}", metadata={"rank": n}) for n in range(MANY)])
    await store.delete(scope, Leaf("metadata.rank", "eq", 3))
    shard = Path(engine.begin_copy())
    before = hashes(shard)

    await store.search_hybrid(scope, axis(1), tokens("word7"), limit=5)
    await store.search_dense(scope, axis(1), limit=5, where=Leaf("metadata.rank", "gt", 100))
    await store.flush()

    assert engine.upkeep_in_s() is None
    assert hashes(shard) == before
    assert engine.end_copy()
    assert engine.upkeep_in_s() is not None


async def test_without_a_copy_the_same_questions_do_change_files(engine: Engine) -> None:
    store, scope = store_of(engine, dimension=DIMENSION), fresh_scope()
    await store.upsert(scope, [point(f"word{n}", metadata={"rank": n}) for n in range(MANY)])
    engine.begin_copy()
    assert engine.end_copy()
    indexed = len(engine._indexed)

    await store.search_dense(scope, axis(1), limit=5, where=Leaf("metadata.rank", "gt", 100))

    assert len(engine._indexed) == indexed + 1


async def test_a_write_ends_the_copy(engine: Engine) -> None:
    store, scope = store_of(engine, dimension=DIMENSION), fresh_scope()
    engine.begin_copy()
    await store.upsert(scope, [point("red", document_id="a")])
    assert not engine.end_copy()

    engine.begin_copy()
    await store.delete(scope, Leaf("document_id", "eq", "a"))
    assert not engine.end_copy()


def test_an_engine_that_was_not_asked_to_begin_did_not_hold_still(engine: Engine) -> None:
    assert not engine.end_copy()


class Stranger(InProcessLink):
    """Somebody else, who shares the engine, writes during the copy."""

    async def call(self, operation: str, *arguments: object) -> Any:
        result = await super().call(operation, *arguments)
        if operation == "begin_copy":
            await EdgeVectorStore(InProcessLink(self.engine), dimension=DIMENSION).upsert(
                fresh_scope(), [point("a stranger's")]
            )
        return result


async def test_a_copy_of_files_that_moved_is_refused_and_writes_go_on(engine: Engine, tmp_path: Path) -> None:
    store = EdgeVectorStore(Stranger(engine), dimension=DIMENSION)

    with pytest.raises(EngineUnavailable, match="try again"):
        await store.snapshot(tmp_path / "copy")

    scope = fresh_scope()
    await store.upsert(scope, [point("red")])
    assert await store.count(scope) == 1


async def test_a_copy_that_cannot_be_written_lets_writes_and_upkeep_go_on(
    engine: Engine, tmp_path: Path
) -> None:
    store, scope = store_of(engine, dimension=DIMENSION), fresh_scope()
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(NotADirectoryError):
        await store.snapshot(tmp_path / "file" / "copy")

    await store.upsert(scope, [point("red")])
    assert await store.count(scope) == 1
    assert engine.upkeep_in_s() is not None


async def test_a_copy_has_the_bytes_of_the_shard(engine: Engine, tmp_path: Path) -> None:
    await store_of(engine, dimension=DIMENSION).snapshot(tmp_path / "copy")
    assert hashes(tmp_path / "copy" / "shard") == hashes(Path(engine.begin_copy()))
