"""One way to reach the API: over HTTP where a server owns the data directory, else in this process."""

import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2

from ragstone.auth.local_key import find_local_key
from ragstone.cli.failure import CommandFailed, Refused, ServerSilent, WrongUsage
from ragstone.config.settings import Settings
from ragstone.core.errors import DataDirectoryInUse
from ragstone.storage.data_directory import owner_of

LEAST_TIMEOUT_S = 120.0  # of a reply; longer where the server may take longer


class ApiClient:
    """JSON in; JSON, or events as they come, out. An error is raised with its message."""

    def __init__(self, http: httpx2.AsyncClient):
        self._http = http

    async def call(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        """Raises Refused, ServerSilent."""
        try:
            response = await self._http.request(method, path, **request)
        except httpx2.TransportError as error:
            raise ServerSilent(f"the server at {self._http.base_url} does not answer") from error
        return _content_of(response)

    async def stream(
        self, path: str, body: dict[str, Any]
    ) -> AsyncGenerator[tuple[str, dict[str, Any]], None]:
        """Name and content of each event of an answer; closing the generator makes the server stop. Raises
        CommandFailed, also for an `error` event and for a stream that ends without its last event."""
        name, content = "", dict[str, Any]()
        try:
            async with self._http.sse(path, method="POST", json=body, max_event_size=None) as events:
                if events.response.is_error:
                    await events.response.aread()
                    _content_of(events.response)
                async for event in events:
                    name, content = event.event, json.loads(event.data)
                    yield name, content
        except httpx2.TransportError as error:
            raise CommandFailed(self._lost(name)) from error
        if name == "error":
            raise CommandFailed(_sentence(content))
        if name != "done":
            raise CommandFailed(self._lost(name))

    def _lost(self, last_event: str) -> str:
        if last_event:
            return f"the connection to the server at {self._http.base_url} broke off before the answer was complete"
        return f"the server at {self._http.base_url} does not answer"


@asynccontextmanager
async def open_client(settings: Settings) -> AsyncIterator[ApiClient]:
    """Talk to the server that owns the data directory, or open the directory here. Raises DataDirectoryInUse where
    its owner is not a server."""
    async with open_http(settings) as http:
        yield ApiClient(http)


@asynccontextmanager
async def open_http(settings: Settings) -> AsyncIterator[httpx2.AsyncClient]:
    """The same for those who speak HTTP themselves."""
    owner = owner_of(settings.data_dir)
    if owner is None:
        async with _in_process(settings) as http:
            yield http
    elif owner.url is None:
        raise DataDirectoryInUse(f"the data directory {settings.data_dir} is in use by {owner}")
    else:
        async with http_of(owner.url, find_local_key(settings.data_dir), settings) as http:
            yield http


@asynccontextmanager
async def client_of(url: str, key: str | None, settings: Settings) -> AsyncIterator[ApiClient]:
    """Talk to the server at this address."""
    async with http_of(url, key, settings) as http:
        yield ApiClient(http)


def http_of(url: str, key: str | None, settings: Settings) -> httpx2.AsyncClient:
    """The same for those who speak HTTP themselves."""
    timeout_s = max(LEAST_TIMEOUT_S, settings.request_timeout.total_seconds() + 10)
    return httpx2.AsyncClient(base_url=url, timeout=timeout_s, trust_env=False, headers=_key_headers(key))


@asynccontextmanager
async def _in_process(settings: Settings) -> AsyncIterator[httpx2.AsyncClient]:
    from ragstone.api.main import create_app
    from ragstone.bootstrap import build_container
    from ragstone.cli.transport import StreamingASGITransport

    async with build_container(settings) as container:
        transport = StreamingASGITransport(create_app(settings, container))
        async with httpx2.AsyncClient(
            transport=transport,
            base_url="http://127.0.0.1",
            headers=_key_headers(find_local_key(settings.data_dir)),
        ) as http:
            yield http


def key_for(settings: Settings, url: str, key_file: Path | None) -> str | None:
    """For the server at this address: the key in the file, else that of the data directory, which goes to no server
    but its own. Raises WrongUsage."""
    if key_file is None:
        owner = owner_of(settings.data_dir)
        return find_local_key(settings.data_dir) if owner is not None and owner.url == url else None
    try:
        return key_file.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise WrongUsage(f"no API key can be read from {key_file}") from error


def _key_headers(key: str | None) -> dict[str, str]:
    """A server without keys does not look at it."""
    return {} if key is None else {"Authorization": f"Bearer {key}"}


def _content_of(response: httpx2.Response) -> dict[str, Any]:
    try:
        body: dict[str, Any] = response.json()
    except ValueError as error:  # of something between the server and us
        raise ServerSilent(f"{response.url} answers {response.status_code} with what is no JSON") from error
    if response.is_error and isinstance(body, dict) and "error" in body:
        raise _refusal(response, body["error"])
    return body


def _refusal(response: httpx2.Response, error: Any) -> Refused | ServerSilent:
    try:
        code, message = error["code"], error["message"]
    except (KeyError, TypeError):  # of something between the server and us
        return ServerSilent(
            f"{response.url} answers {response.status_code} with an error that is not Ragstone's"
        )
    return Refused(code, message, status=response.status_code, retry_after_s=_retry_after_s(response))


def _retry_after_s(response: httpx2.Response) -> float | None:
    """None also for a date, which the API does not send."""
    try:
        return float(response.headers["retry-after"])
    except (KeyError, ValueError):
        return None


def _sentence(error: dict[str, Any]) -> str:
    return f"{error['code']}: {error['message']}"
