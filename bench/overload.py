"""Four times more questions than the server can answer: what it still answers, how fast it refuses, how it recovers.

The load is open: a question is sent when it is due, whatever became of those before it.
"""

import asyncio
import tempfile
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path

from bench.corpus import make_documents
from bench.figures import Figure, at_most
from bench.ingesting import ingest
from bench.load import Connection, run_load
from bench.metrics import percentile
from bench.server import Server, ready_ragstone

PATH = "/query"
OFFERED = 4.0
REFUSAL_LIMIT_MS, GOODPUT_FLOOR, GROWTH_LIMIT_MB, SLOWER_LIMIT = 100.0, 0.8, 200.0, 1.5
RECOVERY_S = 10.0
PEAK_CONCURRENCY = 32
WEIGH_EVERY_S = 0.5
PROBES = 200
NOTES = (
    f"offered: {OFFERED:g} × the replies a second that {PEAK_CONCURRENCY} callers get who wait for each reply",
    "refused: 429 or 503 with Retry-After; anything else but 200 is an error",
    "the callers run on the same cores as the server",
)


@dataclass(frozen=True, slots=True)
class Plan:
    """Seconds of each part."""

    documents: int = 60
    calm_s: float = 3.0
    peak_s: float = 4.0
    crowd_s: float = 15.0


FULL = Plan(documents=140, calm_s=5.0, peak_s=10.0, crowd_s=60.0)


@dataclass(slots=True)
class Crowd:
    """What became of the questions, in milliseconds from when each was due."""

    answered_ms: list[float] = field(default_factory=list)
    refused_ms: list[float] = field(default_factory=list)
    errors: int = 0
    late_ms: float = 0.0
    """Most that a question was sent after it was due: the callers' own lag."""

    def note(self, head: bytes, ms: float) -> None:
        """Count a reply by its head."""
        status = int(head[9:12])
        if status == 200:
            self.answered_ms.append(ms)
        elif status in (429, 503) and b"\r\nretry-after:" in head.lower():
            self.refused_ms.append(ms)
        else:
            self.errors += 1


async def measure(plan: Plan) -> list[Figure]:
    """Calm, peak, crowd, and calm again."""
    documents = make_documents(plan.documents)
    with tempfile.TemporaryDirectory(prefix="ragstone-bench-") as folder:
        async with ready_ragstone(Path(folder)) as server:
            await ingest(server, documents)
            questions = [question for document in documents for question in document.questions]
            return await _measure(server, questions, plan)


async def _measure(server: Server, questions: Sequence[str], plan: Plan) -> list[Figure]:
    bodies = [{"query": question} for question in questions]
    await run_load(server.port, PATH, bodies, concurrency=PEAK_CONCURRENCY, seconds=1.0)
    calm = await run_load(server.port, PATH, bodies, concurrency=1, seconds=plan.calm_s)
    peak = await run_load(server.port, PATH, bodies, concurrency=PEAK_CONCURRENCY, seconds=plan.peak_s)
    probe = [await _probe_ms(server.port) for _ in range(PROBES)]
    before_mb = server.pss_mb()
    requests = [Connection(server.port).request("POST", PATH, body) for body in bodies]
    weighing = asyncio.create_task(_heaviest(server, plan.crowd_s))
    crowd = await offer(server.port, requests, per_second=OFFERED * peak.per_second, seconds=plan.crowd_s)
    grown_mb = await weighing - before_mb
    await asyncio.sleep(RECOVERY_S)
    after = await run_load(server.port, PATH, bodies, concurrency=1, seconds=plan.calm_s)
    return [
        *_crowd_figures(crowd, peak.per_second, plan.crowd_s, grown_mb),
        Figure("GET /health/live of the idle server, p99 ms", percentile(probe, 99)),
        _recovery(calm.at(95), after.at(95)),
    ]


async def _probe_ms(port: int) -> float:
    """What a reply takes that costs nothing: how busy the machine is with others."""
    started, connection = time.perf_counter(), Connection(port)
    await connection.call("GET", "/health/live")
    await connection.close()
    return (time.perf_counter() - started) * 1000


def _crowd_figures(crowd: Crowd, peak: float, seconds: float, grown_mb: float) -> list[Figure]:
    goodput = len(crowd.answered_ms) / seconds
    ratio = goodput / peak
    name = f"answers a second at {OFFERED:g} × capacity (peak {peak:.0f})"
    return [
        Figure(name, goodput, None, ratio, f"≥ {GOODPUT_FLOOR:g} ×", ratio >= GOODPUT_FLOOR),
        Figure("refused a second", len(crowd.refused_ms) / seconds),
        Figure("refusal, p50 ms", percentile(crowd.refused_ms, 50)),
        at_most("refusal, p99", percentile(crowd.refused_ms, 99), REFUSAL_LIMIT_MS, unit="ms"),
        Figure("answer, p50 ms", percentile(crowd.answered_ms, 50)),
        Figure("answer, p95 ms", percentile(crowd.answered_ms, 95)),
        Figure("callers' own lag, most ms", crowd.late_ms),
        Figure("errors", crowd.errors, target="0", is_met=crowd.errors == 0),
        at_most("memory (PSS) grown by", grown_mb, GROWTH_LIMIT_MB, unit="MB"),
    ]


def _recovery(before_ms: float, after_ms: float) -> Figure:
    ratio = after_ms / before_ms
    name = f"p95 ms {RECOVERY_S:g} s later ({before_ms:.1f} before)"
    return Figure(name, after_ms, None, ratio, f"≤ {SLOWER_LIMIT:g} ×", ratio <= SLOWER_LIMIT)


async def offer(port: int, requests: Sequence[bytes], *, per_second: float, seconds: float) -> Crowd:
    """Send each request when it is due, over as many connections as that takes; wait for all replies."""
    crowd, idle, sending = Crowd(), deque[Connection](), set[asyncio.Task[None]]()
    started = time.perf_counter()
    for number, request in enumerate(cycle(requests)):
        due = started + number / per_second
        if due > started + seconds:
            break
        if (wait_s := due - time.perf_counter()) > 0:
            await asyncio.sleep(wait_s)
        task = asyncio.create_task(_send(port, request, due, idle, crowd))
        sending.add(task)
        task.add_done_callback(sending.discard)
    await asyncio.gather(*sending)
    for connection in idle:
        await connection.close()
    return crowd


async def _send(port: int, request: bytes, due: float, idle: deque[Connection], crowd: Crowd) -> None:
    crowd.late_ms = max(crowd.late_ms, (time.perf_counter() - due) * 1000)
    connection = idle.pop() if idle else Connection(port)
    try:
        head = await _exchange(connection, request)
    except (OSError, EOFError):
        crowd.errors += 1
        await connection.close()
        return
    crowd.note(head, (time.perf_counter() - due) * 1000)
    idle.append(connection)


async def _exchange(connection: Connection, request: bytes) -> bytes:
    """The reply's head; a second time on a new connection where the server closed an idle one."""
    try:
        head, _ = await connection.exchange_whole(request)
    except (OSError, EOFError):
        await connection.open()
        head, _ = await connection.exchange_whole(request)
    return head


async def _heaviest(server: Server, seconds: float) -> float:
    """Most MB that all processes of the server had together meanwhile."""
    heaviest, until = 0.0, time.perf_counter() + seconds
    while time.perf_counter() < until:
        heaviest = max(heaviest, await asyncio.to_thread(server.pss_mb))
        await asyncio.sleep(WEIGH_EVERY_S)
    return heaviest
