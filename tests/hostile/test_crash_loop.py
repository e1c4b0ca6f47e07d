"""HOSTILE C13 in our words: a server that is killed again and again in the middle of its work fails no job."""

import time
from pathlib import Path

import pytest

from tests.crash.harness import CrashServer, all_documents, settle
from tests.crash.oracle import Oracle

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

DOCUMENTS = 60
RESTARTS = 5


def test_five_deaths_in_a_row_leave_every_job_to_the_next_start(tmp_path: Path) -> None:
    oracle, data_dir = Oracle(), tmp_path / "data"
    server = CrashServer(data_dir)
    for number in range(DOCUMENTS):
        oracle.upload(server, f"source-{number}")
    server.kill_group()

    for _ in range(RESTARTS):
        server = CrashServer(data_dir)
        wait_for_work(server)
        server.kill_group()

    server = CrashServer(data_dir)
    unsettled = settle(server)
    assert unsettled + oracle.violations(server) + server.disagreements() == []
    assert {document["status"] for document in all_documents(server)} == {"ready"}
    assert server.stop() == 0


def wait_for_work(server: CrashServer) -> None:
    """Until a job runs, if there is one left."""
    deadline = time.monotonic() + 5.0
    while time.monotonic() < deadline:
        jobs = server.http.get("/jobs", params={"state": "running"}).json()["items"]
        waiting = server.http.get("/jobs", params={"state": "queued", "kind": "ingest"}).json()["items"]
        if jobs or not waiting:
            return
