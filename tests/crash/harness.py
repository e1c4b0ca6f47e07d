"""A server that is killed, and what its documents look like at rest."""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Protocol

import httpx2

from tests.crash import light_server
from tests.crash.light_server import Embedding
from tests.servers import listening_at
from tests.workers import command_line, family, worker_pids

START_S = 30.0
SETTLE_S = 60.0
AT_REST_S = 10.0
POLL_S = 0.02
FINAL = frozenset({"ready", "failed"})

Gone = (httpx2.TransportError,)
REAL = (sys.executable, "-m", "ragstone.cli", "serve", "--port", "0", "--data-dir")


AS_BEFORE = Embedding()


class CrashServer:
    """`ragstone serve` in a process group of its own; `real` with the packaged encoder, as its user starts it."""

    def __init__(
        self,
        data_dir: Path,
        *,
        crash_at: str | None = None,
        real: bool = False,
        workers: int = 1,
        embedding: Embedding = AS_BEFORE,
    ):
        """`workers` of a real one only."""
        self.process: Process = _Real(data_dir, workers) if real else _Light(data_dir, crash_at, embedding)
        self.log: list[str] = []
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read_log, daemon=True)
        self._reader.start()
        self.http = httpx2.Client(timeout=20.0, trust_env=False)
        self.url = self._wait_for(listening_at)
        if self.url is None:
            self.wait()
        else:
            self.http.base_url = httpx2.URL(self.url)

    @property
    def started(self) -> bool:
        """False where the process died before it listened."""
        return self.url is not None

    def engine_pids(self) -> list[int]:
        """The server's processes that run the vector engine."""
        return [pid for pid in family(self.process.pid) if "edge" in " ".join(command_line(pid))]

    def kill(self) -> None:
        """SIGKILL to the API process alone."""
        self.process.signal(signal.SIGKILL)
        self.wait()

    def kill_engine(self) -> None:
        """SIGKILL to the engine alone."""
        for pid in self.engine_pids():
            os.kill(pid, signal.SIGKILL)

    def kill_worker(self, number: int) -> None:
        """SIGKILL to one of several workers alone, if it is there."""
        pid = worker_pids(self.process.pid).get(number)
        if pid is not None:
            os.kill(pid, signal.SIGKILL)

    def kill_group(self) -> None:
        """SIGKILL to everything at once, as an out-of-memory killer or a power switch would."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.wait()

    def stop(self) -> int:
        """SIGTERM; returns the exit code."""
        self.process.signal(signal.SIGTERM)
        return self.wait()

    def wait(self, timeout_s: float = 40.0) -> int:
        """The exit code."""
        code = self.process.wait(timeout_s)
        self._reader.join(timeout=10.0)  # the engine holds the same pipe, and ends a moment later
        self.http.close()
        return code

    def is_alive(self) -> bool:
        """Whether the API process runs."""
        return self.process.poll() is None

    def disagreements(self) -> list[str]:
        """What differs between manifest, blobs and vectors once purges are done (I4); of a light server only."""
        deadline = time.monotonic() + AT_REST_S
        while True:
            self.process.signal(signal.SIGUSR1)
            line = self._wait_for(_checked)
            if line is None:
                return []
            counted = json.loads(line)
            found = [f"{kind}: {keys}" for kind, keys in counted.items() if isinstance(keys, list) and keys]
            if not found or time.monotonic() > deadline:
                return found
            time.sleep(POLL_S)

    def _read_log(self) -> None:
        with self.process.stderr as lines:
            for line in lines:
                self.log.append(line)
                self._lines.put(line)
        self._lines.put(None)

    def _wait_for(self, find: Callable[[str], str | None]) -> str | None:
        """What is found in a line first, None if the process ends before."""
        deadline = time.monotonic() + START_S
        while (left := deadline - time.monotonic()) > 0:
            line = self._lines.get(timeout=left)
            if line is None:
                return None
            if (found := find(line)) is not None:
                return found
        raise AssertionError("the line that is waited for did not come: " + "".join(self.log))


def _checked(line: str) -> str | None:
    return line.removeprefix(light_server.CHECKED) if line.startswith(light_server.CHECKED) else None


class Process(Protocol):
    """What is needed of a server's process."""

    @property
    def pid(self) -> int: ...

    @property
    def stderr(self) -> IO[str]: ...

    def poll(self) -> int | None:
        """The exit code, None while it runs."""

    def signal(self, number: int) -> None:
        """Nothing if it has ended."""

    def wait(self, timeout_s: float) -> int:
        """The exit code."""


class _Real:
    def __init__(self, data_dir: Path, workers: int):
        environment = {**os.environ, "LOG_LEVEL": "WARNING", "RAGSTONE_WORKERS": str(workers)}
        environment.pop("CRASH_AT", None)
        self._popen = subprocess.Popen(
            [*REAL, str(data_dir)],
            stderr=subprocess.PIPE,
            cwd=Path(__file__).parents[2],
            stdout=subprocess.DEVNULL,
            text=True,
            env=environment,
            start_new_session=True,
        )
        assert self._popen.stderr is not None
        self.pid = self._popen.pid
        self.stderr: IO[str] = self._popen.stderr

    def poll(self) -> int | None:
        return self._popen.poll()

    def signal(self, number: int) -> None:
        self._popen.send_signal(number)

    def wait(self, timeout_s: float) -> int:
        return self._popen.wait(timeout=timeout_s)


class _Light:
    def __init__(self, data_dir: Path, crash_at: str | None, embedding: Embedding):
        self._process, log = light_server.start(data_dir, crash_at, embedding)
        assert self._process.pid is not None
        self.pid = self._process.pid
        self.stderr: IO[str] = os.fdopen(os.dup(log.fileno()))
        log.close()

    def poll(self) -> int | None:
        return self._process.exitcode

    def signal(self, number: int) -> None:
        if self._process.is_alive():
            os.kill(self.pid, number)

    def wait(self, timeout_s: float) -> int:
        self._process.join(timeout_s)
        assert self._process.exitcode is not None, "the server did not end"
        return self._process.exitcode


def settle(server: CrashServer) -> list[str]:
    """Wait until no document is in work (I5); returns what did not settle."""
    deadline = time.monotonic() + SETTLE_S
    open_documents: list[str] = []
    while time.monotonic() < deadline:
        documents = list(all_documents(server))
        open_documents = [
            f"{item['source']}: {item['status']}"
            for item in documents
            if item["status"] not in FINAL or is_in_work(item)
        ]
        if not open_documents:
            return []
        time.sleep(POLL_S)
    return [f"not settled: {item}" for item in open_documents]


def is_in_work(document: Mapping[str, Any]) -> bool:
    """Whether a newer version is; one that failed or was cancelled stays listed."""
    return (document["pending"] or {}).get("status") in ("queued", "processing")


def all_documents(server: CrashServer) -> Iterator[dict[str, Any]]:
    """Of the default collection, parts included."""
    cursor = None
    while True:
        params = {"limit": "200", **({"cursor": cursor} if cursor else {})}
        page = server.http.get("/documents", params=params).json()
        yield from page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            return
