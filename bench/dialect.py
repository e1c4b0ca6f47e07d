"""What OpenAI's dialect adds to a call: its routes against the native ones, call after call on the same server.

`python -m bench.dialect [--calls 300]`.
"""

import argparse
import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import openai

from bench.figures import Figure
from bench.load import MAX_HEAD_BYTES, Connection, connected, run_on_uvloop
from bench.report import Report, Table
from bench.turns import Ask, asked_server, first_token, skin_table, take_turns, whole_call

NOTES = (
    "medians over the same questions, asked in turns over connections that stay open; answers are extractive, so a call "
    "is short and what a skin adds weighs most",
    "stored: one more commit on disk before the reply, as for whatever is acknowledged",
)
MODEL = "ragstone/default"
TOOLS = [{"type": "file_search", "vector_store_ids": ["default"]}]


async def measure(calls: int) -> Table:
    """A row for each way to ask."""
    async with (
        asked_server() as (server, questions),
        connected(server.port) as connection,
        openai.AsyncOpenAI(
            base_url=f"http://127.0.0.1:{server.port}/v1", api_key="none", max_retries=0
        ) as sdk,
    ):
        took = await take_turns(_ways(connection, sdk, server.port), questions, calls)
    asked, found = took["POST /query"], took["POST /search"]
    figures = [
        whole_call("chat completion, ms", took["chat"], asked),
        whole_call("response, not stored, ms", took["response"], asked),
        whole_call("response, stored, ms", took["stored"], asked, promised=False),
        whole_call("vector store search, ms", took["store"], found),
        whole_call("chat completion by the SDK, ms", took["sdk"], asked, promised=False),
        *_first_tokens(took),
    ]
    return skin_table("OpenAI's dialect", "dialect", figures, NOTES)


def _first_tokens(took: dict[str, list[float]]) -> list[Figure]:
    native = took["stream"]
    return [
        first_token("first token of a chat, ms", took["chat stream"], native),
        first_token("first token of a response, ms", took["response stream"], native),
    ]


def _ways(connection: Connection, sdk: openai.AsyncOpenAI, port: int) -> dict[str, Ask]:
    def posted(path: str, body: Callable[[str], dict[str, Any]]) -> Ask:
        return lambda question: _posted(connection, path, body(question))

    def streamed(path: str, body: Callable[[str], dict[str, Any]], mark: bytes) -> Ask:
        return lambda question: _streamed(port, path, {**body(question), "stream": True}, mark)

    return {
        "POST /query": posted("/query", _query),
        "chat": posted("/v1/chat/completions", _chat),
        "response": posted("/v1/responses", _response),
        "stored": posted("/v1/responses", lambda question: {**_response(question), "store": True}),
        "POST /search": posted("/search", lambda question: {"query": question, "top_k": 10}),
        "store": posted("/v1/vector_stores/default/search", _query),
        "sdk": partial(_by_sdk, sdk),
        "stream": streamed("/query", _query, b"event: token"),
        "chat stream": streamed("/v1/chat/completions", _chat, b'"delta":{"content":"'),
        "response stream": streamed("/v1/responses", _response, b"event: response.output_text.delta"),
    }


def _query(question: str) -> dict[str, Any]:
    return {"query": question}


def _chat(question: str) -> dict[str, Any]:
    return {"model": MODEL, "messages": [{"role": "user", "content": question}]}


def _response(question: str) -> dict[str, Any]:
    return {"model": MODEL, "input": question, "tools": TOOLS, "store": False}


async def _posted(connection: Connection, path: str, body: dict[str, Any]) -> None:
    await connection.call("POST", path, body)


async def _by_sdk(sdk: openai.AsyncOpenAI, question: str) -> None:
    await sdk.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": question}])


async def _streamed(port: int, path: str, body: dict[str, Any], mark: bytes) -> float:
    """When the mark came, in a stream on a connection of its own that is read to its end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=MAX_HEAD_BYTES * 16)
    try:
        writer.write(Connection(port).request("POST", path, body))
        await reader.readuntil(mark)
        came = time.perf_counter()
        await reader.readuntil(b"\r\n0\r\n\r\n")
        return came
    finally:
        writer.close()


async def _run(calls: int) -> None:
    Report().add(await measure(calls))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=300)
    run_on_uvloop(_run(parser.parse_args().calls))
