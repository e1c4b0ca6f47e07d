"""Which requests are begun, and how those end that a stopping server cannot finish."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from ragstone.core.errors import RagstoneError, Unavailable
from ragstone.middleware.admission import AdmissionMiddleware, OpenRequests
from tests.asgi import Reply, call

FULL = Unavailable("full", retry_after_s=2.5)


async def hang(scope: Scope, receive: Receive, send: Send) -> None:
    await asyncio.sleep(60)


async def hang_mid_stream(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await asyncio.sleep(60)


def guarded(
    app: ASGIApp,
    requests: OpenRequests | None = None,
    objection: Callable[[Scope], RagstoneError | None] = lambda _: None,
) -> AdmissionMiddleware:
    return AdmissionMiddleware(app, requests=requests or OpenRequests(), objection=objection)


@asynccontextmanager
async def asking(app: ASGIApp, requests: OpenRequests) -> AsyncIterator["asyncio.Task[Reply]"]:
    """A request in work."""
    task = asyncio.create_task(call(guarded(app, requests), "POST", "/query", body=[b"{}"]))
    await asyncio.sleep(0.01)
    assert requests.count == 1
    yield task
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert requests.count == 0


async def test_what_is_objected_to_is_refused_before_its_body_is_read() -> None:
    reply = await call(guarded(hang, objection=lambda _: FULL), "POST", "/query", body=[b"x"] * 9)

    assert (reply.status, reply.code, reply.pieces_read) == (503, "unavailable", 0)
    assert reply.headers["retry-after"] == "3"
    assert "connection" not in reply.headers


async def test_open_requests_are_counted_until_their_end() -> None:
    requests = OpenRequests()

    async with asking(hang, requests):
        pass

    await call(guarded(PlainTextResponse("in"), requests))
    assert requests.count == 0


class TestStopping:
    async def test_what_ends_in_time_is_answered(self) -> None:
        requests = OpenRequests()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await asyncio.sleep(0.03)
            await PlainTextResponse("done")(scope, receive, send)

        async with asking(app, requests) as task:
            requests.end_within(5)
            reply = await task

        assert (reply.status, reply.body) == (200, b"done")

    async def test_what_does_not_is_told_when_to_come_back(self) -> None:
        requests = OpenRequests()

        async with asking(hang, requests) as task:
            requests.end_within(0.02)
            reply = await task

        assert (reply.status, reply.code) == (503, "unavailable")
        assert (reply.headers["retry-after"], reply.headers["connection"]) == ("5", "close")

    async def test_what_has_begun_to_answer_is_cut(self) -> None:
        requests = OpenRequests()

        async with asking(hang_mid_stream, requests) as task:
            requests.end_within(0.02)
            with pytest.raises(TimeoutError):
                await task

    async def test_a_refusal_closes_the_connection(self) -> None:
        requests = OpenRequests()
        requests.end_within(5)

        reply = await call(guarded(hang, requests, lambda _: FULL))

        assert reply.headers["connection"] == "close"

    async def test_a_timeout_of_the_applications_own_is_a_defect_as_before(self) -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            raise TimeoutError

        with pytest.raises(TimeoutError):
            await call(guarded(app))
