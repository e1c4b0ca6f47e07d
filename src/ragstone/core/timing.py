"""Stage timings of one request: the same numbers go to the reply, the log and the headers."""

import time


class Stopwatch:
    """Milliseconds by stage name; a stage that runs twice adds up."""

    def __init__(self) -> None:
        self._started = time.perf_counter()
        self._stages: dict[str, float] = {}
        self._total_ms: float | None = None
        self.retries: dict[str, int] = {}
        """Attempts beyond the first, by dependency."""
        self.outcome: str | None = None
        """What became of an answer, for log and metrics: answered, degraded, abstained, left, or an error code."""

    def stage(self, name: str) -> "_Stage":
        """Time the block, also when it raises."""
        return _Stage(self, name)

    def add(self, name: str, ms: float) -> None:
        """Count time that was measured elsewhere. Once stopped, what is reported stays as it is."""
        if self._total_ms is not None:
            return
        self._stages[name] = self._stages.get(name, 0.0) + ms

    def mark(self, name: str) -> None:
        """Note the time from the start until now, once."""
        self._stages.setdefault(name, self.elapsed_ms)

    def count_retry(self, dependency: str) -> None:
        """Another attempt is made."""
        self.retries[dependency] = self.retries.get(dependency, 0) + 1

    @property
    def elapsed_ms(self) -> float:
        """Since the request began."""
        return (time.perf_counter() - self._started) * 1000

    def stages(self) -> dict[str, float]:
        """`<name>_ms` → milliseconds, rounded to microseconds."""
        return {f"{name}_ms": round(ms, 3) for name, ms in self._stages.items()}

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


class _Stage:
    """Not a generator: a streamed answer enters three of them for every token, at half a microsecond each."""

    __slots__ = ("_name", "_started", "_stopwatch")

    def __init__(self, stopwatch: Stopwatch, name: str):
        self._stopwatch = stopwatch
        self._name = name

    def __enter__(self) -> None:
        self._started = time.perf_counter()

    def __exit__(self, *failure: object) -> None:
        self._stopwatch.add(self._name, (time.perf_counter() - self._started) * 1000)
