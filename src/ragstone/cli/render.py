"""How answers look in a terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

QUOTE = 160


def print_citations(console: Console, citations: Sequence[Mapping[str, Any]]) -> None:
    """Number, title, heading path, the quote and its offsets."""
    for citation in citations:
        source = citation["source"]
        place = " › ".join(
            [source["title"], *(part for part in source["heading"] if part != source["title"])]
        )
        mark = "verified" if citation["verified"] else "not verified"
        console.print(
            f"  [cyan]\\[{citation['n']}][/] [bold]{escape(place)}[/] "
            f"[dim]{source['start']}–{source['end']}, {mark}[/]"
        )
        console.print(f"      “{escape(shorten(source['quote']))}”", style="italic")


def print_timings(console: Console, metadata: Mapping[str, Any]) -> None:
    """One dim line of stages."""
    stages = [
        f"{name.removesuffix('_ms')} {value:.1f}" for name, value in metadata.items() if name.endswith("_ms")
    ]
    console.print(f"  ms: {' · '.join(stages)}", style="dim")


def print_results(console: Console, results: Sequence[Mapping[str, Any]]) -> None:
    """Passages with their scores."""
    for result in results:
        place = " › ".join([result["title"], *result["heading"]])
        legs = ", ".join(f"{leg} {value:.3f}" for leg, value in result["scores"].items() if value is not None)
        console.print(
            f"[cyan]{result['n']}.[/] [bold]{escape(place)}[/] [dim]{result['score']:.3f} ({legs})[/]"
        )
        console.print(f"   {escape(shorten(result['text'] or ''))}")


def table_of(title: str, rows: Sequence[tuple[str, str]]) -> Table:
    """Two columns."""
    table = Table(title=title, show_header=False, title_justify="left")
    for row in rows:
        table.add_row(*(escape(cell) for cell in row))
    return table


def shorten(text: str, most: int = QUOTE) -> str:
    """On one line, cut with an ellipsis."""
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 1]}…"
