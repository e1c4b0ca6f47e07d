"""How answers look in a terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

QUOTE = 160
MISSING = {
    "llm": "the model could not be reached; the answer is extractive",
    "dense": "the encoder could not be reached; passages were found by their words only",
    "sparse": "passages were not searched by their words",
}
CUT = {
    "length": "the answer is cut: it reached the longest length allowed",
    "content_filter": "the answer is cut: the model's content filter stopped it",
}

# A document or a model must not steer the terminal: control characters are shown as U+FFFD, line ends kept
_CONTROLS: dict[int, str | None] = dict.fromkeys(
    [*range(0x20), *range(0x7F, 0xA0)], "\N{REPLACEMENT CHARACTER}"
)
_CONTROLS |= {ord("\n"): "\n", ord("\t"): "\t", ord("\r"): None}


def print_piece(text: str) -> None:
    """A piece of an answer, at once and as it is."""
    typer.echo(inert(text), nl=False)


def print_outcome(console: Console, reply: Mapping[str, Any]) -> None:
    """What is said below an answer: what it lacks, its citations, the times."""
    if reply["abstained"]:
        console.print(f"  abstained: {reply['reason']}", style="yellow")
    for part in reply["degraded"]:
        console.print(f"  degraded: {part} ({MISSING.get(part, 'left out')})", style="yellow")
    if reply["finish_reason"] in CUT:
        console.print(f"  {CUT[reply['finish_reason']]}", style="yellow")
    if reply["grounded"] != "full" and not reply["abstained"]:
        _print_unsupported(console, reply)
    print_citations(console, reply["citations"])
    print_timings(console, reply["metadata"])


def print_citations(console: Console, citations: Sequence[Mapping[str, Any]]) -> None:
    """Number, title, heading path, the quote and its offsets."""
    for citation in citations:
        source = citation["source"]
        place = " › ".join(
            [source["title"], *(part for part in source["heading"] if part != source["title"])]
        )
        mark = "verified" if citation["verified"] else "not verified"
        console.print(
            f"  [cyan]\\[{citation['n']}][/] [bold]{_shown(place)}[/] "
            f"[dim]{source['start']}–{source['end']}, {mark}[/]"
        )
        console.print(f"      “{_shown(shorten(source['quote']))}”", style="italic")


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
            f"[cyan]{result['n']}.[/] [bold]{_shown(place)}[/] [dim]{result['score']:.3f} ({legs})[/]"
        )
        console.print(f"   {_shown(shorten(result['text'] or ''))}")


def table_of(title: str, rows: Sequence[tuple[str, str]]) -> Table:
    """Two columns."""
    table = Table(title=title, show_header=False, title_justify="left")
    for row in rows:
        table.add_row(*(_shown(cell) for cell in row))
    return table


def shorten(text: str, most: int = QUOTE) -> str:
    """On one line, cut with an ellipsis."""
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 1]}…"


def inert(text: str) -> str:
    """Without what a terminal would obey."""
    return text.translate(_CONTROLS)


def _print_unsupported(console: Console, reply: Mapping[str, Any]) -> None:
    listing = "; without support in the sources:" if reply["unsupported"] else ""
    console.print(f"  grounded: {reply['grounded']}{listing}", style="yellow")
    for span in reply["unsupported"]:
        sentence = reply["answer"][span["start"] : span["end"]]
        console.print(f"      “{_shown(shorten(sentence))}”", style="yellow")


def _shown(text: str) -> str:
    """Inert, and without markup of Rich."""
    return escape(inert(text))
