"""Prometheus series of requests, their stages, and the services they depend on. Labels are bounded: route templates,
known methods, names of our own."""

from collections.abc import Callable, Iterable, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ragstone.core.retry import BreakerState, Dependency
from ragstone.core.timing import Stopwatch

LEFT = 499  # until a reply begins: its client has left
METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})
REQUEST_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 600.0)
STAGE_BUCKETS = (0.0005, 0.001, 0.0025, *REQUEST_BUCKETS)
LABELS = ("dependency", "provider")


class RouteTemplates:
    """The templates of an application's routes, for requests that were refused before a router looked at them."""

    def __init__(self, routes: Iterable[BaseRoute]):
        self._routes = [route for route in routes if isinstance(route, Route)]

    def find(self, path: str) -> str | None:
        """The first one that the path fits."""
        return next((route.path for route in self._routes if route.path_regex.match(path)), None)


def route_of(scope: Scope) -> str:
    """The template of the route that matched, or would have: paths themselves may hold anything."""
    matched = getattr(scope.get("route"), "path", None)
    if matched is None and "app" in scope:
        templates: RouteTemplates = scope["app"].state.templates
        matched = templates.find(scope["path"])
    return matched or "unmatched"


class RequestMetrics:
    """The series that requests move."""

    def __init__(self, registry: CollectorRegistry):
        self.in_flight = Gauge(
            "ragstone_requests_in_flight", "Requests that are being answered.", registry=registry
        )
        self._requests = Counter(
            "ragstone_requests", "Requests answered.", ["method", "route", "status"], registry=registry
        )
        self._answers = Counter(
            "ragstone_answers",
            "Answers by what became of them: answered, degraded, abstained, left, or the error that broke them off.",
            ["outcome"],
            registry=registry,
        )
        self._seconds = Histogram(
            "ragstone_request_seconds",
            "Time from a request to the end of its reply.",
            ["route"],
            buckets=REQUEST_BUCKETS,
            registry=registry,
        )
        self._stages = Histogram(
            "ragstone_stage_seconds",
            "Time of each stage, as the reply and the log have it; first_token counts from the start.",
            ["stage"],
            buckets=STAGE_BUCKETS,
            registry=registry,
        )

    def observe(self, scope: Scope, status: int, stopwatch: Stopwatch) -> None:
        """Count a request that has ended."""
        route = route_of(scope)
        method = scope["method"] if scope["method"] in METHODS else "other"
        report = stopwatch.stop()
        self._requests.labels(method, route, str(status)).inc()
        if stopwatch.outcome is not None:
            self._answers.labels(stopwatch.outcome).inc()
        self._seconds.labels(route).observe(report.pop("total_ms") / 1000)
        for stage, ms in report.items():
            self._stages.labels(stage.removesuffix("_ms")).observe(ms / 1000)


class MetricsMiddleware:
    """Around the logging middleware, whose stopwatch it reads once that has stopped it."""

    def __init__(self, app: ASGIApp, metrics: RequestMetrics):
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = LEFT

        async def send_and_note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        stopwatch = scope.setdefault("state", {})["stopwatch"] = Stopwatch()
        with self._metrics.in_flight.track_inprogress():
            try:
                await self._app(scope, receive, send_and_note)
            finally:
                self._metrics.observe(scope, status, stopwatch)


class LabelledMetrics(Collector):
    """All series of another collector, with one label more."""

    def __init__(self, collector: Collector, label: str, value: str):
        self._collector = collector
        self._label = {label: value}

    def collect(self) -> Iterable[Metric]:
        """As the other one has them now."""
        for metric in self._collector.collect():
            metric.samples = [
                sample._replace(labels={**sample.labels, **self._label}) for sample in metric.samples
            ]
            yield metric


class DependencyCollector(Collector):
    """Reads the dependencies' own counts when it is asked."""

    def __init__(self, dependencies: Callable[[], Sequence[Dependency]]):
        self._dependencies = dependencies

    def describe(self) -> Iterable[Metric]:
        """Nothing is counted yet when it is registered."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Attempts, retries, failures by code, and the breakers' states."""
        attempts = CounterMetricFamily(
            "ragstone_dependency_attempts", "Attempts at services that requests depend on.", labels=LABELS
        )
        retries = CounterMetricFamily(
            "ragstone_dependency_retries", "Attempts beyond the first of a call.", labels=LABELS
        )
        failures = CounterMetricFamily(
            "ragstone_dependency_failures", "Attempts that failed.", labels=(*LABELS, "code")
        )
        breakers = GaugeMetricFamily(
            "ragstone_breaker_state",
            "1 for the state that the circuit breaker is in.",
            labels=(*LABELS, "state"),
        )
        for dependency in self._dependencies():
            labels = (dependency.name, dependency.provider)
            attempts.add_metric(labels, dependency.attempts)
            retries.add_metric(labels, dependency.retries)
            for code, count in sorted(dependency.failures.items()):
                failures.add_metric((*labels, code), count)
            if not dependency.is_local:
                found = dependency.breaker.state
                for state in BreakerState:
                    breakers.add_metric((*labels, state), float(state is found))
        return (attempts, retries, failures, breakers)
