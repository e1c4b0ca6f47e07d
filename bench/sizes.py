"""How Ragstone grows: search time, memory and restart on data directories of made-up points."""

import tempfile
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from bench import synthetic
from bench.corpus import make_paragraphs
from bench.figures import Figure, at_most
from bench.load import run_load
from bench.server import ragstone

SMALL, LARGE, HUGE = 1_000, 10_000, 100_000
SECONDS = 3.0
MEMORY_LIMIT_MB = 450.0
RESTART_LIMIT_S = 10.0
SLOWER_LIMIT, SLOWER_BY_MS = 1.5, 10.0
QUESTION_WORDS = 12


@dataclass(frozen=True, slots=True)
class Size:
    """What was seen at one number of points."""

    ready_s: float
    p50_ms: float
    pss_mb: float


async def measure() -> list[Figure]:
    """One document a point up to 10k (so 10k documents restart), ten points a document at 100k."""
    small = await _see(SMALL, 1)
    large = await _see(LARGE, 1)
    huge = await _see(HUGE, 10)
    return [
        at_most("restart with 10k documents until ready", large.ready_s, RESTART_LIMIT_S, unit="s"),
        at_most(
            "memory (PSS) of all processes, 10k chunks, after searches",
            large.pss_mb,
            MEMORY_LIMIT_MB,
            unit="MB",
        ),
        Figure("/search × 1 at 1k chunks, p50 ms", small.p50_ms),
        _growth(small, large, "10k"),
        _growth(small, huge, "100k"),
        Figure("memory (PSS) of all processes, 100k chunks, MB", huge.pss_mb),
    ]


def _growth(small: Size, other: Size, label: str) -> Figure:
    limit = SLOWER_LIMIT * small.p50_ms + SLOWER_BY_MS
    return Figure(
        f"/search × 1 at {label} chunks, p50 ms",
        other.p50_ms,
        ratio=other.p50_ms / small.p50_ms,
        target=f"≤ {SLOWER_LIMIT:g} × at 1k + {SLOWER_BY_MS:g} ms = {limit:.1f}",
        is_met=other.p50_ms <= limit,
    )


async def _see(points: int, chunks_each: int) -> Size:
    with tempfile.TemporaryDirectory(prefix="ragstone-bench-") as folder:
        await synthetic.build(Path(folder), count=points // chunks_each, chunks_each=chunks_each)
        async with ragstone(Path(folder)) as server:
            ready_s = await server.wait_ready()
            texts = islice(make_paragraphs(), 500)
            bodies = [{"query": " ".join(text.split()[:QUESTION_WORDS])} for text in texts]
            await run_load(server.port, "/search", bodies, concurrency=1, seconds=SECONDS / 3)
            load = await run_load(server.port, "/search", bodies, concurrency=1, seconds=SECONDS)
            return Size(ready_s, load.at(50), server.pss_mb())
