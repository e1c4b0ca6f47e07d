"""`ragstone fake-llm`, in this process and over its real socket."""

import asyncio
import os
import re
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from openai import AsyncOpenAI, InternalServerError

from ragstone.cli.failure import CommandFailed
from ragstone.cli.fake_llm import run_fake_llm
from ragstone.testing.upstream import ScriptedUpstream
from tests.waiting import until

ASK: dict[str, Any] = {"model": "scripted", "messages": [{"role": "user", "content": "What?"}]}
OPTIONS: dict[str, Any] = {
    "host": "127.0.0.1",
    "port": 0,
    "faults": (),
    "tokens_per_second": 1_000.0,
    "first_token_seconds": 0.0,
    "say": None,
}


class Terminal:
    """What was printed so far."""

    def __init__(self, capsys: pytest.CaptureFixture[str]):
        self._capsys = capsys
        self.text = ""

    async def wait_for(self, pattern: str) -> str:
        """The first group, as soon as it was printed."""

        async def is_printed() -> bool:
            self.text += self._capsys.readouterr().out
            return re.search(pattern, self.text) is not None

        await until(is_printed)
        found = re.search(pattern, self.text)
        assert found is not None
        return found[1]


@asynccontextmanager
async def running(
    capsys: pytest.CaptureFixture[str], **options: Any
) -> AsyncIterator[tuple[Terminal, AsyncOpenAI]]:
    """The command until SIGINT, and a client that follows its advice."""
    terminal = Terminal(capsys)
    serving = asyncio.create_task(run_fake_llm(**{**OPTIONS, **options}))
    base_url = await terminal.wait_for(r"OPENAI_BASE_URL=(\S+) .*OPENAI_MODEL=scripted")
    async with AsyncOpenAI(base_url=base_url, api_key="any", max_retries=0, timeout=10) as client:
        yield terminal, client
    os.kill(os.getpid(), signal.SIGINT)
    await serving


async def test_it_says_how_to_use_it_and_prints_a_line_for_each_request(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with running(capsys, faults=["status:code=503"], say="Hello.") as (terminal, client):
        with pytest.raises(InternalServerError):
            await client.chat.completions.create(**ASK)
        completion = await client.chat.completions.create(**ASK)
        await terminal.wait_for(r"(POST /v1/chat/completions fault \(status\) \d+\.\d\d s\n)")
        await terminal.wait_for(r"(POST /v1/chat/completions answered \d+\.\d\d s\n)")

    assert completion.choices[0].message.content == "Hello."


async def test_its_advice_about_faults_holds(capsys: pytest.CaptureFixture[str]) -> None:
    async with running(capsys) as (terminal, client):
        faulty = client.with_options(base_url=await terminal.wait_for(r"OPENAI_BASE_URL=(\S+/fault/\S+)"))
        stream = await faulty.chat.completions.create(stream=True, **ASK)
        text = ""
        async for chunk in stream:
            text += chunk.choices[0].delta.content or ""
            if len(text) == 20:
                break
        await stream.close()
        await terminal.wait_for(r"(client_left \(hang_mid\))")


async def test_an_unknown_fault_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(CommandFailed, match=r"unknown fault 'boom'; known: .*hang_mid"):
        await run_fake_llm(**{**OPTIONS, "faults": ["boom"]})


async def test_a_port_that_is_taken_is_named() -> None:
    async with ScriptedUpstream() as other:
        port = int(other.root_url.rpartition(":")[2])
        with pytest.raises(CommandFailed, match=rf"127\.0\.0\.1 port {port} cannot be listened on: .*--port"):
            await run_fake_llm(**{**OPTIONS, "port": port})
