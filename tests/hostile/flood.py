"""More uploads than a server has room for, as fast as possible: `python -m tests.hostile.flood --uploads 10000`.

HOSTILE E4 in our words. Exit 1 unless each upload is taken or told to wait, and each that was taken becomes ready.
"""

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx2

from tests.servers import Server
from tests.waiting import until

ROOM = 500
CALLERS = 32
PATIENCE_S = 900.0


@dataclass
class Flood:
    """What became of the uploads, and how long each reply took, in seconds."""

    accepted: list[str] = field(default_factory=list)
    taken_s: list[float] = field(default_factory=list)
    refused_s: list[float] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    async def call(self, http: httpx2.AsyncClient, numbers: Iterator[int]) -> None:
        """Upload one after the other until none is left."""
        for number in numbers:
            started = time.perf_counter()
            reply = await http.post("/documents", json={"text": f"What number {number} says is short."})
            took_s = time.perf_counter() - started
            if reply.status_code == 202:
                self.accepted.append(reply.json()["document"]["id"])
                self.taken_s.append(took_s)
            elif reply.status_code == 429 and int(reply.headers["retry-after"]) >= 1:
                self.refused_s.append(took_s)
            else:
                self.problems.append(f"{number}: {reply.status_code} {reply.text[:200]}")


async def pour(url: str, uploads: int) -> Flood:
    """All uploads, then wait for what was accepted."""
    flood, numbers = Flood(), iter(range(uploads))
    limits = httpx2.Limits(max_connections=CALLERS)
    async with httpx2.AsyncClient(base_url=url, timeout=60.0, trust_env=False, limits=limits) as http:
        await asyncio.gather(*(flood.call(http, numbers) for _ in range(CALLERS)))
        await _until_idle(http)
        ready = await _ready(http)
    flood.problems += [f"{lost}: acknowledged and not ready" for lost in set(flood.accepted) - ready]
    return flood


async def _until_idle(http: httpx2.AsyncClient) -> None:
    async def is_idle() -> bool:
        found = [
            await http.get("/jobs", params={"state": state, "limit": 1}) for state in ("queued", "running")
        ]
        return not any(reply.json()["items"] for reply in found)

    await until(is_idle, every_s=1.0, within_s=PATIENCE_S)


async def _ready(http: httpx2.AsyncClient) -> set[str]:
    found, params = set[str](), {"status": "ready", "limit": "200"}
    while True:
        page = (await http.get("/documents", params=params)).json()
        found |= {item["id"] for item in page["items"]}
        if page["next_cursor"] is None:
            return found
        params["cursor"] = page["next_cursor"]


def main() -> None:
    """Start a server, flood it, tell what happened."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--uploads", type=int, default=10_000)
    uploads = arguments.parse_args().uploads
    with tempfile.TemporaryDirectory(prefix="ragstone-flood-") as folder:
        room = {"RAGSTONE_MAX_QUEUED_JOBS": str(ROOM), "LOG_LEVEL": "ERROR"}
        server = Server(Path(folder) / "data", folder=Path(folder), **room)
        flood = asyncio.run(pour(server.url, uploads))
        code = server.stop()
    flood.problems += [f"exit {code} after SIGTERM"] if code else []
    print(f"{len(flood.accepted)} taken ({_times(flood.taken_s)})")
    print(f"{len(flood.refused_s)} told to wait ({_times(flood.refused_s)})")
    print("\n".join(flood.problems) or "each that was taken is ready")
    sys.exit(bool(flood.problems))


def _times(seconds: list[float]) -> str:
    if len(seconds) < 2:
        return "too few to time"
    cuts = statistics.quantiles(seconds, n=100)
    return f"p50 {cuts[49] * 1000:.0f} ms, p99 {cuts[98] * 1000:.0f} ms"


if __name__ == "__main__":
    main()
