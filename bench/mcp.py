"""What MCP adds to a call: `/query` and `/search` against their tools, call after call on the same server.

Bare connections show what the server does; the SDK's client, which also checks every reply against the tool's schema, is
shown beside them with its own cost. `python -m bench.mcp [--calls 300]`.
"""

import argparse
import json
from typing import Any

from mcp import Client
from mcp.types import CLIENT_CAPABILITIES_META_KEY, PROTOCOL_VERSION_META_KEY
from mcp.types.version import LATEST_HANDSHAKE_VERSION, LATEST_MODERN_VERSION

from bench.load import Connection, UnexpectedStatus, connected, run_on_uvloop
from bench.report import Report, Table
from bench.turns import Ask, asked_server, skin_table, take_turns, whole_call

TOOLS = {"/search": "search", "/query": "ask"}
NATIVE, SDK = "native", "the SDK's client"


async def measure(calls: int) -> Table:
    """A row for each tool and way to call it."""
    figures = []
    async with (
        asked_server() as (server, questions),
        connected(server.port) as connection,
        Client(f"http://127.0.0.1:{server.port}/mcp") as client,
    ):
        for path, tool in TOOLS.items():
            took = await take_turns(ways_of(connection, client, path), questions, calls)
            native = took.pop(NATIVE)
            figures += [
                whole_call(f"{tool}, {name}, ms", times, native, promised=name != SDK)
                for name, times in took.items()
            ]
    return skin_table("MCP", "tool", figures)


def ways_of(connection: Connection, client: Client, path: str) -> dict[str, Ask]:
    """The same question by each of them."""
    tool = TOOLS[path]

    async def native(question: str) -> None:
        await exchange(connection, path, {"query": question})

    async def modern(question: str) -> None:
        meta = {PROTOCOL_VERSION_META_KEY: LATEST_MODERN_VERSION, CLIENT_CAPABILITIES_META_KEY: {}}
        headers = {
            "MCP-Protocol-Version": LATEST_MODERN_VERSION,
            "Mcp-Method": "tools/call",
            "Mcp-Name": tool,
        }
        await exchange(connection, "/mcp", message(tool, question, _meta=meta), **headers)

    async def handshake(question: str) -> None:
        headers = {"MCP-Protocol-Version": LATEST_HANDSHAKE_VERSION}
        await exchange(connection, "/mcp", message(tool, question), **headers)

    async def sdk(question: str) -> None:
        if (await client.call_tool(tool, {"query": question})).is_error:
            raise UnexpectedStatus(f"the tool {tool} failed")

    return {NATIVE: native, LATEST_MODERN_VERSION: modern, LATEST_HANDSHAKE_VERSION: handshake, SDK: sdk}


def message(tool: str, question: str, **more: Any) -> dict[str, Any]:
    """A call as JSON-RPC has it."""
    parameters = {"name": tool, "arguments": {"query": question}, **more}
    return {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": parameters}


async def exchange(connection: Connection, path: str, body: dict[str, Any], **headers: str) -> None:
    """Send and read it all. Raises UnexpectedStatus."""
    content = json.dumps(body).encode()
    lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(content)}"]
    lines += ["Content-Type: application/json", "Accept: application/json, text/event-stream"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    status, reply = await connection.exchange("\r\n".join([*lines, "", ""]).encode() + content)
    if status != 200 or b'"isError":true' in reply:
        raise UnexpectedStatus(f"{path} answered {status}: {reply[:500].decode(errors='replace')}")


async def _run(calls: int) -> None:
    Report().add(await measure(calls))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=300)
    run_on_uvloop(_run(parser.parse_args().calls))
