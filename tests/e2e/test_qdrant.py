"""`ragstone` with its vectors on a Qdrant server, as its user runs it: upload, ask, delete, check, move."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.engines import quick_folder
from tests.qdrant_process import QdrantProcess
from tests.servers import Server, clean_environment

READY_S = 60.0


@pytest.fixture(scope="module")
def qdrant() -> Iterator[QdrantProcess]:
    with quick_folder() as folder, QdrantProcess(folder) as running:
        yield running


def command(*arguments: str, data_dir: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ragstone.cli", *arguments, "--data-dir", str(data_dir)],
        cwd=data_dir.parent,
        env=clean_environment(**environment),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def upload(http: httpx2.Client, text: str) -> str:
    """Upload and wait until it is searchable; its id."""
    document = http.post("/documents", json={"text": text}).json()["document"]
    deadline = time.monotonic() + READY_S
    while http.get(f"/documents/{document['id']}").json()["status"] != "ready":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    id_: str = document["id"]
    return id_


def found(http: httpx2.Client, query: str) -> list[str]:
    reply: dict[str, Any] = http.post("/search", json={"query": query, "top_k": 1}).json()
    return [source["text"] for source in reply["results"]]


def test_a_document_is_uploaded_found_checked_and_deleted(qdrant: QdrantProcess, tmp_path: Path) -> None:
    server = Server(tmp_path / "data", folder=tmp_path, QDRANT_URL=qdrant.url)
    with httpx2.Client(base_url=server.url, trust_env=False, timeout=60.0) as http:
        document_id = upload(http, "The lighthouse of Ar-Men was lit in 1881.")
        assert found(http, "When was the lighthouse lit?") == ["The lighthouse of Ar-Men was lit in 1881."]
        answer = http.post("/query", json={"query": "When was the lighthouse of Ar-Men lit?"}).json()
        assert answer["citations"][0]["verified"]
        health = http.get("/health").json()
        assert (health["status"], health["qdrant_connected"]) == ("healthy", True)
        checked = command("doctor", data_dir=tmp_path / "data", QDRANT_URL=qdrant.url)
        assert (checked.returncode, "all agree" in checked.stdout) == (0, True)
        receipt = http.delete(f"/documents/{document_id}").json()
        assert (receipt["points_deleted"], receipt["verified_absent"]) == (1, True)
        assert found(http, "lighthouse") == []
    assert server.stop() == 0


def turns(http: httpx2.Client, status: str) -> dict[str, Any]:
    """Health, once it says so; findings are told again for a second."""
    until = time.monotonic() + 30.0
    while (health := http.get("/health").json())["status"] != status:
        assert time.monotonic() < until, health
        time.sleep(0.1)
    told: dict[str, Any] = health
    return told


def test_while_the_store_is_down_the_server_says_so_and_it_recovers(
    qdrant: QdrantProcess, tmp_path: Path
) -> None:
    server = Server(tmp_path / "data", folder=tmp_path, QDRANT_URL=qdrant.url, RETRY_MIN_WAIT_SECONDS="0")
    with httpx2.Client(base_url=server.url, trust_env=False, timeout=60.0) as http:
        upload(http, "Zebras run.")
        qdrant.stop()
        assert turns(http, "unhealthy")["qdrant_connected"] is False
        assert http.get("/health/ready").status_code == 503
        assert http.get("/health/live").status_code == 200
        refused = http.post("/search", json={"query": "zebras"})
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "engine_unavailable")
        assert int(refused.headers["retry-after"]) >= 1
        qdrant.start()
        assert turns(http, "healthy")["qdrant_connected"] is True
        assert http.get("/health/ready").status_code == 200
        assert found(http, "zebras") == ["Zebras run."]
    assert server.stop() == 0


def test_a_directory_is_moved_to_the_server(qdrant: QdrantProcess, tmp_path: Path) -> None:
    (tmp_path / "zebra.txt").write_text("Zebras run over a wide plain.")
    assert command("ingest", str(tmp_path / "zebra.txt"), data_dir=tmp_path / "data").returncode == 0

    refused = command("search", "zebras", data_dir=tmp_path / "data", QDRANT_URL=qdrant.url)
    moved = command("migrate", "--to", qdrant.url, data_dir=tmp_path / "data")
    hits = command("search", "zebras", data_dir=tmp_path / "data", QDRANT_URL=qdrant.url)

    assert (refused.returncode, "ragstone migrate --to" in refused.stderr) == (1, True)
    assert (moved.returncode, "points 1, document versions 1." in moved.stdout) == (0, True), moved.stderr
    assert "Zebras run" in hits.stdout


def test_the_client_is_not_loaded_without_a_server(tmp_path: Path) -> None:
    program = (
        "import sys, ragstone.cli.commands, ragstone.bootstrap, ragstone.cli.serve; "
        "assert not [name for name in sys.modules if name.startswith(('qdrant_client', 'grpc'))]"
    )
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True, timeout=60)
