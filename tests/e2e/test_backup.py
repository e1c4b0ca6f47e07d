"""A backup of a busy server, restored elsewhere and served: what was ready is there, to the letter."""

import itertools
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.office_files import odt
from tests.pdf_writer import Text, write_pdf
from tests.servers import Server, clean_environment
from tests.spreadsheets import ods
from tests.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

KEPT = "kept"
FILES = {
    "refunds.pdf": write_pdf([[Text("Refunds are paid within fourteen days of the return.")]]),
    "keys.odt": odt("<text:p>The keys are kept in the drawer of the porter.</text:p>"),
    "hours.ods": ods({"Hours": [["Place", "Closes"], ["Library", "20:00"], ["Pool", "18:30"]]}),
    "bicycles.md": b"# Bicycles\n\nThe workshop repairs bicycles on Mondays.\n",
    "long.txt": "\n\n".join(
        f"Rule {n} of the house: door {n} is locked at night." for n in range(300)
    ).encode(),
}
QUESTIONS = (
    "When are refunds paid?",
    "Where are the keys kept?",
    "When does the library close?",
    "Who repairs bicycles?",
    "Which door is locked at night by rule 123?",
)


class Client:
    """A server as its user sees it."""

    def __init__(self, http: httpx2.Client):
        self.http = http

    def get(self, path: str, **params: Any) -> Any:
        return self.http.get(path, params=params).raise_for_status().json()

    def post(self, path: str, body: Any) -> Any:
        return self.http.post(path, json=body).raise_for_status().json()

    def upload(self, name: str, content: bytes) -> str:
        fields = {"collection": KEPT}
        reply = self.http.post("/documents", files={"file": (name, content)}, data=fields).raise_for_status()
        return str(reply.json()["document"]["id"])

    def everything(self, ids: list[str]) -> dict[str, Any]:
        """What these documents are, say and answer. Times are left out."""
        asked = {"collection": KEPT, "top_k": 5}
        answers = [self.post("/query", {"query": question, **asked}) for question in QUESTIONS]
        return {
            "documents": [self.get(f"/documents/{id_}") for id_ in ids],
            "texts": [self.http.get(f"/documents/{id_}/text").text for id_ in ids],
            "contents": [self.http.get(f"/documents/{id_}/content").content for id_ in ids],
            "chunks": [self.get(f"/documents/{id_}/chunks") for id_ in ids],
            "answers": [(answer["answer"], answer["citations"], answer["sources"]) for answer in answers],
            "found": [self.post("/search", {"query": text, **asked})["results"] for text in QUESTIONS],
        }


@contextmanager
def client_of(server: Server) -> Iterator[Client]:
    with httpx2.Client(base_url=server.url, timeout=60.0, trust_env=False) as http:
        yield Client(http)


@contextmanager
def busy(client: Client) -> Iterator[list[str]]:
    """Uploads, changes, deletes and questions, one after another, until the block ends. Yields the errors."""
    stop, errors = threading.Event(), list[str]()

    def work() -> None:
        ids: list[str] = []
        for number in itertools.takewhile(lambda _: not stop.is_set(), itertools.count()):
            body = {"text": f"Passing note {number}.", "source": f"note-{number % 7}"}
            ids.append(client.post("/documents", body)["document"]["id"])
            replies = [client.http.post("/search", json={"query": "note", "collection": KEPT})]
            if number % 3 == 2:
                replies.append(client.http.delete(f"/documents/{ids.pop(0)}"))
            errors.extend(reply.text for reply in replies if reply.status_code not in (200, 202, 404))

    worker = threading.Thread(target=work)
    worker.start()
    try:
        yield errors
    finally:
        stop.set()
        worker.join()


def ragstone(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ragstone.cli", *arguments]
    return subprocess.run(
        command, cwd=folder, env=clean_environment(COLUMNS="200"), capture_output=True, text=True, check=False
    )


async def fill(client: Client) -> list[str]:
    """The ids of the files, once they are ready."""
    client.post("/collections", {"name": KEPT})
    ids = [client.upload(name, content) for name, content in FILES.items()]

    async def are_ready() -> bool:
        return all(client.get(f"/documents/{id_}")["status"] == "ready" for id_ in ids)

    await until(are_ready, every_s=0.1)
    return ids


async def test_a_backup_of_a_busy_server_holds_all_that_was_ready(tmp_path: Path) -> None:
    server = Server(tmp_path / "data", folder=tmp_path)
    with client_of(server) as client:
        ids = await fill(client)
        expected = client.everything(ids)
        with busy(client) as errors:
            first = ragstone(tmp_path, "backup", "backup", "--data-dir", "data")
            second = ragstone(tmp_path, "backup", "backup", "--data-dir", "data")
    assert (first.returncode, second.returncode, errors) == (0, 0, []), first.stderr + second.stderr
    in_use = ragstone(tmp_path, "restore", "backup", "--data-dir", "data")
    assert "in use by 'ragstone serve'" in in_use.stderr
    assert server.stop() == 0

    restored = ragstone(tmp_path, "restore", "backup", "--data-dir", "new")

    assert restored.returncode == 0, restored.stdout + restored.stderr
    assert "versions with missing points │ 0" in restored.stdout
    assert "all agree" in restored.stdout
    again = Server(tmp_path / "new", folder=tmp_path)
    with client_of(again) as client:
        assert client.everything(ids) == expected
    assert again.stop() == 0
