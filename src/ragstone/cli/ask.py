"""`ask` and `search`."""

import json
from typing import Any

import typer
from pydantic import BaseModel
from rich.console import Console

from ragstone.cli.client import open_client
from ragstone.cli.render import print_outcome, print_piece, print_results, print_timings
from ragstone.client import AsyncAnswerStream, TokenEvent
from ragstone.config.settings import Settings


async def run_ask(
    settings: Settings, question: str, options: dict[str, Any], *, as_json: bool, show_sources: bool
) -> None:
    """Print the answer as it is written, then what is to be known about it. Raises CallFailed."""
    async with open_client(settings) as client:
        if as_json:
            _print_json(await client.query(question, **options))
            return
        async with client.stream(question, **options) as events:
            await _print_as_written(events)
        reply = events.answer.model_dump(mode="json")
        console = Console()
        print_outcome(console, reply)
        if show_sources:
            print_results(console, reply["sources"])


async def run_search(settings: Settings, query: str, options: dict[str, Any], *, as_json: bool) -> None:
    """Print the passages. Raises CallFailed."""
    async with open_client(settings) as client:
        found = await client.search(query, **options)
    if as_json:
        _print_json(found)
        return
    console, reply = Console(), found.model_dump(mode="json")
    print_results(console, reply["results"])
    print_timings(console, reply["metadata"])


async def _print_as_written(events: AsyncAnswerStream) -> None:
    """Its text ends with a line of its own, however it ends."""
    try:
        async for event in events:
            if isinstance(event, TokenEvent):
                print_piece(event.text)
    finally:
        if events.text:
            typer.echo()


def _print_json(reply: BaseModel) -> None:
    typer.echo(json.dumps(reply.model_dump(mode="json"), indent=2, ensure_ascii=False))
