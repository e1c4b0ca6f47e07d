"""Waits that the model's server asks for, its refusals, and a server that says nothing: one request at a time."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx2
import pytest

from ragstone.testing.upstream import Fault
from tests.faults.outcomes import ATTEMPTS
from tests.faults.scenes import Scene

pytestmark = pytest.mark.asyncio(loop_scope="module")

SLACK_S = 0.5
CANARY = "canary-0d3f"


def in_seconds(seconds: float) -> str:
    """An HTTP date."""
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


async def timed(request: Callable[[], Awaitable[httpx2.Response]]) -> tuple[httpx2.Response, float]:
    """The reply, and how many seconds it took."""
    started = time.monotonic()
    response = await request()
    return response, time.monotonic() - started


class TestWaits:
    """D1: what the server asks for is honoured, and shows in the timings."""

    @pytest.mark.parametrize(
        "fault",
        [
            Fault("status", code=429, retry_after="0.2", times=2),
            Fault("status", code=429, retry_after_ms="200", times=2),
            Fault("status", code=500, retry_after="0.2", times=2),
            Fault("status", code=503, retry_after_ms="200", times=2),
        ],
        ids=lambda fault: f"{fault.code}-{fault.retry_after or fault.retry_after_ms}",
    )
    async def test_a_passing_failure_is_waited_out(self, scene: Scene, fault: Fault) -> None:
        scene.upstream.script(fault)

        answer = (await scene.ask()).json()

        assert (answer["degraded"], answer["metadata"]["retries"]) == ([], {"llm": 2})
        assert answer["metadata"]["generation_ms"] >= 400
        first, second, third = scene.asked()
        assert second.started - first.started >= 0.2
        assert third.started - second.started >= 0.2

    async def test_a_date_is_waited_for(self, scene: Scene) -> None:
        due = datetime.now(UTC) + timedelta(seconds=1.5)
        scene.upstream.script(Fault("status", code=429, retry_after=format_datetime(due, usegmt=True)))

        answer = (await scene.ask()).json()

        assert answer["degraded"] == []
        assert len(scene.asked()) == 2
        assert datetime.now(UTC) >= due.replace(microsecond=0)


class TestWaitsThatAreTooLong:
    """D2: a wait beyond the deadline is not begun."""

    @pytest.mark.parametrize("asked_for", ["120", in_seconds(7200)], ids=["seconds", "date"])
    async def test_the_answer_is_degraded_at_once(self, scene: Scene, asked_for: str) -> None:
        scene.upstream.script(Fault("status", code=429, retry_after=asked_for, times=0))

        reply, took_s = await timed(lambda: scene.ask(timeout_s=10))

        assert reply.json()["degraded"] == ["llm"]
        assert took_s < SLACK_S
        assert len(scene.asked()) == 1

    @pytest.mark.parametrize("code", [429, 503])
    async def test_strict_says_when_to_come_back(self, scene: Scene, code: int) -> None:
        scene.upstream.script(Fault("status", code=code, retry_after="120", times=0))

        reply, took_s = await timed(lambda: scene.ask(timeout_s=10, strict=True))

        assert (reply.status_code, reply.headers["retry-after"]) == (503, "120")
        assert took_s < SLACK_S

    @pytest.mark.parametrize("nonsense", ["-5", "soon", "nan", "inf", in_seconds(-7200)])
    async def test_what_is_no_wait_is_not_waited_for(self, scene: Scene, nonsense: str) -> None:
        scene.upstream.script(Fault("status", code=503, retry_after=nonsense, times=2))

        reply, took_s = await timed(lambda: scene.ask(timeout_s=10))

        assert (reply.json()["degraded"], len(scene.asked())) == ([], ATTEMPTS)
        assert took_s < SLACK_S


class TestRefusals:
    """D3: wrong configuration is loud, asked about once, and nothing of what the server said is repeated."""

    @pytest.mark.parametrize("is_streamed", [False, True], ids=["json", "stream"])
    @pytest.mark.parametrize("code", [400, 401, 403, 404, 422])
    async def test_a_refusal_is_told_without_the_servers_words(
        self, scene: Scene, caplog: pytest.LogCaptureFixture, code: int, *, is_streamed: bool
    ) -> None:
        caplog.set_level(logging.DEBUG, logger="ragstone")
        scene.upstream.script(Fault("status", code=code, text=CANARY, times=0))

        reply = await scene.ask(stream=is_streamed)

        assert (reply.status_code, reply.json()["error"]["code"]) == (502, "upstream_refused")
        assert str(code) in reply.json()["error"]["message"]
        assert len(scene.asked()) == 1
        assert CANARY not in reply.text
        assert CANARY not in caplog.text


class TestDeadline:
    """D4: the request's time, half a second on top, and all that was begun is given up."""

    @pytest.mark.parametrize("is_streamed", [False, True], ids=["json", "stream"])
    @pytest.mark.parametrize("kind", ["hang_headers", "hang_mid"])
    async def test_a_silent_model_is_left_at_the_deadline(
        self, scene: Scene, kind: str, *, is_streamed: bool
    ) -> None:
        scene.upstream.script(Fault(kind, after=0))

        reply, took_s = await timed(lambda: scene.ask(stream=is_streamed, timeout_s=0.3))

        assert (reply.status_code, reply.json()["error"]["code"]) == (504, "deadline_exceeded")
        assert 0.3 <= took_s <= 0.3 + SLACK_S
        await scene.upstream.wait_until_idle(SLACK_S)
        assert [request.outcome for request in scene.asked()] == ["client_left"]

    async def test_a_request_that_came_to_nothing_leaves_its_place(self, scene: Scene) -> None:
        scene.upstream.script(Fault("hang_headers", times=8))

        replies = await asyncio.gather(*(scene.ask(timeout_s=0.3) for _ in range(8)))

        assert {reply.status_code for reply in replies} == {504}
        assert "ragstone_requests_in_flight 1.0" in (await scene.live.http.get("/metrics")).text
        assert (await scene.ask()).json()["degraded"] == []

    async def test_a_hang_of_one_attempt_is_tried_again(self, scene: Scene) -> None:
        scene.limit_attempts(0.2)
        scene.upstream.script(Fault("hang_headers"))

        answer = (await scene.ask(timeout_s=10)).json()

        assert (answer["degraded"], answer["metadata"]["retries"]) == ([], {"llm": 1})
