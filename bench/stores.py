"""What a vector store over HTTP costs against the embedded engine: the same points and searches, and the CPU time of
the calling process. The server is the stand-in, so its own time says nothing about Qdrant's.

python -m bench.stores [--points 5000]
"""

import argparse
import asyncio
import random
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ragstone.core.models import Point, Scope, SparseVector, Vector
from ragstone.core.ports import VectorStore
from ragstone.vectorstores.edge import EdgeVectorStore
from ragstone.vectorstores.qdrant import QdrantVectorStore
from ragstone.vectorstores.qdrant_collection import Layout
from ragstone.vectorstores.qdrant_connection import QdrantConnection
from tests.qdrant_process import QdrantProcess

DIMENSION = 384
HITS = 50
SEARCHES = 200
BATCH = 128
SCOPE = Scope()
CHANCE = random.Random(7)


@dataclass(frozen=True, slots=True)
class Cost:
    """Milliseconds of one call: median and 99th percentile by the clock, mean of this process's CPU."""

    p50: float
    p99: float
    cpu: float


def vector() -> Vector:
    """A random direction."""
    return np.array([CHANCE.gauss(0, 1) for _ in range(DIMENSION)], np.float32)


def words(number: int) -> SparseVector:
    """As many tokens of a vocabulary whose first words are common."""
    indices = sorted({int(CHANCE.paretovariate(0.6)) % 50_000 for _ in range(number)})
    return SparseVector(tuple(indices), tuple(CHANCE.uniform(0.5, 2.0) for _ in indices))


def point(number: int) -> Point:
    """A chunk of 800 characters."""
    payload = {
        "text": "x" * 800,
        "document_id": f"d{number // 20}",
        "document_version": f"d{number // 20}:1",
        "metadata": {"year": 2000 + number % 20},
    }
    return Point(f"00000000-0000-4000-8000-{number:012d}", vector(), words(80), payload)


async def measure(call: Callable[[int], Awaitable[Any]], times: int) -> Cost:
    """One at a time."""
    took = []
    began_cpu = time.process_time()
    for number in range(times):
        began = time.perf_counter()
        await call(number)
        took.append((time.perf_counter() - began) * 1000)
    cpu = (time.process_time() - began_cpu) * 1000 / times
    return Cost(statistics.median(took), statistics.quantiles(took, n=100)[98], cpu)


async def costs_of(store: VectorStore, points: list[Point]) -> dict[str, Cost]:
    """Of each kind of call."""
    questions = [(vector(), words(8)) for _ in range(SEARCHES)]
    batches = [points[start : start + BATCH] for start in range(0, len(points), BATCH)]
    found = {f"upsert of {BATCH}": await measure(lambda n: store.upsert(SCOPE, batches[n]), len(batches))}
    await store.flush()
    some = [each.id for each in points[:HITS]]
    calls: dict[str, Callable[[int], Awaitable[Any]]] = {
        f"hybrid search, {HITS} + {HITS} hits": lambda n: store.search_hybrid(
            SCOPE, *questions[n], limit=HITS
        ),
        f"scores of {HITS} ids": lambda n: store.search_hybrid(SCOPE, *questions[n], limit=HITS, ids=some),
        "term weights": lambda n: store.term_weights(SCOPE, questions[n][1].indices),
        "retrieve 10": lambda n: store.retrieve(SCOPE, some[:10]),
        "count": lambda n: store.count(SCOPE),
    }
    for name, call in calls.items():
        await measure(call, 20)
        found[name] = await measure(call, SEARCHES)
    return found


async def main(number: int) -> None:
    """Print a table."""
    points = [point(n) for n in range(number)]
    with tempfile.TemporaryDirectory() as name, QdrantProcess(Path(name, "qdrant")) as server:
        edge = await EdgeVectorStore.open(Path(name, "edge"), dimension=DIMENSION)
        embedded = await costs_of(edge, points)
        await edge.close()
        connection = QdrantConnection.open(server.url, api_key=None, timeout_s=30)
        served = await costs_of(QdrantVectorStore(connection, "points", Layout(DIMENSION)), points)
        await connection.close()
    print(f"{number} points of {DIMENSION} numbers; ms: p50, p99, CPU of the caller")
    for call, cost in embedded.items():
        other = served[call]
        print(
            f"{call:32} embedded {cost.p50:7.2f} {cost.p99:7.2f} {cost.cpu:6.2f}"
            f"   over HTTP {other.p50:7.2f} {other.p99:7.2f} {other.cpu:6.2f}"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=5000)
    asyncio.run(main(parser.parse_args().points))
