"""What MCP adds to a call: `/query` and `/search` against their tools, call after call on the same server.

Bare connections show what the server does; the SDK's client, which also checks every reply against the tool's schema, is
shown beside them with its own cost. `python -m bench.mcp [--calls 300]`.
"""

import argparse
import json
import tempfile
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from mcp import Client
from mcp.types import CLIENT_CAPABILITIES_META_KEY, PROTOCOL_VERSION_META_KEY
from mcp.types.version import LATEST_HANDSHAKE_VERSION, LATEST_MODERN_VERSION

from bench.api import TextDocument, api_of
from bench.corpus import make_documents
from bench.load import Connection, UnexpectedStatus, connected, run_on_uvloop
from bench.metrics import percentile
from bench.report import Report, Table, verdict
from bench.server import ready_ragstone

DOCUMENTS, WARM_UP, TARGET = 60, 30, 1.1
TOOLS = {"/search": "search", "/query": "ask"}

Ask = Callable[[str], Awaitable[None]]


async def main(calls: int) -> None:
    """Print a table for each route."""
    report = Report()
    documents = make_documents(DOCUMENTS)
    questions = [question for document in documents for question in document.questions]
    with tempfile.TemporaryDirectory(prefix="ragstone-bench-") as folder:
        async with ready_ragstone(Path(folder)) as server:
            async with api_of(server.port) as api:
                await api.upload(
                    "default", (TextDocument(each.title, each.title, each.text) for each in documents)
                )
                await api.wait_ready("default")
            for path in TOOLS:
                report.add(await compare(server.port, path, questions, calls))


async def compare(port: int, path: str, questions: Sequence[str], calls: int) -> Table:
    """Each way asks the same question in turn, so that what slows the machine slows all of them; who comes first, and
    finds no cache warm, changes with every question."""
    async with connected(port) as connection, Client(f"http://127.0.0.1:{port}/mcp") as client:
        ways = ways_of(connection, client, path)
        took: dict[str, list[float]] = {name: [] for name in ways}
        order = deque(ways)
        for number, question in enumerate(islice(cycle(questions), WARM_UP + calls)):
            order.rotate(1)
            for name in order:
                began = time.perf_counter()
                await ways[name](question)
                if number >= WARM_UP:
                    took[name].append((time.perf_counter() - began) * 1000)
    native = percentile(took["native"], 50)
    rows = [row_of(name, times, native) for name, times in took.items()]
    return Table(f"POST {path} and the tool {TOOLS[path]}", ("way", "p50, ms", "p95, ms", "ratio", ""), rows)


def row_of(name: str, times: Sequence[float], native: float) -> list[Any]:
    """One way; what is promised is promised of the server, not of the client."""
    ratio = percentile(times, 50) / native
    promised = name.startswith("/mcp")
    return [
        name,
        percentile(times, 50),
        percentile(times, 95),
        ratio,
        verdict(ratio, TARGET) if promised else "",
    ]


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

    return {
        "native": native,
        f"/mcp, {LATEST_MODERN_VERSION}": modern,
        f"/mcp, {LATEST_HANDSHAKE_VERSION}": handshake,
        "the SDK's client": sdk,
    }


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


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=300)
    run_on_uvloop(main(parser.parse_args().calls))
