"""The scripted upstream itself: listening, routing, scripting, and ending all it began."""

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import orjson

from ragstone.testing.upstream.body_faults import send_whole, send_with_fault
from ragstone.testing.upstream.chat import ChatStream, Pace, reply_to
from ragstone.testing.upstream.embeddings import answer_embeddings
from ragstone.testing.upstream.faults import Fault, FaultQueue
from ragstone.testing.upstream.http import Connection, Exchange
from ragstone.testing.upstream.log import Outcome, RecordedRequest, RequestLog
from ragstone.testing.upstream.rerank import answer_rerank
from ragstone.testing.upstream.routing import CONTROLS, Target, target_of
from ragstone.testing.upstream.stream_faults import stream_with_fault
from ragstone.testing.upstream.whole_faults import replace_response
from ragstone.testing.upstream.wire import JSON, ApiError, models_body


class ScriptedUpstream:
    """A server of OpenAI's API, and of two that rerank, on a real socket that says what it is told and fails as it is told.

    Tokens come `first_token_s` after the request and then at `tokens_per_s`, None being all at once. `say` replaces
    what `answers.compose` would say. Any key will do unless `required_key` is given. `port` 0 picks one, and a restart
    keeps it. `on_end` is called with each request that has ended.

    Below the path `/fault/<spec>/v1` every request runs into `Fault.parse(<spec>)`. `GET /_log` and `POST /_script`
    `{"faults": [spec, …]}` do for other processes what `requests` and `script` do here; they are not recorded.
    """

    def __init__(
        self,
        *,
        first_token_s: float = 0.0,
        tokens_per_s: float | None = None,
        say: str | None = None,
        dimension: int = 384,
        host: str = "127.0.0.1",
        port: int = 0,
        required_key: str | None = None,
        on_end: Callable[[RecordedRequest], None] | None = None,
    ):
        self.say = say
        self._first_token_s = first_token_s
        self._tokens_per_s = tokens_per_s
        self._dimension = dimension
        self._address = (host, port)
        self._required_key = required_key
        self._on_end = on_end
        self._log = RequestLog()
        self._faults = FaultQueue()
        self._connections: set[Connection] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    # ---- what a test asks and does ----

    @property
    def base_url(self) -> str:
        """What OPENAI_BASE_URL is set to."""
        return f"{self.root_url}/v1"

    @property
    def root_url(self) -> str:
        """Where `/rerank`, `/_log`, `/_script` and `/fault/…` begin."""
        host, port = self._address
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    @property
    def requests(self) -> list[RecordedRequest]:
        """All requests in the order in which they came; the oldest are forgotten beyond 64 MB."""
        return self._log.requests

    @property
    def disconnects(self) -> int:
        """How many clients left before their answer's end."""
        return self._log.disconnects

    @property
    def open_requests(self) -> int:
        """How many requests are being answered."""
        return self._log.open_requests

    def count(self, route: str | None = None) -> int:
        """How many requests came for "chat", "embeddings", "rerank", "models", "other", or at all."""
        return self._log.count(route)

    def script(self, *faults: Fault) -> None:
        """Queue faults: each request runs into the first that can befall it."""
        self._faults.add(faults)

    def clear(self) -> None:
        """Drop all queued faults."""
        self._faults.clear()

    async def wait_until_idle(self, timeout_s: float) -> None:
        """Return once all requests have ended. Raises TimeoutError."""
        await self._log.wait_until_idle(timeout_s)

    async def start(self) -> None:
        """Listen. Raises OSError where that cannot be."""
        host, port = self._address
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: Connection(self._answer, self._connections), host, port, backlog=1024
        )
        self._address = (host, self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Refuse connections, and break off those there are; what was recorded and scripted stays."""
        if self._server is None:
            return
        self._server.close()
        self._server = None
        connections = list(self._connections)
        tasks = [each.answering for each in connections if each.answering is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for connection in connections:
            connection.transport.abort()
        while self._connections:  # noqa: ASYNC110 - the transports say so in the next turn of the loop
            await asyncio.sleep(0)

    # ---- what a request meets ----

    async def _answer(self, exchange: Exchange) -> None:
        target = target_of(exchange.request)
        if target.route in CONTROLS:
            self._control(exchange, target)
            return
        record = self._record(exchange, target)
        outcome: Outcome = "fault"  # a stop of the server is one too
        try:
            await self._respond(exchange, target, record)
            outcome = "fault" if record.fault else "answered"
        except asyncio.CancelledError:
            outcome = "client_left" if exchange.client_has_left else "fault"
            raise
        finally:
            self._log.end(record, outcome)
            if self._on_end is not None:
                self._on_end(record)

    def _record(self, exchange: Exchange, target: Target) -> RecordedRequest:
        request = exchange.request
        try:
            body = orjson.loads(request.body) if request.body else None
        except orjson.JSONDecodeError:
            body = None
        return self._log.begin(
            request.method, request.path, target.route, request.headers, body, len(request.body)
        )

    async def _respond(self, exchange: Exchange, target: Target, record: RecordedRequest) -> None:
        try:
            target.check_method(exchange.request.method)
            self._check_key(exchange)
            if target.route == "models":
                exchange.send(200, models_body(), JSON)
                return
            body = _object_of(exchange, record.body)
            fault = target.fault() or self._faults.take(target.route)
            record.fault = fault.kind if fault else None
            await self._respond_to(exchange, target.route, body, fault)
        except ApiError as error:
            exchange.send(error.status, error.body(), JSON)

    async def _respond_to(
        self, exchange: Exchange, route: str, body: dict[str, Any], fault: Fault | None
    ) -> None:
        if fault is not None and await replace_response(exchange, fault):
            return
        if route == "chat":
            await self._chat(exchange, body, fault)
        elif route == "rerank":
            await answer_rerank(exchange, body, fault)
        else:
            await answer_embeddings(exchange, body, dimension=self._dimension, fault=fault)

    async def _chat(self, exchange: Exchange, body: dict[str, Any], fault: Fault | None) -> None:
        reply = reply_to(body, self.say)
        pace = Pace(self._first_token_s, self._tokens_per_s)
        is_streamed = body.get("stream") is True and (fault is None or fault.kind != "json200")
        if is_streamed and fault is not None:
            await stream_with_fault(ChatStream(exchange, reply, pace), fault)
        elif is_streamed:
            stream = ChatStream(exchange, reply, pace)
            stream.open()
            await stream.say(reply.tokens)
            stream.finish(reply.finish_reason)
        elif fault is not None:
            await send_with_fault(exchange, reply, pace, fault)
        else:
            await send_whole(exchange, reply, pace)

    def _check_key(self, exchange: Exchange) -> None:
        given = exchange.request.headers.get("authorization")
        if self._required_key is not None and given != f"Bearer {self._required_key}":
            raise ApiError(401, "Incorrect API key provided.", "authentication_error", code="invalid_api_key")

    def _control(self, exchange: Exchange, target: Target) -> None:
        try:
            target.check_method(exchange.request.method)
            if target.route == "script":
                self.script(*_faults_of(exchange))
            exchange.send(200, orjson.dumps(self._log.as_json()), JSON)
        except ApiError as error:
            exchange.send(error.status, error.body(), JSON)


def _object_of(exchange: Exchange, body: Any) -> dict[str, Any]:
    if exchange.request.is_too_large:
        raise ApiError(413, "the body is over 8 MB", code="request_too_large")
    if not isinstance(body, dict):
        raise ApiError(400, "We could not parse the JSON body of your request: an object is expected.")
    return body


def _faults_of(exchange: Exchange) -> list[Fault]:
    try:
        specs = orjson.loads(exchange.request.body)["faults"]
        return [Fault.parse(str(spec)) for spec in specs]
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise ApiError(400, 'the body is {"faults": ["status:code=503,times=2", …]}') from error
    except ValueError as error:
        raise ApiError(400, str(error), param="faults") from error
