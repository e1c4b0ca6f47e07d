"""Answers as server-sent events: the same models as the JSON reply, one event each, the last one `done` or `error`."""

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing
from typing import Any, TypeVar

import anyio
import orjson
from fastapi import Request, Response
from sse_starlette import EventSourceResponse, ServerSentEvent
from sse_starlette.sse import SendTimeoutError
from starlette.types import Receive, Scope, Send

from ragstone.api.disconnect import while_connected
from ragstone.api.schemas.query import (
    CitationModel,
    DoneEvent,
    ErrorEvent,
    MetadataEvent,
    MetaEvent,
    SourcesEvent,
)
from ragstone.core.errors import Unavailable
from ragstone.core.models import AnswerEvent, Cited, Done, Failed, Meta, Sources, Timings, Token, Usage
from ragstone.middleware.errors import error_body
from ragstone.pipelines.answering import timings_of

T = TypeVar("T")

log = logging.getLogger(__name__)

HEARTBEAT_S = 15
DRAIN_S = 28.0  # a stream may go on for so long after SIGTERM: `ragstone serve` cuts what is open after 30 s
SEND_WITHIN_S = 30.0  # a client that does not read for so long has left, whatever its connection says
FAREWELL_S = 1.0  # then a client has so long to take the last event

_MODELS: dict[type[Any], tuple[bytes, type[Any]]] = {
    Meta: (b"meta", MetaEvent),
    Sources: (b"sources", SourcesEvent),
    Timings: (b"metadata", MetadataEvent),
    Done: (b"done", DoneEvent),
}


Encode = Callable[[AnswerEvent], bytes]
"""Frames of one event of an answer, none where the dialect has no word for it; called with all in order."""


async def stream_answer(
    request: Request, events: AsyncGenerator[AnswerEvent, None], encode: Encode | None = None
) -> Response:
    """Headers wait for the first token or the first failure, which is raised; later failures are events. `encode` is
    that of the native API where none is given."""
    begun = await while_connected(request, _until_first_token(events))
    drain = Drain()
    return stream_drained(_frames(begun, events, drain, encode or NumberedFrames(), request), drain)


def stream_drained(frames: AsyncIterator[bytes], drain: "Drain") -> Response:
    """Events that a stopping server lets go on for a while; `frames` ends once `drain` says that it is over."""
    return _EventStream(
        frames,
        ping=HEARTBEAT_S,
        send_timeout=SEND_WITHIN_S,
        ping_message_factory=lambda: ServerSentEvent(comment="heartbeat"),
        data_sender_callable=drain.end_in_time,
        shutdown_event=drain.has_begun,
        shutdown_grace_period=DRAIN_S + FAREWELL_S,
    )


def stream_frames(frames: AsyncIterator[bytes]) -> Response:
    """Events that can be begun anew at any time, so a stopping server just ends them."""
    return _EventStream(
        frames,
        ping=HEARTBEAT_S,
        send_timeout=SEND_WITHIN_S,
        ping_message_factory=lambda: ServerSentEvent(comment="heartbeat"),
    )


class _EventStream(EventSourceResponse):
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        except SendTimeoutError:
            log.info("client stopped reading")


class NumberedFrames:
    """The native API's encoding: each event under its name, numbered from 1."""

    def __init__(self) -> None:
        self._number = 0

    def __call__(self, event: AnswerEvent) -> bytes:
        """One frame."""
        self._number += 1
        return encode_frame(self._number, *_name_and_content(event))


def encode_frame(number: int, name: bytes, content: bytes) -> bytes:
    """One frame: `id`, `event`, and `data`."""
    return b"id: %d\r\nevent: %s\r\ndata: %s\r\n\r\n" % (number, name, one_line(content))


def one_line(content: bytes) -> bytes:
    """JSON without what any reader takes for the end of a line."""
    for character, escaped in _LINE_ENDS:
        content = content.replace(character, escaped)
    return content


def _name_and_content(event: AnswerEvent) -> tuple[bytes, bytes]:
    match event:
        case Token():
            return b"token", orjson.dumps({"text": event.text})
        case Cited():
            return b"citation", CitationModel.model_validate(event.citation).model_dump_json().encode()
        case Failed():
            return b"error", ErrorEvent.model_validate(_error(event)).model_dump_json().encode()
        case _:
            name, model = _MODELS[type(event)]
            return name, model.model_validate(event).model_dump_json().encode()


def _error(event: Failed) -> dict[str, Any]:
    members: dict[str, Any] = error_body(event.error, event.request_id)["error"]
    return {name: members[name] for name in ErrorEvent.model_fields}


_LINE_ENDS = tuple((end.encode(), b"\\u%04x" % ord(end)) for end in "\x85\u2028\u2029")


async def _until_first_token(events: AsyncGenerator[AnswerEvent, None]) -> list[AnswerEvent]:
    begun: list[AnswerEvent] = []
    async for event in events:
        if isinstance(event, Failed):
            await events.aclose()
            raise event.error
        begun.append(event)
        if isinstance(event, Token | Cited | Done):
            break
    return begun


class Drain:
    """Lets a stream go on for DRAIN_S once the server stops; an event that is still awaited then is given up."""

    def __init__(self) -> None:
        self.has_begun = anyio.Event()
        self._is_over = False
        self._waiting = anyio.CancelScope()

    async def end_in_time(self) -> None:
        """Runs beside the stream."""
        await self.has_begun.wait()
        await anyio.sleep(DRAIN_S)
        self._is_over = True
        self._waiting.cancel()

    async def next_of(self, events: AsyncIterator[T]) -> T | None:
        """The next event; None where there is no time for it."""
        if not self._is_over:
            with anyio.CancelScope() as self._waiting:
                return await anext(events)
        return None


def stopped() -> Unavailable:
    """What is said where a stopping server gives an answer up."""
    return Unavailable("the server is stopping; ask again in a moment")


async def _frames(
    begun: list[AnswerEvent],
    events: AsyncGenerator[AnswerEvent, None],
    drain: Drain,
    encode: Encode,
    request: Request,
) -> AsyncIterator[bytes]:
    async with aclosing(events):
        yield b"".join([encode(event) for event in begun])
        event = begun[-1]
        while not isinstance(event, Done | Failed):
            following = await drain.next_of(events)
            for event in _farewell(request) if following is None else (following,):
                if frames := encode(event):
                    yield frames


def _farewell(request: Request) -> Sequence[AnswerEvent]:
    log.warning("answer broke off", extra={"code": Unavailable.code})
    stopwatch, request_id = request.state.stopwatch, request.state.request_id
    stopwatch.outcome = Unavailable.code
    timings = timings_of(stopwatch, request_id, Usage())  # the model counts at its end only
    return [timings, Failed(stopped(), request_id)]
