"""Real server processes: started on a free loopback port, waited for, weighed by what /proc says of the whole tree."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.load import UnexpectedStatus, connected

ROOT = Path(__file__).resolve().parent.parent
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
COMPILED = Path(tempfile.gettempdir()) / "ragstone-bench-compiled"
START_LIMIT_S = 120.0
STOP_LIMIT_S = 40.0
LOG_TAIL = 2_000


class ServerFailed(Exception):
    """A server that did not start, or not in time; the message ends with its output."""


@dataclass(slots=True)
class Server:
    """A running process and where it listens. `started` is perf_counter's time of the fork."""

    process: subprocess.Popen[bytes]
    port: int
    started: float
    log: Path

    @property
    def pids(self) -> list[int]:
        """The process and all that descend from it or share its session (which survives a parent's death)."""
        return _tree(self.process.pid)

    def pss_mb(self) -> float:
        """Proportional set size of all processes: shared pages are counted once over all who share them."""
        return sum(_pss_kb(pid) for pid in self.pids) / 1024

    def cpu_s(self) -> float:
        """User and system time of all processes, children that have ended and were waited for included."""
        return sum(_cpu_s(pid) for pid in self.pids)

    async def wait_ready(self, path: str = "/health/ready") -> float:
        """Seconds from the start of the process until the path answered 200. Raises ServerFailed."""
        while time.perf_counter() - self.started < START_LIMIT_S:
            if await _answers(self.port, path):
                return time.perf_counter() - self.started
            if self.process.poll() is not None:
                raise ServerFailed(
                    f"ended with {self.process.returncode} before it was ready\n{self.log_tail()}"
                )
            await asyncio.sleep(0.02)
        raise ServerFailed(f"not ready within {START_LIMIT_S:g} s\n{self.log_tail()}")

    def log_tail(self) -> str:
        """The end of what it printed."""
        return self.log.read_text(errors="replace")[-LOG_TAIL:]

    async def stop(self) -> None:
        """SIGTERM, and SIGKILL when that does not help; idempotent."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            await asyncio.to_thread(self.process.wait, STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            await asyncio.to_thread(self.process.wait)


@asynccontextmanager
async def running(
    *command: str, port: int, environment: Mapping[str, str] | None = None
) -> AsyncIterator[Server]:
    """`python -m <command>` from the repository's root in a session of its own; stopped when the block ends."""
    with tempfile.TemporaryDirectory(prefix="ragstone-bench-log-") as folder:
        log = Path(folder) / "log"
        with log.open("wb") as output:
            started = time.perf_counter()
            process = subprocess.Popen(  # noqa: ASYNC220 - nothing else runs while it forks
                [sys.executable, "-m", *command],
                cwd=ROOT,
                env={**_neutral_environment(), **(environment or {})},
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        server = Server(process, port, started, log)
        try:
            yield server
        finally:
            await server.stop()


@asynccontextmanager
async def ragstone(folder: Path, *, precision: str = "int8") -> AsyncIterator[Server]:
    """`ragstone serve` on a data directory, with the defaults that a user gets."""
    port = free_port()
    settings = {
        "RAGSTONE_DATA_DIR": str(folder),
        "RAGSTONE_PORT": str(port),
        "RAGSTONE_EMBEDDING_PRECISION": precision,
    }
    async with running("ragstone.cli", "serve", port=port, environment=settings) as server:
        yield server


@asynccontextmanager
async def ready_ragstone(folder: Path, *, precision: str = "int8") -> AsyncIterator[Server]:
    """The same, once it is ready."""
    async with ragstone(folder, precision=precision) as server:
        await server.wait_ready()
        yield server


@asynccontextmanager
async def bare() -> AsyncIterator[Server]:
    """The floor and its scripted model, once both answer."""
    port, model_port = free_port(), free_port()
    one_thread = {"OPENBLAS_NUM_THREADS": "1"}  # from 1,000 rows on, its threads would fight over the cores
    async with (
        running("bench.scripted_model", str(model_port), port=model_port) as model,
        running("bench.bare", str(port), str(model_port), port=port, environment=one_thread) as server,
    ):
        await model.wait_ready("/")
        await server.wait_ready("/health")
        yield server


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def _answers(port: int, path: str) -> bool:
    try:
        async with connected(port) as connection:
            await connection.call("GET", path)
    except (OSError, EOFError, UnexpectedStatus):
        return False
    return True


def _neutral_environment() -> dict[str, str]:
    """Without settings of whoever runs the bench, and with compiled modules kept: on most machines they are."""
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith("RAGSTONE_")}
    kept.pop("PYTHONDONTWRITEBYTECODE", None)
    return {**kept, "PYTHONPYCACHEPREFIX": str(COMPILED)}


def _tree(root: int) -> list[int]:
    """`root`, its descendants and its session."""
    processes = {
        int(entry.name): _stat(int(entry.name)) for entry in Path("/proc").iterdir() if entry.name.isdigit()
    }
    members = {pid for pid, fields in processes.items() if pid == root or (fields and int(fields[3]) == root)}
    while True:
        children = {pid for pid, fields in processes.items() if fields and int(fields[1]) in members}
        if children <= members:
            return sorted(members)
        members |= children


def _stat(pid: int) -> list[str]:
    """Fields of /proc/<pid>/stat from `state` on; empty when the process has gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _cpu_s(pid: int) -> float:
    fields = _stat(pid)
    return sum(map(int, fields[11:15])) / CLOCK_TICKS if fields else 0.0


def _pss_kb(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)
