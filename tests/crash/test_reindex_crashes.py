"""HOSTILE C10 in our words: the process dies at every point of a re-index, and the next start goes on with it."""

import time
from pathlib import Path

import pytest

from ragstone.services import copying, reindexing
from tests.crash.at_rest import consistency_violations
from tests.crash.harness import SETTLE_S, CrashServer, Gone, Oracle, settle

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

DIMENSION = 32
OPTIONS = ("--reindex", "--dimension", str(DIMENSION))
SOURCES = ("one", "two", "three")
POINTS = (
    *copying.CRASH_POINTS,
    *reindexing.CRASH_POINTS,
    "reindex.version_written:2",
    "property.before_commit",
    "property.after_commit",
    "property.before_commit:2",
    "property.after_commit:2",
)


def filled(data_dir: Path, oracle: Oracle) -> None:
    """Three documents, indexed with the old embedder."""
    server = CrashServer(data_dir)
    for source in SOURCES:
        oracle.upload(server, source)
    assert settle(server) == []
    assert server.stop() == 0


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
def test_a_reindex_that_dies_is_finished_by_the_next_start(point: str, tmp_path: Path) -> None:
    oracle, data_dir = Oracle(), tmp_path / "data"
    filled(data_dir, oracle)

    server = CrashServer(data_dir, crash_at=point, options=OPTIONS)
    try:
        if server.started:
            oracle.upload(server, "one")
            oracle.delete(server, "two")
            oracle.upload(server, "four")
            wait_for_switch(server, data_dir)
            server.process.wait(timeout=SETTLE_S)
    except Gone:
        server.wait()
    assert not server.is_alive(), f"{point} was never visited"

    again = CrashServer(data_dir, options=OPTIONS)
    assert again.started, "".join(again.log)
    wait_for_switch(again, data_dir)
    problems = settle(again) + oracle.violations(again)
    assert again.stop() == 0
    assert problems + consistency_violations(data_dir, dimension=DIMENSION) == []


def test_killing_it_again_and_again_loses_nothing(tmp_path: Path) -> None:
    oracle, data_dir = Oracle(), tmp_path / "data"
    filled(data_dir, oracle)

    for moment_s in (0.0, 0.05, 0.1, 0.2, 0.3):
        server = CrashServer(data_dir, options=OPTIONS)
        time.sleep(moment_s)
        server.kill_group()

    again = CrashServer(data_dir, options=OPTIONS)
    wait_for_switch(again, data_dir)
    problems = settle(again) + oracle.violations(again)
    assert again.stop() == 0
    assert problems + consistency_violations(data_dir, dimension=DIMENSION) == []
