"""SIGTERM at a bad moment: the server ends within five seconds, and nothing is lost."""

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ragstone.storage import schema
from ragstone.storage.database import Database
from tests.crash import light_server
from tests.crash.harness import CrashServer, settle
from tests.crash.light_server import Embedding
from tests.engines import quick_folder

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

ENDS_WITHIN_S = 5.0
TEXT = "\n\n".join(f"Paragraph {n} of a long text about markers." for n in range(2000))


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """With a long document that is ready."""
    with quick_folder() as folder:
        server = CrashServer(folder / "data")
        server.http.post("/documents", json={"text": TEXT, "source": "long"}).raise_for_status()
        assert settle(server) == []
        assert server.stop() == 0
        yield folder / "data"


def assert_intact(data_dir: Path) -> None:
    """The document is whole and found, and everything agrees."""
    server = CrashServer(data_dir)
    assert settle(server) == []
    (document,) = server.http.get("/documents").json()["items"]
    assert document["status"] == "ready"
    assert server.http.get(f"/documents/{document['id']}/text").text == TEXT
    assert server.http.post("/search", json={"query": "markers", "mode": "sparse"}).json()["results"]
    assert server.disagreements() == []
    assert server.stop() == 0


def terminated(data_dir: Path, after_s: float) -> int | None:
    """The exit code of a start that gets SIGTERM after so long; None if it does not end in time."""
    process, log = light_server.start(data_dir, None, Embedding())
    time.sleep(after_s)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGTERM)
    process.join(ENDS_WITHIN_S)
    log.close()
    return process.exitcode


def test_sigterm_at_any_moment_of_a_start(data_dir: Path) -> None:
    for after_s in (0.0, 0.05, 0.1, 0.2, 0.4, 0.7, 1.0):
        assert terminated(data_dir, after_s) in (0, -signal.SIGTERM), f"after {after_s} s"

    assert_intact(data_dir)


@pytest.mark.parametrize("after_s", [0.05, 0.2, 0.4])
def test_sigterm_during_a_migration(after_s: float, tmp_path: Path) -> None:
    database = Database(tmp_path / "manifest.db")
    database.prepare(lambda tx: schema.migrate(tx.connection, "0001"))
    asyncio.run(database.close())

    assert terminated(tmp_path, after_s) in (0, -signal.SIGTERM)

    server = CrashServer(tmp_path)
    server.http.post("/documents", json={"text": "After it."}).raise_for_status()
    assert settle(server) == []
    assert server.disagreements() == []
    assert server.stop() == 0


@pytest.mark.parametrize("times", [1, 2])
def test_sigterm_during_a_reindex(data_dir: Path, times: int) -> None:
    server = CrashServer(data_dir)
    (document,) = server.http.get("/documents").json()["items"]
    assert server.http.post(f"/documents/{document['id']}/reindex").status_code == 202

    started = time.monotonic()
    for _ in range(times - 1):
        server.process.signal(signal.SIGTERM)
        time.sleep(0.02)
    code = server.stop()

    assert code == 0
    assert time.monotonic() - started < ENDS_WITHIN_S
    assert_intact(data_dir)
