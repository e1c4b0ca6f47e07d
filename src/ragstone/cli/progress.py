"""How far a command is: a bar in a terminal; of an ingest a line now and then elsewhere."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

from rich.console import Console, RenderableType
from rich.filesize import decimal
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ragstone.cli.render import inert
from ragstone.cli.tally import Kind, Tally

REFRESHES_PER_S = 5
LINE_EVERY_S = 10.0
WINDOW_S = 30.0  # what rates are taken over: long enough to be calm, short enough to be of now


class Pace:
    """Files and bytes a second of late."""

    def __init__(self, tally: Tally):
        self._tally = tally
        self._seen: deque[tuple[float, int, int]] = deque()

    def words(self) -> str:
        """Counts, rates and the time that is left, from what was seen at the calls before this one."""
        tally = self._tally
        files_per_s, bytes_per_s = self._rates()
        parts = [f"{tally.done:,} of {tally.total:,} files"]
        parts += [f"{len(tally.failures):,} failed"] if tally.failures else []
        parts += [f"{skipped:,} unchanged"] if (skipped := tally.searchable[Kind.UNCHANGED]) else []
        parts += [f"{files_per_s:,.1f} files/s", f"{decimal(round(bytes_per_s))}/s sent"]
        if files_per_s:
            left_s = (tally.total - tally.done) / files_per_s
            parts.append(f"{timedelta(seconds=round(left_s))} left")
        return ", ".join(parts)

    def _rates(self) -> tuple[float, float]:
        now = (time.monotonic(), self._tally.done, self._tally.bytes_sent)
        self._seen.append(now)
        while self._seen[0][0] < now[0] - WINDOW_S and len(self._seen) > 2:
            self._seen.popleft()
        then = self._seen[0] if len(self._seen) > 1 else (self._tally.started_at, 0, 0)
        passed_s = max(now[0] - then[0], 1e-3)
        return (now[1] - then[1]) / passed_s, (now[2] - then[2]) / passed_s


@asynccontextmanager
async def shown_progress(
    console: Console, tally: Tally, *, line_every_s: float = LINE_EVERY_S
) -> AsyncIterator[None]:
    """Show it while the block runs."""
    pace = Pace(tally)
    if console.is_terminal and not console.is_dumb_terminal:
        with Live(
            get_renderable=lambda: _bar(tally, pace),
            console=console,
            refresh_per_second=REFRESHES_PER_S,
            transient=True,
        ):
            yield
        return
    printing = asyncio.create_task(_print_lines(console, tally, pace, line_every_s))
    try:
        yield
    finally:
        printing.cancel()


@dataclass(slots=True)
class Count:
    """Questions of an evaluation, as they are answered."""

    total: int
    done: int = 0
    failed: int = 0
    started_at: float = field(default_factory=time.monotonic)

    def add(self, *, failed: bool) -> None:
        """One more is done."""
        self.done += 1
        self.failed += failed

    def words(self) -> str:
        """Counts, and the time that is left at the pace so far."""
        parts = [f"{self.done:,} of {self.total:,} questions"]
        parts += [f"{self.failed:,} failed"] if self.failed else []
        if self.done:
            left_s = (time.monotonic() - self.started_at) / self.done * (self.total - self.done)
            parts.append(f"{timedelta(seconds=round(left_s))} left")
        return ", ".join(parts)


@contextmanager
def shown_count(console: Console, count: Count) -> Iterator[None]:
    """Show it while the block runs, in a terminal only."""
    if not console.is_terminal or console.is_dumb_terminal:
        yield
        return
    with Live(
        get_renderable=lambda: _count_bar(count),
        console=console,
        refresh_per_second=REFRESHES_PER_S,
        transient=True,
    ):
        yield


def _count_bar(count: Count) -> RenderableType:
    lines = Table.grid(expand=True)
    lines.add_row(ProgressBar(total=max(count.total, 1), completed=count.done))
    lines.add_row(Text(count.words()))
    return lines


def _bar(tally: Tally, pace: Pace) -> RenderableType:
    lines = Table.grid(expand=True)
    lines.add_row(ProgressBar(total=max(tally.total, 1), completed=tally.done))
    lines.add_row(Text(pace.words()))
    if tally.waiting_for:
        lines.add_row(Text(inert(tally.waiting_for), style="yellow"))
    return lines


async def _print_lines(console: Console, tally: Tally, pace: Pace, every_s: float) -> None:
    while True:
        await asyncio.sleep(every_s)
        waiting = f" ({inert(tally.waiting_for)})" if tally.waiting_for else ""
        console.print(pace.words() + waiting, markup=False, highlight=False, soft_wrap=True)
