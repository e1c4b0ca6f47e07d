"""Request id, headers of every reply, the access line, and the last resort for defects."""

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from ragstone.core.context import request_id
from ragstone.core.logs import JsonFormatter
from ragstone.core.timing import Stopwatch
from ragstone.middleware.logging import LoggingMiddleware, accepted_request_id, server_timing
from tests.asgi import call


async def time_a_stage(scope: Scope, receive: Receive, send: Send) -> None:
    with scope["state"]["stopwatch"].stage("search"):
        await PlainTextResponse(request_id.get() or "none")(scope, receive, send)


async def break_at_once(scope: Scope, receive: Receive, send: Send) -> None:
    raise RuntimeError("a secret in a message")


async def break_after_the_start(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    raise RuntimeError("too late")


class Lines(logging.Handler):
    """The access logger's lines, written at once: the request id is that of the moment."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(JsonFormatter())
        self.written: list[dict[str, Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.written.append(json.loads(self.format(record)))


@pytest.fixture(autouse=True)
def lines() -> Iterator[list[dict[str, Any]]]:
    handler, logger = Lines(), logging.getLogger("ragstone.access")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield handler.written
    logger.removeHandler(handler)
    logger.setLevel(logging.NOTSET)


class TestRequestId:
    @pytest.mark.parametrize("given", ["r-1", "!~", "x" * 128])
    def test_up_to_128_visible_ascii_characters_are_accepted(self, given: str) -> None:
        assert accepted_request_id(given) == given

    @pytest.mark.parametrize(
        "given", [None, "", "x" * 129, "two words", "é", "tab\t", "\x00", "\x7f", "\r\nSet-Cookie: a"]
    )
    def test_anything_else_is_replaced(self, given: str | None) -> None:
        replaced = accepted_request_id(given)

        assert replaced != given
        assert replaced != accepted_request_id(given)

    async def test_the_reply_and_the_work_carry_the_same_id(self) -> None:
        reply = await call(LoggingMiddleware(time_a_stage), headers=[("x-request-id", "r-9")])

        assert reply.headers["x-request-id"] == "r-9" == reply.body.decode()
        assert request_id.get() is None


class TestReplyHeaders:
    async def test_every_reply_carries_timing_and_nosniff(self) -> None:
        reply = await call(LoggingMiddleware(PlainTextResponse("x")))

        assert reply.headers["server-timing"].startswith("total;dur=")
        assert reply.headers["x-content-type-options"] == "nosniff"

    def test_server_timing_lists_stages_in_milliseconds(self) -> None:
        stopwatch = Stopwatch()
        stopwatch.add("search", 1.5)

        assert server_timing(stopwatch).startswith("search;dur=1.500, total;dur=")


class TestAccessLine:
    async def test_each_request_is_one_line_with_status_and_stage_timings(
        self, lines: list[dict[str, Any]]
    ) -> None:
        await call(LoggingMiddleware(time_a_stage), "POST", "/x", headers=[("x-request-id", "r-9")])

        (line,) = lines
        assert (line["event"], line["method"], line["status"], line["request_id"]) == (
            "request",
            "POST",
            200,
            "r-9",
        )
        assert 0 <= line["search_ms"] <= line["total_ms"]

    async def test_a_path_that_is_no_route_is_not_logged(self, lines: list[dict[str, Any]]) -> None:
        await call(LoggingMiddleware(PlainTextResponse("x")), path="/secret-in-a-path?and=query")

        (line,) = lines
        assert line["route"] == "unmatched"
        assert "secret" not in json.dumps(line)

    async def test_lines_can_be_switched_off(self, lines: list[dict[str, Any]]) -> None:
        await call(LoggingMiddleware(PlainTextResponse("x"), log_requests=False))

        assert lines == []

    async def test_bodies_are_counted_in_both_directions(self, lines: list[dict[str, Any]]) -> None:
        async def echo(scope: Scope, receive: Receive, send: Send) -> None:
            body = b"".join([(await receive())["body"], (await receive())["body"]])
            await PlainTextResponse(body * 2)(scope, receive, send)

        await call(LoggingMiddleware(echo), "POST", body=(b"four", b"six666"))

        assert (lines[0]["bytes_in"], lines[0]["bytes_out"]) == (10, 20)

    async def test_the_label_of_the_callers_key_is_named(self, lines: list[dict[str, Any]]) -> None:
        async def authenticate(scope: Scope, receive: Receive, send: Send) -> None:
            scope["state"]["principal"] = "reader"
            await PlainTextResponse("x")(scope, receive, send)

        await call(LoggingMiddleware(authenticate))
        await call(LoggingMiddleware(PlainTextResponse("x")))

        assert (lines[0]["principal"], "principal" in lines[1]) == ("reader", False)


class TestDefects:
    async def test_a_defect_is_a_500_in_our_shape_that_tells_nothing(
        self, lines: list[dict[str, Any]]
    ) -> None:
        reply = await call(LoggingMiddleware(break_at_once), headers=[("x-request-id", "r-9")])

        assert (reply.status, reply.code) == (500, "internal_error")
        assert reply.json["error"]["request_id"] == reply.headers["x-request-id"] == "r-9"
        assert b"secret" not in reply.body
        defect, access = lines
        assert defect["error"] == "RuntimeError"
        assert (access["status"], access["code"]) == (500, "internal_error")

    async def test_a_reply_that_breaks_off_is_not_begun_a_second_time(
        self, lines: list[dict[str, Any]]
    ) -> None:
        reply = await call(LoggingMiddleware(break_after_the_start))

        assert (reply.status, reply.body) == (200, b"")
        assert [line["level"] for line in lines] == ["error", "info"]


async def test_other_scopes_pass_untouched() -> None:
    seen: list[str] = []

    async def lifespan(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["type"])

    async def nothing(*_: object) -> Any: ...

    inner: ASGIApp = lifespan
    await LoggingMiddleware(inner)({"type": "lifespan"}, nothing, nothing)

    assert seen == ["lifespan"]
