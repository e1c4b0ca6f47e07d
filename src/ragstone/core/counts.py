"""What this process has counted of its ingest jobs since it started. Plain numbers, for whoever asks."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field

from ragstone.core.models import IndexedVersion, IngestTask
from ragstone.core.timing import Stopwatch

READY, INDEXED = "ready", "indexed"


@dataclass(slots=True)
class IngestCounts:
    """Implements `JobObserver`. An attempt that was indexed counts once its version is ready."""

    ended: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By outcome (ready, failed, postponed, gone) and error code."""
    chunks: int = 0
    chunks_reused: int = 0
    bytes: int = 0
    stage_s: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    stage_runs: Counter[str] = field(default_factory=Counter)

    def attempt_ended(self, task: IngestTask, stopwatch: Stopwatch, outcome: str, code: str) -> None:
        """See the port."""
        if outcome != INDEXED:
            self.ended[outcome, code] += 1
        for lap in stopwatch.laps():
            self.stage_s[lap.name] += lap.busy_ms / 1000
            self.stage_runs[lap.name] += 1

    def version_ready(self, indexed: IndexedVersion) -> None:
        """It is visible now."""
        self.ended[READY, ""] += 1
        self.chunks += indexed.chunks
        self.chunks_reused += indexed.chunks_reused
        self.bytes += indexed.bytes
