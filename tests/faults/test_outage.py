"""A model that is down for a while, under load: the breaker, its probes, the way back, and degraded answers."""

import asyncio

import httpx2
import pytest

from ragstone.core import retry
from ragstone.core.retry import BreakerState, CircuitBreaker
from ragstone.testing.upstream import Fault
from tests.apiclient import Json
from tests.faults.outcomes import ATTEMPTS
from tests.faults.scenes import ANSWER, QUESTION, Scene

pytestmark = pytest.mark.asyncio(loop_scope="module")

OPEN_S = 0.4
DOWN = Fault("status", code=503, times=0)


@pytest.fixture
def short_break(monkeypatch: pytest.MonkeyPatch) -> None:
    """An open breaker lets a probe pass after OPEN_S."""
    monkeypatch.setattr(retry, "OPEN_S", OPEN_S)


async def test_an_outage_is_over_ten_seconds_after_the_recovery() -> None:
    """D8 in real time: one pause, and a probe."""
    assert retry.OPEN_S <= 5


@pytest.mark.usefixtures("short_break")
class TestOutage:
    """D8: the model is down for a while, under load."""

    async def test_it_is_hardly_asked_and_all_clients_are_answered(self, scene: Scene) -> None:
        scene.upstream.script(DOWN)

        answers = await _load(scene, requests=100, every_s=0.01)

        assert all(answer["degraded"] == ["llm"] for answer in answers)
        assert len(scene.asked()) <= 1.2 * len(answers)
        assert len(scene.asked()) <= retry.OPENS_AFTER + 10 + 5  # the burst, and a probe in each OPEN_S
        assert _breaker(scene).state is not BreakerState.CLOSED

    async def test_retries_alone_stay_within_their_budget(
        self, scene: Scene, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(retry, "OPENS_AFTER", 1_000_000)
        scene.upstream.script(DOWN)

        answers = await _load(scene, requests=120, every_s=0.0)

        assert len(scene.asked()) <= 1.2 * len(answers)

    async def test_an_open_breaker_says_when_to_come_back(self, scene: Scene) -> None:
        await _open_breaker(scene)

        reply = await scene.ask(strict=True)

        assert (reply.status_code, reply.json()["error"]["code"]) == (503, "upstream_unavailable")
        assert reply.headers["retry-after"] == "1"
        assert len(scene.asked()) == 0

    async def test_one_probe_at_a_time_is_let_through(self, scene: Scene) -> None:
        await _open_breaker(scene)
        scene.upstream.script(Fault("hang_headers", times=0))
        scene.limit_attempts(0.2)
        await asyncio.sleep(OPEN_S)

        answers = await asyncio.gather(*(scene.ask() for _ in range(10)))

        assert all(answer.json()["degraded"] == ["llm"] for answer in answers)
        assert len(scene.asked()) == 1
        assert _breaker(scene).state is BreakerState.OPEN

    async def test_a_client_that_leaves_during_the_probe_does_not_keep_it(self, scene: Scene) -> None:
        await _open_breaker(scene)
        scene.upstream.script(Fault("hang_headers"))
        await asyncio.sleep(OPEN_S)

        assert (await scene.ask(timeout_s=0.2)).status_code == 504

        assert (await scene.ask()).json()["degraded"] == []

    async def test_all_is_normal_soon_after_the_recovery(self, scene: Scene) -> None:
        await _open_breaker(scene)
        scene.upstream.clear()

        await asyncio.sleep(OPEN_S)
        answers = [(await scene.ask()).json() for _ in range(5)]

        assert all(answer["degraded"] == [] for answer in answers)
        assert _breaker(scene).state is BreakerState.CLOSED


class TestDegradedAnswers:
    """D9: both forms, and nothing of it is kept."""

    @pytest.mark.parametrize("is_streamed", [False, True], ids=["json", "stream"])
    async def test_the_next_question_is_answered_in_full(self, scene: Scene, *, is_streamed: bool) -> None:
        scene.upstream.script(Fault("status", code=503, times=ATTEMPTS))

        first = await _ending(scene, is_streamed=is_streamed)
        second = await _ending(scene, is_streamed=is_streamed)

        assert (first["degraded"], second["degraded"]) == (["llm"], [])

    async def test_a_conversation_is_answered_without_the_model_as_well(self, scene: Scene) -> None:
        scene.upstream.script(DOWN)
        history = [{"role": "user", "content": QUESTION}]

        answer = (await scene.ask(query="And when is that?", history=history)).json()

        assert answer["degraded"] == ["llm"]
        assert answer["question"] == f"{QUESTION} And when is that?"
        assert ANSWER in answer["answer"]

    async def test_strict_refuses_a_conversation_that_cannot_be_understood(self, scene: Scene) -> None:
        scene.upstream.script(Fault("status", code=503, retry_after="0.01", times=0))
        history = [{"role": "user", "content": QUESTION}]

        reply = await scene.ask(query="And when is that?", history=history, strict=True)

        assert (reply.status_code, reply.json()["error"]["code"]) == (503, "upstream_unavailable")
        assert len(scene.asked()) == ATTEMPTS


async def _load(scene: Scene, *, requests: int, every_s: float) -> list[Json]:
    asking: list[asyncio.Task[httpx2.Response]] = []
    for _ in range(requests):
        asking.append(asyncio.create_task(scene.ask()))
        await asyncio.sleep(every_s)
    return [reply.json() for reply in await asyncio.gather(*asking)]


async def _ending(scene: Scene, *, is_streamed: bool) -> Json:
    if is_streamed:
        return (await scene.live.stream(QUESTION)).only("done")
    answer: Json = (await scene.ask()).json()
    return answer


async def _open_breaker(scene: Scene) -> None:
    scene.upstream.script(DOWN)
    for _ in range(retry.OPENS_AFTER):
        assert (await scene.ask()).json()["degraded"] == ["llm"]
    assert _breaker(scene).state is BreakerState.OPEN
    scene.upstream.requests.clear()


def _breaker(scene: Scene) -> CircuitBreaker:
    return scene.dependency("llm").breaker
