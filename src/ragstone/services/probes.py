"""How each part of the server is asked how it is. All functions here make probes; the limits are the health service's."""

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ragstone.core.errors import RagstoneError
from ragstone.core.ports import Manifest
from ragstone.core.retry import BreakerState, Dependency
from ragstone.services.health import Finding, Ingestion, Probe
from ragstone.services.serving import ServingStore

RESTART_SHOWS_S = 60.0  # so long the engine's restart is told, since a minute is what most monitors look back
ROOM_FOR_UPLOADS = 5  # of the largest size: their bytes, texts and vectors must fit while somebody makes room


WELL, UNREACHABLE = Finding(healthy=True), Finding(healthy=False, reason="unreachable")


def manifest_probe(manifest: Manifest) -> Probe:
    """Whether the database answers."""

    async def measure() -> Finding:
        return WELL if await manifest.is_healthy() else UNREACHABLE

    return Probe("manifest", measure, required=True)


def store_probe(store: ServingStore) -> Probe:
    """Whether the collection that serves can be searched, and how its engine is."""
    restarts = _Restarts()

    async def measure() -> Finding:
        engine = store.engine
        if engine is None:
            return WELL if await store.is_healthy() else UNREACHABLE
        try:
            state = await engine.engine_state()
        except RagstoneError:
            return Finding(
                healthy=False, reason="unreachable", figures={"up": 0.0, "restarts": float(engine.restarts)}
            )
        figures = {"up": 1.0, "points": float(state.points), "memory_bytes": float(state.memory_bytes)}
        reason = "restarted lately" if restarts.are_recent(engine.restarts) else None
        return Finding(healthy=True, reason=reason, figures={**figures, "restarts": float(engine.restarts)})

    return Probe("vector_store", measure, required=True)


def ingestion_probe(manifest: Manifest, ingestion: Ingestion, *, max_queued_jobs: int) -> Probe:
    """Whether jobs are worked on, and how many wait."""

    async def measure() -> Finding:
        try:
            state = await manifest.queue_state()
        except RagstoneError:
            return UNREACHABLE
        figures = {
            "queued": float(state.queued),
            "running": float(state.running),
            "oldest_s": state.oldest_s,
        }
        if not ingestion.is_alive:
            return Finding(healthy=False, reason="stopped", figures=figures)
        if state.queued >= max_queued_jobs:
            return Finding(healthy=False, reason="queue full", figures=figures)
        return Finding(healthy=True, figures=figures)

    return Probe("ingestion", measure)


def disk_probe(free_bytes: Callable[[], int], *, max_upload_bytes: int) -> Probe:
    """Whether there is room for uploads in the data directory. `free_bytes` may block."""

    async def measure() -> Finding:
        try:
            free = await asyncio.to_thread(free_bytes)
        except OSError:
            return UNREACHABLE
        figures = {"free_bytes": float(free)}
        is_full = free < ROOM_FOR_UPLOADS * max_upload_bytes
        return Finding(not is_full, "nearly full" if is_full else None, figures)

    return Probe("disk", measure)


def dependency_probes(dependencies: Sequence[Dependency]) -> list[Probe]:
    """One for each service over the network: whether its circuit is closed. It is not called for this."""
    return [_dependency_probe(each) for each in dependencies if not each.is_local]


def _dependency_probe(dependency: Dependency) -> Probe:
    async def measure() -> Finding:
        is_closed = dependency.breaker.state is BreakerState.CLOSED
        return WELL if is_closed else Finding(healthy=False, reason="failed again and again")

    return Probe(f"{dependency.name}:{dependency.provider}", measure)


@dataclass(slots=True)
class _Restarts:
    """Whether there were any in the last minute, as far as was asked."""

    _seen: int = 0
    _last_at: float = -math.inf

    def are_recent(self, restarts: int) -> bool:
        now = time.monotonic()
        if restarts != self._seen:
            self._seen, self._last_at = restarts, now
        return now - self._last_at < RESTART_SHOWS_S


class LoopLag:
    """How late the event loop comes to what is due: what every request of this process waits besides its own work."""

    EVERY_S = 0.25
    _KEPT = 120  # half a minute

    def __init__(self) -> None:
        self._late_s: deque[float] = deque(maxlen=self._KEPT)
        self._loop: asyncio.Task[None] | None = None

    @property
    def worst_s(self) -> float:
        """Of the last half minute."""
        return max(self._late_s, default=0.0)

    def start(self) -> None:
        """Begin to measure."""
        self._loop = asyncio.create_task(self._measure(), name="loop lag")

    async def stop(self) -> None:
        """End; idempotent."""
        if self._loop is not None:
            self._loop.cancel()
            await asyncio.gather(self._loop, return_exceptions=True)

    async def _measure(self) -> None:
        while True:
            due = time.monotonic() + self.EVERY_S
            await asyncio.sleep(self.EVERY_S)
            self._late_s.append(max(0.0, time.monotonic() - due))
