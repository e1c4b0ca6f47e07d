"""Traces: what they are made of, whose part they are, and that they hold no content."""

import socket
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode, format_trace_id

from ragstone import tracing
from ragstone.api.main import create_app
from ragstone.config.settings import Settings, load_settings
from ragstone.core.errors import InvalidSetting, ParseFailed
from ragstone.core.timing import Stopwatch
from ragstone.services import switching
from ragstone.tracing import Tracing
from tests.apiclient import Api
from tests.parts import World, open_world

ENDPOINT = "http://127.0.0.1:9"  # nobody listens; nothing is sent to it here
CALLER = "0af7651916cd43dd8448eb211c80319c"
CANARY = "zebracanary"


class Traced:
    """A server whose spans stay in memory."""

    def __init__(self, api: Api, world: World, exporter: InMemorySpanExporter):
        self.api = api
        self.world = world
        self._exporter = exporter

    async def spans(self, name: str) -> list[ReadableSpan]:
        """Those that have this name, and the traces that they stand in, once all is exported."""
        assert self.world.container.tracer is not None
        await self.world.container.tracer.close()
        return [span for span in self._exporter.get_finished_spans() if span.name == name]

    def inside(self, parent: ReadableSpan) -> dict[str, ReadableSpan]:
        assert parent.context is not None
        found = self._exporter.get_finished_spans()
        return {
            str((span.attributes or {}).get("ragstone.stage")): span
            for span in found
            if span.parent is not None and span.parent.span_id == parent.context.span_id
        }


