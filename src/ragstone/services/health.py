"""What works and what does not."""

import asyncio
import time
from collections.abc import Awaitable
from dataclasses import dataclass

from ragstone.core.ports import JobQueue, Manifest, VectorStore

PROBE_LIMIT_S = 1.0


@dataclass(frozen=True, slots=True)
class ComponentHealth:
    """One part: whether it works, whether readiness needs it, and how old the finding is."""

    healthy: bool
    required: bool
    age_s: float


@dataclass(frozen=True, slots=True)
class Health:
    """All parts. `status` is healthy, degraded (an optional part is down) or unhealthy."""

    status: str
    uptime_s: float
    components: dict[str, ComponentHealth]

    @property
    def is_ready(self) -> bool:
        """Whether all required parts work."""
        return self.status != "unhealthy"


class HealthService:
    """Probes each part, all at once, each within a second."""

    def __init__(self, manifest: Manifest, store: VectorStore, queue: JobQueue):
        self._manifest = manifest
        self._store = store
        self._queue = queue
        self._started = time.monotonic()
        self.is_stopping = False

    async def check(self) -> Health:
        """Never raises."""
        manifest, store = await asyncio.gather(
            _within_limit(self._manifest.is_healthy()), _within_limit(self._store.is_healthy())
        )
        components = {
            "manifest": ComponentHealth(manifest, required=True, age_s=0.0),
            "vector_store": ComponentHealth(store, required=True, age_s=0.0),
            "ingestion": ComponentHealth(self._queue.is_alive, required=False, age_s=0.0),
        }
        return Health(self._status(components), time.monotonic() - self._started, components)

    def _status(self, components: dict[str, ComponentHealth]) -> str:
        down = [part for part in components.values() if not part.healthy]
        if self.is_stopping or any(part.required for part in down):
            return "unhealthy"
        return "degraded" if down else "healthy"


async def _within_limit(probe: Awaitable[bool]) -> bool:
    try:
        async with asyncio.timeout(PROBE_LIMIT_S):
            return await probe
    except TimeoutError:
        return False
