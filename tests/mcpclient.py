"""MCP as its tests speak it: the SDK's own client, and messages by hand for what that client would never send."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, TypeVar

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.types import CLIENT_CAPABILITIES_META_KEY, PROTOCOL_VERSION_META_KEY, CallToolResult, TextContent
from mcp.types.version import LATEST_HANDSHAKE_VERSION, LATEST_MODERN_VERSION

from tests.apiclient import Json

T = TypeVar("T")

ERAS = (LATEST_MODERN_VERSION, LATEST_HANDSHAKE_VERSION)
BOTH = {"accept": "application/json, text/event-stream", "content-type": "application/json"}


@asynccontextmanager
async def mcp_client(url: str, *, era: str = LATEST_MODERN_VERSION, **headers: str) -> AsyncIterator[Client]:
    """Over HTTP, in the era of this version."""
    async with httpx2.AsyncClient(headers=headers, timeout=60.0, trust_env=False) as http:
        transport = streamable_http_client(f"{url}/mcp", http_client=http)
        async with Client(transport, mode=mode_of(era)) as client:
            yield client


@asynccontextmanager
async def held(context: AbstractAsyncContextManager[T]) -> AsyncIterator[T]:
    """For fixtures, whose ends run in other tasks than their beginnings: the SDK's client stays in one of its own."""
    opened: asyncio.Future[T] = asyncio.get_running_loop().create_future()
    over = asyncio.Event()

    async def hold() -> None:
        async with context as value:
            opened.set_result(value)
            await over.wait()

    holding = asyncio.create_task(hold())
    holding.add_done_callback(lambda _: opened.cancel())
    await asyncio.wait({opened})
    try:
        if not opened.cancelled():  # else `hold` says why
            yield opened.result()
    finally:
        over.set()
        await holding


def mode_of(era: str) -> str:
    """As the SDK calls it."""
    return "auto" if era == LATEST_MODERN_VERSION else "legacy"


def text_of(result: CallToolResult) -> str:
    """The text of a tool's result."""
    (content,) = result.content
    assert isinstance(content, TextContent)
    return content.text


def message(method: str, *, era: str = LATEST_MODERN_VERSION, request_id: Any = 1, **parameters: Any) -> Json:
    """A request."""
    if era == LATEST_MODERN_VERSION:
        envelope = {PROTOCOL_VERSION_META_KEY: era, CLIENT_CAPABILITIES_META_KEY: {}}
        parameters["_meta"] = {**envelope, **parameters.get("_meta", {})}
    return {"jsonrpc": "2.0", "id": request_id, "method": method, "params": parameters}


def headers_of(body: Json, *, era: str = LATEST_MODERN_VERSION) -> dict[str, str]:
    """Those that go with it."""
    headers = {**BOTH, "mcp-protocol-version": era}
    if era == LATEST_MODERN_VERSION:
        headers["mcp-method"] = body["method"]
        name = body["params"].get("name", body["params"].get("uri"))
        headers.update({} if name is None else {"mcp-name": name})
    return headers


async def post(http: httpx2.AsyncClient, body: Json, *, era: str = LATEST_MODERN_VERSION) -> httpx2.Response:
    """Send a message by hand."""
    return await http.post("/mcp", json=body, headers=headers_of(body, era=era))


async def call(
    http: httpx2.AsyncClient, tool: str, arguments: Any, *, era: str = LATEST_MODERN_VERSION
) -> Json:
    """The result of a tool."""
    response = await post(http, message("tools/call", era=era, name=tool, arguments=arguments), era=era)
    assert response.status_code == 200, response.text
    result: Json = response.json()["result"]
    return result
