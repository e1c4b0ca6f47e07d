"""`ragstone serve` as its user starts it."""

import os
import queue
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from ragstone.storage.data_directory import owner_of
from tests.waiting import until

START_S = 60.0
STOP_S = 40.0
_LISTENING = re.compile(r'\blistening\b.*?\burl"?[=:]"?(http[^\s"]+)')


def clean_environment(**changes: str) -> dict[str, str]:
    """The environment without settings of whoever runs the tests."""
    names = ("RAGSTONE_", "LOG_", "CORS_", "CRASH_AT", "OPENAI_", "QDRANT_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(names)}
    return {**kept, **changes}


def listening_at(line: str) -> str | None:
    """The address, in the line of the log that tells it."""
    found = _LISTENING.search(line)
    return None if found is None else found[1]


def spawn(data_dir: Path, *, folder: Path, **environment: str) -> "subprocess.Popen[str]":
    """`ragstone serve` on a free port, just started."""
    return subprocess.Popen(
        [sys.executable, "-m", "ragstone.cli", "serve", "--port", "0", "--data-dir", str(data_dir)],
        cwd=folder,
        env=clean_environment(**environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


class Server:
    """A process, its address and what it writes to standard error."""

    def __init__(self, data_dir: Path, *, folder: Path, **environment: str):
        self.data_dir = data_dir
        self.lines: list[str] = []
        self.process = spawn(data_dir, folder=folder, **environment)
        greeting: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, args=(greeting,), daemon=True)
        self._reader.start()
        first = greeting.get(timeout=START_S)
        assert first is not None, "the server ended: " + "".join(self.lines)
        self.url = first
        self.port = int(self.url.rpartition(":")[2])

    def stop(self) -> int:
        """SIGTERM; the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.wait()

    def wait(self) -> int:
        """The exit status, once it has ended and all it wrote was read."""
        status = self.process.wait(timeout=STOP_S)
        self._reader.join(timeout=STOP_S)
        return status

    def rss_mib(self) -> float:
        """Resident memory of the server process itself."""
        return self._status_mib("VmRSS")

    def reset_peak(self) -> None:
        """Forget how much memory was used at most."""
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def peak_mib(self) -> float:
        """Most resident memory since the last reset."""
        return self._status_mib("VmHWM")

    def _status_mib(self, name: str) -> float:
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) / 1024
        raise AssertionError(name)

    def _read(self, greeting: Any) -> None:
        assert self.process.stderr is not None
        with self.process.stderr as stream:
            for line in stream:
                self.lines.append(line)
                if (url := listening_at(line)) is not None:
                    greeting.put(url)
        greeting.put(None)


async def announced(data_dir: Path) -> str:
    """The address that the lock file names, once this process has written it there."""

    async def is_announced() -> bool:
        owner = owner_of(data_dir)
        return owner is not None and owner.url is not None

    await until(is_announced)
    owner = owner_of(data_dir)
    assert owner is not None
    assert owner.url is not None
    assert (owner.pid, owner.command) == (os.getpid(), "ragstone serve")
    return owner.url
