"""Traces for OpenTelemetry, made of what the stopwatch has measured anyway: a span for each request and each attempt at
a job, with one inside for each of its stages. The only module that knows OpenTelemetry, whose SDK is an extra; it is
loaded only where an endpoint is configured. Names and numbers are recorded, never questions or documents."""

import asyncio
import time
from collections.abc import Mapping, Sequence

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes as gen_ai
from opentelemetry.semconv.attributes import error_attributes, http_attributes, service_attributes
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, format_trace_id, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from ragstone import __version__
from ragstone.core.models import IngestTask
from ragstone.core.timing import Fact, Lap, Stopwatch

Attributes = dict[str, str | int | float | bool | Sequence[str]]

EXPORT_LIMIT_S = 5.0  # of one request to the collector
FAREWELL_S = 2.0  # for what is left at the end; a collector that is gone must not hold up the end for long
OPERATIONS = {
    "embedding": gen_ai.GenAiOperationNameValues.EMBEDDINGS.value,
    "embed": gen_ai.GenAiOperationNameValues.EMBEDDINGS.value,
    "search": gen_ai.GenAiOperationNameValues.RETRIEVAL.value,
    "generation": gen_ai.GenAiOperationNameValues.CHAT.value,
    "condense": gen_ai.GenAiOperationNameValues.CHAT.value,
}
"""What stages are called by the semantic conventions for generative AI."""
NAMES = {
    "provider": gen_ai.GEN_AI_PROVIDER_NAME,
    "model": gen_ai.GEN_AI_REQUEST_MODEL,
    "temperature": gen_ai.GEN_AI_REQUEST_TEMPERATURE,
    "max_tokens": gen_ai.GEN_AI_REQUEST_MAX_TOKENS,
    "top_k": gen_ai.GEN_AI_REQUEST_TOP_K,
    "dimension": gen_ai.GEN_AI_EMBEDDINGS_DIMENSION_COUNT,
    "collection": gen_ai.GEN_AI_DATA_SOURCE_ID,
    "input_tokens": gen_ai.GEN_AI_USAGE_INPUT_TOKENS,
    "output_tokens": gen_ai.GEN_AI_USAGE_OUTPUT_TOKENS,
}
"""And what is known of them; anything else is an attribute of our own."""
_TRACE_CONTEXT = TraceContextTextMapPropagator()


class RequestSpan:
    """Implements `core.ports.RequestTrace`."""

    def __init__(self, tracing: "Tracing", span: Span, method: str):
        self._tracing = tracing
        self._span = span
        self._method = method

    @property
    def trace_id(self) -> str:
        """32 hexadecimal digits."""
        return format_trace_id(self._span.get_span_context().trace_id)

    def end(self, *, route: str, status: int, request_id: str, stopwatch: Stopwatch) -> None:
        """See the port."""
        self._span.update_name(f"{self._method} {route}")
        attributes: Attributes = {
            http_attributes.HTTP_ROUTE: route,
            http_attributes.HTTP_RESPONSE_STATUS_CODE: status,
            "ragstone.request_id": request_id,
        }
        if stopwatch.outcome is not None:
            attributes["ragstone.outcome"] = stopwatch.outcome
        for dependency, count in stopwatch.retries.items():
            attributes[f"ragstone.retries.{dependency}"] = count
        self._span.set_attributes(attributes)
        if status >= 500:
            self._span.set_status(Status(StatusCode.ERROR))
            self._span.set_attribute(error_attributes.ERROR_TYPE, str(status))
        self._tracing.add_stages(self._span, stopwatch)
        self._span.end()


