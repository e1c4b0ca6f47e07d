"""Promises about copies: a snapshot opens as a store of its own."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from ragstone.core.ports import VectorStore
from ragstone.testing.vector_store_contract.scenes import (
    EVERYTHING,
    axis,
    fresh_scope,
    ids_of,
    of_version,
    point,
    tokens,
)

OpenCopy = Callable[[Path], AbstractAsyncContextManager[VectorStore]]


class SnapshotPromises:
    """What a copy holds. The fixture `open_copy` opens a snapshot's folder with the same adapter."""

    async def test_a_snapshot_holds_what_was_written_before_and_not_what_was_deleted(
        self, store: VectorStore, open_copy: OpenCopy, tmp_path: Path
    ) -> None:
        """Vectors, tokens and payloads, flushed or not."""
        scope = fresh_scope()
        kept = point("red fox", dense=axis(2), title="kept")
        gone = point("red dog", document_version="a:1")
        await store.upsert(scope, [kept, gone])
        await store.delete(scope, of_version("a:1"))
        await store.snapshot(tmp_path / "deep" / "copy")
        async with open_copy(tmp_path / "deep" / "copy") as copy:
            dense, sparse = await copy.search_hybrid(scope, axis(2), tokens("red"), limit=EVERYTHING)
            assert ids_of(dense) == ids_of(sparse) == [kept.id]
            (found,) = await copy.retrieve(scope, [kept.id])
        assert found.payload == kept.payload

    async def test_a_snapshot_and_its_store_go_their_own_ways(
        self, store: VectorStore, open_copy: OpenCopy, tmp_path: Path
    ) -> None:
        """Neither sees what is written to the other afterwards."""
        scope, first, theirs, ours = fresh_scope(), point("one"), point("two"), point("three")
        await store.upsert(scope, [first])
        await store.snapshot(tmp_path / "copy")
        await store.upsert(scope, [ours])
        async with open_copy(tmp_path / "copy") as copy:
            await copy.upsert(scope, [theirs])
            assert ids_of(await copy.retrieve(scope, ids_of([first, theirs, ours]))) == ids_of(
                [first, theirs]
            )
        assert ids_of(await store.retrieve(scope, ids_of([first, theirs, ours]))) == ids_of([first, ours])

    async def test_a_snapshot_is_whole_while_others_read_and_write(
        self, store: VectorStore, open_copy: OpenCopy, tmp_path: Path
    ) -> None:
        """What was acknowledged before is in it, whatever goes on meanwhile."""
        scope = fresh_scope()
        before = [point(f"red word{n}") for n in range(40)]
        later = [point(f"blue word{n}") for n in range(40)]
        await store.upsert(scope, before)
        await asyncio.gather(
            store.snapshot(tmp_path / "copy"),
            store.upsert(scope, later),
            *(store.search_sparse(scope, tokens("red"), limit=5) for _ in range(20)),
        )
        async with open_copy(tmp_path / "copy") as copy:
            hits = await copy.search_sparse(scope, tokens("red"), limit=EVERYTHING)
        assert {*ids_of(before)} == {*ids_of(hits)}
        assert await store.count(scope) == 80
