"""Each row of the table of outcomes, against a real server: as JSON and streamed, strict and not."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
import pytest

from ragstone.testing.upstream import CHAT_KINDS
from tests.apiclient import Json, check_reply
from tests.faults.outcomes import BEFORE, ROWS, STATUSES, Outcome, Row
from tests.faults.scenes import QUESTION, Scene
from tests.live import Stream

pytestmark = pytest.mark.asyncio(loop_scope="module")

SETTINGS = {"stream_idle": 0.4, "stream_total": 1.2}
ENDINGS = {"done", "error"}


def named(row: Row) -> str:
    """What a test's id says."""
    return f"{row.failure} {row.moment}".replace("`", "")


@asynccontextmanager
async def befallen(scene: Scene, row: Row) -> AsyncIterator[None]:
    """The upstream fails as the row says."""
    if row.attempt_s is not None:
        scene.limit_attempts(row.attempt_s)
    if row.fault is not None:
        scene.upstream.script(row.fault)
        yield
        return
    await scene.upstream.stop()
    try:
        yield
    finally:
        await scene.upstream.start()


async def ask(scene: Scene, row: Row, *, is_streamed: bool, is_strict: bool = False) -> Stream:
    """The whole reply, without events where there is no stream."""
    limit = {} if row.timeout_s is None else {"timeout_s": row.timeout_s}
    body = {"strict": is_strict, **limit}
    if is_streamed:
        stream = await scene.live.stream(QUESTION, **body)
    else:
        response = await scene.live.http.post("/query", json={"query": QUESTION, **body})
        stream = Stream(response, [])
    if not stream.events:
        _check_whole(stream.response)
    return stream


def _check_whole(response: httpx2.Response) -> None:
    """A failure that may pass says when to come back."""
    check_reply(response)
    error = response.json().get("error")
    if error is not None:
        assert ("retry-after" in response.headers) == error["retryable"]


def told(stream: Stream) -> Outcome:
    """What the reply says came of it; of a stream its one terminal event, which is the last."""
    if not stream.events:
        return _told_by(stream.response)
    assert [kind for kind in stream.kinds if kind in ENDINGS] == [stream.kinds[-1]]
    kind, ending = stream.events[-1]
    if kind == "error":
        assert ending["request_id"] == stream.response.headers["x-request-id"]
        return Outcome(200, ending["code"], ending["retryable"])
    return _answered(ending)


def _told_by(response: httpx2.Response) -> Outcome:
    body = response.json()
    if response.status_code == 200:
        return _answered(body)
    return Outcome(response.status_code, body["error"]["code"], body["error"]["retryable"])


def _answered(ending: Json) -> Outcome:
    return Outcome(
        200,
        finish_reason=ending["finish_reason"],
        degraded=tuple(ending["degraded"]),
        reason=ending["reason"],
    )


@pytest.mark.parametrize("is_strict", [False, True], ids=["lenient", "strict"])
@pytest.mark.parametrize("is_streamed", [False, True], ids=["json", "stream"])
@pytest.mark.parametrize("row", ROWS, ids=named)
async def test_every_failure_has_its_stated_outcome(
    scene: Scene, row: Row, *, is_streamed: bool, is_strict: bool
) -> None:
    async with befallen(scene, row):
        reply = await ask(scene, row, is_streamed=is_streamed, is_strict=is_strict)

    assert told(reply) == row.stated(is_streamed=is_streamed, is_strict=is_strict)
    assert len(scene.asked()) == row.requests
    await scene.upstream.wait_until_idle(1.0)


async def test_the_table_knows_every_failure_of_the_scripted_upstream() -> None:
    kinds = {row.fault.kind for row in ROWS if row.fault is not None}
    codes = {row.fault.code for row in STATUSES if row.fault is not None}

    assert kinds == set(CHAT_KINDS)
    assert codes == {400, 401, 403, 404, 408, 409, 422, 429, 500, 503}


@pytest.mark.parametrize("row", [row for row in (*STATUSES, *BEFORE) if row.strict], ids=named)
async def test_a_degraded_answer_is_extractive_and_cited_in_both_forms(scene: Scene, row: Row) -> None:
    async with befallen(scene, row):
        answer = (await ask(scene, row, is_streamed=False)).response.json()
    scene.forget()
    async with befallen(scene, row):
        stream = await ask(scene, row, is_streamed=True)

    assert (answer["model"], answer["grounded"]) == ("extractive", "full")
    assert all(citation["verified"] for citation in answer["citations"])
    assert answer["citations"] == [content for kind, content in stream.events if kind == "citation"]
    assert stream.text == answer["answer"]
    assert "within fourteen days" in answer["answer"]


@pytest.mark.parametrize(
    "row", [row for row in ROWS if row.stream.status == 200 and row.stream.code], ids=named
)
async def test_what_was_delivered_before_the_failure_is_kept(scene: Scene, row: Row) -> None:
    whole = (await scene.live.stream(QUESTION)).text
    scene.forget()

    async with befallen(scene, row):
        stream = await ask(scene, row, is_streamed=True)

    assert stream.text
    assert whole.startswith(stream.text)
    assert stream.kinds[-2:] == ["metadata", "error"]
