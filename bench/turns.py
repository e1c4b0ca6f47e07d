"""Several ways to do the same thing, compared on one server in one run.

The ways take turns with every question, in an order that is drawn each time: what slows the machine, and what one call
leaves to the next, hits all of them alike.
"""

import random
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import cycle, islice
from pathlib import Path

from bench.api import TextDocument, api_of
from bench.corpus import make_documents
from bench.figures import COLUMNS, Figure
from bench.metrics import percentile
from bench.report import Table
from bench.server import Server, ready_ragstone

DOCUMENTS, WARM_UP = 60, 30
MOST_RATIO = 1.1  # of a skin's time to that of the native route
MOST_FIRST_TOKEN_MS = 1.0  # that a skin adds

Ask = Callable[[str], Awaitable[float | None]]
"""Asks a question and reads all of the reply; gives the moment (`time.perf_counter()`) that counts, None = the end."""


@asynccontextmanager
async def asked_server() -> AsyncIterator[tuple[Server, list[str]]]:
    """A server with documents, and questions that they answer."""
    documents = make_documents(DOCUMENTS)
    with tempfile.TemporaryDirectory(prefix="ragstone-bench-") as folder:
        async with ready_ragstone(Path(folder)) as server:
            async with api_of(server.port) as api:
                await api.upload(
                    "default", (TextDocument(each.title, each.title, each.text) for each in documents)
                )
                await api.wait_ready("default")
            yield server, [question for document in documents for question in document.questions]


async def take_turns(ways: Mapping[str, Ask], questions: Sequence[str], calls: int) -> dict[str, list[float]]:
    """Milliseconds of each way's calls, without those that warm up."""
    took: dict[str, list[float]] = {name: [] for name in ways}
    order, drawn = list(ways), random.Random(0)
    for number, question in enumerate(islice(cycle(questions), WARM_UP + calls)):
        drawn.shuffle(order)
        for name in order:
            began = time.perf_counter()
            counts = await ways[name](question)
            ended = time.perf_counter() if counts is None else counts
            if number >= WARM_UP:
                took[name].append((ended - began) * 1000)
    return took


def whole_call(name: str, skin: Sequence[float], native: Sequence[float], *, promised: bool = True) -> Figure:
    """Medians, and whether the skin costs no more than it may."""
    ours, floor = percentile(skin, 50), percentile(native, 50)
    if not promised:
        return Figure(name, ours, floor, ours / floor)
    return Figure(name, ours, floor, ours / floor, f"≤ {MOST_RATIO:g} ×", ours / floor <= MOST_RATIO)


def first_token(name: str, skin: Sequence[float], native: Sequence[float]) -> Figure:
    """The same of a stream's first token."""
    ours, floor = percentile(skin, 50), percentile(native, 50)
    target, is_met = f"≤ + {MOST_FIRST_TOKEN_MS:g} ms", ours - floor <= MOST_FIRST_TOKEN_MS
    return Figure(name, ours, floor, ours / floor, target, is_met)


def skin_table(title: str, skin: str, figures: Sequence[Figure], notes: Sequence[str] = ()) -> Table:
    """A row a way, beside the native route."""
    columns = [{"bare": "native", "Ragstone": skin}.get(name, name) for name in COLUMNS]
    return Table(title, columns, [figure.cells() for figure in figures], notes)
