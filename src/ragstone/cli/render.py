"""How answers look in a terminal."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ragstone.cli.tally import FileFailure, Kind, Tally

QUOTE = 160
LONG_LIST = 20  # failures; beyond it they are counted by code as well
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
    """Number, title, heading path, where it stands, the quote and its offsets."""
    for citation in citations:
        source = citation["source"]
        place = " › ".join(
            [source["title"], *(part for part in source["heading"] if part != source["title"])]
        )
        mark = "verified" if citation["verified"] else "not verified"
        console.print(
            f"  [cyan]\\[{citation['n']}][/] [bold]{_shown(place)}[/] "
            f"[dim]{_shown(_where(source['location']))}{source['start']}–{source['end']}, {mark}[/]"
        )
        console.print(f"      “{_shown(shorten(source['quote']))}”", style="italic")


def print_timings(console: Console, metadata: Mapping[str, Any]) -> None:
    """One dim line of stages."""
    stages = [
        f"{name.removesuffix('_ms')} {value:.1f}" for name, value in metadata.items() if name.endswith("_ms")
    ]
    console.print(f"  ms: {' · '.join(stages)}", style="dim")


def print_results(console: Console, results: Sequence[Mapping[str, Any]]) -> None:
    """Passages with where they stand and their scores."""
    for result in results:
        place = " › ".join([result["title"], *result["heading"]])
        legs = ", ".join(f"{leg} {value:.3f}" for leg, value in result["scores"].items() if value is not None)
        console.print(
            f"[cyan]{result['n']}.[/] [bold]{_shown(place)}[/] "
            f"[dim]{_shown(_where(result['location']))}{result['score']:.3f} ({legs})[/]"
        )
        console.print(f"   {_shown(shorten(result['text'] or ''))}")


def print_tally(console: Console, tally: Tally) -> None:
    """The end of an ingest: counts, every failure, how to go on."""
    kinds = ", ".join(f"{tally.searchable[kind]:,} {kind}" for kind in Kind)
    console.print(
        f"{tally.searchable.total():,} of {tally.total:,} files are searchable: {kinds}; "
        f"{len(tally.failures):,} failed ({timedelta(seconds=round(tally.seconds))}).",
        highlight=False,
        soft_wrap=True,
    )
    if tally.left_out:
        counts = ", ".join(f"{count:,} {reason}" for reason, count in sorted(tally.left_out.items()))
        console.print(f"Left out: {counts}.", highlight=False)
    if tally.failures:
        _print_failures(console, sorted(tally.failures, key=lambda failure: failure.source))
    if tally.stopped is not None:
        console.print(
            f"Stopped before the end: {_shown(tally.stopped)}. To go on, run the same command again: what is here "
            "already is not sent again.",
            style="yellow",
            highlight=False,
            soft_wrap=True,
        )


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


def _print_failures(console: Console, failures: Sequence[FileFailure]) -> None:
    """All of them, long reasons shortened; a table that does not fit folds its cells."""
    table = Table("file", "code", "reason", title=f"{len(failures):,} failed", title_justify="left")
    for column in table.columns:
        column.overflow = "fold"
    for failure in failures:
        page = "" if failure.page is None else f" (p. {failure.page})"
        cells = (failure.source, failure.code, shorten(failure.message) + page)
        table.add_row(*(_shown(cell) for cell in cells))
    console.print(table)
    if len(failures) > LONG_LIST:
        counts = Counter(failure.code for failure in failures).most_common()
        console.print(", ".join(f"{count:,} {code}" for code, count in counts), highlight=False)
    console.print(
        "What a code means and what helps is in docs/troubleshooting.md. Failed files are tried again by the next run.",
        style="dim",
        soft_wrap=True,
    )


def _where(location: Mapping[str, Any]) -> str:
    """Place in the original, with a comma behind it; empty where the format has none."""
    first, last = location["page"], location["page_end"]
    parts = []
    if first is not None:
        parts.append(f"p. {first}" if last in (None, first) else f"pp. {first}-{last}")
    if location["slide"] is not None:
        parts.append(f"slide {location['slide']}")
    if location["sheet"] is not None:
        parts.append(f"sheet {location['sheet']}")
    return "".join(f"{part}, " for part in parts)


def _print_unsupported(console: Console, reply: Mapping[str, Any]) -> None:
    listing = "; without support in the sources:" if reply["unsupported"] else ""
    console.print(f"  grounded: {reply['grounded']}{listing}", style="yellow")
    for span in reply["unsupported"]:
        sentence = reply["answer"][span["start"] : span["end"]]
        console.print(f"      “{_shown(shorten(sentence))}”", style="yellow")


def _shown(text: str) -> str:
    """Inert, and without markup of Rich."""
    return escape(inert(text))
