"""Run as a script by the tests of the storage room: processes that open together, or that die at a named place.

The modules are imported once; each process is a fork from before any thread or database was opened.
"""

import asyncio
import importlib
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from ragstone.core import crash
from ragstone.core.models import DocumentPatch, Failure, Progress, Record, RecordKind, Scope, Stage
from ragstone.storage.blobs import FileBlobStore
from ragstone.storage.manifest import SqlManifest, open_manifest
from ragstone.testing.manifest_contract.scenes import indexed, new_upload


def fork(work: Callable[[], None]) -> int:
    """The process id of a child that does `work` and ends with 0, or with 1 if that raised."""
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        work()
        status = 0
    finally:
        os._exit(status)


def wait(pid: int) -> int:
    """The exit code of a child, negative if a signal ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def open_together(path: Path, processes: int) -> None:
    """Let so many processes open a manifest at the same time; exit with 1 if one of them failed."""
    go, waiting = os.pipe()

    def open_one() -> None:
        os.close(waiting)
        os.read(go, 1)  # until the parent closes its end
        asyncio.run(_open_and_close(path))

    children = [fork(open_one) for _ in range(processes)]
    os.close(waiting)
    exit_codes = [wait(pid) for pid in children]
    sys.exit(any(exit_codes))


async def _open_and_close(path: Path) -> None:
    manifest = await open_manifest(path)
    await manifest.require_collection(Scope())
    await manifest.close()


def die_at_each(root: Path, points: list[str]) -> None:
    """Live a life in `root/<point>` for each point, dying there; print the points that were never reached. A point is
    the name of a crash point and which visit of it is meant: `accept.before_commit:2`."""
    for point in points:
        folder = root / point
        folder.mkdir()
        if wait(fork(partial(_live_until, point, folder))) != -9:
            print(point)


def _live_until(point: str, folder: Path) -> None:
    os.environ["CRASH_AT"] = point
    importlib.reload(crash)
    asyncio.run(live(folder))


class Journal:
    """What was acknowledged, on disk before the next step."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def note(self, *words: str) -> None:
        os.write(self._file, " ".join(words).encode() + b"\n")


async def _remember(manifest: SqlManifest, document_id: str) -> None:
    """What quotes a document, for a day."""
    now = datetime.now(UTC)
    record = Record("resp_1", RecordKind.RESPONSE, {}, now, now + timedelta(days=1), (document_id,))
    await manifest.put_record("default", record)


async def live(folder: Path) -> None:
    """Every operation that commits, in an order that a server could have them."""
    journal = Journal(folder / "journal")
    blobs = FileBlobStore(folder / "blobs")
    manifest = await open_manifest(folder / "manifest.sqlite3")
    await manifest.set_property("fingerprint", "one")
    await manifest.create_collection("default", "notes", "")
    await manifest.recover(max_attempts=3)
    kept = await _upload(manifest, blobs, journal, "kept", "1")
    await _ingest(manifest, blobs, journal)
    deleted = await _upload(manifest, blobs, journal, "deleted", "to be deleted")
    await _ingest(manifest, blobs, journal)
    await _upload(manifest, blobs, journal, "kept", "2")
    await _ingest(manifest, blobs, journal)
    await _upload(manifest, blobs, journal, "broken", "broken")
    await _struggle(manifest)
    await _remember(manifest, kept)
    journal.note("deleting", deleted)
    await manifest.delete_document("default", deleted)
    journal.note("deleted", deleted)
    await _change(manifest, kept)
    await manifest.request_reindex("default", kept)
    for target in await manifest.purge_targets(100):
        await manifest.finish_purge(target, 0, blobs.delete)
    await manifest.close()


async def _upload(
    manifest: SqlManifest, blobs: FileBlobStore, journal: Journal, source: str, content: str
) -> str:
    upload = new_upload(source, content)
    spool = blobs.new_spool()
    spool.write_text(content)
    accepted = await manifest.accept_upload(upload, lambda: blobs.put_file(spool, upload.sha256))
    journal.note("accepted", accepted.document.id)
    return accepted.document.id


async def _ingest(manifest: SqlManifest, blobs: FileBlobStore, journal: Journal) -> None:
    for task in await manifest.claim_tasks(10):
        await manifest.record_progress(task.job.id, Stage.PARSE, Progress())
        text = f"text of {task.sha256}"
        version = indexed(task)
        await manifest.record_content(task.job.id, version.text_sha256)
        await blobs.put(text.encode())
        await manifest.switch_versions([version])
        journal.note("ready", task.document_id, str(task.version))


async def _change(manifest: SqlManifest, document_id: str) -> None:
    _, stale = await manifest.update_document("default", document_id, DocumentPatch(title="Changed"))
    assert stale is not None
    await manifest.finish_payload(stale)
    restored = await manifest.restore_version("default", document_id, 1)
    assert restored.job is not None
    await manifest.cancel_job("default", restored.job.id)


async def _struggle(manifest: SqlManifest) -> None:
    failure = Failure("x", "y")
    (task,) = await manifest.claim_tasks(10)
    await manifest.requeue(task.job.id, delay=timedelta(0), failure=failure)
    (task,) = await manifest.claim_tasks(10)
    await manifest.release_tasks([task.job.id])
    (task,) = await manifest.claim_tasks(10)
    await manifest.fail_task(task.job.id, failure)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["open", path, processes]:
            open_together(Path(path), int(processes))
        case ["die", root, *points]:
            die_at_each(Path(root), points)
