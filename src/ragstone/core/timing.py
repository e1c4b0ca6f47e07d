"""Stage timings of one request or job: the same numbers go to the reply, the log, the headers, the metrics and the
trace."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

Fact = str | int | float


@dataclass(frozen=True, slots=True)
class Lap:
    """One stage: when it first began and last ended (`time.perf_counter`), how long it was at work in between, and what
    is known of it."""

    name: str
    began_s: float
    ended_s: float
    busy_ms: float
    facts: Mapping[str, Fact]


class Stopwatch:
    """Milliseconds by stage name; a stage that runs twice adds up."""

    def __init__(self) -> None:
        self._started = time.perf_counter()
        self._stages: dict[str, float] = {}
        self._windows: dict[str, list[float]] = {}
        self._facts: dict[str, dict[str, Fact]] = {}
        self._total_ms: float | None = None
        self.retries: dict[str, int] = {}
        """Attempts beyond the first, by dependency."""
        self.outcome: str | None = None
        """What became of an answer, for log and metrics: answered, degraded, abstained, left, or an error code."""

    def stage(self, name: str) -> "_Stage":
        """Time the block, also when it raises."""
        return _Stage(self, name)

    def add(self, name: str, ms: float) -> None:
        """Count time that was measured elsewhere, and has just ended. Once stopped, what is reported stays as it is."""
        ended = time.perf_counter()
        self._count(name, ended - ms / 1000, ended)

    def mark(self, name: str) -> None:
        """Note the time from the start until now, once."""
        self._stages.setdefault(name, self.elapsed_ms)

    def tell(self, name: str, **facts: Fact | None) -> None:
        """Note what a stage worked with or came to, for the trace: names and numbers, never content."""
        known = {fact: value for fact, value in facts.items() if value is not None}
        self._facts.setdefault(name, {}).update(known)

    def count_retry(self, dependency: str) -> None:
        """Another attempt is made."""
        self.retries[dependency] = self.retries.get(dependency, 0) + 1

    @property
    def started_s(self) -> float:
        """By `time.perf_counter`."""
        return self._started

    @property
    def elapsed_ms(self) -> float:
        """Since the request began."""
        return (time.perf_counter() - self._started) * 1000

    def stages(self) -> dict[str, float]:
        """`<name>_ms` → milliseconds, rounded to microseconds."""
        return {f"{name}_ms": round(ms, 3) for name, ms in self._stages.items()}

    def laps(self) -> tuple[Lap, ...]:
        """The stages that were timed, in the order in which they first ended."""
        return tuple(
            Lap(name, began, ended, self._stages[name], self._facts.get(name, {}))
            for name, (began, ended) in self._windows.items()
        )

    def stop(self) -> dict[str, float]:
        """Fix the total, so that reply, log and metrics give the same number (the first call counts); returns the
        report."""
        if self._total_ms is None:
            self._total_ms = self.elapsed_ms
        return self.report()

    def report(self) -> dict[str, float]:
        """The stages and the total, so far or as it was fixed."""
        total_ms = self.elapsed_ms if self._total_ms is None else self._total_ms
        return {**self.stages(), "total_ms": round(total_ms, 3)}

    def _count(self, name: str, began: float, ended: float) -> None:
        if self._total_ms is not None:
            return
        window = self._windows.get(name)
        if window is None:
            self._stages[name] = (ended - began) * 1000
            self._windows[name] = [began, ended]
            return
        self._stages[name] += (ended - began) * 1000
        window[1] = ended


class _Stage:
    """Not a generator: a streamed answer enters three of them for every token, at half a microsecond each."""

    __slots__ = ("_name", "_started", "_stopwatch")

    def __init__(self, stopwatch: Stopwatch, name: str):
        self._stopwatch = stopwatch
        self._name = name

    def __enter__(self) -> None:
        self._started = time.perf_counter()

    def __exit__(self, *failure: object) -> None:
        self._stopwatch._count(self._name, self._started, time.perf_counter())
