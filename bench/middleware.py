"""What the middleware costs a request and a streamed chunk, layer by layer, inside of this process: no socket, no route,
an application that answers at once."""

import logging
import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from prometheus_client import CollectorRegistry
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bench.figures import Figure
from ragstone.core.logs import JsonFormatter
from ragstone.core.timing import Stopwatch
from ragstone.middleware.limits import BodyLimitMiddleware
from ragstone.middleware.logging import LoggingMiddleware
from ragstone.middleware.metrics import MetricsMiddleware, RequestMetrics
from ragstone.middleware.tracing import TracingMiddleware
from ragstone.middleware.trust import TrustMiddleware
from ragstone.tracing import Tracing

REQUESTS, CHUNKS, STREAMS, ROUNDS = 1_000, 2_000, 3, 15
START: Message = {"type": "http.response.start", "status": 200, "headers": []}
CHUNK: Message = {"type": "http.response.body", "body": b"x" * 40, "more_body": True}
END: Message = {"type": "http.response.body", "body": b"", "more_body": False}
STAGES = ("embedding", "search", "evidence", "generation", "verification")
TRACES = "traces (with the extra `otel`)"


class _Nowhere(SpanExporter):
    """Takes spans and forgets them."""

    def export(self, spans: object) -> SpanExportResult:
        """See SpanExporter."""
        return SpanExportResult.SUCCESS


async def measure() -> list[Figure]:
    """µs of each layer, the least of some rounds: whatever else the machine does only adds."""
    tracing = Tracing(_Nowhere())
    layers = _layers(tracing)
    apps: list[ASGIApp] = [_answer]
    for wrap in layers.values():
        apps.append(wrap(apps[-1]))
    with _access_line_to_nowhere():
        request_us = await _best_us(apps, chunks=0, repeats=REQUESTS)
        stream_us = await _best_us(apps, chunks=CHUNKS, repeats=STREAMS)
    await tracing.close()
    found = []
    for name, (inner, whole), (inner_stream, whole_stream) in zip(
        layers, pairwise(request_us), pairwise(stream_us), strict=True
    ):
        found.append(Figure(f"{name}, µs a request", whole - inner))
        found.append(Figure(f"{name}, µs a streamed chunk", (whole_stream - inner_stream) / CHUNKS))
    return [*found, *_together(found)]


def _layers(tracing: Tracing) -> dict[str, Callable[[ASGIApp], ASGIApp]]:
    """As the application has them, the innermost first."""
    metrics = RequestMetrics(CollectorRegistry())
    return {
        "limit of the body": lambda app: BodyLimitMiddleware(app, limit_for=lambda _: 1_000_000),
        "trusted hosts and origins": TrustMiddleware,
        TRACES: lambda app: TracingMiddleware(app, tracer=lambda: tracing),
        "request id, timings, access line": LoggingMiddleware,
        "metrics": lambda app: MetricsMiddleware(app, metrics),
    }


def _together(found: Sequence[Figure]) -> list[Figure]:
    ours = [figure for figure in found if not figure.name.startswith(TRACES)]
    return [
        Figure(f"all but traces, {unit}", sum(each.ragstone for each in ours if each.name.endswith(unit)))
        for unit in ("µs a request", "µs a streamed chunk")
    ]


@contextmanager
def _access_line_to_nowhere() -> Iterator[None]:
    """Formatted as in production."""
    logger = logging.getLogger("ragstone.access")
    with Path(os.devnull).open("w") as nowhere:
        handler = logging.StreamHandler(nowhere)
        handler.setFormatter(JsonFormatter())
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        logger.propagate = False
        yield
        logger.removeHandler(handler)
        logger.propagate = True


async def _best_us(apps: Sequence[ASGIApp], *, chunks: int, repeats: int) -> list[float]:
    best = [math.inf] * len(apps)
    for _ in range(ROUNDS):
        for row, app in enumerate(apps):
            started = time.process_time()
            for _ in range(repeats):
                await app(_scope(chunks), _receive, _send)
            best[row] = min(best[row], (time.process_time() - started) / repeats * 1e6)
    return best


def _scope(chunks: int) -> Scope:
    return {
        "type": "http",
        "method": "POST",
        "scheme": "http",
        "path": "/query",
        "headers": [(b"host", b"127.0.0.1:8000"), (b"content-type", b"application/json")],
        "server": ("127.0.0.1", 8000),
        "state": {"request_id": "request", "stopwatch": Stopwatch()},
        "chunks": chunks,
    }


async def _answer(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    for stage in STAGES:
        scope["state"]["stopwatch"].add(stage, 1.0)
    await send({**START, "headers": []})
    for _ in range(scope["chunks"]):
        await send(CHUNK)
    await send(END)


async def _receive() -> Message:
    return {"type": "http.request", "body": b"{}", "more_body": False}


async def _send(_: Message) -> None:
    pass
