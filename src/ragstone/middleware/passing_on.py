"""Several workers on one data directory: one leads and makes every change, the others answer what only reads and pass
the rest on to it, as it came, over a unix socket. Pure ASGI."""

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Iterable
from functools import partial

import httpx2
from starlette.types import ASGIApp, Receive, Scope, Send

from ragstone.core.errors import ChangeInDoubt, RagstoneError, Unavailable
from ragstone.middleware.errors import refuse
from ragstone.middleware.logging import LoggingMiddleware

log = logging.getLogger(__name__)

PATIENCE_S = 5.0
"""So long a change waits for a leader that is being restarted, which takes two to three seconds."""
RETRY_S = 0.05

RESTARTING = "the worker that makes changes is being restarted"
IN_DOUBT = "the worker that makes changes died over this request; whether the change was made is not known"

READING_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
READING_POSTS = re.compile(r"/query|/search|/v1/(?:chat/completions|embeddings|vector_stores/[^/]+/search)")
"""A response of OpenAI's dialect is stored, so it is not one of them."""
READING_TOOLS = frozenset({b"search", b"ask", b"list_documents", b"get_document"})
"""Of MCP, where a request's headers name what it calls; they must say the same as its body, or it is refused."""
LEADERS_PATHS = "/admin/"
"""What is told there, only the leader knows."""

_OF_ONE_CONNECTION = frozenset({b"connection", b"keep-alive", b"transfer-encoding", b"expect"})
_OF_THE_WAY = frozenset({b"host", b"x-forwarded-for", b"x-forwarded-proto"})

Headers = list[tuple[bytes, bytes]]


class Leader:
    """The worker that makes the changes, as the others know it."""

    def __init__(self, socket_path: str):
        self.is_alive = False
        """Whether it answers, and so works on jobs; set by whoever watches it."""
        limits = httpx2.Limits(
            max_connections=None, max_keepalive_connections=0
        )  # none that it closes under us
        self._transport = httpx2.AsyncHTTPTransport(
            uds=socket_path,
            limits=limits,
            verify=False,  # there is no TLS inside
            trust_env=False,
        )

    async def answer(self, request: httpx2.Request) -> httpx2.Response:
        """Its reply, once the headers are known. Raises httpx2.ConnectError where it is not back within
        `PATIENCE_S` (nothing of the request was sent then), another TransportError where it broke off."""
        give_up_at = asyncio.get_running_loop().time() + PATIENCE_S
        while True:
            try:
                return await self._transport.handle_async_request(request)
            except httpx2.ConnectError:
                if asyncio.get_running_loop().time() >= give_up_at:
                    raise
            await asyncio.sleep(RETRY_S)


class PassingOnMiddleware:
    """Outermost in a worker that does not lead: what is passed on is checked, counted and logged by the leader."""

    def __init__(self, app: ASGIApp, leader: Leader):
        self._app = app
        self._leader = leader

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer here, or let the leader answer."""
        if scope["type"] != "http" or is_answered_anywhere(scope):
            await self._app(scope, receive, send)
        else:
            await self._pass_on(scope, receive, send)

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = _Body(receive)
        answering = asyncio.create_task(self._answer(scope, body, receive, send))
        leaving = asyncio.create_task(body.wait_for_departure())
        try:
            await asyncio.wait({answering, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if answering.done():
                answering.result()
        finally:
            for task in (answering, leaving):
                task.cancel()
            await asyncio.gather(answering, leaving, return_exceptions=True)

    async def _answer(self, scope: Scope, body: "_Body", receive: Receive, send: Send) -> None:
        try:
            response = await self._leader.answer(_request(scope, body))
        except _ClientLeft:
            return
        except httpx2.TransportError as error:
            log.warning("the leader broke off a request", extra={"reason": type(error).__name__})
            was_sent = not isinstance(error, httpx2.ConnectError)
            await _refuse(
                ChangeInDoubt(IN_DOUBT) if was_sent else Unavailable(RESTARTING), scope, receive, send
            )
            return
        try:
            await _send_on(response, send)
        except httpx2.TransportError as error:  # the reply stays incomplete, and so our client learns of it
            log.warning("the leader broke off a reply", extra={"reason": type(error).__name__})
        finally:
            await response.aclose()


class _ClientLeft(Exception):
    """In the middle of its body."""


class _Body(httpx2.AsyncByteStream):
    """A request's body as it comes, and the client's departure after it."""

    def __init__(self, receive: Receive):
        self._receive = receive
        self._is_read = asyncio.Event()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise _ClientLeft
            if part := message.get("body", b""):
                yield part
            if not message.get("more_body", False):
                break
        self._is_read.set()

    async def wait_for_departure(self) -> None:
        """Of the client, once its body is read: until then that is the body's affair."""
        await self._is_read.wait()
        while (await self._receive())["type"] != "http.disconnect":
            pass


def is_answered_anywhere(scope: Scope) -> bool:
    """Whether a request changes nothing, and asks for nothing that the leader alone knows."""
    if scope["method"] in READING_METHODS:
        return not scope["path"].startswith(LEADERS_PATHS)
    if scope["method"] != "POST":
        return False
    if scope["path"] == "/mcp":
        return _calls_a_reading_tool(scope)
    return READING_POSTS.fullmatch(scope["path"]) is not None


def _calls_a_reading_tool(scope: Scope) -> bool:
    """Clients of MCP's handshake era name nothing: theirs all go to one worker, which is how they can be cancelled."""
    headers = dict(scope["headers"])
    return headers.get(b"mcp-method") == b"tools/call" and headers.get(b"mcp-name") in READING_TOOLS


async def _refuse(error: RagstoneError, scope: Scope, receive: Receive, send: Send) -> None:
    """With a request id and a line in the log, as every reply."""
    await LoggingMiddleware(partial(refuse, error=error))(scope, receive, send)


def _request(scope: Scope, body: _Body) -> httpx2.Request:
    """The same request again."""
    target = scope["raw_path"] + (b"?" + scope["query_string"] if scope["query_string"] else b"")
    return httpx2.Request(
        scope["method"], "http://leader/", headers=_headers(scope), stream=body, extensions={"target": target}
    )


def _headers(scope: Scope) -> Headers:
    """Those of the request; the leader sees the client and the scheme that we saw. More than one Host is sent as none,
    which is refused alike."""
    given: Headers = scope["headers"]
    hosts = [value for name, value in given if name == b"host"]
    headers = _without(given, _OF_ONE_CONNECTION | _OF_THE_WAY)
    headers.append((b"host", hosts[0] if len(hosts) == 1 else b""))
    headers.append((b"x-forwarded-proto", scope["scheme"].encode()))
    if scope.get("client"):
        headers.append((b"x-forwarded-for", scope["client"][0].encode()))
    if any(name == b"transfer-encoding" for name, _ in given):
        headers.append((b"transfer-encoding", b"chunked"))
    return headers


async def _send_on(response: httpx2.Response, send: Send) -> None:
    assert isinstance(response.stream, httpx2.AsyncByteStream)
    headers = _without(response.headers.raw, _OF_ONE_CONNECTION)
    await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
    async for part in response.stream:
        await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


def _without(headers: Iterable[tuple[bytes, bytes]], names: frozenset[bytes]) -> Headers:
    return [(name.lower(), value) for name, value in headers if name.lower() not in names]
