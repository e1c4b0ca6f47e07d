"""A long day in short: `python -m bench.soak --minutes 30`. Documents come, change and go, questions are asked, and
every other stream is left in its middle, at a pace that the server can keep for ever. What it holds must not grow.
"""

import argparse
import asyncio
import os
import random
import re
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count, cycle
from statistics import median

from bench.answer_stream import open_streams
from bench.corpus import make_documents
from bench.figures import Figure, table
from bench.load import Connection, UnexpectedStatus, connected, run_on_uvloop
from bench.report import Report
from bench.server import Server
from bench.stream_servers import Servers, serving

DOCUMENTS = 60  # besides those that come and go
SOURCES = 40
TOKENS, TOKENS_PER_S, LEFT_AFTER = 80, 60.0, 20
SAMPLE_EVERY_S, UPLOAD_EVERY_S, STREAM_EVERY_S, ASK_EVERY_S = 5.0, 1.0, 1.0, 0.2
DELETED_EVERY = 5  # uploads
AT_REST_S = 45.0  # parse workers go after 30 s without work
GROWTH_LIMIT = 1.05
_TASKS = re.compile(rb"^ragstone_event_loop_tasks(?:\{[^}]*\})? (\S+)$", re.M)


@dataclass(frozen=True, slots=True)
class Held:
    """What the server holds at rest."""

    descriptors: int
    tasks: int


@dataclass(slots=True)
class Day:
    """What was done, what went wrong, and how much memory all processes had together, in MB."""

    done: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    pss_mb: list[float] = field(default_factory=list)

    def count(self, name: str) -> None:
        """One more."""
        self.done[name] = self.done.get(name, 0) + 1


async def live(servers: Servers, day: Day, *, seconds: float) -> None:
    """All of it side by side, for so long."""
    await servers.set_pace(tokens=TOKENS, first_token_s=0.1, tokens_per_s=TOKENS_PER_S)
    until = time.monotonic() + seconds
    async with connected(servers.ragstone.port) as writing, connected(servers.ragstone.port) as asking:
        await asyncio.gather(
            _change_documents(writing, day, until),
            _ask(asking, servers.questions, day, until),
            _stream(servers, day, until),
            _weigh(servers.ragstone, day, until),
        )


async def _change_documents(connection: Connection, day: Day, until: float) -> None:
    """New documents and new versions, and now and then a delete."""
    chance, texts = random.Random(1), cycle(make_documents(200, seed=11))
    known: dict[str, str] = {}
    for number in count(1):
        if time.monotonic() >= until:
            return
        source = f"soak-{chance.randrange(SOURCES)}"
        if number % DELETED_EVERY == 0 and known:
            gone = chance.choice(sorted(known))
            await connection.call("DELETE", f"/documents/{known.pop(gone)}")
            day.count("deletes")
        else:
            text = f"{next(texts).text}\n\nThis is change {number}."
            reply = await connection.call("POST", "/documents", {"text": text, "source": source})
            known[source] = reply["document"]["id"]
            day.count("uploads")
        await asyncio.sleep(UPLOAD_EVERY_S)


async def _ask(connection: Connection, questions: Sequence[str], day: Day, until: float) -> None:
    for number, question in enumerate(cycle(questions)):
        if time.monotonic() >= until:
            return
        path = "/search" if number % 2 else "/query"
        body = {"query": question} if number % 2 else {"query": question, "provider": "extractive"}
        try:
            await connection.call("POST", path, body)
            day.count("questions")
        except UnexpectedStatus as error:
            day.problems.append(str(error))
        await asyncio.sleep(ASK_EVERY_S)


async def _stream(servers: Servers, day: Day, until: float) -> None:
    """Every second one is left in its middle."""
    running = set[asyncio.Task[None]]()
    for number, request in enumerate(cycle(servers.requests(servers.ragstone))):
        if time.monotonic() >= until:
            break
        task = asyncio.create_task(_one_stream(servers.ragstone.port, request, day, is_left=number % 2 == 0))
        running.add(task)
        task.add_done_callback(running.discard)
        await asyncio.sleep(STREAM_EVERY_S)
    await asyncio.gather(*running)


async def _one_stream(port: int, request: bytes, day: Day, *, is_left: bool) -> None:
    [stream] = await open_streams(port, 1)
    stream.ask(request, leave_after=LEFT_AFTER if is_left else None)
    async with asyncio.timeout(60):
        await stream.ended
    day.count("streams left" if is_left else "whole streams")
    if not is_left and not stream.is_whole:
        day.problems.append("a stream was not whole")


async def _weigh(server: Server, day: Day, until: float) -> None:
    while time.monotonic() < until:
        day.pss_mb.append(await asyncio.to_thread(server.pss_mb))
        await asyncio.sleep(SAMPLE_EVERY_S)


async def at_rest(server: Server) -> Held:
    """After work has ended and idle helpers have gone."""
    await asyncio.sleep(AT_REST_S)
    async with connected(server.port) as connection:
        _, metrics = await connection.exchange(connection.request("GET", "/metrics"))
    found = _TASKS.search(metrics)
    assert found is not None
    return Held(sum(_descriptors(pid) for pid in server.pids), int(float(found[1])))


def _descriptors(pid: int) -> int:
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208 - only counted
    except OSError:
        return 0


def figures(day: Day, before: Held, after: Held) -> list[Figure]:
    """Medians of the thirds are compared, since a single weighing may hit a parse worker."""
    third = len(day.pss_mb) // 3
    second, last = median(day.pss_mb[third : 2 * third]), median(day.pss_mb[2 * third :])
    ratio = last / second
    name = f"memory (PSS), median of the last third, MB (second {second:.0f})"
    return [
        Figure(name, last, None, ratio, f"≤ {GROWTH_LIMIT:g} ×", ratio <= GROWTH_LIMIT),
        _held("file descriptors", before.descriptors, after.descriptors),
        _held("tasks of the event loop", before.tasks, after.tasks),
        *(Figure(name, times) for name, times in sorted(day.done.items())),
        Figure("errors", len(day.problems), target="0", is_met=not day.problems),
    ]


def _held(name: str, before: int, after: int) -> Figure:
    return Figure(f"{name} at rest ({before} before)", after, target=f"≤ {before}", is_met=after <= before)


async def soak(minutes: float) -> bool:
    """Print the table; whether all of it is as it should be."""
    day = Day()
    async with serving(DOCUMENTS) as servers:
        await live(servers, Day(), seconds=30.0)  # all parts have started, caches are filled
        before = await at_rest(servers.ragstone)
        await live(servers, day, seconds=minutes * 60.0)
        after = await at_rest(servers.ragstone)
    found = figures(day, before, after)
    Report().add(table(f"{minutes:g} minutes of use", found))
    print("\n".join(day.problems[:20]))
    return all(figure.is_met is not False for figure in found)


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    minutes = parser.parse_args().minutes
    outcome: list[bool] = []

    async def run() -> None:
        outcome.append(await soak(minutes))

    run_on_uvloop(run())
    sys.exit(not outcome[0])


if __name__ == "__main__":
    main()
