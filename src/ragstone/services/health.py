"""What works and what does not, found by probes that never hold anybody up for long."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ragstone.services.recurring import Recurring

log = logging.getLogger(__name__)

WAIT_S = 0.5  # nobody waits longer for a finding: an orchestrator's probe gives up after a second
SILENT_S = (
    3.0  # a part that has not answered for so long is down; a busy machine delays answers by a second or two
)
FRESH_S = 1.0  # so long a finding is told again: probes cost the parts something
WATCH_EVERY_S = 15.0  # as often as Prometheus asks, by default


@dataclass(frozen=True, slots=True)
class Finding:
    """What a probe found. `reason` says in a word or two what is wrong; a part may work and be in trouble all the same.
    `figures` are for the metrics."""

    healthy: bool
    reason: str | None = None
    figures: Mapping[str, float] = field(default_factory=dict)


NO_ANSWER = Finding(healthy=False, reason="no answer")


@dataclass(frozen=True, slots=True)
class Probe:
    """How one part is asked. Readiness needs those that are required."""

    name: str
    measure: Callable[[], Awaitable[Finding]]
    required: bool = False


@dataclass(frozen=True, slots=True)
class ComponentHealth:
    """One part: whether it works, what is wrong, whether readiness needs it, and how old the finding is."""

    healthy: bool
    reason: str | None
    required: bool
    age_s: float
    figures: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Health:
    """All parts. `status` is healthy, degraded (an optional part is down, or one is in trouble) or unhealthy."""

    status: str
    uptime_s: float
    components: Mapping[str, ComponentHealth]

    @property
    def is_ready(self) -> bool:
        """Whether all required parts work."""
        return self.status != "unhealthy"


class Ingestion(Protocol):
    """The queue, here or in another process."""

    @property
    def is_alive(self) -> bool:
        """Whether jobs are being worked on."""
        ...


class HealthService:
    """Asks all parts at once, and tells what it knows after half a second at the latest: a part that hangs holds up
    nobody, and is asked once at a time. All count as working when this is made: they have just been opened.
    """

    def __init__(self, probes: Sequence[Probe]):
        self._watched = tuple(_Watched(probe) for probe in probes)
        self._started = time.monotonic()
        self._watch = Recurring("health", self.check, idle_s=WATCH_EVERY_S, retry_s=WATCH_EVERY_S)
        self.is_stopping = False

    def start(self) -> None:
        """Ask every now and then from now on, so that what changes is logged though nobody asks."""
        self._watch.start()

    async def stop(self) -> None:
        """Give up what is being asked; idempotent."""
        await self._watch.stop()
        asking = [watched.asking for watched in self._watched if watched.asking is not None]
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)

    async def check(self) -> Health:
        """Never raises. Findings are at most a second old, but for parts that are slow to answer."""
        asking = [task for watched in self._watched if (task := watched.ask()) is not None]
        if asking:
            await asyncio.wait(asking, timeout=WAIT_S)
        return self.known()

    def known(self) -> Health:
        """What was found last, without asking."""
        now = time.monotonic()
        components = {watched.probe.name: watched.told(now) for watched in self._watched}
        return Health(self._status(components), now - self._started, components)

    def _status(self, components: Mapping[str, ComponentHealth]) -> str:
        down = [part for part in components.values() if not part.healthy]
        if self.is_stopping or any(part.required for part in down):
            return "unhealthy"
        return "degraded" if any(part.reason for part in components.values()) else "healthy"


class _Watched:
    """One part, and what is known of it."""

    def __init__(self, probe: Probe):
        self.probe = probe
        self.asking: asyncio.Task[None] | None = None
        self._asked_at = time.monotonic()
        self._found_at: float | None = None
        self._finding = Finding(healthy=True)

    def ask(self) -> asyncio.Task[None] | None:
        """Begin to ask unless the last finding is fresh; None where there is nothing to wait for."""
        now = time.monotonic()
        if self.asking is not None and not self.asking.done():
            return None if now - self._asked_at > WAIT_S else self.asking
        if self._found_at is not None and now - self._found_at < FRESH_S:
            return None
        self._asked_at = now
        self.asking = asyncio.create_task(self._ask(), name=f"probe {self.probe.name}")
        return self.asking

    def told(self, now: float) -> ComponentHealth:
        """What is known now."""
        is_silent = self.asking is not None and not self.asking.done() and now - self._asked_at >= SILENT_S
        if is_silent:
            self._settle(NO_ANSWER)
        finding = self._finding
        age_s = now - (self._asked_at if is_silent or self._found_at is None else self._found_at)
        return ComponentHealth(
            finding.healthy, finding.reason, self.probe.required, round(max(0.0, age_s), 3), finding.figures
        )

    async def _ask(self) -> None:
        try:
            finding = await self.probe.measure()
        except Exception:  # a probe that breaks is a part that does not work
            log.exception("probe broke off", extra={"component": self.probe.name})
            finding = Finding(healthy=False, reason="defect")
        self._settle(finding)
        self._found_at = time.monotonic()

    def _settle(self, finding: Finding) -> None:
        before, self._finding = self._finding, finding
        if (before.healthy, before.reason) == (finding.healthy, finding.reason):
            return
        level = logging.INFO if finding.reason is None else logging.WARNING
        fields = {"component": self.probe.name, "healthy": finding.healthy, "reason": finding.reason}
        log.log(level, "health changed", extra=fields)
