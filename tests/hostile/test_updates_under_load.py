"""HOSTILE C3 and C6 in our words, over HTTP and with the real engine: a document that changes under questions is seen
whole, and a delete that the engine missed is kept.
"""

import os
import re
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.crash.harness import CrashServer, all_documents, settle

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

PARAGRAPHS = 200
UPDATES = 20
QUERIES = 1_000
PURGED_S = 60.0
MARK = re.compile(r"mark(\d+)x")


def text_of(version: int) -> str:
    """About two hundred chunks that all say the version."""
    filler = "and then it goes on about the same thing for a good while without an end " * 9
    return "\n\n".join(
        f"# Part {number}\n\nThe subject of part {number} is mark{version}x {filler}"
        for number in range(PARAGRAPHS)
    )


def put(server: CrashServer, document_id: str, version: int) -> None:
    files = {"file": ("changing.md", text_of(version).encode())}
    reply = server.http.put(f"/documents/{document_id}", files=files)
    assert reply.status_code == 202, reply.text


class Asker:
    """Asks the same thing until it is stopped, and notes which versions each reply shows."""

    def __init__(self, url: str, path: str):
        self.seen: list[set[int]] = []
        self._stopped = threading.Event()
        self._path = path
        self._http = httpx2.Client(base_url=url, timeout=20.0, trust_env=False)
        self._thread = threading.Thread(target=self._ask)
        self._thread.start()

    def _ask(self) -> None:
        while not self._stopped.is_set():
            reply = self._http.post(self._path, json={"query": "the subject of each part", "top_k": 20})
            assert reply.status_code == 200, reply.text
            found = reply.json()
            texts = [source["text"] for source in found.get("results") or found["sources"]]
            self.seen.append({int(mark) for text in texts for mark in MARK.findall(text)})

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()
        self._http.close()


@contextmanager
def asked(server: CrashServer) -> Iterator[list[Asker]]:
    """Two who search and one who asks, meanwhile."""
    assert server.url is not None
    askers = [Asker(server.url, path) for path in ("/search", "/search", "/query")]
    try:
        yield askers
    finally:
        for asker in askers:
            asker.stop()


def test_every_reply_is_wholly_of_one_version_while_a_document_changes(tmp_path: Path) -> None:
    server = CrashServer(tmp_path / "data")
    upload = {"file": ("changing.md", text_of(1).encode())}
    document_id = server.http.post("/documents", files=upload).json()["document"]["id"]
    assert settle(server) == []
    assert server.http.get(f"/documents/{document_id}").json()["chunks"] >= PARAGRAPHS

    with asked(server) as askers:
        version = 1
        while version <= UPDATES or sum(len(asker.seen) for asker in askers) < QUERIES:
            version += 1
            put(server, document_id, version)
            assert settle(server) == []
            done = [len(asker.seen) for asker in askers]
            while not all(len(asker.seen) > before + 1 for asker, before in zip(askers, done, strict=True)):
                time.sleep(0.005)
            after = [
                seen for asker, before in zip(askers, done, strict=True) for seen in asker.seen[before + 1 :]
            ]
            assert all(seen == {version} for seen in after)

    assert {len(seen) for asker in askers for seen in asker.seen} == {1}
    for asker in askers:
        versions = [version for seen in asker.seen for version in seen]
        assert versions == sorted(versions)
    assert server.stop() == 0


def stop_engine(server: CrashServer) -> None:
    for pid in server.engine_pids():
        os.kill(pid, signal.SIGSTOP)


def marks_found(server: CrashServer, **changes: Any) -> set[int]:
    body = {"query": "the subject of each part", "mode": "sparse", **changes}
    reply = server.http.post("/search", json=body)
    assert reply.status_code == 200, reply.text
    return {int(mark) for hit in reply.json()["results"] for mark in MARK.findall(hit["text"])}


def test_a_delete_that_the_engine_missed_is_kept_and_purged_after_both_restart(tmp_path: Path) -> None:
    server = CrashServer(tmp_path / "data")
    ids = [
        server.http.post("/documents", json={"text": f"The subject is mark{n}x"}).json()["document"]["id"]
        for n in (1, 2)
    ]
    assert settle(server) == []

    stop_engine(server)
    receipt = server.http.delete(f"/documents/{ids[0]}")
    assert (receipt.status_code, receipt.json()["verified_absent"]) == (202, False)
    assert server.http.get(f"/documents/{ids[0]}").status_code == 404
    assert [item["id"] for item in all_documents(server)] == ids[1:]
    server.kill_group()

    server = CrashServer(tmp_path / "data")
    assert marks_found(server) == {2}
    job = receipt.json()["job"]["id"]
    until = time.monotonic() + PURGED_S
    while server.http.get(f"/jobs/{job}").json()["state"] != "succeeded":
        assert time.monotonic() < until
        time.sleep(0.05)
    assert marks_found(server) == {2}
    assert server.disagreements() == []
    assert server.stop() == 0
