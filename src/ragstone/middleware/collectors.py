"""Prometheus series that are read where they are kept, when they are asked for: parts, queue, engine, ingest."""

import asyncio
from collections.abc import Callable, Iterable, Mapping

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    InfoMetricFamily,
    Metric,
    SummaryMetricFamily,
)
from prometheus_client.registry import Collector

from ragstone.core.counts import IngestCounts
from ragstone.services.health import ComponentHealth, Health

Figures = Mapping[str, float]
_NONE: Figures = {}


class HealthCollector(Collector):
    """What the health service found last, and the version."""

    def __init__(self, known: Callable[[], Health], loop_lag_s: Callable[[], float], *, version: str):
        self._known = known
        self._loop_lag_s = loop_lag_s
        self._version = version

    def describe(self) -> Iterable[Metric]:
        """Nothing is known yet when it is registered."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Readiness, parts, queue, engine, disk, event loop."""
        health = self._known()
        figures = {name: part.figures for name, part in health.components.items()}
        yield InfoMetricFamily("ragstone", "The version that runs.", value={"version": self._version})
        yield _gauge("ragstone_ready", "1 while requests can be served.", float(health.is_ready))
        yield _gauge(
            "ragstone_event_loop_lag_seconds",
            "How late the event loop came to what was due, at worst in the last half minute.",
            self._loop_lag_s(),
        )
        yield _gauge(
            "ragstone_event_loop_tasks", "What is in work on the event loop.", float(len(asyncio.all_tasks()))
        )
        yield _components(health.components)
        yield from _queue(figures.get("ingestion", _NONE))
        yield from _engine(figures.get("vector_store", _NONE))
        free = figures.get("disk", _NONE).get("free_bytes")
        yield _gauge("ragstone_disk_free_bytes", "Free room on the disk of the data directory.", free)


def _components(components: Mapping[str, ComponentHealth]) -> Metric:
    family = GaugeMetricFamily(
        "ragstone_component_up", "1 while the part works.", labels=("component", "required")
    )
    for name, part in components.items():
        family.add_metric((name, str(part.required).lower()), float(part.healthy))
    return family


def _queue(figures: Figures) -> Iterable[Metric]:
    family = GaugeMetricFamily("ragstone_queue_jobs", "Ingest jobs that wait or run.", labels=("state",))
    for state in ("queued", "running"):
        if state in figures:
            family.add_metric((state,), figures[state])
    yield family
    yield _gauge(
        "ragstone_queue_oldest_seconds",
        "Age of the oldest ingest job that waits or runs.",
        figures.get("oldest_s"),
    )


def _engine(figures: Figures) -> Iterable[Metric]:
    yield _gauge("ragstone_engine_up", "1 while the vector engine answers.", figures.get("up"))
    yield _gauge("ragstone_engine_points", "Points in the collection that serves.", figures.get("points"))
    yield _gauge(
        "ragstone_engine_memory_bytes", "Memory of the engine's process.", figures.get("memory_bytes")
    )
    restarts = CounterMetricFamily(
        "ragstone_engine_restarts", "How often the engine died and was started again."
    )
    if "restarts" in figures:
        restarts.add_metric((), figures["restarts"])
    yield restarts


class IngestCollector(Collector):
    """What the ingest jobs of this process came to."""

    def __init__(self, counts: Callable[[], IngestCounts]):
        self._counts = counts

    def describe(self) -> Iterable[Metric]:
        """Nothing is counted yet when it is registered."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Documents, chunks, bytes, stages, and vectors that were taken over."""
        counts = self._counts()
        documents = CounterMetricFamily(
            "ragstone_ingest_documents",
            "Versions of documents, by what became of an attempt: ready, failed, postponed, gone.",
            labels=("outcome", "code"),
        )
        for (outcome, code), count in sorted(counts.ended.items()):
            documents.add_metric((outcome, code), count)
        stages = SummaryMetricFamily(
            "ragstone_ingest_stage_seconds", "Time of each stage of an ingest.", labels=("stage",)
        )
        for stage, runs in sorted(counts.stage_runs.items()):
            stages.add_metric((stage,), count_value=runs, sum_value=counts.stage_s[stage])
        yield documents
        yield stages
        yield _counter("ragstone_ingest_chunks", "Chunks of versions that became ready.", counts.chunks)
        yield _counter("ragstone_ingest_bytes", "Bytes of their originals.", counts.bytes)
        yield _cache(counts)


def _cache(counts: IngestCounts) -> Metric:
    family = CounterMetricFamily(
        "ragstone_cache_lookups",
        "Lookups in what is kept to save work; embeddings: vectors of chunks whose text is stored already.",
        labels=("cache", "result"),
    )
    family.add_metric(("embeddings", "hit"), counts.chunks_reused)
    family.add_metric(("embeddings", "miss"), counts.chunks - counts.chunks_reused)
    return family


def _gauge(name: str, documentation: str, value: float | None) -> Metric:
    """Without a sample where nothing is known."""
    return GaugeMetricFamily(name, documentation, value=value)


def _counter(name: str, documentation: str, value: float) -> Metric:
    return CounterMetricFamily(name, documentation, value=value)
