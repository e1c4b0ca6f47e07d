"""Both servers with the same documents: what ingesting them took, and how they answer, idle and while ingesting."""

import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from bench.api import api_of
from bench.corpus import make_documents
from bench.figures import Figure, against_bare, at_most
from bench.ingesting import COLLECTION, ingest_both, measure_change, uploads
from bench.load import Load, run_load
from bench.metrics import percentile
from bench.server import Server, bare, ready_ragstone

CONCURRENCIES = (1, 8, 32)
P50_LIMIT, P99_LIMIT, THROUGHPUT_FLOOR = 1.5, 2.0, 0.7
IDLE_LIMIT_MB = 350.0
BUSY_LIMIT = 3.0
QUERY_CPU_LIMIT = 2.0
WARM_UP_S = 0.5


@dataclass(frozen=True, slots=True)
class Plan:
    """How much to do. `documents` of ten chunks each; `rounds` of `seconds` for each kind of load."""

    documents: int = 140
    fp32_documents: int = 70
    rounds: int = 4
    seconds: float = 1.0
    busy_documents: int = 150
    busy_seconds: float = 6.0


@dataclass(frozen=True, slots=True)
class Servers:
    """The floor and Ragstone, holding the same documents."""

    bare: Server
    ragstone: Server
    questions: Sequence[str]


@asynccontextmanager
async def both(plan: Plan, figures: list[Figure]) -> AsyncIterator[Servers]:
    """Start both, take the idle memory, ingest the corpus into both; figures of that are appended."""
    documents = make_documents(plan.documents)
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="ragstone-bench-"))
        floor = await stack.enter_async_context(bare())
        ours = await stack.enter_async_context(ready_ragstone(Path(folder)))
        figures.append(
            at_most("memory (PSS) of all processes, idle", ours.pss_mb(), IDLE_LIMIT_MB, unit="MB")
        )
        figures += await ingest_both(floor, ours, documents, fp32_documents=plan.fp32_documents)
        figures += await measure_change(ours)
        yield Servers(floor, ours, [question for document in documents for question in document.questions])


@dataclass(frozen=True, slots=True)
class Round:
    """One stretch of load and the CPU of the server's processes in it."""

    load: Load
    cpu_s: float

    @property
    def cpu_ms(self) -> float:
        """A request."""
        return self.cpu_s * 1000 / max(1, len(self.load.latencies_ms))


async def measure_load(servers: Servers, plan: Plan) -> list[Figure]:
    """`/search` and `/query` at each concurrency, rounds of both servers alternating."""
    figures: list[Figure] = []
    cpu_ms: dict[str, float] = {}
    for path in ("/search", "/query"):
        for concurrency in CONCURRENCIES:
            floor, ours = await _rounds(servers, path, concurrency, plan)
            figures += _load_figures(path, concurrency, ours, floor)
            if concurrency == 1:
                cpu_ms[path] = median(each.cpu_ms for each in ours)
                floor_cpu = [each.cpu_ms for each in floor]
                figures.append(
                    against_bare(f"{path}, CPU ms a request", [each.cpu_ms for each in ours], floor_cpu)
                )
    ratio = cpu_ms["/query"] / cpu_ms["/search"]
    name = f"/query, CPU ms a request over {cpu_ms['/search']:.2f} of /search"
    target = f"≤ {QUERY_CPU_LIMIT:g} ×"
    figures.append(Figure(name, cpu_ms["/query"], None, ratio, target, ratio <= QUERY_CPU_LIMIT))
    return figures


async def _rounds(
    servers: Servers, path: str, concurrency: int, plan: Plan
) -> tuple[list[Round], list[Round]]:
    bodies = [{"query": question} for question in servers.questions]
    for server in (servers.bare, servers.ragstone):
        await run_load(server.port, path, bodies, concurrency=concurrency, seconds=WARM_UP_S)
    floor, ours = [], []
    for _ in range(plan.rounds):
        floor.append(await _round(servers.bare, path, bodies, concurrency, plan.seconds))
        ours.append(await _round(servers.ragstone, path, bodies, concurrency, plan.seconds))
    return floor, ours


async def _round(
    server: Server, path: str, bodies: Sequence[dict[str, Any]], concurrency: int, seconds: float
) -> Round:
    before = server.cpu_s()
    load = await run_load(server.port, path, bodies, concurrency=concurrency, seconds=seconds)
    return Round(load, server.cpu_s() - before)


def _load_figures(path: str, concurrency: int, ours: Sequence[Round], floor: Sequence[Round]) -> list[Figure]:
    label, alone = f"{path} × {concurrency}", concurrency == 1
    errors = sum(each.load.errors for each in ours)
    throughput = {"at_least": THROUGHPUT_FLOOR} if concurrency == max(CONCURRENCIES) else {}
    return [
        against_bare(
            f"{label}, p50 ms",
            [each.load.at(50) for each in ours],
            [each.load.at(50) for each in floor],
            at_most=P50_LIMIT if alone else None,
        ),
        against_bare(f"{label}, p99 ms", [_p99(ours)], [_p99(floor)], at_most=P99_LIMIT if alone else None),
        against_bare(
            f"{label}, replies a second",
            [each.load.per_second for each in ours],
            [each.load.per_second for each in floor],
            **throughput,
        ),
        *([Figure(f"{label}, errors", errors, target="0", is_met=False)] if errors else []),
    ]


def _p99(rounds: Sequence[Round]) -> float:
    """Over all rounds: a single one has too few replies."""
    return percentile([latency for each in rounds for latency in each.load.latencies_ms], 99)


async def measure_busy(servers: Servers, plan: Plan) -> list[Figure]:
    """p95 of `/query` while a large ingest runs, against the same server idle."""
    server, bodies = servers.ragstone, [{"query": question} for question in servers.questions]
    idle = await run_load(server.port, "/query", bodies, concurrency=1, seconds=plan.busy_seconds / 2)
    async with api_of(server.port) as api:
        await api.upload(COLLECTION, uploads(make_documents(plan.busy_documents, seed=8)))
        busy = await run_load(server.port, "/query", bodies, concurrency=1, seconds=plan.busy_seconds)
        ran_on = await api.has_work(COLLECTION)
        await api.wait_ready(COLLECTION)
    ratio = busy.at(95) / idle.at(95)
    name = f"/query × 1, p95 ms while a large ingest runs (idle {idle.at(95):.1f})"
    note = "" if ran_on else "; the ingest ended early"
    return [Figure(name + note, busy.at(95), None, ratio, f"≤ {BUSY_LIMIT:g} ×", ratio <= BUSY_LIMIT)]
