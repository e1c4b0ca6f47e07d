"""The engine in its own process: what survives its death, its owner's death, and its silence."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import uvloop

from ragstone.core.errors import DataDirectoryInUse, EngineUnavailable, FingerprintChanged, StartupError
from ragstone.core.filters import And, Filter
from ragstone.core.models import Point, Scope
from ragstone.testing.refusal import refusal
from ragstone.testing.vector_store_contract.scenes import (
    DIMENSION,
    axis,
    fresh_scope,
    ids_of,
    of_version,
    point,
    tokens,
)
from ragstone.vectorstores import edge_process
from ragstone.vectorstores.edge import EdgeVectorStore
from ragstone.vectorstores.edge_connection import EngineConnection
from ragstone.vectorstores.edge_engine import CRASH_POINTS
from ragstone.vectorstores.edge_link import EngineLink
from ragstone.vectorstores.frames import pack
from tests.engines import quick_folder
from tests.waiting import until

ALL: Filter = And(())
OWNER = """
import asyncio, sys
from pathlib import Path
from ragstone.vectorstores.edge import EdgeVectorStore

async def main():
    store = await EdgeVectorStore.open(Path(sys.argv[1]), dimension=int(sys.argv[2]))
    print("open", flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    with quick_folder() as made:
        yield made


@asynccontextmanager
async def opened(
    folder: Path, *, hang_limit_s: float = 60.0, reconnect_wait_s: float = 60.0
) -> AsyncIterator[EdgeVectorStore]:
    """A store whose calls wait for a restart as long as it may take on a busy machine."""
    link = EngineLink(
        folder,
        dimension=DIMENSION,
        lock_wait_s=10.0,
        hang_limit_s=hang_limit_s,
        reconnect_wait_s=reconnect_wait_s,
    )
    await link.start()
    store = EdgeVectorStore(link, dimension=DIMENSION)
    try:
        yield store
    finally:
        await store.close()


@pytest.fixture
async def store(folder: Path) -> AsyncIterator[EdgeVectorStore]:
    async with opened(folder) as made:
        yield made


def engine_pid(folder: Path) -> int:
    return int(json.loads((folder / "lock").read_text())["pid"])


def kill_engine(folder: Path, number: signal.Signals = signal.SIGKILL) -> None:
    os.kill(engine_pid(folder), number)


async def all_ids(store: EdgeVectorStore, scope: Scope) -> set[str]:
    return set(ids_of(await store.find(scope, ALL, limit=100_000)))


async def test_no_acknowledged_write_is_lost_when_the_engine_is_killed_under_load(
    store: EdgeVectorStore, folder: Path
) -> None:
    scope, written, deleted = fresh_scope(), set[str](), set[str]()
    done = asyncio.Event()

    async def write(worker: int) -> None:
        number = 0
        while not done.is_set():
            number += 1
            version = f"{worker}-{number}:1"
            points = [point("red", document_version=version) for _ in range(8)]
            await store.upsert(scope, points)
            if number % 4 == 0:
                await store.delete(scope, of_version(version))
                deleted.update(ids_of(points))
            else:
                written.update(ids_of(points))

    async def ask() -> None:
        while not done.is_set():
            known = len(written)
            dense, _ = await store.search_hybrid(scope, axis(1), tokens("red"), limit=5)
            assert len(dense) == 5 or known == 0

    async def progress() -> bool:
        for task in tasks:
            if task.done():
                task.result()
        return len(written) >= goal

    tasks = [asyncio.create_task(work) for work in (write(1), write(2), ask(), ask())]
    for _ in range(4):
        goal = len(written) + 80
        await until(progress)
        kill_engine(folder)
    done.set()
    await asyncio.gather(*tasks)

    assert await all_ids(store, scope) == written
    assert not written & deleted


async def test_calls_in_flight_are_repeated_when_the_engine_dies(
    store: EdgeVectorStore, folder: Path
) -> None:
    scope, stored = fresh_scope(), point("red fox")
    await store.upsert(scope, [stored])
    kill_engine(folder, signal.SIGSTOP)
    calls = [asyncio.create_task(call) for call in _one_of_each(store, scope, stored)]
    await asyncio.sleep(0.05)
    kill_engine(folder)

    found = await asyncio.gather(*calls)

    assert [ids_of(hits) for hits in found[:2]] == [[stored.id], [stored.id]]
    assert await store.count(scope) == 2


def _one_of_each(store: EdgeVectorStore, scope: Scope, stored: Point) -> list[Coroutine[Any, Any, Any]]:
    return [
        store.search_dense(scope, axis(1), limit=1, ids=[stored.id]),
        store.retrieve(scope, [stored.id]),
        store.upsert(scope, [point()]),
        store.delete(scope, of_version("none:1")),
        store.flush(),
    ]


async def test_a_silent_engine_is_replaced(folder: Path) -> None:
    async with opened(folder, hang_limit_s=0.3) as store:
        scope = fresh_scope()
        await store.upsert(scope, [point()])
        silent = engine_pid(folder)
        kill_engine(folder, signal.SIGSTOP)

        assert await store.count(scope) == 1
        assert engine_pid(folder) != silent


async def test_an_engine_that_cannot_come_back_is_unavailable_until_it_can(folder: Path) -> None:
    async with opened(folder, reconnect_wait_s=0.05) as store:
        scope, layout = fresh_scope(), folder / "shard" / "layout.json"
        await store.upsert(scope, [point()])
        good = layout.read_text()
        layout.write_text("{}")
        kill_engine(folder)

        failure = await refusal(keep_counting(store, scope), EngineUnavailable)
        assert failure.retryable
        assert not await store.is_healthy()

        layout.write_text(good)
        await until(store.is_healthy)
        assert await store.count(scope) == 1


async def keep_counting(store: EdgeVectorStore, scope: Scope) -> None:
    while True:
        await store.count(scope)


async def test_a_cancelled_caller_does_not_disturb_the_others(store: EdgeVectorStore, folder: Path) -> None:
    scope, stored = fresh_scope(), point("red fox")
    await store.upsert(scope, [stored])
    kill_engine(folder, signal.SIGSTOP)
    hasty = [asyncio.create_task(store.count(scope)) for _ in range(5)]
    patient = [asyncio.create_task(store.retrieve(scope, [stored.id])) for _ in range(5)]
    await asyncio.sleep(0.02)
    for task in hasty:
        task.cancel()
    kill_engine(folder, signal.SIGCONT)

    assert [ids_of(found) for found in await asyncio.gather(*patient)] == [[stored.id]] * 5
    assert all(isinstance(outcome, asyncio.CancelledError) for outcome in await _outcomes(hasty))
    assert await store.count(scope) == 1


async def _outcomes(tasks: list[asyncio.Task[int]]) -> list[object]:
    return list(await asyncio.gather(*tasks, return_exceptions=True))


async def test_signals_that_are_meant_for_the_owner_do_not_end_the_engine(
    store: EdgeVectorStore, folder: Path
) -> None:
    before = engine_pid(folder)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        kill_engine(folder, number)

    assert await store.is_healthy()
    assert engine_pid(folder) == before


async def test_a_held_directory_is_refused_after_the_wait(store: EdgeVectorStore, folder: Path) -> None:
    with pytest.raises(DataDirectoryInUse, match=str(engine_pid(folder))):
        await EdgeVectorStore.open(folder, dimension=DIMENSION, lock_wait_s=0.1)
    assert await store.is_healthy()


async def test_a_closed_store_is_closed_for_good_and_can_be_opened_again(folder: Path) -> None:
    scope, stored = fresh_scope(), point("red fox")
    store = await EdgeVectorStore.open(folder, dimension=DIMENSION)
    await store.upsert(scope, [stored])
    await store.close()
    await store.close()
    with pytest.raises(EngineUnavailable, match="closed"):
        await store.count(scope)
    assert not await store.is_healthy()

    again = await EdgeVectorStore.open(folder, dimension=DIMENSION, lock_wait_s=0)
    assert await all_ids(again, scope) == {stored.id}
    await again.close()


async def test_a_store_can_be_closed_while_its_engine_is_dead_or_silent(folder: Path) -> None:
    for number in (signal.SIGKILL, signal.SIGSTOP):
        async with opened(folder) as store:
            waiting = asyncio.create_task(store.count(fresh_scope()))
            kill_engine(folder, number)
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(edge_process, "CLOSE_TIMEOUT_S", 0.1)
                await store.close()
            with suppress(EngineUnavailable):
                await waiting


async def test_another_dimension_is_refused(folder: Path) -> None:
    await (await EdgeVectorStore.open(folder, dimension=8)).close()
    with pytest.raises(FingerprintChanged, match="'dimension': 8"):
        await EdgeVectorStore.open(folder, dimension=16)


async def test_an_engine_that_cannot_start_says_so(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONHOME", "/nowhere")
    with pytest.raises(StartupError, match="before it was ready"):
        await EdgeVectorStore.open(folder, dimension=DIMENSION)


async def test_an_engine_that_never_gets_ready_is_given_up(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edge_process, "READY_TIMEOUT_S", 0.0)
    with pytest.raises(StartupError, match="did not become ready"):
        await EdgeVectorStore.open(folder, dimension=DIMENSION, lock_wait_s=0)


async def test_the_engine_ends_with_its_owner_and_frees_the_directory(folder: Path) -> None:
    owner = await asyncio.create_subprocess_exec(
        sys.executable, "-c", OWNER, str(folder), str(DIMENSION), stdout=subprocess.PIPE
    )
    assert owner.stdout is not None
    assert await owner.stdout.readline() == b"open\n"
    socket_path = Path(json.loads((folder / "lock").read_text())["socket"])
    owner.kill()
    await owner.wait()

    heir = await EdgeVectorStore.open(folder, dimension=DIMENSION)

    assert await heir.is_healthy()
    assert not socket_path.parent.exists()
    await heir.close()


async def test_an_engine_tells_its_points_its_memory_and_its_restarts(folder: Path) -> None:
    async with opened(folder) as store:
        await store.upsert(fresh_scope(), [point()])
        before = await store.engine_state()
        kill_engine(folder)
        await until(store.is_healthy)

        async def was_restarted() -> bool:
            return store.restarts == 1

        await until(was_restarted)
        after = await store.engine_state()

    assert (before.points, after.points) == (1, 1)
    assert before.memory_bytes > 10_000_000


def test_what_an_engine_tells_is_logged_in_the_owners_shape(caplog: pytest.LogCaptureFixture) -> None:
    edge_process._log_line(b'{"level": "error", "event": "engine upkeep failed", "reason": "disk"}')

    (record,) = caplog.records
    assert (record.levelname, record.getMessage()) == ("ERROR", "engine upkeep failed")


def test_a_panic_is_logged_with_its_place_and_without_its_data(caplog: pytest.LogCaptureFixture) -> None:
    for line in (b"thread 'main' panicked at lib/segment.rs:7:1:", b"secret text", b""):
        edge_process._log_line(line)

    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("ERROR", "engine panicked")
    ]


@pytest.mark.parametrize("crash_at", CRASH_POINTS)
async def test_a_death_at_a_crash_point_loses_nothing_acknowledged(
    crash_at: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scope, points = fresh_scope(), [point(document_version=f"{n}:1") for n in range(3)]
    monkeypatch.setenv("CRASH_AT", f"{crash_at}:2")
    async with opened(folder) as store:
        first = engine_pid(folder)
        for stored in points:
            await store.upsert(scope, [stored])
            await store.flush()
        await store.delete(scope, of_version("0:1"))
        await store.delete(scope, of_version("1:1"))
        assert engine_pid(folder) != first
        assert await all_ids(store, scope) == {points[2].id}
    monkeypatch.delenv("CRASH_AT")
    async with opened(folder) as store:
        assert await all_ids(store, scope) == {points[2].id}


class ScriptedEngine:
    """The other end of a connection, saying what it is told to."""

    def __init__(self) -> None:
        self.is_connected = asyncio.Event()
        self.lost: list[str] = []

    async def __aenter__(self) -> "ScriptedEngine":
        self._folder = quick_folder()
        path = str(self._folder.__enter__() / "s")
        self._server = await asyncio.start_unix_server(self._accept, path)
        _, self.connection = await asyncio.get_running_loop().create_unix_connection(self._client, path)
        await self.is_connected.wait()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()
        self._server.close()
        await self._server.wait_closed()
        self._folder.__exit__(None, None, None)

    async def ask(self, reply: bytes) -> object:
        """What a request makes of this reply."""
        request = asyncio.create_task(self.connection.request("ping", []))
        await asyncio.sleep(0)
        self._writer.write(reply)
        return await request

    def _client(self) -> EngineConnection:
        return EngineConnection(
            hang_limit_s=60,
            on_lost=lambda: self.lost.append("lost"),
            on_hang=lambda: self.lost.append("hung"),
        )

    async def _accept(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self.is_connected.set()


async def test_a_reply_that_nobody_waits_for_is_dropped() -> None:
    async with ScriptedEngine() as engine:
        assert await engine.ask(pack([99, True, "other"]) + pack([1, True, "mine"])) == "mine"


async def test_an_engine_that_talks_nonsense_is_given_up() -> None:
    async with ScriptedEngine() as engine:
        with pytest.raises(EngineUnavailable, match="went away"):
            await engine.ask(b"\xff" * 16)
        with pytest.raises(EngineUnavailable, match="not connected"):
            await engine.connection.request("ping", [])
        assert engine.lost == ["lost"]


def test_all_of_it_works_on_the_servers_event_loop() -> None:
    """uvloop, whose transports and pipes are its own."""

    async def live_through_a_death(folder: Path) -> None:
        async with opened(folder, hang_limit_s=0.3) as store:
            scope, stored = fresh_scope(), point("red fox")
            await store.upsert(scope, [stored])
            kill_engine(folder)
            assert await all_ids(store, scope) == {stored.id}
            kill_engine(folder, signal.SIGSTOP)
            assert await all_ids(store, scope) == {stored.id}
            with pytest.raises(DataDirectoryInUse):
                await EdgeVectorStore.open(folder, dimension=DIMENSION, lock_wait_s=0)

    with quick_folder() as folder, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(live_through_a_death(folder))
