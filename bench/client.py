"""What the Python client costs: the same questions by plain calls of httpx2 and by the client, one after the other.

`python -m bench.client` prints its tables alone. Who comes first changes with every question, so that a busy moment and
a warm cache favour nobody.
"""

import asyncio
import json
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

import httpx2

from bench.corpus import make_documents
from bench.figures import COLUMNS, Figure
from bench.load import run_on_uvloop
from bench.report import Report, Table
from bench.server import Server, ready_ragstone
from ragstone.client import AsyncRagstone, Ragstone, TokenEvent

DOCUMENTS = 100
QUESTIONS = 400
WARM_UP = 20
RATIO = 1.1
FIRST_TOKEN_MS = 1.0
NOTES = (
    "medians over the same questions, asked in turns; raw: httpx2 and json.loads, nothing else",
    "answers are extractive, so a call is short and what the client adds weighs most",
)

Ask = Callable[[str], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Pair:
    """One thing done in both ways; each returns when it is done."""

    name: str
    raw: Ask
    client: Ask
    is_stream: bool = False


async def measure() -> Table:
    """A row for each way to ask."""
    documents = make_documents(DOCUMENTS, sections=2)
    questions = [question for document in documents for question in document.questions][:QUESTIONS]
    with tempfile.TemporaryDirectory(prefix="ragstone-bench-") as folder:
        async with ready_ragstone(Path(folder)) as server, AsyncExitStack() as opened:
            async with AsyncRagstone(_url(server)) as client:
                uploads = [await client.upload_text(document.text) for document in documents]
                for upload in uploads:
                    assert upload.job is not None
                    await client.jobs.wait(upload.job.id)
            figures = [await _compare(pair, questions) for pair in await _pairs(server, opened)]
    return Table("The Python client", _columns(), [figure.cells() for figure in figures], NOTES)


async def _compare(pair: Pair, questions: Sequence[str]) -> Figure:
    raw: list[float] = []
    client: list[float] = []
    ways = [(pair.raw, raw), (pair.client, client)]
    for question in questions[:WARM_UP]:
        for ask, _ in ways:
            await ask(question)
    for question in questions:
        for ask, times in ways:
            started = time.perf_counter()
            await ask(question)
            times.append((time.perf_counter() - started) * 1000)
        ways.reverse()
    ours, floor = median(client), median(raw)
    if pair.is_stream:
        return Figure(
            pair.name, ours, floor, ours / floor, f"≤ + {FIRST_TOKEN_MS:g} ms", ours - floor <= FIRST_TOKEN_MS
        )
    return Figure(pair.name, ours, floor, ours / floor, f"≤ {RATIO:g} ×", ours / floor <= RATIO)


async def _pairs(server: Server, opened: AsyncExitStack) -> list[Pair]:
    url = _url(server)
    http = await opened.enter_async_context(httpx2.AsyncClient(base_url=url, trust_env=False))
    awaited = await opened.enter_async_context(AsyncRagstone(url))
    http_waiting = opened.enter_context(httpx2.Client(base_url=url, trust_env=False))
    waiting = opened.enter_context(Ragstone(url))
    return [
        Pair("POST /search, awaited, ms", partial(_post, http, "/search"), awaited.search),
        Pair("POST /query, awaited, ms", partial(_post, http, "/query"), awaited.query),
        Pair(
            "POST /search, in a thread, ms",
            _threaded(partial(_post_waiting, http_waiting, "/search")),
            _threaded(waiting.search),
        ),
        Pair(
            "POST /query, in a thread, ms",
            _threaded(partial(_post_waiting, http_waiting, "/query")),
            _threaded(waiting.query),
        ),
        Pair(
            "first token, awaited, ms",
            partial(_first_token, http),
            partial(_first_token_of, awaited),
            is_stream=True,
        ),
        Pair(
            "first token, in a thread, ms",
            _threaded(partial(_first_token_waiting, http_waiting)),
            _threaded(partial(_first_token_of_waiting, waiting)),
            is_stream=True,
        ),
    ]


def _threaded(ask: Callable[[str], object]) -> Ask:
    return lambda question: asyncio.to_thread(ask, question)


async def _post(http: httpx2.AsyncClient, path: str, question: str) -> object:
    return (await http.post(path, json={"query": question})).raise_for_status().json()


def _post_waiting(http: httpx2.Client, path: str, question: str) -> object:
    return http.post(path, json={"query": question}).raise_for_status().json()


async def _first_token(http: httpx2.AsyncClient, question: str) -> object:
    body = {"query": question, "stream": True}
    async with http.sse("/query", method="POST", json=body) as events:
        async for event in events:
            content = json.loads(event.data)
            if event.event == "token":
                return content
    return None


def _first_token_waiting(http: httpx2.Client, question: str) -> object:
    body = {"query": question, "stream": True}
    with http.sse("/query", method="POST", json=body) as events:
        for event in events:
            content = json.loads(event.data)
            if event.event == "token":
                return content
    return None


async def _first_token_of(client: AsyncRagstone, question: str) -> object:
    async with client.stream(question) as events:
        async for event in events:
            if isinstance(event, TokenEvent):
                return event
    return None


def _first_token_of_waiting(client: Ragstone, question: str) -> object:
    with client.stream(question) as events:
        for event in events:
            if isinstance(event, TokenEvent):
                return event
    return None


def _url(server: Server) -> str:
    return f"http://127.0.0.1:{server.port}"


def _columns() -> list[str]:
    return [{"bare": "raw", "Ragstone": "client"}.get(name, name) for name in COLUMNS]


async def _run() -> None:
    Report().add(await measure())


if __name__ == "__main__":
    run_on_uvloop(_run())
