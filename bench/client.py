"""What the Python client costs: the same questions by plain calls of httpx2 and by the client, one after the other.

`python -m bench.client [--calls 300]`.
"""

import argparse
import asyncio
import json
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import httpx2

from bench.figures import Figure
from bench.load import run_on_uvloop
from bench.report import Report, Table
from bench.turns import Ask, asked_server, first_token, skin_table, take_turns, whole_call
from ragstone.client import AsyncRagstone, Ragstone, TokenEvent

NOTES = (
    "native: httpx2 and json.loads, nothing else",
    "answers are extractive, so a call is short and what the client adds weighs most",
)
ROUTES = ("search", "query", "first token")


async def measure(calls: int) -> Table:
    """A row for each way to ask."""
    async with asked_server() as (server, questions):
        url = f"http://127.0.0.1:{server.port}"
        async with (
            httpx2.AsyncClient(base_url=url, trust_env=False) as http,
            AsyncRagstone(url) as client,
        ):
            awaited = await take_turns(_awaited(http, client), questions, calls)
        with httpx2.Client(base_url=url, trust_env=False) as waiting_http, Ragstone(url) as waiting:
            threaded = await take_turns(_threaded(waiting_http, waiting), questions, calls)
    figures = [*_figures(awaited, "awaited"), *_figures(threaded, "in a thread")]
    return skin_table("The Python client", "client", figures, NOTES)


def _figures(took: dict[str, list[float]], how: str) -> list[Figure]:
    return [
        (first_token if route == "first token" else whole_call)(
            f"{route}, {how}, ms", took[f"client {route}"], took[route]
        )
        for route in ROUTES
    ]


def _awaited(http: httpx2.AsyncClient, client: AsyncRagstone) -> dict[str, Ask]:
    return {
        "search": partial(_post, http, "/search"),
        "query": partial(_post, http, "/query"),
        "first token": partial(_first_token, http),
        "client search": lambda question: _awaiting(client.search(question)),
        "client query": lambda question: _awaiting(client.query(question)),
        "client first token": partial(_first_token_of, client),
    }


def _threaded(http: httpx2.Client, client: Ragstone) -> dict[str, Ask]:
    ways: dict[str, Callable[[str], float | None]] = {
        "search": partial(_post_waiting, http, "/search"),
        "query": partial(_post_waiting, http, "/query"),
        "first token": partial(_first_token_waiting, http),
        "client search": lambda question: _nothing(client.search(question)),
        "client query": lambda question: _nothing(client.query(question)),
        "client first token": partial(_first_token_of_waiting, client),
    }
    return {name: _in_thread(way) for name, way in ways.items()}


def _in_thread(way: Callable[[str], float | None]) -> Ask:
    return lambda question: asyncio.to_thread(way, question)


def _nothing(_reply: object) -> None:
    """The end is what counts."""


async def _awaiting(reply: Any) -> None:
    await reply


async def _post(http: httpx2.AsyncClient, path: str, question: str) -> None:
    (await http.post(path, json={"query": question})).raise_for_status().json()


def _post_waiting(http: httpx2.Client, path: str, question: str) -> None:
    http.post(path, json={"query": question}).raise_for_status().json()


async def _first_token(http: httpx2.AsyncClient, question: str) -> float:
    came = 0.0
    body = {"query": question, "stream": True}
    async with http.sse("/query", method="POST", json=body) as events:
        async for event in events:
            json.loads(event.data)
            if event.event == "token":
                came = came or time.perf_counter()
    return came


def _first_token_waiting(http: httpx2.Client, question: str) -> float:
    came = 0.0
    body = {"query": question, "stream": True}
    with http.sse("/query", method="POST", json=body) as events:
        for event in events:
            json.loads(event.data)
            if event.event == "token":
                came = came or time.perf_counter()
    return came


async def _first_token_of(client: AsyncRagstone, question: str) -> float:
    came = 0.0
    async with client.stream(question) as events:
        async for event in events:
            if isinstance(event, TokenEvent):
                came = came or time.perf_counter()
    return came


def _first_token_of_waiting(client: Ragstone, question: str) -> float:
    came = 0.0
    with client.stream(question) as events:
        for event in events:
            if isinstance(event, TokenEvent):
                came = came or time.perf_counter()
    return came


async def _run(calls: int) -> None:
    Report().add(await measure(calls))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=300)
    run_on_uvloop(_run(parser.parse_args().calls))
