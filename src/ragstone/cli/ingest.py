"""`ingest`: upload files, follow their jobs, sum up the failures."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from ragstone.cli.client import ApiClient, open_client
from ragstone.cli.failure import CommandFailed
from ragstone.cli.render import table_of
from ragstone.config.settings import Settings

POLL_S = 0.2
FINAL = frozenset({"succeeded", "failed", "cancelled"})


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one file; `problem` is None when it is searchable."""

    path: Path
    problem: str | None
    already_there: bool = False


async def run_ingest(settings: Settings, paths: Sequence[Path], collection: str) -> int:
    """Upload and wait; returns how many failed."""
    files = sorted(set(files_below(paths)))
    console = Console()
    async with open_client(settings) as client:
        with progress_bar(console) as bar:
            task = bar.add_task("ingesting", total=len(files))
            outcomes = []
            async for outcome in _ingest_all(client, files, collection):
                outcomes.append(outcome)
                bar.advance(task)
    return _sum_up(console, outcomes)


def files_below(paths: Sequence[Path]) -> Iterator[Path]:
    """Every regular file, hidden ones and links left out."""
    for path in paths:
        if path.is_file():
            yield path
            continue
        for found in path.rglob("*"):
            hidden = any(part.startswith(".") for part in found.relative_to(path).parts)
            if found.is_file() and not found.is_symlink() and not hidden:
                yield found


def progress_bar(console: Console) -> Progress:
    """The bar that `ingest` and `demo` show."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
    )


async def _ingest_all(client: ApiClient, files: Sequence[Path], collection: str) -> Any:
    """Uploads run ahead of the jobs; an outcome comes when its job has ended."""
    waiting: list[tuple[Path, str]] = []
    for path in files:
        outcome, job_id = await _upload(client, path, collection)
        if job_id is not None:
            waiting.append((path, job_id))
        else:
            yield outcome
    for path, job_id in waiting:
        yield await _follow(client, path, job_id)


async def _upload(client: ApiClient, path: Path, collection: str) -> tuple[Outcome, str | None]:
    """While the queue is full, wait: the server works it off."""
    while True:
        try:
            reply = await _send(client, path, collection)
        except CommandFailed as error:
            if error.retry_after_s is None:
                return Outcome(path, error.message), None
            await asyncio.sleep(error.retry_after_s)
        except OSError as error:
            return Outcome(path, str(error)), None
        else:
            job = reply["job"]
            return Outcome(path, None, already_there=True), None if job is None else job["id"]


async def _send(client: ApiClient, path: Path, collection: str) -> dict[str, Any]:
    """Names that are not Unicode on disk get question marks, as HTTP cannot carry them."""
    name, source = (text.encode("utf-8", "replace").decode() for text in (path.name, path.as_posix()))
    content = await asyncio.to_thread(path.read_bytes)
    return await client.call(
        "POST",
        "/documents",
        files={"file": (name, content)},
        data={"collection": collection, "source": source},
    )


async def _follow(client: ApiClient, path: Path, job_id: str) -> Outcome:
    while True:
        try:
            job = await client.call("GET", f"/jobs/{job_id}")
        except CommandFailed as error:
            return Outcome(path, f"uploaded, but its job cannot be followed: {error.message}")
        if job["state"] in FINAL:
            failure = job["error"]
            return Outcome(path, f"{failure['code']}: {failure['message']}" if failure else None)
        await asyncio.sleep(POLL_S)


def _sum_up(console: Console, outcomes: Sequence[Outcome]) -> int:
    failed = [(str(outcome.path), outcome.problem) for outcome in outcomes if outcome.problem is not None]
    known = sum(outcome.already_there for outcome in outcomes)
    console.print(
        f"{len(outcomes) - len(failed)} of {len(outcomes)} files are searchable, {known} were already here."
    )
    if failed:
        console.print(table_of(f"{len(failed)} failed", failed))
    return len(failed)
