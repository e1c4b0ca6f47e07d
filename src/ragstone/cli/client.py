"""One way to reach the API: over HTTP where a server owns the data directory, else in this process."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2

from ragstone.cli.failure import CommandFailed
from ragstone.config.settings import Settings
from ragstone.core.errors import DataDirectoryInUse
from ragstone.storage.data_directory import owner_of

TIMEOUT_S = 120.0


class ApiClient:
    """JSON in, JSON out; an error reply is raised with its message."""

    def __init__(self, http: httpx2.AsyncClient):
        self._http = http

    async def call(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        """Raises CommandFailed."""
        try:
            response = await self._http.request(method, path, **request)
        except httpx2.TransportError as error:
            raise CommandFailed(f"the server at {self._http.base_url} does not answer") from error
        body: dict[str, Any] = response.json()
        if response.status_code >= 400 and "error" in body:
            wait = response.headers.get("retry-after")
            raise CommandFailed(
                f"{body['error']['code']}: {body['error']['message']}",
                retry_after_s=None if wait is None else float(wait),
            )
        return body


@asynccontextmanager
async def open_client(settings: Settings) -> AsyncIterator[ApiClient]:
    """Talk to the server that owns the data directory, or open the directory here. Raises DataDirectoryInUse where
    its owner is not a server."""
    owner = owner_of(settings.data_dir)
    if owner is None:
        async with _in_process(settings) as client:
            yield client
    elif owner.url is None:
        raise DataDirectoryInUse(f"the data directory {settings.data_dir} is in use by {owner}")
    else:
        async with httpx2.AsyncClient(base_url=owner.url, timeout=TIMEOUT_S, trust_env=False) as http:
            yield ApiClient(http)


@asynccontextmanager
async def _in_process(settings: Settings) -> AsyncIterator[ApiClient]:
    from ragstone.api.main import create_app
    from ragstone.bootstrap import build_container

    async with build_container(settings) as container:
        app = create_app(settings, container)
        transport = httpx2.ASGITransport(app=app)
        async with httpx2.AsyncClient(
            transport=transport, base_url="http://127.0.0.1", timeout=TIMEOUT_S
        ) as http:
            yield ApiClient(http)
