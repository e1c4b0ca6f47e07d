"""The path `/mcp`. The SDK behind it takes a second to import and 22 MB, so it is loaded by the first request."""

import asyncio
from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import Any

from fastapi import Request, Response
from starlette.routing import Route

from ragstone.api.bodies import media_type
from ragstone.core.errors import UnsupportedMediaType

PATH = "/mcp"

Answer = Callable[[Request], Awaitable[Response]]


def mcp_route(*, has_writes: bool) -> Route:
    """POST alone: nothing is ever sent that was not asked for, and there are no sessions to end."""
    door = _Door(has_writes=has_writes)
    return Route(PATH, door.answer, methods=["POST"], name="mcp", include_in_schema=False)


class _Door:
    """Opens at the first request; who comes meanwhile waits."""

    def __init__(self, *, has_writes: bool):
        self._has_writes = has_writes
        self._answer: Answer | None = None
        self._opening: asyncio.Task[Answer] | None = None

    async def answer(self, request: Request) -> Response:
        if media_type(request) != "application/json":
            raise UnsupportedMediaType("send application/json")
        if self._answer is None:
            self._answer = await self._opened()
        return await self._answer(request)

    async def _opened(self) -> Answer:
        if self._opening is None:
            self._opening = asyncio.create_task(asyncio.to_thread(_load, has_writes=self._has_writes))
        return await asyncio.shield(self._opening)


def _load(*, has_writes: bool) -> Answer:
    server: Any = import_module("ragstone.api.mcp.server")
    transport: Any = import_module("ragstone.api.mcp.transport")
    in_flight: Any = import_module("ragstone.api.mcp.in_flight")
    built, requests = server.build_server(has_writes=has_writes), in_flight.InFlight()

    async def answer(request: Request) -> Response:
        response: Response = await transport.answer(request, built, requests)
        return response

    return answer
