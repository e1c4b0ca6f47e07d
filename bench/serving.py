"""Both servers with the same documents: what ingesting them took, and how they answer, idle and while ingesting."""

import hashlib
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from bench.api import TextDocument, api_of
from bench.corpus import MadeUpDocument, make_documents
from bench.figures import Figure, against_bare, at_most
from bench.load import Connection, Load, run_load
from bench.metrics import percentile
from bench.server import Server, bare, ready_ragstone

CONCURRENCIES = (1, 8, 32)
P50_LIMIT, P99_LIMIT, THROUGHPUT_FLOOR = 1.5, 2.0, 0.7
INGEST_LIMITS = {"fp32": 1.1, "int8": 0.6}
IDLE_LIMIT_MB = 350.0
BUSY_LIMIT = 3.0
QUERY_CPU_LIMIT = 2.0
WARM_UP_S = 0.5
COLLECTION = "default"
WARM_UP_SEED = 6


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
        figures += await _ingest_both(floor, ours, documents, plan)
        yield Servers(floor, ours, [question for document in documents for question in document.questions])


async def _ingest_both(
    floor: Server, ours: Server, documents: Sequence[MadeUpDocument], plan: Plan
) -> list[Figure]:
    megabytes = _megabytes(documents)
    floor_cpu, floor_chunks = await ingest_bare(floor, documents)
    our_cpu, our_chunks = await ingest(ours, documents)
    figures = [
        _ingest_figure("int8", our_cpu / megabytes, floor_cpu / megabytes),
        Figure("ingest, chunks per CPU-second (int8)", our_chunks / our_cpu, floor_chunks / floor_cpu),
        Figure("characters a chunk", megabytes * 1e6 / our_chunks, megabytes * 1e6 / floor_chunks),
    ]
    with tempfile.TemporaryDirectory(prefix="ragstone-bench-") as folder:
        async with ready_ragstone(Path(folder), precision="fp32") as exact:
            some = documents[: plan.fp32_documents]
            exact_cpu, _ = await ingest(exact, some)
            figures.append(_ingest_figure("fp32", exact_cpu / _megabytes(some), floor_cpu / megabytes))
    return figures


def _ingest_figure(precision: str, ours: float, floor: float) -> Figure:
    name = f"ingest, CPU-seconds per MB, all processes ({precision})"
    return against_bare(name, [ours], [floor], at_most=INGEST_LIMITS[precision])


def _megabytes(documents: Sequence[MadeUpDocument]) -> float:
    return sum(len(document.text.encode()) for document in documents) / 1e6


async def ingest_bare(server: Server, documents: Sequence[MadeUpDocument]) -> tuple[float, int]:
    """CPU-seconds of the server, warmed up by one document, and chunks."""
    async with api_of(server.port) as api:

        async def one(connection: Connection, document: MadeUpDocument) -> int:
            reply = await connection.call("POST", "/documents", {"text": document.text})
            return int(reply["chunks"])

        await api.each(make_documents(1, seed=WARM_UP_SEED), one)
        before = server.cpu_s()
        chunks = await api.each(documents, one)
        return server.cpu_s() - before, sum(chunks)


async def ingest(server: Server, documents: Sequence[MadeUpDocument]) -> tuple[float, int]:
    """CPU-seconds of all processes, the parse worker included and started, until the last document is ready; and
    chunks."""
    async with api_of(server.port) as api:
        await api.upload(COLLECTION, _uploads(make_documents(1, seed=WARM_UP_SEED)))
        await api.wait_ready(COLLECTION)
        before = server.cpu_s()
        ids = await api.upload(COLLECTION, _uploads(documents))
        await api.wait_ready(COLLECTION)
        cpu = server.cpu_s() - before
        chunks = await api.each(ids, lambda connection, key: connection.call("GET", f"/documents/{key}"))
    return cpu, sum(document["chunks"] for document in chunks)


def _uploads(documents: Sequence[MadeUpDocument]) -> list[TextDocument]:
    return [TextDocument(_source(document), document.title, document.text) for document in documents]


def _source(document: MadeUpDocument) -> str:
    return hashlib.sha256(document.text.encode()).hexdigest()[:16]


# ---- load ----


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
    name = "/query over /search, CPU of Ragstone itself"
    figures.append(
        Figure(
            name,
            cpu_ms["/query"],
            cpu_ms["/search"],
            ratio,
            f"≤ {QUERY_CPU_LIMIT:g} ×",
            ratio <= QUERY_CPU_LIMIT,
        )
    )
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


# ---- queries while a large ingest runs ----


async def measure_busy(servers: Servers, plan: Plan) -> list[Figure]:
    """p95 of `/query` while a large ingest runs, against the same server idle."""
    server, bodies = servers.ragstone, [{"query": question} for question in servers.questions]
    idle = await run_load(server.port, "/query", bodies, concurrency=1, seconds=plan.busy_seconds / 2)
    async with api_of(server.port) as api:
        await api.upload(COLLECTION, _uploads(make_documents(plan.busy_documents, seed=8)))
        busy = await run_load(server.port, "/query", bodies, concurrency=1, seconds=plan.busy_seconds)
        ran_on = await api.has_work(COLLECTION)
        await api.wait_ready(COLLECTION)
    ratio = busy.at(95) / idle.at(95)
    name = "/query × 1 p95 ms while a large ingest runs, against idle" + (
        "" if ran_on else " (ingest ended early)"
    )
    return [Figure(name, busy.at(95), idle.at(95), ratio, f"≤ {BUSY_LIMIT:g} ×", ratio <= BUSY_LIMIT)]
