"""`ragstone mcp` as MCP clients start it: over standard input and output, alone and through a running server."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import httpx2
import pytest
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.types.version import LATEST_HANDSHAKE_VERSION, LATEST_MODERN_VERSION

from ragstone.config.settings import load_settings
from ragstone.testing.embedders import HashingEmbedder
from tests.apiclient import Json
from tests.live import live_server
from tests.mcpclient import message, mode_of
from tests.servers import Server, clean_environment

KEY = "k3y-0123456789abcdef"
POLICY = "Refunds are paid within fourteen days of the return."
QUESTION = "Are refunds paid within fourteen days of the return?"
END_S = 20.0


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("stdio")


def command(data_dir: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "ragstone.cli", "mcp", "--data-dir", str(data_dir), *more]


@asynccontextmanager
async def spawned(
    data_dir: Path, *more: str, era: str = LATEST_MODERN_VERSION, **environment: str
) -> AsyncIterator[Client]:
    """The SDK's client with a server of its own; what that logs is kept beside the data."""
    program, *arguments = command(data_dir, *more)
    parameters = StdioServerParameters(
        command=program, args=arguments, env=clean_environment(**environment), cwd=data_dir.parent
    )
    with (data_dir.parent / "stdio.log").open("a") as log:
        async with Client(stdio_client(parameters, errlog=log), mode=mode_of(era)) as client:
            yield client


def answered(reply: Json) -> Json:
    """Without times and ids of requests."""
    return {name: value for name, value in reply.items() if name != "metadata"}


async def test_alone_and_through_a_server_the_answers_are_those_of_the_native_api(folder: Path) -> None:
    data_dir = folder / "data"
    async with spawned(data_dir, RAGSTONE_MCP_WRITES="true") as client:
        added = (
            await client.call_tool("add_document", {"text": POLICY, "title": "Policy"})
        ).structured_content
        alone = (await client.call_tool("ask", {"query": QUESTION})).structured_content
    assert added["document"]["status"] == "ready"

    server = await asyncio.to_thread(Server, data_dir, folder=folder, RAGSTONE_API_KEYS=f"web:{KEY}")
    try:
        headers = {"Authorization": f"Bearer {KEY}"}
        async with httpx2.AsyncClient(base_url=server.url, headers=headers, trust_env=False) as http:
            native = (await http.post("/query", json={"query": QUESTION})).json()
        for era in (LATEST_MODERN_VERSION, LATEST_HANDSHAKE_VERSION):
            async with spawned(data_dir, era=era) as client:
                through = (await client.call_tool("ask", {"query": QUESTION})).structured_content
                assert "add_document" not in [tool.name for tool in (await client.list_tools()).tools]
                assert answered(through) == answered(native)
        await _by_address(folder, server.url)
    finally:
        assert await asyncio.to_thread(server.stop) == 0

    assert native["citations"]
    assert answered(alone) == answered(native)


def piped(arguments: list[str], folder: Path, *bodies: Json) -> "subprocess.CompletedProcess[bytes]":
    """Run it to its end over these messages."""
    lines = "".join(f"{json.dumps(body)}\n" for body in bodies).encode()
    return subprocess.run(
        arguments, cwd=folder, env=clean_environment(), input=lines, capture_output=True, timeout=END_S
    )


async def _by_address(folder: Path, url: str) -> None:
    """Also where the data directory is another one: then a key file says who asks."""
    key_file = folder / "key"
    key_file.write_text(f"{KEY}\n")
    async with spawned(folder / "none", "--url", url, "--key-file", str(key_file)) as client:
        assert (await client.call_tool("search", {"query": "refunds"})).structured_content["results"]
    without = await asyncio.to_thread(
        piped, command(folder / "none", "--url", url), folder, message("tools/list")
    )
    assert json.loads(without.stdout)["error"]["message"].startswith("unauthorized: ")
    assert not (folder / "none").exists()


async def test_a_server_that_is_gone_is_told_of_and_its_successor_found(folder: Path) -> None:
    data_dir = folder / "moving"
    async with AsyncExitStack() as stack:
        async with announced_server(data_dir) as first:
            client = await stack.enter_async_context(spawned(data_dir))
            await client.call_tool("list_documents", {})

        with pytest.raises(MCPError, match=f"the server at {first} does not answer"):
            await client.call_tool("list_documents", {})

        async with announced_server(data_dir) as second:
            assert second != first
            assert (await client.call_tool("list_documents", {})).structured_content["items"] == []


@asynccontextmanager
async def announced_server(data_dir: Path) -> AsyncIterator[str]:
    """Where other processes look for it."""
    settings = load_settings(data_dir=data_dir)
    async with live_server(settings, HashingEmbedder(dimension=64)) as live:
        live.container.directory.announce(live.url, command="ragstone serve")
        yield live.url


@pytest.fixture(scope="module")
def alone(folder: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A process with a directory of its own, which has answered."""
    process = begun(command(folder / "own"), folder, LOG_LEVEL="DEBUG")
    assert "result" in asked(process, message("tools/list"))
    yield process
    process.kill()
    process.communicate()


def begun(arguments: list[str], folder: Path, **environment: str) -> "subprocess.Popen[bytes]":
    pipe = subprocess.PIPE
    return subprocess.Popen(
        arguments, cwd=folder, env=clean_environment(**environment), stdin=pipe, stdout=pipe, stderr=pipe
    )


def asked(process: "subprocess.Popen[bytes]", body: Json) -> Json:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(body).encode() + b"\n")
    process.stdin.flush()
    reply: Json = json.loads(process.stdout.readline())
    return reply


class TestProcess:
    def test_another_one_on_the_same_directory_is_told_who_has_it(
        self, alone: "subprocess.Popen[bytes]", folder: Path
    ) -> None:
        done = piped([sys.executable, "-c", IMPATIENT, str(folder / "own")], folder)

        assert (done.returncode, done.stdout) == (1, b"")
        assert f"(process {alone.pid})" in done.stderr.decode()
        assert "`ragstone serve`" in done.stderr.decode()

    def test_when_its_input_ends_it_ends_in_order_with_nothing_but_messages_on_its_output(
        self, alone: "subprocess.Popen[bytes]"
    ) -> None:
        last = message("tools/call", request_id=9, name="search", arguments={"query": "x"})

        output, log = alone.communicate(json.dumps(last).encode(), timeout=END_S)

        assert alone.returncode == 0, log
        assert [json.loads(line)["id"] for line in output.splitlines()] == [9]
        lines = [json.loads(line) for line in log.splitlines()]
        assert [line["tool"] for line in lines if "tool" in line] == ["search"]
        assert not [line for line in lines if line["level"] == "error"]

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_a_signal_ends_it_in_order_though_its_input_goes_on(self, folder: Path, number: int) -> None:
        process = begun(command(folder / "own", "--url", "http://127.0.0.1:1"), folder)
        assert "does not answer" in asked(process, message("tools/list"))["error"]["message"]

        os.kill(process.pid, number)

        assert process.wait(END_S) == 0
        assert b"Traceback" not in process.communicate()[1]


IMPATIENT = """
import sys
from ragstone.cli import main, mcp
mcp.PATIENCE_S = 0.2
sys.argv = ["ragstone", "mcp", "--data-dir", sys.argv[1]]
main()
"""
