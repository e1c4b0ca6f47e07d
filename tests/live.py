"""The whole application over real sockets, in the test's own event loop."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
import uvicorn

from ragstone.api.main import create_app
from ragstone.bootstrap import Container, build_container
from ragstone.config.settings import Settings
from ragstone.core.ports import Embedder
from ragstone.core.retry import RetryBudget
from tests.apiclient import Api, Json


@dataclass(frozen=True, slots=True)
class Live:
    """A server, a client of it, and its parts."""

    url: str
    http: httpx2.AsyncClient
    container: Container

    @property
    def api(self) -> Api:
        """The client as most tests use it."""
        return Api(self.http)

    def forget_failures(self) -> None:
        """As if no service had failed before."""
        for dependency in self.container.dependencies:
            dependency.breaker.reset()
            dependency.budget = RetryBudget()

    async def stream(self, query: str, **body: Any) -> "Stream":
        """Ask and read all events."""
        request = {"query": query, "stream": True, **body}
        async with self.http.stream("POST", "/query", json=request) as response:
            if response.status_code != 200:
                await response.aread()
                return Stream(response, [])
            lines = [line async for line in response.aiter_lines()]
            return Stream(response, parse_events(lines))


@dataclass(frozen=True, slots=True)
class Stream:
    """A streamed reply."""

    response: httpx2.Response
    events: list[tuple[str, Json]]

    @property
    def kinds(self) -> list[str]:
        """Names of the events, in order."""
        return [kind for kind, _ in self.events]

    @property
    def text(self) -> str:
        """All tokens in a row."""
        return "".join(content["text"] for kind, content in self.events if kind == "token")

    def only(self, kind: str) -> Json:
        """The one event of this name."""
        (found,) = [content for name, content in self.events if name == kind]
        return found


def parse_events(lines: list[str]) -> list[tuple[str, Json]]:
    """Name and content of each event; comments are left out."""
    events: list[tuple[str, Json]] = []
    name = ""
    for line in lines:
        field, _, value = line.partition(": ")
        if field == "event":
            name = value
        elif field == "data":
            events.append((name, json.loads(value)))
    return events


@asynccontextmanager
async def live_server(settings: Settings, embedder: Embedder | None = None) -> AsyncIterator[Live]:
    """Serve until the block ends."""
    async with build_container(settings, embedder=embedder) as container:
        # With the protocol named, asyncio sends small replies at once.
        listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listening.bind(("127.0.0.1", 0))
        listening.listen(2048)
        config = uvicorn.Config(
            create_app(settings, container), http="httptools", log_config=None, timeout_graceful_shutdown=5
        )
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server._serve([listening]))
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        try:
            async with httpx2.AsyncClient(base_url=url, timeout=60.0, trust_env=False) as http:
                yield Live(url, http, container)
        finally:
            server.should_exit = True
            await serving
