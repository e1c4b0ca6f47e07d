"""A reranker that works, that is down, late, full or wrong: what a client of the whole server is told."""

import logging
from collections.abc import AsyncIterator

import httpx2
import pytest
import pytest_asyncio

from ragstone.core.retry import OPENS_AFTER, BreakerState
from ragstone.testing.upstream import Fault
from tests.apiclient import Json, check_reply
from tests.faults.outcomes import ATTEMPTS
from tests.faults.scenes import Scene

pytestmark = pytest.mark.asyncio(loop_scope="module")

SETTINGS = {"reranks": True}
QUESTION = "Refunds within fourteen days"
NEAREST = "Refunds within days."
FILLER = " ".join(f"{letter}{letter}{other}" for letter in "abcdefg" for other in "hijklmnop")
FITTING = f"Parcels: fourteen came. {FILLER}. Long days passed. Refunds exist. Much is within reach."
CANARY = "canary-51c0"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shop(opened: Scene) -> AsyncIterator[str]:
    """A collection in which the scores' first and the reranker's first differ."""
    collection = await opened.live.api.new_collection()
    for text in (NEAREST, FITTING):
        await opened.live.api.ready_text(text, collection=collection)
    yield collection


def reranking(kind: str, **values: object) -> Fault:
    """A fault that befalls the reranker alone, until the test ends."""
    return Fault(kind, route="rerank", **{"times": 0, **values})  # type: ignore[arg-type]


async def search(scene: Scene, shop: str, **body: object) -> httpx2.Response:
    """Whatever its status."""
    response = await scene.live.http.post("/search", json={"query": QUESTION, "collection": shop, **body})
    check_reply(response)
    return response


def firsts(sources: list[Json]) -> list[str]:
    """How each text begins."""
    return [source["text"][:12] for source in sources]


BEFORE, AFTER = [NEAREST[:12], FITTING[:12]], [FITTING[:12], NEAREST[:12]]


class TestWorking:
    async def test_a_search_is_in_its_order_and_says_so(self, scene: Scene, shop: str) -> None:
        response = await search(scene, shop)
        found = response.json()

        assert firsts(found["results"]) == AFTER
        assert [hit["scores"]["rerank"] for hit in found["results"]] == [1.0, 0.75]
        assert found["results"][0]["score"] < found["results"][1]["score"]
        assert found["degraded"] == []
        assert found["metadata"]["rerank_ms"] > 0
        assert "rerank;dur=" in response.headers["server-timing"]

    async def test_one_leg_alone_is_as_it_was(self, scene: Scene, shop: str) -> None:
        found = (await search(scene, shop, mode="dense")).json()

        assert "rerank" not in found["results"][0]["scores"]
        assert "rerank_ms" not in found["metadata"]
        assert scene.asked("rerank") == []

    async def test_an_answer_has_its_sources_in_the_same_order(self, scene: Scene, shop: str) -> None:
        answer = await scene.live.api.query(QUESTION, collection=shop)
        stream = await scene.live.stream(QUESTION, collection=shop)

        assert firsts(answer["sources"]) == firsts(stream.only("sources")["sources"]) == AFTER
        assert answer["metadata"]["rerank_ms"] > 0
        assert stream.only("metadata")["metadata"]["rerank_ms"] > 0

    async def test_metrics_and_health_know_it(self, scene: Scene, shop: str) -> None:
        await search(scene, shop)

        metrics = (await scene.live.http.get("/metrics")).text
        health = await scene.live.api.get("/health")

        assert 'ragstone_stage_seconds_count{stage="rerank"}' in metrics
        assert 'ragstone_dependency_attempts_total{dependency="rerank",provider="tei"}' in metrics
        assert health["components"]["rerank:tei"]["healthy"] is True


