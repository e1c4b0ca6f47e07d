"""HOSTILE C10 in our words: the process dies at every point of a re-index, and the next start goes on with it."""

import copy
import os
import shutil
import time
from pathlib import Path

import pytest

from ragstone.services import copying, reindexing
from tests.crash.harness import SETTLE_S, CrashServer, Gone, settle
from tests.crash.light_server import Embedding
from tests.crash.oracle import Oracle

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

DIMENSION = 32
ANOTHER = Embedding(DIMENSION, reindex=True)
SOURCES = ("one", "two", "three")
WHERE_MORE_IS_THERE = (
    *copying.CRASH_POINTS,
    "reindex.version_written:2",
    "property.before_commit:2",
    "property.after_commit:2",
)
EVERYWHERE = (
    *WHERE_MORE_IS_THERE,
    *reindexing.CRASH_POINTS,
    "property.before_commit",
    "property.after_commit",
)
POINTS = EVERYWHERE if "ALL_CRASH_POINTS" in os.environ else WHERE_MORE_IS_THERE
"""All of them with `make points`."""


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Oracle]:
    """Three documents, indexed with the old embedder."""
    data_dir, oracle = tmp_path_factory.mktemp("filled") / "data", Oracle()
    server = CrashServer(data_dir)
    for source in SOURCES:
        oracle.upload(server, source)
    assert settle(server) == []
    oracle.learn(server)
    assert server.stop() == 0
    return data_dir, oracle


@pytest.fixture
def data_dir(filled: tuple[Path, Oracle], tmp_path: Path) -> Path:
    """A copy for one test."""
    return shutil.copytree(filled[0], tmp_path / "data")


@pytest.fixture
def oracle(filled: tuple[Path, Oracle]) -> Oracle:
    """One that knows what the copy holds."""
    return copy.deepcopy(filled[1])


def wait_for_switch(server: CrashServer, data_dir: Path) -> None:
    """Until the new collection serves and the old one is gone."""
    deadline = time.monotonic() + SETTLE_S
    while (
        server.http.get("/admin/consistency").json()["reindexing"] is not None
        or len(list((data_dir / "vectors").iterdir())) > 1
    ):
        assert time.monotonic() < deadline, "the collection was not switched"
        time.sleep(0.05)


@pytest.mark.parametrize("point", POINTS)
def test_a_reindex_that_dies_is_finished_by_the_next_start(
    point: str, data_dir: Path, oracle: Oracle
) -> None:
    server = CrashServer(data_dir, crash_at=point, embedding=ANOTHER)
    try:
        if server.started:
            oracle.upload(server, "one")
            oracle.delete(server, "two")
            oracle.upload(server, "four")
            wait_for_switch(server, data_dir)
            server.wait()
    except Gone:
        server.wait()
    assert not server.is_alive(), f"{point} was never visited"

    finish(data_dir, oracle)


def test_killing_it_again_and_again_loses_nothing(data_dir: Path, oracle: Oracle) -> None:
    for moment_s in (0.0, 0.05, 0.1, 0.2, 0.3):
        server = CrashServer(data_dir, embedding=ANOTHER)
        time.sleep(moment_s)
        server.kill_group()

    finish(data_dir, oracle)


def finish(data_dir: Path, oracle: Oracle) -> None:
    """The next start finishes the re-index, every promise is kept, and all agree."""
    server = CrashServer(data_dir, embedding=ANOTHER)
    assert server.started, "".join(server.log)
    wait_for_switch(server, data_dir)
    unsettled = settle(server)
    oracle.resend(server)
    unsettled += settle(server)
    assert unsettled + oracle.violations(server) + server.disagreements() == []
    assert server.stop() == 0
