"""An embedder over the network that is down, late, or returns vectors that are none."""

import time
from datetime import timedelta

import pytest

from ragstone.core import retry
from ragstone.services import ingestion
from ragstone.testing.upstream import Fault
from tests.apiclient import Json, check_reply
from tests.faults.outcomes import ATTEMPTS
from tests.faults.scenes import ANSWER, QUESTION, Scene
from tests.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="module")

SETTINGS = {"embeds_remotely": True}
BAD_VECTORS = ("wrong_dim", "nan", "zero", "short")
STRIKES = 3
SLACK_S = 0.5


@pytest.fixture(autouse=True)
def _quick_back_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingestion, "RETRY_AFTER", timedelta(milliseconds=20))
    monkeypatch.setattr(ingestion, "RETRY_AFTER_MOST", timedelta(milliseconds=200))
    monkeypatch.setattr(retry, "OPEN_S", 0.2)


def embedding(kind: str, **values: object) -> Fault:
    """A fault that befalls embeddings alone, until the test ends."""
    return Fault(kind, route="embeddings", **{"times": 0, **values})  # type: ignore[arg-type]


async def job_of(scene: Scene, upload: Json) -> Json:
    """An upload's job as it is now."""
    return await scene.live.api.get(f"/jobs/{upload['job']['id']}")


class TestQuestions:
    """D10: BM25 alone, said in the answer."""

    @pytest.mark.parametrize(
        "fault",
        [embedding("status", code=503), embedding("status", code=429), embedding("status", code=500)],
        ids=lambda fault: str(fault.code),
    )
    async def test_an_embedder_that_is_down_is_done_without(self, scene: Scene, fault: Fault) -> None:
        scene.upstream.script(fault)

        answer = await scene.live.api.query(QUESTION)

        assert answer["degraded"] == ["dense"]
        assert ANSWER in answer["answer"]
        assert len(scene.asked("embeddings")) == ATTEMPTS

    async def test_a_stream_says_the_same(self, scene: Scene) -> None:
        scene.upstream.script(embedding("status"))

        stream = await scene.live.stream(QUESTION)

        assert stream.only("done")["degraded"] == ["dense"]
        assert stream.only("sources")["sources"][0]["scores"]["dense"] is None

    async def test_both_servers_may_be_down(self, scene: Scene) -> None:
        scene.upstream.script(Fault("status", times=0))

        answer = await scene.live.api.query(QUESTION)

        assert sorted(answer["degraded"]) == ["dense", "llm"]
        assert ANSWER in answer["answer"]

    async def test_each_attempt_may_be_late(self, scene: Scene) -> None:
        scene.limit_attempts(0.1)
        scene.upstream.script(embedding("hang_headers"))

        found = await scene.live.api.post("/search", {"query": QUESTION})

        assert (found["degraded"], len(found["results"])) == (["dense"], 1)

    async def test_at_the_deadline_the_request_is_late(self, scene: Scene) -> None:
        scene.upstream.script(embedding("hang_headers"))
        started = time.monotonic()

        error = await scene.live.api.refused(
            "POST", "/query", 504, json={"query": QUESTION, "timeout_s": 0.3}
        )

        assert error["code"] == "deadline_exceeded"
        assert time.monotonic() - started <= 0.3 + SLACK_S
        await scene.upstream.wait_until_idle(SLACK_S)
        assert [request.outcome for request in scene.asked("embeddings")] == ["client_left"]

    @pytest.mark.parametrize("body", [{"strict": True}, {"mode": "dense"}], ids=["strict", "dense"])
    async def test_who_needs_the_vectors_is_refused(self, scene: Scene, body: Json) -> None:
        scene.upstream.script(embedding("status"))

        response = await scene.live.http.post("/query", json={"query": QUESTION, **body})

        assert (response.status_code, response.json()["error"]["code"]) == (503, "upstream_unavailable")
        check_reply(response)

    @pytest.mark.parametrize("code", [400, 401, 403, 404, 422])
    async def test_wrong_configuration_is_loud(self, scene: Scene, code: int) -> None:
        scene.upstream.script(embedding("status", code=code))

        error = await scene.live.api.refused("POST", "/query", 502, json={"query": QUESTION})

        assert (error["code"], len(scene.asked("embeddings"))) == ("upstream_refused", 1)

    @pytest.mark.parametrize("kind", [*BAD_VECTORS, "html200", "huge"])
    async def test_an_answer_that_is_no_vector_is_done_without(self, scene: Scene, kind: str) -> None:
        scene.upstream.script(embedding(kind))

        answer = await scene.live.api.query(QUESTION)

        assert (answer["degraded"], len(scene.asked("embeddings"))) == (["dense"], 1)

    @pytest.mark.parametrize("kind", [*BAD_VECTORS, "html200", "huge"])
    async def test_strict_tells_that_it_is_no_vector(self, scene: Scene, kind: str) -> None:
        scene.upstream.script(embedding(kind))

        error = await scene.live.api.refused("POST", "/query", 502, json={"query": QUESTION, "strict": True})

        assert (error["code"], len(scene.asked("embeddings"))) == ("upstream_garbled", 1)


