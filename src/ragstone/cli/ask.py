"""`ask` and `search`."""

import json
from typing import Any

import typer
from rich.console import Console

from ragstone.cli.client import open_client
from ragstone.cli.render import print_citations, print_results, print_timings
from ragstone.config.settings import Settings


async def run_ask(settings: Settings, body: dict[str, Any], *, as_json: bool) -> None:
    """Print the answer with its citations and times."""
    async with open_client(settings) as client:
        answer = await client.call("POST", "/query", json=body)
    if as_json:
        typer.echo(json.dumps(answer, indent=2, ensure_ascii=False))
        return
    console = Console()
    console.print(answer["answer"], markup=False, highlight=False)
    if answer["abstained"]:
        console.print(f"  abstained: {answer['reason']}", style="yellow")
    print_citations(console, answer["citations"])
    print_timings(console, answer["metadata"])


async def run_search(settings: Settings, body: dict[str, Any], *, as_json: bool) -> None:
    """Print the passages."""
    async with open_client(settings) as client:
        found = await client.call("POST", "/search", json=body)
    if as_json:
        typer.echo(json.dumps(found, indent=2, ensure_ascii=False))
        return
    console = Console()
    print_results(console, found["results"])
    print_timings(console, found["metadata"])
