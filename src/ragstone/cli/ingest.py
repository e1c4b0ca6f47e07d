"""`ingest`: make the documents equal to the files, follow the work, sum up what failed. Run again, it goes on: what the
server knows decides what is still to do, so nothing is remembered on this side."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

import typer
from rich.console import Console

from ragstone.cli.client import open_client
from ragstone.cli.following import Follower, batches, is_settled, listed
from ragstone.cli.local_files import FileChanged, Findings, LocalFile, SteadyFile, find_files, has_content
from ragstone.cli.patience import Patience
from ragstone.cli.progress import shown_progress
from ragstone.cli.render import print_tally
from ragstone.cli.tally import FileFailure, Kind, Tally
from ragstone.client import ApiError, AsyncRagstone, CallFailed, DocumentReply, UploadReply
from ragstone.config.settings import Settings

READ_AT_ONCE = (
    4  # so that a large file does not hold up small ones; the encoder is what limits, not the sending
)
AHEAD = (
    1_000  # files that may be sent and not settled yet: always enough to work on, little to keep in memory
)
ATTEMPTS = 3  # at a file that changes while it is sent
INTERRUPTED = "interrupted"


async def run_ingest(
    settings: Settings, paths: Sequence[Path], collection: str, *, as_json: bool = False
) -> Tally:
    """Ingest and report. Raises CallFailed where no file can be; what was done is reported all the same."""
    found = await asyncio.to_thread(find_files, paths, but_not=settings.data_dir)
    tally = tally_of(found)
    console = Console(stderr=as_json)
    try:
        async with open_client(settings) as client:
            patient = client.with_options(retries=Patience(say=tally.wait_for))
            async with shown_progress(console, tally):
                await ingest_files(patient, found.files, collection, tally)
    except asyncio.CancelledError:
        tally.stopped = INTERRUPTED
        raise
    except CallFailed as error:
        tally.stopped = str(error)
        raise
    finally:
        _report(console, tally, as_json=as_json)
    return tally


def tally_of(found: Findings) -> Tally:
    """Nothing done yet; what could not be looked at has failed."""
    failures = [FileFailure(source, *_problem(error)) for source, error in found.unreadable]
    return Tally(len(found.files) + len(failures), failures=failures, left_out=found.left_out)


async def ingest_files(
    client: AsyncRagstone, files: Sequence[LocalFile], collection: str, tally: Tally
) -> None:
    """Bring every file to an outcome in the tally. Raises CallFailed."""
    try:
        async with asyncio.TaskGroup() as tasks:
            ingest = Ingest(client, collection, tally, tasks)
            await ingest.start(files)
    except* CallFailed as group:
        raise _first(group) from group


class Ingest:
    """Each file is a task of `tasks`, a bounded number of them at a time."""

    def __init__(self, client: AsyncRagstone, collection: str, tally: Tally, tasks: asyncio.TaskGroup):
        self._client = client
        self._collection = collection
        self._tally = tally
        self._tasks = tasks
        self._follower = Follower(client, collection, tasks)
        self._room = asyncio.Semaphore(AHEAD)
        self._reading = asyncio.Semaphore(READ_AT_ONCE)

    async def start(self, files: Sequence[LocalFile]) -> None:
        """Start all of them, asking batch by batch what the server knows. Raises CallFailed."""
        by_source = {file.source: file for file in files}
        for sources in batches(by_source):
            known = {
                item.source: item for item in await listed(self._client, self._collection, "source", sources)
            }
            for source in sources:
                await self._room.acquire()
                task = self._tasks.create_task(self._ingest(by_source[source], known.get(source)))
                task.add_done_callback(lambda _: self._room.release())

    async def _ingest(self, file: LocalFile, known: DocumentReply | None) -> None:
        try:
            outcome = await self._outcome(file, known)
        except ApiError as error:
            outcome = FileFailure(file.source, error.code, error.message)
        except FileChanged:
            outcome = FileFailure(file.source, "file_changed", "the file was written to while it was sent")
        except OSError as error:
            outcome = FileFailure(file.source, *_problem(error))
        if isinstance(outcome, Kind):
            self._tally.searchable[outcome] += 1
        else:
            self._tally.failures.append(outcome)

    async def _outcome(self, file: LocalFile, known: DocumentReply | None) -> Kind | FileFailure:
        """What is in work from before is followed first; then only what differs is sent."""
        kind = Kind.CHANGED if known is not None and known.status == "ready" else Kind.NEW
        was_in_work = known is not None and not is_settled(known)
        if known is not None and was_in_work:
            known = await self._follower.settled(known.id)
        if known is not None and await self._is_same(file, known):
            if known.status == "ready":
                return kind if was_in_work else Kind.UNCHANGED
            if was_in_work:
                return _outcome_of(file, known, kind)
        reply = await self._send(file)
        if reply.job is None and is_settled(reply.document):
            return Kind.UNCHANGED
        return _outcome_of(file, await self._follower.settled(reply.document.id), kind)

    async def _is_same(self, file: LocalFile, known: DocumentReply) -> bool:
        async with self._reading:
            return await has_content(file, size_bytes=known.bytes, sha256=known.sha256)

    async def _send(self, file: LocalFile) -> UploadReply:
        """The reply to the upload. Raises CallFailed, FileChanged, OSError."""
        async with self._reading:
            for _ in range(ATTEMPTS - 1):
                try:
                    return await self._send_once(file)
                except FileChanged:
                    continue
            return await self._send_once(file)

    async def _send_once(self, file: LocalFile) -> UploadReply:
        name = Path(file.source).name
        with await asyncio.to_thread(SteadyFile, file.path, on_read=self._tally.count_sent) as content:
            return await self._client.upload(
                content, filename=name, collection=self._collection, source=file.source
            )


def _outcome_of(file: LocalFile, document: DocumentReply | None, kind: Kind) -> Kind | FileFailure:
    """Of a settled document."""
    if document is None:
        return FileFailure(
            file.source, "document_not_found", "the document was deleted before it was searchable"
        )
    error = (document.pending or document).error
    if error is None:
        return kind
    return FileFailure(file.source, error.code, error.message, error.page)


def _problem(error: OSError) -> tuple[str, str]:
    """Code and message."""
    code = "file_gone" if isinstance(error, FileNotFoundError) else "file_unreadable"
    return code, error.strerror or str(error)


def _first(group: BaseExceptionGroup[CallFailed]) -> CallFailed:
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error


def _report(console: Console, tally: Tally, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(tally.as_json(), indent=2))
    else:
        print_tally(console, tally)