class TestDocuments:
    """D4 and D10: a job waits as long as it takes."""

    @pytest.mark.parametrize(
        ("fault", "code"),
        [
            (embedding("status"), "upstream_unavailable"),
            (embedding("status", code=429), "upstream_rate_limited"),
            (embedding("status", code=401), "upstream_refused"),
            (embedding("hang_headers"), "upstream_timeout"),
            (embedding("html200"), "upstream_garbled"),
        ],
        ids=["down", "busy", "refusing", "silent", "garbled"],
    )
    async def test_the_job_waits_and_is_done_when_the_embedder_is_back(
        self, scene: Scene, fault: Fault, code: str
    ) -> None:
        scene.limit_attempts(0.1)
        scene.upstream.script(fault)
        upload = await scene.live.api.upload_text(f"Tulips bloom in April, {fault.kind} {fault.code}.")

        async def waits() -> bool:
            job = await job_of(scene, upload)
            return job["attempts"] >= 2 and job["next_retry_at"] is not None

        await until(waits)
        job = await job_of(scene, upload)
        assert job["state"] in {"queued", "running"}
        assert job["error"] is None or job["error"]["code"] in {code, "upstream_unavailable"}
        scene.upstream.clear()
        assert (await scene.live.api.settled(upload))["status"] == "ready"
        assert scene.upstream.open_requests == 0

    async def test_no_connection_is_kept_to_a_silent_embedder(self, scene: Scene) -> None:
        scene.limit_attempts(0.1)
        scene.upstream.script(embedding("hang_headers", times=1))

        document = await scene.live.api.ready_text("Crocuses bloom in March.")

        assert document["chunks"] == 1
        assert [request.outcome for request in scene.asked("embeddings")] == ["client_left", "answered"]


class TestVectors:
    """C12: a bad vector is never stored."""

    @pytest.mark.parametrize("kind", BAD_VECTORS)
    async def test_after_three_strikes_the_document_has_failed(self, scene: Scene, kind: str) -> None:
        points = await _stored_points(scene)
        scene.upstream.script(embedding(kind))
        upload = await scene.live.api.upload_text(f"Zinnias need warmth, as {kind} shows.")

        document = await scene.live.api.settled(upload)

        assert (document["status"], document["error"]["code"]) == ("failed", "bad_embedding")
        assert len(scene.asked("embeddings")) == STRIKES
        assert await scene.live.api.search("Zinnias", mode="sparse") == []
        assert await _stored_points(scene) == points

    @pytest.mark.parametrize("kind", BAD_VECTORS)
    async def test_one_bad_answer_is_asked_for_again(self, scene: Scene, kind: str) -> None:
        scene.upstream.script(embedding(kind, times=1))

        document = await scene.live.api.ready_text(f"Asters bloom late, as {kind} shows.")

        assert document["error"] is None
        assert len(scene.asked("embeddings")) == 2

    async def test_vectors_in_another_order_belong_to_their_texts(self, scene: Scene) -> None:
        collection = await scene.live.api.new_collection()
        scene.upstream.script(embedding("shuffled"))
        words = ("alder", "birch", "cedar", "dogwood", "elder")
        text = "# Trees\n\n" + "\n\n".join(
            f"## {word}\n\n" + f"The {word} is a tree of its own. " * 60 for word in words
        )
        await scene.live.api.ready(text.encode(), "trees.md", collection=collection)
        scene.upstream.clear()

        batches = [len(request.body["input"]) for request in scene.asked("embeddings")]
        found = [await _nearest(scene, word, collection) for word in words]

        assert max(batches) >= len(words)
        assert [word in text for word, text in zip(words, found, strict=True)] == [True] * len(words)


async def _stored_points(scene: Scene) -> int:
    return (await scene.live.container.consistency.check()).points


async def _nearest(scene: Scene, word: str, collection: str) -> str:
    hits = await scene.live.api.search(f"the {word} is a tree", mode="dense", top_k=1, collection=collection)
    text: str = hits[0]["text"]
    return text
