"""The parts of a server with several workers, each by itself."""

import asyncio
import io
import json
import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, contextmanager
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Counter, generate_latest

from ragstone.bootstrap import Container, build_container, build_reading_container
from ragstone.cli import acceptance
from ragstone.cli.acceptance import Acceptor
from ragstone.cli.address import bind, listen
from ragstone.cli.assignment import Assignment, pack_assignment, read_assignment
from ragstone.config.settings import Settings, load_settings
from ragstone.core.errors import DataDirectoryInUse, EngineUnavailable, FingerprintChanged, StartupError
from ragstone.core.logs import configure_logging, label_logs
from ragstone.core.models import Scope
from ragstone.middleware.metrics import LabelledMetrics
from ragstone.middleware.passing_on import Leader
from ragstone.storage import data_directory
from ragstone.storage.blobs import FileBlobStore
from ragstone.storage.data_directory import DataDirectory
from ragstone.testing.embedders import HashingEmbedder
from ragstone.testing.vector_store_contract.scenes import DIMENSION, fresh_scope, ids_of, of_version, point
from ragstone.vectorstores import edge_shared
from ragstone.vectorstores.edge import EdgeVectorStore
from tests.engines import quick_folder
from tests.waiting import until

HOLDER = """
import os, sys, time
from pathlib import Path
from ragstone.storage.data_directory import DataDirectory
directory = DataDirectory.open(Path(sys.argv[1]), command="ragstone serve")
os.set_inheritable(directory.lock, True)
if os.fork() == 0:
    time.sleep(float(sys.argv[2]))
    os._exit(0)
print("held", flush=True)
time.sleep(600)
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    with quick_folder() as made:
        yield made


class TestSharedEngine:
    async def test_one_process_sees_what_the_other_writes_and_deletes_at_once(self, folder: Path) -> None:
        async with AsyncExitStack() as stack:
            owner = await EdgeVectorStore.open(folder, dimension=DIMENSION)
            stack.push_async_callback(owner.close)
            other = await EdgeVectorStore.attach(folder, dimension=DIMENSION)
            stack.push_async_callback(other.close)
            scope, points = fresh_scope(), [point("red", document_version="d:1")]

            await owner.upsert(scope, points)
            found = await other.find(scope, of_version("d:1"), limit=9)
            await owner.delete_versions(["d:1"])
            left = await other.find(scope, of_version("d:1"), limit=9)

            assert (set(ids_of(found)), left) == (set(ids_of(points)), [])
            assert await other.is_healthy()

    async def test_a_new_engine_is_found_after_the_old_one_died(self, folder: Path) -> None:
        async with AsyncExitStack() as stack:
            owner = await EdgeVectorStore.open(folder, dimension=DIMENSION)
            stack.push_async_callback(owner.close)
            other = await EdgeVectorStore.attach(folder, dimension=DIMENSION)
            stack.push_async_callback(other.close)

            os.kill(json.loads((folder / "lock").read_text())["pid"], signal.SIGKILL)

            await until(other.is_healthy)
            assert await other.count(fresh_scope()) == 0

    async def test_an_engine_that_is_not_there_is_waited_for_and_then_given_up(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(edge_shared, "START_WAIT_S", 0.2)

        with pytest.raises(EngineUnavailable):
            await EdgeVectorStore.attach(folder, dimension=DIMENSION)


class TestReadingContainer:
    async def test_it_reads_beside_the_one_that_works(self, folder: Path) -> None:
        settings = load_settings(data_dir=folder / "data")
        async with AsyncExitStack() as stack:
            working = await stack.enter_async_context(
                build_container(settings, embedder=HashingEmbedder(dimension=64))
            )
            spooled = working.documents.new_spool()
            spooled.write_bytes(b"just being received")
            reading = await stack.enter_async_context(self._beside(settings, working.directory, 64))
            await working.collections.create("default", "made-there", "")

            assert (await reading.collections.get("default", "made-there")).documents == 0
            assert (await reading.health.check()).components["vector_store"].healthy
            assert not (await reading.health.check()).components["ingestion"].healthy
            assert spooled.exists()
            assert await reading.manifest.visible_documents(Scope("default", "default"), ["x"]) == {}

    async def test_it_refuses_another_configuration(self, folder: Path) -> None:
        settings = load_settings(data_dir=folder / "data")
        async with build_container(settings, embedder=HashingEmbedder(dimension=64)) as working:
            with pytest.raises(FingerprintChanged):
                async with self._beside(settings, working.directory, 32):
                    pass

    def _beside(
        self, settings: Settings, directory: DataDirectory, dimension: int
    ) -> AbstractAsyncContextManager[Container]:
        return build_reading_container(
            settings,
            directory=directory,
            ingestion=Leader("/nobody"),
            embedder=HashingEmbedder(dimension=dimension),
        )


def test_a_reader_leaves_the_spool_alone(tmp_path: Path) -> None:
    (spooled := FileBlobStore(tmp_path).new_spool()).write_bytes(b"just being received")

    FileBlobStore(tmp_path, is_reader=True)
    assert spooled.exists()

    FileBlobStore(tmp_path)
    assert not spooled.exists()


class TestDataDirectory:
    @contextmanager
    def _held_by_a_child_for(self, seconds: float, path: Path) -> Iterator["subprocess.Popen[bytes]"]:
        held = [sys.executable, "-c", HOLDER, str(path), str(seconds)]
        with subprocess.Popen(held, stdout=subprocess.PIPE) as holder:
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"held\n"
            try:
                yield holder
            finally:
                holder.kill()

    def test_the_children_of_a_dead_owner_are_waited_for(self, tmp_path: Path) -> None:
        with self._held_by_a_child_for(0.5, tmp_path) as holder:
            holder.kill()
            holder.wait()
            directory = DataDirectory.open(tmp_path, command="ragstone serve")
        directory.close()

    def test_not_for_ever(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(data_directory, "REMAINS_WAIT_S", 0.1)
        with self._held_by_a_child_for(5, tmp_path) as holder:
            holder.kill()
            holder.wait()
            with pytest.raises(DataDirectoryInUse):
                DataDirectory.open(tmp_path, command="ragstone serve")

    def test_a_living_owner_is_not_waited_for(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("time.sleep", pytest.fail)
        with (
            self._held_by_a_child_for(0.1, tmp_path),
            pytest.raises(DataDirectoryInUse, match="ragstone serve"),
        ):
            DataDirectory.open(tmp_path, command="ragstone serve")


class TestAssignment:
    def test_a_worker_reads_what_was_packed(self) -> None:
        settings = load_settings(openai_api_key="secret", openai_model="m")
        given = Assignment(settings, 2, directory_lock=5, listening=6, inside="/tmp/x", reindex=False)
        reading, writing = os.pipe()
        os.write(writing, pack_assignment(given) + b"leader up\n")

        assert read_assignment(reading) == given
        assert os.read(reading, 99) == b"leader up\n"
        os.close(reading)
        os.close(writing)

    def test_a_parent_that_died_before_is_noticed(self) -> None:
        reading, writing = os.pipe()
        os.close(writing)

        with pytest.raises(EOFError):
            read_assignment(reading)
        os.close(reading)


class TestAddress:
    def test_it_is_held_before_anybody_listens(self) -> None:
        with bind(load_settings(port=0)) as bound:
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(bound.getsockname()[:2])
            listen(bound, load_settings())
            socket.create_connection(bound.getsockname()[:2]).close()

    def test_one_that_is_taken_is_a_sentence(self) -> None:
        with bind(load_settings(port=0)) as bound:
            listen(bound, load_settings())
            with pytest.raises(StartupError, match="cannot be listened on"):
                bind(load_settings(port=bound.getsockname()[1]))


class TestAcceptor:
    async def test_connections_that_come_at_once_are_shared_out(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(acceptance, "PAUSE_S", 0.01)
        taken = {"first": 0, "second": 0}
        with bind(load_settings(port=0)) as bound:
            listen(bound, load_settings())
            acceptors = [_acceptor(bound.dup(), taken, name) for name in taken]
            clients = [socket.create_connection(bound.getsockname()[:2]) for _ in range(20)]

            async def have_all_been_taken() -> bool:
                return sum(taken.values()) == 20

            await until(have_all_been_taken)
            for acceptor in acceptors:
                acceptor.close()
                await acceptor.wait_closed()
            for client in clients:
                client.close()

        assert min(taken.values()) >= 5

    async def test_without_descriptors_it_goes_on_later(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(acceptance, "FULL_PAUSE_S", 0.01)
        taken = {"one": 0}
        with bind(load_settings(port=0)) as bound:
            listen(bound, load_settings())
            full = _FullOnce(fileno=bound.dup().detach())
            acceptor = _acceptor(full, taken, "one")
            with socket.create_connection(bound.getsockname()[:2]):

                async def is_taken() -> bool:
                    return taken["one"] == 1

                await until(is_taken)
            acceptor.close()
            acceptor.close()


class _FullOnce(socket.socket):
    refusals = 1

    def accept(self) -> tuple[socket.socket, object]:
        if self.refusals:
            self.refusals -= 1
            raise OSError(24, "too many open files")
        return super().accept()


def _acceptor(listening: socket.socket, taken: dict[str, int], name: str) -> Acceptor:
    class Counting(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            taken[name] += 1
            transport.close()

    acceptor = Acceptor(listening, Counting, is_shared=True)
    acceptor.start()
    return acceptor


def test_a_label_is_added_to_every_series() -> None:
    registry = CollectorRegistry()
    Counter("things", "Things.", ["kind"], registry=registry).labels("good").inc()

    text = generate_latest(LabelledMetrics(registry, "worker", "2")).decode()

    assert 'things_total{kind="good",worker="2"} 1.0' in text


def test_each_line_of_a_worker_says_which_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    root = logging.getLogger()
    handlers, level, written = root.handlers[:], root.level, io.StringIO()
    monkeypatch.setattr(sys, "stderr", written)
    try:
        configure_logging(level="INFO", log_format="json")
        label_logs(3)
        logging.getLogger("ragstone.somewhere").info("something happened")
    finally:
        root.handlers[:], root.level = handlers, level
        logging.getLogger("uvicorn.access").disabled = False

    assert json.loads(written.getvalue())["worker"] == 3
