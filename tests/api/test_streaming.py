"""`POST /query` with `stream`: real events over real sockets, and the JSON reply as their fold."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from ragstone.config.settings import Settings, load_settings
from ragstone.services import switching
from ragstone.testing.embedders import HashingEmbedder
from ragstone.testing.upstream import Fault, ScriptedUpstream
from tests.apiclient import Json
from tests.live import Live, Stream, live_server
from tests.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="module")

POLICY = """# Refunds 🙂

Refunds are paid within fourteen days of the return. Größere Beträge dauern länger. 退款在十四天内支付。

# Parcels

Parcels leave Hamburg every morning. The parcel service collects them at nine.
"""
QUESTION = "Are refunds paid within fourteen days of the return?"


def settings_for(folder: Path, upstream: ScriptedUpstream | None, **more: Any) -> Settings:
    """Quick retries, and a model where there is an upstream."""
    model = {"openai_base_url": upstream.base_url, "openai_model": "scripted"} if upstream else {}
    return load_settings(
        data_dir=folder / "data", retry_min_wait=0.01, retry_max_wait=0.05, **{**model, **more}
    )


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Live, ScriptedUpstream]]:
    """A server with one document, and its model."""
    folder = tmp_path_factory.mktemp("live")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(switching, "FLUSH_EVERY_S", 0.0)
        async with (
            ScriptedUpstream() as upstream,
            live_server(
                settings_for(folder, upstream, stream_idle=0.5), HashingEmbedder(dimension=64)
            ) as live,
        ):
            await live.api.ready(POLICY.encode(), "policy.md")
            yield live, upstream


@pytest.fixture
def live(running: tuple[Live, ScriptedUpstream]) -> Live:
    """As if nothing had failed before."""
    live, upstream = running
    upstream.clear()
    upstream.requests.clear()
    live.forget_failures()
    return live


@pytest.fixture
def upstream(live: Live, running: tuple[Live, ScriptedUpstream]) -> ScriptedUpstream:
    """Without faults and with no request seen."""
    return running[1]


def folded(stream: Stream) -> Json:
    """What the events spell, in the shape of the JSON reply."""
    meta, metadata, done = stream.only("meta"), stream.only("metadata"), stream.only("done")
    return {
        **{name: meta[name] for name in ("question", "collection", "model")},
        **done,
        "answer": stream.text,
        "citations": [content for kind, content in stream.events if kind == "citation"],
        "sources": stream.only("sources")["sources"],
        "usage": metadata["usage"],
    }


def without_times(answer: Json) -> Json:
    return {name: value for name, value in answer.items() if name != "metadata"}


class TestEvents:
    async def test_they_come_in_the_documented_order(self, live: Live) -> None:
        stream = await live.stream(QUESTION)

        assert stream.kinds[:3] == ["meta", "sources", "token"]
        assert stream.kinds[-2:] == ["metadata", "done"]
        assert set(stream.kinds[3:-2]) == {"token", "citation"}
        assert stream.response.headers["content-type"].startswith("text/event-stream")
        assert stream.response.headers["cache-control"] == "no-store"
        assert stream.response.headers["x-accel-buffering"] == "no"
        assert stream.only("meta")["request_id"] == stream.response.headers["x-request-id"]

    async def test_ids_count_from_one(self, live: Live) -> None:
        async with live.http.stream("POST", "/query", json={"query": QUESTION, "stream": True}) as response:
            ids = [line.removeprefix("id: ") async for line in response.aiter_lines() if line[:3] == "id:"]

        assert ids == [str(number) for number in range(1, len(ids) + 1)]

    async def test_a_token_arrives_while_the_model_still_writes(
        self, live: Live, upstream: ScriptedUpstream
    ) -> None:
        upstream.script(Fault("hang_mid", after=3))

        async with live.http.stream("POST", "/query", json={"query": QUESTION, "stream": True}) as response:
            async for line in response.aiter_lines():
                if line == "event: token":
                    break
            assert upstream.open_requests == 1

    async def test_the_answer_is_cited_and_the_citations_are_checked(self, live: Live) -> None:
        stream = await live.stream(QUESTION)

        citation = next(content for kind, content in stream.events if kind == "citation")
        start, end = citation["answer"]["start"], citation["answer"]["end"]
        assert stream.text[start:end] == "Refunds are paid within fourteen days of the return."
        assert citation["verified"]
        assert stream.only("done")["grounded"] == "full"

    async def test_every_kind_of_line_break_survives_the_wire(
        self, live: Live, upstream: ScriptedUpstream, tmp_path: Path
    ) -> None:
        said = "One\ntwo\r\nthree\rfour\u2028five\x0bsix 🙂 [1]"
        async with (
            ScriptedUpstream(say=said) as speaking,
            live_server(settings_for(tmp_path / "b", speaking), HashingEmbedder(dimension=64)) as other,
        ):
            await other.api.ready(POLICY.encode(), "policy.md")

            assert (await other.stream(QUESTION)).text == said


SCRIPTS: dict[str, list[Fault]] = {
    "as it should be": [],
    "the model is down": [Fault("status", code=503, times=0)],
    "cut at its limit": [Fault("length", after=6)],
    "filtered": [Fault("content_filter", after=6)],
}


class TestFold:
    """The JSON reply and the stream cannot disagree."""

    @pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
    @pytest.mark.parametrize("provider", ["openai", "extractive"])
    @pytest.mark.parametrize(
        "question", [QUESTION, "退款在十四天内支付吗？", "Who is the king of France?", "🙂"]
    )
    async def test_the_json_answer_is_the_fold_of_the_events(
        self, live: Live, upstream: ScriptedUpstream, script: list[Fault], provider: str, question: str
    ) -> None:
        upstream.script(*script)
        answer = await live.api.query(question, provider=provider)
        upstream.clear()
        upstream.script(*script)

        stream = await live.stream(question, provider=provider)

        assert folded(stream) == without_times(answer)

    async def test_with_a_conversation_as_well(self, live: Live) -> None:
        history = [{"role": "user", "content": "How are refunds paid?"}]
        answer = await live.api.query("Within how many days is that?", history=history)

        stream = await live.stream("Within how many days is that?", history=history)

        assert folded(stream) == without_times(answer)

    async def test_without_the_embedder_as_well(self, live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
        async def down(self: HashingEmbedder, text: str) -> Any:
            from ragstone.core.errors import UpstreamUnavailable

            raise UpstreamUnavailable("down")

        monkeypatch.setattr(HashingEmbedder, "embed_query", down)
        answer = await live.api.query(QUESTION)

        stream = await live.stream(QUESTION)

        assert answer["degraded"] == ["dense"]
        assert folded(stream) == without_times(answer)


class TestTimings:
    async def test_the_stages_add_up_to_the_total(self, live: Live, upstream: ScriptedUpstream) -> None:
        await live.api.query(QUESTION)  # what is loaded once is not part of any stage
        upstream.script(Fault("slow", text="40", times=2))
        for metadata in (
            (await live.api.query(QUESTION))["metadata"],
            (await live.stream(QUESTION)).only("metadata")["metadata"],
        ):
            stages = [
                value
                for name, value in metadata.items()
                if name.endswith("_ms") and name not in {"total_ms", "first_token_ms"}
            ]
            total = metadata["total_ms"]
            assert total > 200
            assert 0.93 * total <= sum(stages) <= total + 0.01
            assert metadata["first_token_ms"] <= total

    async def test_retries_are_counted_and_their_waits_belong_to_the_stage(
        self, live: Live, upstream: ScriptedUpstream
    ) -> None:
        upstream.script(Fault("status", code=429, retry_after="0.2", times=2))

        response = await live.http.post("/query", json={"query": QUESTION})
        answer = response.json()

        assert answer["metadata"]["retries"] == {"llm": 2}
        assert 'retries;desc="llm=2"' in response.headers["server-timing"]
        assert answer["metadata"]["generation_ms"] >= 400
        assert (answer["degraded"], len(upstream.requests)) == ([], 3)

    async def test_the_same_numbers_are_in_the_metrics(self, live: Live) -> None:
        counted = 'ragstone_requests_total{method="POST",route="/query",status="200"}'
        timed = 'ragstone_stage_seconds_sum{stage="generation"}'
        await live.api.query(QUESTION)
        before = (await live.http.get("/metrics")).text
        answer = await live.api.query(QUESTION)
        metrics = (await live.http.get("/metrics")).text

        assert _sample(metrics, counted) - _sample(before, counted) == 1
        seconds = _sample(metrics, timed) - _sample(before, timed)
        assert seconds * 1000 == pytest.approx(answer["metadata"]["generation_ms"], abs=0.001)
        assert 'ragstone_breaker_state{dependency="llm",provider="openai",state="closed"} 1.0' in metrics


def _sample(metrics: str, name: str) -> float:
    (line,) = [line for line in metrics.splitlines() if line.startswith(f"{name} ")]
    return float(line.split()[-1])


class TestLeaving:
    """E1: whoever leaves cancels the upstream within a second, and the gauge goes back."""

    @pytest.mark.parametrize("is_streamed", [True, False])
    async def test_before_the_first_token(
        self, live: Live, upstream: ScriptedUpstream, *, is_streamed: bool
    ) -> None:
        upstream.script(Fault("hang_headers"))
        asking = asyncio.create_task(
            live.http.post("/query", json={"query": QUESTION, "stream": is_streamed})
        )
        await _until_asked(upstream)

        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)

        await upstream.wait_until_idle(1.0)
        assert upstream.requests[-1].outcome == "client_left"
        await _until_quiet(live)

    async def test_in_mid_stream(self, live: Live, upstream: ScriptedUpstream) -> None:
        upstream.script(Fault("hang_mid"))
        async with live.http.stream("POST", "/query", json={"query": QUESTION, "stream": True}) as response:
            async for line in response.aiter_lines():
                if line == "event: token":
                    break

        await upstream.wait_until_idle(1.0)
        assert upstream.requests[-1].outcome == "client_left"
        await _until_quiet(live)

    async def test_in_the_middle_of_an_answer_that_is_not_streamed(
        self, live: Live, upstream: ScriptedUpstream
    ) -> None:
        upstream.script(Fault("slow", text="5"))
        asking = asyncio.create_task(live.http.post("/query", json={"query": QUESTION}))
        await _until_asked(upstream)
        await asyncio.sleep(0.3)

        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)

        await upstream.wait_until_idle(1.0)
        assert upstream.requests[-1].outcome == "client_left"


async def _until_asked(upstream: ScriptedUpstream) -> None:
    async def is_asked() -> bool:
        return bool(upstream.open_requests)

    await until(is_asked)


async def _until_quiet(live: Live) -> None:
    """The gauge counts only the request that reads it."""

    async def is_quiet() -> bool:
        return "ragstone_requests_in_flight 1.0" in (await live.http.get("/metrics")).text

    async with asyncio.timeout(1):
        await until(is_quiet)