OUTAGES = [
    (reranking("status", code=500), ATTEMPTS, (503, "upstream_unavailable")),
    (reranking("status", code=503), ATTEMPTS, (503, "upstream_unavailable")),
    (reranking("status", code=429, retry_after="0.01"), ATTEMPTS, (503, "upstream_rate_limited")),
    (reranking("hang_headers"), ATTEMPTS, (504, "upstream_timeout")),
    (reranking("malformed"), 1, (502, "upstream_garbled")),
    (reranking("short"), 1, (502, "upstream_garbled")),
    (reranking("nan"), 1, (502, "upstream_garbled")),
    (reranking("html200"), 1, (502, "upstream_garbled")),
    (reranking("huge"), 1, (502, "upstream_garbled")),
]


@pytest.mark.parametrize(
    ("fault", "requests", "strictly"), OUTAGES, ids=[f"{fault.kind}-{fault.code}" for fault, *_ in OUTAGES]
)
async def test_without_it_the_order_is_the_one_before(
    scene: Scene, shop: str, fault: Fault, requests: int, strictly: tuple[int, str]
) -> None:
    scene.limit_attempts(0.05 if fault.kind == "hang_headers" else 5.0)
    scene.upstream.script(fault)

    found = (await search(scene, shop)).json()
    asked = len(scene.asked("rerank"))
    answer = await scene.live.api.query(QUESTION, collection=shop)
    scene.dependency("rerank").breaker.reset()
    refused = await scene.live.http.post(
        "/query", json={"query": QUESTION, "collection": shop, "strict": True}
    )

    assert (firsts(found["results"]), found["degraded"]) == (BEFORE, ["rerank"])
    assert "rerank" not in found["results"][0]["scores"]
    assert found["metadata"]["rerank_ms"] > 0
    assert asked == requests
    assert (firsts(answer["sources"]), answer["degraded"]) == (BEFORE, ["rerank"])
    assert (refused.status_code, refused.json()["error"]["code"]) == strictly


class TestFailing:
    async def test_nobody_there(self, scene: Scene, shop: str) -> None:
        await scene.upstream.stop()
        try:
            found = (await search(scene, shop)).json()
        finally:
            await scene.upstream.start()

        assert found["degraded"] == ["rerank"]

    async def test_a_long_retry_after_is_not_waited_for(self, scene: Scene, shop: str) -> None:
        scene.upstream.script(reranking("status", code=429, retry_after=3600))

        found = (await search(scene, shop)).json()

        assert (found["degraded"], len(scene.asked("rerank"))) == (["rerank"], 1)

    async def test_half_of_a_short_time_is_left_for_the_answer(self, scene: Scene, shop: str) -> None:
        scene.upstream.script(reranking("hang_headers"))

        answer = await scene.live.api.query(QUESTION, collection=shop, timeout_s=0.6)

        assert answer["degraded"] == ["rerank"]

    async def test_model_and_reranker_may_both_be_down(self, scene: Scene, shop: str) -> None:
        scene.upstream.script(Fault("status", times=0))

        answer = await scene.live.api.query(QUESTION, collection=shop)

        assert sorted(answer["degraded"]) == ["llm", "rerank"]

    @pytest.mark.parametrize("code", [400, 401, 404, 413])
    async def test_wrong_configuration_is_loud_and_keeps_its_secrets(
        self, scene: Scene, shop: str, code: int, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        scene.upstream.script(reranking("status", code=code, text=CANARY))

        response = await search(scene, shop)

        assert (response.status_code, response.json()["error"]["code"]) == (502, "upstream_refused")
        assert len(scene.asked("rerank")) == 1
        assert "service refused" in caplog.text
        for secret in (CANARY, "fourteen", "Parcels"):
            assert secret not in caplog.text + response.text

    async def test_after_five_failures_it_is_left_alone(self, scene: Scene, shop: str) -> None:
        scene.upstream.script(reranking("status", code=500))
        while len(scene.asked("rerank")) < OPENS_AFTER:
            await search(scene, shop)

        found = (await search(scene, shop)).json()

        assert (found["degraded"], len(scene.asked("rerank"))) == (["rerank"], OPENS_AFTER)
        assert scene.dependency("rerank").breaker.state is BreakerState.OPEN