class Tracing:
    """Implements `core.ports.RequestTracer` and `JobObserver`."""

    def __init__(self, exporter: SpanExporter):
        """Batches are handed to the exporter in a thread of their own; what it cannot take in time is dropped."""
        ours = Resource.create(
            {service_attributes.SERVICE_NAME: "ragstone", service_attributes.SERVICE_VERSION: __version__}
        )
        given = OTELResourceDetector().detect()  # OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES
        self._provider = TracerProvider(resource=ours.merge(given), shutdown_on_exit=False)
        self._exporter = exporter
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("ragstone", __version__)

    @classmethod
    def to(cls, endpoint: str) -> "Tracing":
        """Send them to a collector, by OTLP over HTTP."""
        url = f"{endpoint.rstrip('/')}/v1/traces"
        return cls(OTLPSpanExporter(endpoint=url, timeout=EXPORT_LIMIT_S))

    def begin(self, method: str, headers: Mapping[str, str]) -> RequestSpan:
        """See the port."""
        parent = _TRACE_CONTEXT.extract(headers)
        attributes = {http_attributes.HTTP_REQUEST_METHOD: method}
        span = self._tracer.start_span(method, parent, kind=SpanKind.SERVER, attributes=attributes)
        return RequestSpan(self, span, method)

    def attempt_ended(self, task: IngestTask, stopwatch: Stopwatch, outcome: str, code: str) -> None:
        """A trace of its own: the request that asked for the job has ended long before."""
        attributes: Attributes = {
            "ragstone.job_id": task.job.id,
            "ragstone.document_id": task.document_id,
            "ragstone.version": task.version,
            "ragstone.outcome": outcome,
        }
        if task.job.request_id is not None:
            attributes["ragstone.request_id"] = task.job.request_id
        if code:
            attributes[error_attributes.ERROR_TYPE] = code
        span = self._tracer.start_span(
            "ingest", Context(), start_time=_clock_ns(stopwatch.started_s), attributes=attributes
        )
        if code:
            span.set_status(Status(StatusCode.ERROR))
        self.add_stages(span, stopwatch)
        span.end()

    def add_stages(self, parent: Span, stopwatch: Stopwatch) -> None:
        """A span for each stage that has ended; none where the caller of the request records nothing."""
        if not parent.is_recording():
            return
        context = set_span_in_context(parent)
        for lap in stopwatch.laps():
            name, attributes = _describe(lap)
            span = self._tracer.start_span(
                name, context, start_time=_clock_ns(lap.began_s), attributes=attributes
            )
            span.end(_clock_ns(lap.ended_s))

    async def close(self) -> None:
        """Send what is left, for two seconds, or until the request at hand has ended."""
        ending = asyncio.create_task(asyncio.to_thread(self._provider.shutdown))
        await asyncio.wait([ending], timeout=FAREWELL_S)
        if not ending.done():
            self._exporter.shutdown()
        await ending


def _describe(lap: Lap) -> tuple[str, Attributes]:
    """Name and attributes by the conventions where they know such a stage. A stage that others interrupt, as each token
    does, lasts from its first beginning to its last end; `ragstone.busy_ms` is what it worked of that."""
    attributes: Attributes = {"ragstone.stage": lap.name, "ragstone.busy_ms": round(lap.busy_ms, 3)}
    attributes |= {_attribute(fact): value for fact, value in lap.facts.items() if fact != "finish_reason"}
    if "finish_reason" in lap.facts:
        attributes[gen_ai.GEN_AI_RESPONSE_FINISH_REASONS] = [str(lap.facts["finish_reason"])]
    operation = OPERATIONS.get(lap.name)
    if operation is None:
        return lap.name, attributes
    target: Fact = lap.facts.get("model") or lap.facts.get("collection") or ""
    return f"{operation} {target}".strip(), {gen_ai.GEN_AI_OPERATION_NAME: operation, **attributes}


def _attribute(fact: str) -> str:
    return NAMES.get(fact, f"ragstone.{fact}")


def _clock_ns(perf_s: float) -> int:
    """A moment of `time.perf_counter` by the clock on the wall."""
    return time.time_ns() - round((time.perf_counter() - perf_s) * 1e9)
