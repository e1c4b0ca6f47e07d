"""Messages of MCP between a client's pipe and `/mcp` of a server: every line is sent as it came, every reply is a line."""

import asyncio
import base64
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import httpx2
import orjson

log = logging.getLogger(__name__)

PATH = "/mcp"
VERSION_HEADER, SESSION_HEADER = "mcp-protocol-version", "mcp-session-id"
VERSION_MEMBER = "io.modelcontextprotocol/protocolVersion"
NAMED_BY = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}
PARSE_ERROR, INTERNAL_ERROR = -32700, -32603
LAST_WORDS_S = (
    1.0  # what is being answered when the client closes its side has so long; it ends us after two seconds
)

_PLAIN = re.compile(r"(?!=\?)[!-~](?:[ -~]*[!-~])?")

Json = dict[str, Any]
Write = Callable[[bytes], Awaitable[None]]


class Bridge:
    """One client. `moved` tells where the server is now, where that is known."""

    def __init__(self, http: httpx2.AsyncClient, write: Write, *, moved: Callable[[], str | None]):
        self._http = http
        self._write = write
        self._moved = moved
        self._working: dict[Any, asyncio.Task[None]] = {}
        self._headers: dict[str, str] = {}
        """What a handshake settled."""

    async def run(self, lines: AsyncIterator[bytes]) -> None:
        """Until the client closes its side."""
        try:
            async for line in lines:
                await self._take(line)
            if self._working:
                await asyncio.wait(self._working.values(), timeout=LAST_WORDS_S)
        finally:
            for task in [*self._working.values()]:
                task.cancel()

    async def _take(self, line: bytes) -> None:
        """Requests are answered side by side; a handshake, and what needs no answer, one after the other."""
        message = _parsed(line)
        if message is None:
            await self._tell_failure(None, "the line is not a JSON object", code=PARSE_ERROR)
        elif message.get("method") == "initialize" or "id" not in message:
            if not self._has_called_off(message):
                await self._pass_on(line, message)
        else:
            self._begin(line, message)

    def _begin(self, line: bytes, message: Json) -> None:
        request_id = message["id"]
        key = request_id if isinstance(request_id, str | int) else None
        task = self._working[key] = asyncio.create_task(self._pass_on(line, message))

        def forget(done: asyncio.Task[None]) -> None:
            if self._working.get(key) is done:
                del self._working[key]

        task.add_done_callback(forget)

    def _has_called_off(self, message: Json) -> bool:
        """Over HTTP a request of 2026 is given up by closing it; a handshake's client sends the notification on."""
        if message.get("method") != "notifications/cancelled" or self._headers:
            return False
        parameters = message.get("params")
        request_id = parameters.get("requestId") if isinstance(parameters, dict) else None
        task = self._working.get(request_id) if isinstance(request_id, str | int) else None
        if task is not None:
            task.cancel()
        return True

    async def _pass_on(self, line: bytes, message: Json) -> None:
        """Whatever happens, a request is answered."""
        is_answered = False
        problem = "the connection to the server broke off before the answer was complete"
        try:
            async for reply in self._replies(line, message):
                is_answered = is_answered or "method" not in (_parsed(reply) or {})
                await self._write(reply)
        except httpx2.TransportError as error:
            log.warning("the server does not answer", extra={"error": type(error).__name__})
            if isinstance(error, httpx2.ConnectError):
                problem = f"the server at {self._http.base_url} does not answer"
        if not is_answered and "id" in message:
            await self._tell_failure(message["id"], problem)

    async def _replies(self, line: bytes, message: Json) -> AsyncIterator[bytes]:
        """Raises httpx2.TransportError."""
        response = await self._sent(line, message)
        try:
            if response.headers.get("content-type", "").startswith("text/event-stream"):
                async for event in httpx2.EventSource(response, max_event_size=None):
                    yield event.data.encode()
            elif content := await response.aread():
                if message.get("method") == "initialize":
                    self._note_handshake(response, content)
                yield _as_message(message, response, content)
        finally:
            await response.aclose()

    async def _sent(self, line: bytes, message: Json) -> httpx2.Response:
        """Once more where the server has another address since: nothing was sent to the old one."""
        try:
            return await self._http.send(self._request(line, message), stream=True)
        except httpx2.ConnectError:
            url = self._moved()
            if url is None or httpx2.URL(url) == self._http.base_url:
                raise
            self._http.base_url = httpx2.URL(url)
            return await self._http.send(self._request(line, message), stream=True)

    def _request(self, line: bytes, message: Json) -> httpx2.Request:
        headers = {
            "Accept": "application/json, text/event-stream",
            "Content-Type": "application/json",
            **({} if message.get("method") == "initialize" else self._headers),
            **_routing(message),
        }
        return self._http.build_request("POST", PATH, content=line, headers=headers)

    def _note_handshake(self, response: httpx2.Response, content: bytes) -> None:
        result = (_parsed(content) or {}).get("result")
        if not isinstance(result, dict):
            return
        settled = {
            VERSION_HEADER: result.get("protocolVersion"),
            SESSION_HEADER: response.headers.get(SESSION_HEADER),
        }
        self._headers = {name: value for name, value in settled.items() if isinstance(value, str)}

    async def _tell_failure(self, request_id: Any, problem: str, *, code: int = INTERNAL_ERROR) -> None:
        await self._write(_error(request_id, code, problem))


def _parsed(line: bytes) -> Json | None:
    try:
        message = orjson.loads(line)
    except ValueError:
        return None
    return message if isinstance(message, dict) else None


def _routing(message: Mapping[str, Any]) -> dict[str, str]:
    """What a request of 2026 says in headers too."""
    parameters = message.get("params")
    meta = parameters.get("_meta") if isinstance(parameters, dict) else None
    version = meta.get(VERSION_MEMBER) if isinstance(meta, dict) else None
    if not isinstance(version, str) or not isinstance(parameters, dict):
        return {}
    method = message.get("method")
    said = {VERSION_HEADER: version, "mcp-method": method}
    if isinstance(method, str) and method in NAMED_BY:
        said["mcp-name"] = parameters.get(NAMED_BY[method])
    return {name: _header(value) for name, value in said.items() if isinstance(value, str)}


def _header(value: str) -> str:
    """As the protocol writes what a header cannot hold as it is."""
    if _PLAIN.fullmatch(value):
        return value
    return f"=?base64?{base64.b64encode(value.encode('utf-8', 'replace')).decode()}?="


def _as_message(message: Json, response: httpx2.Response, content: bytes) -> bytes:
    """As it came, on one line; what was refused before it was looked at is told as JSON-RPC has it."""
    reply = _parsed(content)
    if reply is not None and "jsonrpc" in reply:
        return content.replace(b"\n", b" ")
    error = reply.get("error") if reply is not None else None
    text = (
        f"{error.get('code')}: {error.get('message')}"
        if isinstance(error, dict)
        else f"{response.url} answers {response.status_code} with what is no JSON-RPC"
    )
    return _error(message.get("id"), INTERNAL_ERROR, text, data=reply)


def _error(request_id: Any, code: int, problem: str, data: Json | None = None) -> bytes:
    more = {} if data is None else {"data": data}
    return orjson.dumps(
        {"jsonrpc": "2.0", "id": request_id, "error": {"code": code, "message": problem, **more}}
    )
