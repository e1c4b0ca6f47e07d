"""A server that is killed, and an oracle that trusts acknowledgements alone."""

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

START_S = 30.0
SETTLE_S = 60.0
POLL_S = 0.05
FINAL = frozenset({"ready", "failed"})

Gone = (httpx2.TransportError,)
REAL = (sys.executable, "-m", "ragstone.cli", "serve", "--port", "0", "--data-dir")
LIGHT = (sys.executable, "-m", "tests.crash.light_server")


class CrashServer:
    """`ragstone serve` in a process group of its own; `real` with the packaged encoder, as its user starts it."""

    def __init__(
        self, data_dir: Path, *, crash_at: str | None = None, real: bool = False, options: Sequence[str] = ()
    ):
        environment = {**os.environ, "LOG_LEVEL": "WARNING"}
        environment.pop("CRASH_AT", None)
        if crash_at is not None:
            environment["CRASH_AT"] = crash_at
        self.process = subprocess.Popen(
            [*(REAL if real else LIGHT), str(data_dir), *options],
            stderr=subprocess.PIPE,
            cwd=Path(__file__).parents[2],
            stdout=subprocess.DEVNULL,
            text=True,
            env=environment,
            start_new_session=True,
        )
        self.log: list[str] = []
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read_log, daemon=True)
        self._reader.start()
        self.http = httpx2.Client(timeout=20.0, trust_env=False)
        self.url = self._wait_for_url()
        if self.url is None:
            self.wait()
        else:
            self.http.base_url = httpx2.URL(self.url)

    @property
    def started(self) -> bool:
        """False where the process died before it listened."""
        return self.url is not None

    def engine_pids(self) -> list[int]:
        """The server's children that run the vector engine."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        pids = [
            int(pid) for task in children.parent.parent.glob("*/children") for pid in task.read_text().split()
        ]
        return [pid for pid in pids if b"edge" in _command_line(pid)]

    def kill(self) -> None:
        """SIGKILL to the API process alone."""
        self.process.kill()
        self.wait()

    def kill_engine(self) -> None:
        """SIGKILL to the engine alone."""
        for pid in self.engine_pids():
            os.kill(pid, signal.SIGKILL)

    def kill_group(self) -> None:
        """SIGKILL to everything at once, as an out-of-memory killer or a power switch would."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.wait()

    def stop(self) -> int:
        """SIGTERM; returns the exit code."""
        self.process.terminate()
        return self.wait()

    def wait(self, timeout_s: float = 40.0) -> int:
        """The exit code."""
        code = self.process.wait(timeout=timeout_s)
        self._reader.join(timeout=10.0)  # the engine holds the same pipe, and ends a moment later
        self.http.close()
        return code

    def is_alive(self) -> bool:
        """Whether the API process runs."""
        return self.process.poll() is None

    def _read_log(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr:
            for line in self.process.stderr:
                self.log.append(line)
                self._lines.put(line)
        self._lines.put(None)

    def _wait_for_url(self) -> str | None:
        deadline = time.monotonic() + START_S
        while (left := deadline - time.monotonic()) > 0:
            line = self._lines.get(timeout=left)
            if line is None:
                return None
            if "Ragstone listens on" in line:
                return line.split("listens on ")[1].split()[0]
        raise AssertionError("the server did not start: " + "".join(self.log))


def _command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


@dataclass
class Known:
    """What the tester knows of one source: the texts that may be visible, and whether it may be absent."""

    document_id: str | None = None
    acknowledged: list[str] = field(default_factory=list)
    """Texts whose upload was acknowledged, newest last, since the last acknowledged delete."""
    in_doubt: set[str] = field(default_factory=set)
    """Texts that were sent and not acknowledged."""
    deleted: set[str] = field(default_factory=set)
    """Texts of an acknowledged delete: never to be seen again."""
    delete_in_doubt: bool = False


class Oracle:
    """Drives a server, notes what it acknowledged, and says afterwards what was broken."""

    def __init__(self) -> None:
        self.sources: dict[str, Known] = {}
        self.serial = 0

    def text_for(self, source: str) -> str:
        """A text that no other upload has: three paragraphs that each carry the same mark."""
        self.serial += 1
        mark = f"mark{self.serial:06d}x"
        return "\n\n".join(
            f"Part {part} of {source} says {mark} about its subject." for part in ("one", "two", "three")
        )

    def upload(self, server: CrashServer, source: str) -> str | None:
        """Returns the document's id if it was acknowledged."""
        known, text = self.sources.setdefault(source, Known()), self.text_for(source)
        known.in_doubt.add(text)
        reply = server.http.post("/documents", json={"text": text, "source": source, "title": source})
        if reply.status_code in (429, 503):
            known.in_doubt.discard(text)
            return None
        assert reply.status_code == 202, reply.text
        known.in_doubt.discard(text)
        known.acknowledged.append(text)
        known.document_id = reply.json()["document"]["id"]
        return known.document_id

    def delete(self, server: CrashServer, source: str) -> None:
        """Deletes the source's document, if there is one that was acknowledged."""
        known = self.sources.get(source)
        if known is None or known.document_id is None:
            return
        known.delete_in_doubt = True
        reply = server.http.delete(f"/documents/{known.document_id}")
        if reply.status_code == 503:
            return
        assert reply.status_code in (200, 202, 404), reply.text
        known.deleted |= {*known.acknowledged, *known.in_doubt}
        self.sources[source] = Known(deleted=known.deleted)

    def reindex(self, server: CrashServer, source: str) -> None:
        """A new version from the same bytes."""
        known = self.sources.get(source)
        if known is not None and known.document_id is not None:
            reply = server.http.post(f"/documents/{known.document_id}/reindex")
            assert reply.status_code in (202, 404, 409, 429, 503), reply.text

    def violations(self, server: CrashServer) -> list[str]:
        """After everything has settled: what contradicts the acknowledgements (I1 to I3)."""
        problems: list[str] = []
        listed = {item["source"]: item for item in _all_documents(server)}
        for source, known in self.sources.items():
            problems += self._source_violations(server, source, known, listed.get(source))
        strangers = listed.keys() - self.sources.keys()
        return problems + [f"{source}: nobody uploaded it" for source in strangers]

    def _source_violations(
        self, server: CrashServer, source: str, known: Known, document: Mapping[str, Any] | None
    ) -> list[str]:
        if document is None:
            lost = known.acknowledged and not known.delete_in_doubt
            return [f"{source}: acknowledged and gone"] if lost else []
        text = server.http.get(f"/documents/{document['id']}/text").text
        allowed = {*known.acknowledged[-1:], *known.in_doubt}
        problems = []
        if document["status"] not in FINAL or _is_in_work(document):
            problems.append(f"{source}: not settled: {document['status']}")
        if text not in allowed:
            problems.append(f"{source}: shows {text[:60]!r}, which is not what was acknowledged last")
        problems += self._search_violations(server, source, known, text)
        return problems

    def _search_violations(self, server: CrashServer, source: str, known: Known, text: str) -> list[str]:
        """Searching for any mark of the source finds the visible text's marks whole, and no others."""
        problems = []
        for candidate in {*known.acknowledged, *known.in_doubt, *known.deleted}:
            found = _found(server, candidate)
            if candidate == text and not found:
                problems.append(f"{source}: the visible version is not found")
            if candidate != text and found:
                problems.append(f"{source}: {candidate[:50]!r} is a ghost")
        return problems


def settle(server: CrashServer) -> list[str]:
    """Wait until no document is in work (I5); returns what did not settle."""
    deadline = time.monotonic() + SETTLE_S
    open_documents: list[str] = []
    while time.monotonic() < deadline:
        documents = list(_all_documents(server))
        open_documents = [
            f"{item['source']}: {item['status']}"
            for item in documents
            if item["status"] not in FINAL or _is_in_work(item)
        ]
        if not open_documents:
            return []
        time.sleep(POLL_S)
    return [f"not settled: {item}" for item in open_documents]


def _is_in_work(document: Mapping[str, Any]) -> bool:
    """Whether a newer version is; one that failed or was cancelled stays listed."""
    return (document["pending"] or {}).get("status") in ("queued", "processing")


def _all_documents(server: CrashServer) -> Iterator[Mapping[str, Any]]:
    cursor = None
    while True:
        params = {"limit": "200", **({"cursor": cursor} if cursor else {})}
        page = server.http.get("/documents", params=params).json()
        yield from page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            return


def _found(server: CrashServer, text: str) -> bool:
    mark = next(word for word in text.split() if word.startswith("mark"))
    reply = server.http.post("/search", json={"query": mark, "mode": "sparse", "top_k": 10})
    assert reply.status_code == 200, reply.text
    return any(mark in result["text"] for result in reply.json()["results"])
