"""`ragstone serve --workers 2` as its user starts it: which process is which, and clients that stay with one of them."""

import asyncio
import contextlib
import os
import re
import signal
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import httpx2

from tests.apiclient import Api
from tests.servers import Server
from tests.waiting import PATIENCE_S, until

_WORKER = re.compile(r'worker="(\d+)"')


def command_line(pid: int) -> list[str]:
    """Empty for a process that has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().split("\0")[:-1]
    except OSError:
        return []


def children(pid: int) -> list[int]:
    """Of all its threads."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += map(int, task.read_text().split())
    return found


def worker_pids(supervisor: int) -> dict[int, int]:
    """Number → process, of the workers that are there."""
    lines = {pid: command_line(pid) for pid in children(supervisor)}
    return {int(line[-1]): pid for pid, line in lines.items() if "ragstone.cli.worker" in line}


def engine_pids(supervisor: int) -> list[int]:
    """The engines of all workers: there should be one."""
    below = [child for pid in worker_pids(supervisor).values() for child in children(pid)]
    return [pid for pid in below if "ragstone.vectorstores.edge_server" in command_line(pid)]


def family(supervisor: int) -> list[int]:
    """All processes of a server."""
    found, waiting = [supervisor], children(supervisor)
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        waiting += children(pid)
    return found


class Workers(Server):
    """A server with two workers, the first of which leads."""

    def __init__(self, data_dir: Path, *, folder: Path, **environment: str):
        super().__init__(data_dir, folder=folder, **{"RAGSTONE_WORKERS": "2", **environment})

    def pid_of(self, role: str) -> int | None:
        """`leader`, `assistant` or `engine`; None while there is none."""
        if role == "engine":
            return next(iter(engine_pids(self.process.pid)), None)
        return worker_pids(self.process.pid).get(1 if role == "leader" else 2)

    def kill(self, role: str) -> int:
        """SIGKILL; the process that it was."""
        pid = self.pid_of(role)
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        return pid


async def worker_behind(http: httpx2.AsyncClient) -> int:
    """The number of the worker that this client's connection leads to."""
    found = _WORKER.search((await http.get("/metrics")).text)
    assert found is not None
    return int(found[1])


@asynccontextmanager
async def connected(url: str, number: int) -> AsyncIterator[Api]:
    """A client whose one connection leads to this worker, and still does at the end."""
    async with AsyncExitStack() as stack:
        one = httpx2.Limits(max_connections=1)
        deadline = time.monotonic() + PATIENCE_S
        while True:
            assert time.monotonic() < deadline, f"no connection leads to worker {number}"
            http = httpx2.AsyncClient(base_url=url, limits=one, timeout=60.0, trust_env=False)
            await stack.enter_async_context(http)
            if await worker_behind(http) == number:
                break
        keeping = asyncio.create_task(_keep_open(http))
        yield Api(http)
        keeping.cancel()
        await asyncio.wait([keeping])
        assert await worker_behind(http) == number


async def _keep_open(http: httpx2.AsyncClient) -> None:
    """The server closes a connection that is idle for five seconds."""
    while True:
        await asyncio.sleep(1.0)
        await http.get("/health/live")


async def has_both(url: str) -> None:
    """Wait until both workers answer."""
    for number in (1, 2):
        async with connected(url, number):
            pass


async def all_gone(pids: list[int], within_s: float) -> bool:
    """Whether these processes end within so long."""

    async def have_ended() -> bool:
        return not any(command_line(pid) for pid in pids)

    with contextlib.suppress(TimeoutError):
        await until(have_ended, within_s=within_s)
    return await have_ended()
