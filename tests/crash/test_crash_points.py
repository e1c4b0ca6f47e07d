"""HOSTILE C1 in our words: the process dies at every named point, and no acknowledgement is broken.

The deaths are a chain on one data directory: the server that is started after one is armed with the next point. It
finds what the dead one left, and is used until it dies itself. Before a document that was being read could
be taken for poison, a server comes that is not armed.
"""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from ragstone.pipelines import ingestion
from ragstone.services import consistency, payloads, purging, switching
from ragstone.services.ingestion import MAX_DEATHS
from ragstone.storage import blobs, manifest
from ragstone.vectorstores import edge_engine
from tests.crash.harness import AS_BEFORE, CrashServer, Gone, settle
from tests.crash.light_server import Embedding
from tests.crash.oracle import Oracle
from tests.engines import quick_folder

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

START_POINTS = ("migrate", "recover")
REPAIR = "repair"
UNVISITED = {
    "requeue": "needs a part that fails in passing; covered by tests of the ingest service",
    "progress": "written only by an ingest that takes longer than half a second; its commit changes nothing visible",
    "property": "written when an embedder is first met; the tests of a re-index die there",
    "release": "written on an orderly stop; covered by the test of SIGTERM during an ingest",
}
POINTS = [
    point
    for module in (blobs, manifest, ingestion, switching, purging, payloads, consistency, edge_engine)
    for point in module.CRASH_POINTS
    if point.split(".")[0] not in UNVISITED
]
WHILE_STARTING = [point for point in POINTS if point.split(".")[0] in START_POINTS]
WHILE_REPAIRING = [point for point in POINTS if point.split(".")[0] == REPAIR]
WHILE_SERVING = [point for point in POINTS if point not in {*WHILE_STARTING, *WHILE_REPAIRING}]
LATER = ["accept.after_commit:3", "claim.after_commit:3", "switch.after_flush:3", "ingest.batch_indexed:3"]
LEAVES_AN_ORPHAN = "accept.before_commit"  # bytes that nothing refers to

LONG = "\n\n".join(f"Paragraph {n} of a long text about nothing in particular." for n in range(4000))


class Chain:
    """Servers on one data directory, each after the death of the one before."""

    def __init__(self, data_dir: Path, embedding: Embedding = AS_BEFORE):
        self.data_dir = data_dir
        self.embedding = embedding
        self.oracle = Oracle()
        self.deaths: list[str] = []
        self._since_rest = 0

    def die_at(self, point: str) -> bool:
        """Start, look at what the death before left, and use everything until it dies of the point. False if it never
        comes there."""
        if self._since_rest == MAX_DEATHS - 2:
            self.rest()
        self._since_rest += 1
        self.deaths.append(point)
        server = CrashServer(self.data_dir, crash_at=point, embedding=self.embedding)
        engine = server.engine_pids() if server.started else []
        try:
            if server.started:
                self.judge(server)
                use_everything(server, self.oracle)
        except Gone:
            server.wait()
        finally:
            died = not server.is_alive() or server.engine_pids() != engine
            if server.is_alive():
                server.kill_group()
        return died

    def rest(self) -> None:
        """A server that does not die, and ends in order."""
        server = CrashServer(self.data_dir, embedding=self.embedding)
        try:
            self.judge(server)
            assert server.stop() == 0
        finally:
            if server.is_alive():
                server.kill_group()
        self._since_rest = 0

    def judge(self, server: CrashServer) -> None:
        """Every promise was kept, over all deaths until now; then nothing is in doubt."""
        unsettled = settle(server)
        self.oracle.resend(server)
        unsettled += settle(server)
        problems = unsettled + self.oracle.violations(server) + server.disagreements()
        assert not problems, f"{problems} after {self.deaths[-4:]}"
        self.oracle.learn(server)


@pytest.fixture(scope="module")
def chain() -> Iterator[Chain]:
    with quick_folder() as folder:
        made = Chain(folder / "data")
        yield made
        made.rest()


def use_everything(server: CrashServer, oracle: Oracle) -> None:
    """Every operation at least once, until the server dies of it."""
    other = f"other-{uuid4().hex[:8]}"
    use_another_collection(server, other)
    for source in ("kept", "changed", "deleted", "zip"):
        oracle.upload(server, source)
    oracle.cancel(server, "kept")
    settle(server)
    oracle.retry(server, "kept")
    oracle.put(server, "changed")
    oracle.upload(server, "zip")
    settle(server)
    oracle.patch(server, "changed")
    oracle.restore(server, "changed")
    oracle.reindex(server, "kept")
    use_a_stored_response(server)
    oracle.delete(server, "deleted")
    oracle.delete_by_filter(server, "zip")
    server.http.delete(f"/collections/{other}", params={"cascade": "true"})
    settle(server)


def use_a_stored_response(server: CrashServer) -> None:
    """One that was acknowledged can be gone on from."""
    asked = {"model": "ragstone/default", "input": "What is kept?"}
    first = server.http.post("/v1/responses", json=asked).json()
    again = server.http.post("/v1/responses", json={**asked, "previous_response_id": first["id"]})
    assert again.status_code == 200


def use_another_collection(server: CrashServer, name: str) -> None:
    """Documents that the oracle does not ask for: one fails, one is long enough to be cancelled in time."""
    server.http.post("/collections", json={"name": name})
    fields = {"collection": name}
    reply = server.http.post("/documents", json={"text": f"{LONG} {name}", **fields})
    server.http.post(f"/jobs/{reply.json()['job']['id']}/cancel")
    server.http.post("/documents", files={"file": ("blank.txt", b"  \n \n", "text/plain")}, data=fields)


@pytest.mark.parametrize("point", [*WHILE_SERVING, *LATER])
def test_no_acknowledgement_is_broken_by_a_death_at(point: str, chain: Chain) -> None:
    assert chain.die_at(point), f"{point} was never visited"


@pytest.mark.parametrize("point", WHILE_STARTING)
def test_a_start_that_dies_can_be_repeated(point: str, chain: Chain) -> None:
    assert chain.die_at(point), f"{point} was never visited"


@pytest.mark.parametrize("point", WHILE_REPAIRING)
def test_a_repair_that_dies_can_be_repeated(point: str, chain: Chain) -> None:
    chain.rest()
    assert chain.die_at(LEAVES_AN_ORPHAN)
    assert chain.die_at(point), f"{point} was never visited"


def test_sigterm_during_an_ingest_hands_the_job_back(tmp_path: Path) -> None:
    server = CrashServer(tmp_path / "data")
    reply = server.http.post("/documents", json={"text": LONG, "source": "long"})
    job_id = reply.json()["job"]["id"]

    assert server.stop() == 0
    again = CrashServer(tmp_path / "data")
    assert again.http.get(f"/jobs/{job_id}").json()["state"] in ("queued", "running")
    assert settle(again) == []
    assert again.http.get(f"/jobs/{job_id}").json()["state"] == "succeeded"
    assert again.disagreements() == []
    assert again.stop() == 0