@pytest.fixture
async def traced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Traced]:
    monkeypatch.setattr(switching, "FLUSH_EVERY_S", 0.0)
    exporter = InMemorySpanExporter()
    monkeypatch.setattr(tracing, "OTLPSpanExporter", lambda **_: exporter)
    async with open_world(tmp_path / "data", settings={"otlp_endpoint": ENDPOINT}) as world:
        app = create_app(load_settings(data_dir=tmp_path / "data", otlp_endpoint=ENDPOINT), world.container)
        transport = httpx2.ASGITransport(app=app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
            yield Traced(Api(http), world, exporter)


def attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


class TestRequests:
    async def test_a_request_is_a_span_with_its_stages_inside(self, traced: Traced) -> None:
        await traced.world.ready("Refunds are paid.", "a")
        answer = await traced.api.query("When are refunds paid?")

        (span,) = await traced.spans("POST /query")
        stages = traced.inside(span)

        assert span.kind is SpanKind.SERVER
        assert attributes(span)["ragstone.request_id"] == answer["metadata"]["request_id"]
        assert (attributes(span)["http.route"], attributes(span)["ragstone.outcome"]) == (
            "/query",
            "answered",
        )
        assert {"embedding", "search", "evidence", "generation", "verification"} <= set(stages)
        for name in ("embedding", "search", "generation"):
            assert attributes(stages[name])["ragstone.busy_ms"] == answer["metadata"][f"{name}_ms"]

    async def test_stages_have_the_names_of_the_conventions(self, traced: Traced) -> None:
        await traced.world.ready("Refunds are paid.", "a")
        await traced.api.query("When are refunds paid?", top_k=3)

        (span,) = await traced.spans("POST /query")
        stages = {name: attributes(stage) for name, stage in traced.inside(span).items()}

        assert stages["embedding"]["gen_ai.operation.name"] == "embeddings"
        assert (
            stages["search"]
            | {
                "gen_ai.operation.name": "retrieval",
                "gen_ai.data_source.id": "default",
                "gen_ai.request.top_k": 3,
                "ragstone.hits": 1,
            }
            == stages["search"]
        )
        chat = stages["generation"]
        assert (chat["gen_ai.operation.name"], chat["gen_ai.request.model"]) == ("chat", "extractive")
        assert chat["gen_ai.response.finish_reasons"] == ("stop",)
        assert chat["gen_ai.usage.output_tokens"] == 0

    async def test_stages_lie_within_their_request(self, traced: Traced) -> None:
        await traced.world.ready("Refunds are paid.", "a")
        await traced.api.search("refunds")

        (span,) = await traced.spans("POST /search")

        assert span.start_time is not None
        assert span.end_time is not None
        slack_ns = 5_000_000  # the two clocks are read one after the other
        for stage in traced.inside(span).values():
            assert stage.start_time is not None
            assert stage.end_time is not None
            assert span.start_time - slack_ns <= stage.start_time <= stage.end_time
            assert stage.end_time <= span.end_time + slack_ns

    async def test_the_callers_trace_goes_on(self, traced: Traced) -> None:
        headers = {"traceparent": f"00-{CALLER}-b7ad6b7169203331-01"}
        await traced.api.call("GET", "/collections", headers=headers)

        (span,) = await traced.spans("GET /collections")

        assert span.context is not None
        assert span.parent is not None
        assert format_trace_id(span.context.trace_id) == CALLER

    async def test_a_caller_that_records_nothing_is_followed(self, traced: Traced) -> None:
        headers = {"traceparent": f"00-{CALLER}-b7ad6b7169203331-00"}
        await traced.api.call("GET", "/collections", headers=headers)

        assert await traced.spans("GET /collections") == []

    @pytest.mark.parametrize("given", ["", "00-0-0-00", "x" * 500, f"00-{'0' * 32}-{'0' * 16}-01"])
    async def test_a_traceparent_that_is_none_begins_a_trace(self, traced: Traced, given: str) -> None:
        await traced.api.call("GET", "/collections", headers={"traceparent": given})

        (span,) = await traced.spans("GET /collections")
        assert span.parent is None

    async def test_an_outage_is_an_error_and_a_refusal_is_none(self, traced: Traced) -> None:
        traced.world.store.is_down = True
        await traced.api.refused("POST", "/search", 503, json={"query": "refunds"})
        await traced.api.refused("GET", "/documents/none", 404)

        (down,) = await traced.spans("POST /search")
        (refused,) = await traced.spans("GET /documents/{document_id}")
        assert (down.status.status_code, attributes(down)["error.type"]) == (StatusCode.ERROR, "503")
        assert refused.status.status_code is StatusCode.UNSET


class TestJobs:
    async def test_an_ingest_is_a_trace_that_names_its_request(self, traced: Traced) -> None:
        upload = await traced.api.call("POST", "/documents", json={"text": "Refunds are paid.", "title": "R"})
        await traced.api.settled(upload.json())

        (span,) = await traced.spans("ingest")
        stages = traced.inside(span)

        assert attributes(span)["ragstone.request_id"] == upload.headers["x-request-id"]
        assert attributes(span)["ragstone.job_id"] == upload.json()["job"]["id"]
        assert set(stages) == {"parse", "chunk", "embed", "index"}
        assert attributes(stages["embed"])["gen_ai.operation.name"] == "embeddings"

    async def test_a_failed_one_says_why(self, traced: Traced) -> None:
        traced.world.reader.faults["damaged"] = [ParseFailed("no end")]
        await traced.api.settled(await traced.api.upload_text("damaged"))

        (span,) = await traced.spans("ingest")
        assert span.status.status_code is StatusCode.ERROR
        assert attributes(span)["error.type"] == "parse_failed"


async def test_no_content_is_recorded(traced: Traced) -> None:
    await traced.world.ready(f"Refunds {CANARY} are paid.", CANARY, title=CANARY)
    await traced.api.query(f"When are refunds {CANARY} paid?")
    await traced.api.call("GET", f"/documents?title={CANARY}")
    await traced.api.call("GET", f"/{CANARY}")

    await traced.spans("POST /query")
    written = "".join(span.to_json() for span in traced._exporter.get_finished_spans())
    assert len(written) > 1_000
    assert CANARY not in written


async def test_a_collector_that_hangs_holds_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracing, "EXPORT_LIMIT_S", 0.5)
    monkeypatch.setattr(tracing, "FAREWELL_S", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        recording = Tracing.to(f"http://127.0.0.1:{silent.getsockname()[1]}")
        trace = recording.begin("GET", {})
        trace.end(route="/", status=200, request_id="r", stopwatch=Stopwatch())
        started = time.monotonic()
        await recording.close()

    assert time.monotonic() - started < 5


def test_without_an_endpoint_nothing_is_recorded(tmp_path: Path) -> None:
    assert Settings().otlp_endpoint is None
    app = create_app(load_settings(data_dir=tmp_path))

    assert "TracingMiddleware" not in str(app.user_middleware)


async def test_without_the_extra_an_endpoint_is_refused_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ragstone.tracing", None)

    with pytest.raises(InvalidSetting, match=r"pip install 'ragstone\[otel\]'"):
        async with open_world(tmp_path / "data", settings={"otlp_endpoint": ENDPOINT}):
            pass
