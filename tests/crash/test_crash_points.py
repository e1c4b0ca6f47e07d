"""HOSTILE C1 in our words: the process dies at every named point, and no acknowledgement is broken."""

from pathlib import Path

import pytest

from ragstone.pipelines import ingestion
from ragstone.services import consistency, payloads, purging, switching
from ragstone.storage import blobs, manifest
from ragstone.vectorstores import edge_engine
from tests.crash.at_rest import consistency_violations
from tests.crash.harness import CrashServer, Gone, Oracle, settle

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

START_POINTS = ("migrate", "recover", "repair", "property")
UNVISITED = {
    "requeue": "needs a part that fails in passing; covered by tests of the ingest service",
    "progress": "written only by an ingest that takes longer than half a second; its commit changes nothing visible",
    "release": "written on an orderly stop; covered by the test of SIGTERM during an ingest",
}
POINTS = [
    point
    for module in (blobs, manifest, ingestion, switching, purging, payloads, consistency, edge_engine)
    for point in module.CRASH_POINTS
    if point.split(".")[0] not in UNVISITED
]
WHILE_SERVING = [point for point in POINTS if point.split(".")[0] not in START_POINTS]
WHILE_STARTING = [point for point in POINTS if point.split(".")[0] in START_POINTS]


def use_everything(server: CrashServer, oracle: Oracle) -> None:
    """Upload, update, re-index, fail, delete, cascade: each waited for, until the server dies of it."""
    oracle.upload(server, "kept")
    settle(server)
    oracle.upload(server, "changed")
    settle(server)
    oracle.upload(server, "changed")
    settle(server)
    oracle.reindex(server, "changed")
    settle(server)
    change_and_cancel(server, oracle, "changed")
    oracle.upload(server, "deleted")
    settle(server)
    oracle.delete(server, "deleted")
    server.http.post("/documents", files={"file": ("blank.txt", b"  \n \n", "text/plain")})
    settle(server)
    server.http.post("/collections", json={"name": "other"})
    server.http.post("/documents", json={"text": "A text in another collection.", "collection": "other"})
    settle(server)
    server.http.delete("/collections/other", params={"cascade": "true"})
    oracle.upload(server, "last")
    settle(server)


def change_and_cancel(server: CrashServer, oracle: Oracle, source: str) -> None:
    """Other words about it, and a version that is cancelled, if it is not too quick for that."""
    document_id = oracle.sources[source].document_id
    server.http.patch(f"/documents/{document_id}", json={"title": "Changed"})
    job = server.http.post(f"/documents/{document_id}/reindex").json()["job"]
    server.http.post(f"/jobs/{job['id']}/cancel")
    settle(server)


def check(data_dir: Path, oracle: Oracle) -> None:
    """A clean start keeps every promise, then stops in order, and everything agrees at rest."""
    server = CrashServer(data_dir)
    assert server.started, "".join(server.log)
    unsettled = settle(server)
    oracle.sources.pop("blank.txt", None)
    violations = [found for found in oracle.violations(server) if not found.startswith("blank.txt")]
    assert server.stop() == 0
    assert unsettled + violations + consistency_violations(data_dir) == []


@pytest.mark.parametrize("point", WHILE_SERVING)
def test_no_acknowledgement_is_broken_by_a_death_at(point: str, tmp_path: Path) -> None:
    oracle, data_dir = Oracle(), tmp_path / "data"
    server = CrashServer(data_dir, crash_at=point)
    engine = server.engine_pids() if server.started else []

    if server.started:
        try:
            use_everything(server, oracle)
        except Gone:
            server.wait()
    died = not server.is_alive() or server.engine_pids() != engine
    if server.is_alive():
        server.kill_group()

    assert died, f"{point} was never visited"
    check(data_dir, oracle)


@pytest.mark.parametrize(
    "point",
    ["accept.after_commit:3", "claim.after_commit:3", "switch.after_flush:3", "ingest.batch_indexed:3"],
)
def test_an_update_that_dies_leaves_one_whole_version(point: str, tmp_path: Path) -> None:
    test_no_acknowledgement_is_broken_by_a_death_at(point, tmp_path)


@pytest.mark.parametrize("point", WHILE_STARTING)
def test_a_start_that_dies_can_be_repeated(point: str, tmp_path: Path) -> None:
    oracle, data_dir = Oracle(), tmp_path / "data"
    interrupted = CrashServer(data_dir, crash_at="ingest.batch_indexed:2")
    try:
        oracle.upload(interrupted, "kept")
        settle(interrupted)
        oracle.upload(interrupted, "interrupted")
        settle(interrupted)
    except Gone:
        interrupted.wait()

    started = CrashServer(data_dir, crash_at=point)
    if started.started:
        started.kill_group()

    assert not started.started or point.startswith(
        ("property", "repair", "migrate")
    ), f"{point} was never visited"
    check(data_dir, oracle)


def test_sigterm_during_an_ingest_hands_the_job_back(tmp_path: Path) -> None:
    oracle, data_dir = Oracle(), tmp_path / "data"
    server = CrashServer(data_dir)
    text = "\n\n".join(
        f"Paragraph {number} of a long text about nothing in particular." for number in range(4000)
    )
    reply = server.http.post("/documents", json={"text": text, "source": "long"})
    job_id = reply.json()["job"]["id"]

    assert server.stop() == 0
    again = CrashServer(data_dir)
    assert again.http.get(f"/jobs/{job_id}").json()["state"] in ("queued", "running")
    assert settle(again) == []
    assert again.http.get(f"/jobs/{job_id}").json()["state"] == "succeeded"
    assert again.stop() == 0
    assert consistency_violations(data_dir) == []
    assert oracle.sources == {}
