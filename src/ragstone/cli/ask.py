"""`ask` and `search`."""

import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import typer
from rich.console import Console

from ragstone.cli.client import open_client
from ragstone.cli.render import print_outcome, print_piece, print_results, print_timings
from ragstone.config.settings import Settings

Events = AsyncGenerator[tuple[str, dict[str, Any]], None]


async def run_ask(settings: Settings, body: dict[str, Any], *, as_json: bool, show_sources: bool) -> None:
    """Print the answer as it is written, then what is to be known about it. Raises CommandFailed."""
    async with open_client(settings) as client:
        if as_json:
            _print_json(await client.call("POST", "/query", json=body))
            return
        async with aclosing(client.stream("/query", {**body, "stream": True})) as events:
            reply = await _print_as_written(events)
        console = Console()
        print_outcome(console, reply)
        if show_sources:
            print_results(console, reply["sources"])


async def run_search(settings: Settings, body: dict[str, Any], *, as_json: bool) -> None:
    """Print the passages."""
    async with open_client(settings) as client:
        found = await client.call("POST", "/search", json=body)
    if as_json:
        _print_json(found)
        return
    console = Console()
    print_results(console, found["results"])
    print_timings(console, found["metadata"])


async def _print_as_written(events: Events) -> dict[str, Any]:
    """The reply that the events add up to; its text ends with a line of its own, however it ends."""
    reply: dict[str, Any] = {"answer": "", "citations": []}
    try:
        async for name, content in events:
            _add(reply, name, content)
            if name == "token":
                print_piece(content["text"])
    finally:
        if reply["answer"]:
            typer.echo()
    return reply


def _add(reply: dict[str, Any], name: str, content: dict[str, Any]) -> None:
    match name:
        case "token":
            reply["answer"] += content["text"]
        case "citation":
            reply["citations"].append(content)
        case "sources" | "metadata" | "done":
            reply.update(content)


def _print_json(reply: dict[str, Any]) -> None:
    typer.echo(json.dumps(reply, indent=2, ensure_ascii=False))
