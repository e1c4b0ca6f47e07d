"""From the start of the process to the first answer, on a fresh data directory with one document."""

import tempfile
import time
from pathlib import Path
from statistics import median

from bench.api import wait_job
from bench.corpus import make_documents
from bench.figures import Figure
from bench.load import connected
from bench.server import Server, bare, ragstone

REPEATS = 3
LIMIT_S = 3.0
POLL_S = 0.02


async def measure() -> list[Figure]:
    """Medians over a few starts of each; the first one, which may have to compile modules, does not count."""
    ours: list[float] = []
    floor: list[float] = []
    ready: list[float] = []
    cpu: list[float] = []
    for _ in range(1 + REPEATS):
        async with bare() as server:
            floor.append(await _first_answer(server))
        with tempfile.TemporaryDirectory(prefix="ragstone-bench-") as folder:
            async with ragstone(Path(folder)) as server:
                ready.append(await server.wait_ready())
                cpu.append(server.cpu_s())
                ours.append(await _first_answer(server))
    ready, floor, ours = ready[1:], floor[1:], ours[1:]
    first = median(ours)
    return [
        Figure("start until ready, s", median(ready)),
        Figure("start until ready, CPU-seconds of all processes", median(cpu[1:])),
        Figure(
            "start to first answer, s",
            first,
            median(floor),
            first / median(floor),
            f"≤ {LIMIT_S:g} s",
            first <= LIMIT_S,
        ),
    ]


async def _first_answer(server: Server) -> float:
    document = make_documents(1, sections=1)[0]
    async with connected(server.port) as connection:
        reply = await connection.call("POST", "/documents", {"text": document.text})
        if "job" in reply:
            await wait_job(connection, reply["job"]["id"], poll_s=POLL_S)
        await connection.call("POST", "/query", {"query": document.questions[0]})
    return time.perf_counter() - server.started
