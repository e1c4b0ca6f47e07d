"""A stand-in for a Qdrant server in a process of its own, which lives on when others are killed."""

import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx2


class QdrantProcess:
    """Keeps its collections in `folder`, and its port over restarts."""

    def __init__(self, folder: Path):
        self._folder = folder
        self._port = 0
        self._process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Return when it listens."""
        command = [sys.executable, "-m", "ragstone.testing.qdrant_server", str(self._folder), str(self._port)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self._port = int(self._process.stdout.readline().rpartition(":")[2])

    def kill(self) -> None:
        """SIGKILL."""
        assert self._process is not None
        self._process.kill()
        self._end()

    def stop(self) -> None:
        """SIGTERM."""
        assert self._process is not None
        self._process.terminate()
        self._end()

    def script(self, *faults: dict[str, object]) -> None:
        """These faults befall requests from now on."""
        httpx2.post(f"{self.url}/_faults", json=list(faults), trust_env=False).raise_for_status()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self.stop()

    def _end(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        self._process.wait(timeout=20)
        self._process.stdout.close()
        self._process = None
