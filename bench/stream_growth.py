"""What stays in memory of many streamed answers, some of which nobody waits for."""

import asyncio
import os
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

from bench.answer_stream import open_streams
from bench.figures import Figure
from bench.server import Server
from bench.stream_servers import Servers

WARM_UP, CALLERS = 500, 4
TOKENS, TOKENS_PER_S = 120, 400.0
ABANDONED_EVERY, ABANDONED_AFTER = 5, 20  # answers, tokens
GROWTH_LIMIT, TOLD_LEAST = 1.05, 0.95
SETTLE_S = 2.0
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


async def measure_growth(servers: Servers, answers: int) -> list[Figure]:
    """Resident memory of the API process after a warm-up, and after so many answers more."""
    await servers.set_pace(tokens=TOKENS, first_token_s=0.0, tokens_per_s=TOKENS_PER_S)
    await _stream(servers, WARM_UP)
    before = _resident_mib(servers.ragstone)
    await servers.take_log()
    errors = await _stream(servers, answers)
    after, log = _resident_mib(servers.ragstone), await servers.take_log()
    abandoned, ratio = answers // ABANDONED_EVERY, after / before
    told = log["left"] / abandoned
    name = (
        f"memory (RSS) of the API process after {answers:,} more answers, MiB (before {before:.1f}, "
        f"{after - before:+.1f} MiB, {100 * (ratio - 1):+.1f} %)"
    )
    leaving = f"abandoned in the middle ({abandoned:,}): share of which the model heard before its end"
    return [
        Figure(name, after, None, ratio, f"≤ {GROWTH_LIMIT:g} ×", ratio <= GROWTH_LIMIT),
        Figure("errors among the others", errors, target="0", is_met=errors == 0),
        Figure(leaving, told, target=f"≥ {TOLD_LEAST:g}", is_met=told >= TOLD_LEAST),
    ]


async def _stream(servers: Servers, answers: int) -> int:
    """So many answers by a few callers; every fifth is left in its middle. Returns how many were not whole."""
    requests = cycle(servers.requests(servers.ragstone))
    numbers = iter(range(answers))
    failed = await asyncio.gather(*(_call(servers.ragstone, requests, numbers) for _ in range(CALLERS)))
    await asyncio.sleep(SETTLE_S)
    return sum(failed)


async def _call(server: Server, requests: Iterator[bytes], numbers: Iterator[int]) -> int:
    failed = 0
    for number in numbers:
        is_left = number % ABANDONED_EVERY == 0
        [stream] = await open_streams(server.port, 1)
        stream.ask(next(requests), leave_after=ABANDONED_AFTER if is_left else None)
        async with asyncio.timeout(60):
            await stream.ended
        failed += not (is_left or stream.is_whole)
    return failed


def _resident_mib(server: Server) -> float:
    pages = int(Path(f"/proc/{server.process.pid}/statm").read_text().split()[1])
    return pages * PAGE_BYTES / 2**20
