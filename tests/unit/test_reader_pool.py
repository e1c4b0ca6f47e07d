"""Real worker processes: their limits, their deaths, and what the next document finds."""

import asyncio
import hashlib
import logging
import os
import resource
import signal
import sys
from collections.abc import AsyncIterator, Callable
from itertools import count
from pathlib import Path
from uuid import uuid4

import pytest

from ragstone.core.context import begin_job, job_id
from ragstone.core.errors import (
    NoText,
    ParseFailed,
    ParseLimit,
    Unavailable,
    UnsupportedMediaType,
    WorkerDied,
)
from ragstone.core.models import KnownChunk, ReadDocument
from ragstone.parsers import PARSERS
from ragstone.parsers.bounds import Limits
from ragstone.parsers.child import ParseProcess
from ragstone.parsers.pool import WorkerPool
from ragstone.parsers.wire import ReadRequest, encode_request
from tests.containers import zipped

CHUNKER = "ragstone.chunking.structural:build_chunker"
HOSTILE = {
    name: f"ragstone.testing.hostile_parsers:{parser}"
    for name, parser in {
        "suicidal": "SuicidalParser",
        "quitting": "QuittingParser",
        "sleeping": "SleepingParser",
        "spinning": "SpinningParser",
        "greedy": "GreedyParser",
        "verbose": "VerboseParser",
        "defective": "DefectiveParser",
        "prolific": "ProlificParser",
        "overfull": "OverfullParser",
    }.items()
}
MakePool = Callable[..., WorkerPool]


@pytest.fixture
async def make_pool() -> AsyncIterator[MakePool]:
    pools: list[WorkerPool] = []

    def make(
        *, documents_a_worker: int = 100, worn_bytes: int = 2**30, idle_s: float = 60, **limits: float
    ) -> WorkerPool:
        pool = WorkerPool(
            CHUNKER,
            parsers={**PARSERS, **HOSTILE},
            limits=Limits(niceness=0, **limits),  # type: ignore[arg-type]
            documents_a_worker=documents_a_worker,
            worn_bytes=worn_bytes,
            idle_s=idle_s,
        )
        pools.append(pool)
        return pool

    yield make
    for pool in pools:
        await pool.close()


TEXT = "A sentence of a document. " * 100


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return original(tmp_path, TEXT)


def original(folder: Path, text: str) -> Path:
    path = folder / f"{len(text)}.txt"
    path.write_text(text)
    return path


async def read(pool: WorkerPool, path: Path, media_type: str = "text/plain") -> int:
    return len((await read_whole(pool, path, media_type)).chunks)


async def read_whole(
    pool: WorkerPool, path: Path, media_type: str = "text/plain", *, title: str | None = None
) -> ReadDocument:
    def new_spool() -> Path:
        return path.parent / uuid4().hex

    return await pool.read(path, media_type=media_type, title=title, new_spool=new_spool)


def workers_of(pool: WorkerPool) -> list[int]:
    return [worker.pid for worker in pool._idle]


async def until(holds: Callable[[], bool]) -> None:
    """Returns when it holds (the test's time-out ends one that never does)."""
    while not holds():  # noqa: ASYNC110  # another process brings it about
        await asyncio.sleep(0.01)


def is_gone(pid: int) -> bool:
    try:
        return "zombie" in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return True


async def test_document_is_read_in_another_process(make_pool: MakePool, path: Path) -> None:
    pool = make_pool()
    assert workers_of(pool) == []
    document = await read_whole(pool, path, title="Title")
    assert document.parsed.text == TEXT
    assert [chunk.context for chunk in document.chunks] == ["Title"] * 3
    assert workers_of(pool) != [os.getpid()]


async def test_worker_serves_one_document_after_the_other(make_pool: MakePool, path: Path) -> None:
    pool = make_pool()
    await read(pool, path)
    first = workers_of(pool)
    await asyncio.gather(*(read(pool, path) for _ in range(3)))
    assert workers_of(pool) == first


async def test_large_document_comes_back_whole(make_pool: MakePool, tmp_path: Path) -> None:
    path = original(tmp_path, TEXT * 120)
    document = await read_whole(make_pool(), path)
    assert document.parsed.text == TEXT * 120
    assert document.chunks[-1].end == len(document.parsed.text.rstrip())


async def test_failures_of_a_document_leave_the_worker_alone(
    make_pool: MakePool, path: Path, tmp_path: Path
) -> None:
    pool = make_pool(characters=5_000)
    await read(pool, path)
    first = workers_of(pool)
    with pytest.raises(ParseFailed):
        await read(pool, path, "defective")
    with pytest.raises(ParseLimit, match="characters"):
        await read(pool, path, "verbose")
    with pytest.raises(NoText):
        await read(pool, original(tmp_path, " "))
    assert workers_of(pool) == first


async def test_unknown_type_starts_no_worker(make_pool: MakePool, path: Path) -> None:
    pool = make_pool()
    with pytest.raises(UnsupportedMediaType, match=r"audio/wav is not supported; supported: .*text/plain"):
        await read(pool, path, "audio/wav")
    assert workers_of(pool) == []


@pytest.mark.parametrize(("media_type", "how"), [("suicidal", "SIGKILL"), ("quitting", "exit code 3")])
async def test_death_of_the_worker_is_told_and_the_next_one_works(
    make_pool: MakePool, path: Path, media_type: str, how: str
) -> None:
    pool = make_pool()
    for _ in range(2):
        with pytest.raises(WorkerDied, match=how):
            await read(pool, path, media_type)
    assert await read(pool, path) == 3


async def test_document_that_waits_for_ever_is_ended(make_pool: MakePool, path: Path) -> None:
    pool = make_pool(wall_s=0.3)
    with pytest.raises(ParseLimit, match=r"longer than 0\.3 s"):
        await read(pool, path, "sleeping")


@pytest.mark.slow
async def test_document_that_uses_the_processor_for_ever_is_ended(make_pool: MakePool, path: Path) -> None:
    pool = make_pool(cpu_s=0.1)
    with pytest.raises(ParseLimit, match="processor time"):
        await read(pool, path, "spinning")


async def test_document_that_takes_all_memory_is_refused(make_pool: MakePool, path: Path) -> None:
    pool = make_pool(memory_bytes=128 * 2**20)
    with pytest.raises(ParseLimit, match="128 MiB"):
        await read(pool, path, "greedy")
    assert await read(pool, path) == 3


async def test_defect_of_a_parser_is_logged_for_its_job_with_its_place(
    make_pool: MakePool, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pool, jobs = make_pool(), ("j-1", "j-2")
    seen: list[str | None] = []

    class Seen(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append(job_id.get())

    handler = Seen()
    logging.getLogger("ragstone.parsers.child").addHandler(handler)
    for job in jobs:  # one worker, two jobs
        await asyncio.create_task(_fail_for(job, pool, path))
    await pool.close()
    logging.getLogger("ragstone.parsers.child").removeHandler(handler)

    assert [record.message for record in caplog.records] == ["parser failed"] * 2
    assert vars(caplog.records[0])["place"].startswith("hostile_parsers.py:")
    assert seen == list(jobs)


async def _fail_for(job: str, pool: WorkerPool, path: Path) -> None:
    begin_job(job, caused_by=None)
    with pytest.raises(ParseFailed):
        await read(pool, path, "defective")


async def test_cancelled_read_ends_its_worker(make_pool: MakePool, path: Path) -> None:
    pool = make_pool()
    await read(pool, path)
    (pid,) = workers_of(pool)
    reading = asyncio.create_task(read(pool, path, "sleeping"))
    await asyncio.sleep(0.05)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    await until(lambda: is_gone(pid))
    assert await read(pool, path) == 3


async def test_worker_killed_between_documents_costs_no_attempt(make_pool: MakePool, path: Path) -> None:
    pool = make_pool()
    await read(pool, path)
    (pid,) = workers_of(pool)
    os.kill(pid, signal.SIGKILL)
    await until(lambda: is_gone(pid))
    await until(lambda: not pool._idle[0].is_alive)
    assert await read(pool, path) == 3


async def test_worker_minds_no_signal_of_the_group(make_pool: MakePool, path: Path) -> None:
    pool = make_pool()
    await read(pool, path)
    (pid,) = workers_of(pool)
    os.kill(pid, signal.SIGINT)
    os.kill(pid, signal.SIGTERM)
    assert await read(pool, path) == 3
    assert workers_of(pool) == [pid]


async def test_worker_is_replaced_when_worn(make_pool: MakePool, path: Path) -> None:
    by_number, by_memory = make_pool(documents_a_worker=1), make_pool(worn_bytes=1)
    for pool in (by_number, by_memory):
        await read(pool, path)
        assert workers_of(pool) == []


async def test_memory_of_the_owner_does_not_wear_the_worker(make_pool: MakePool, path: Path) -> None:
    pool = make_pool(worn_bytes=128 * 2**20)
    owned = b"x" * (192 * 2**20)
    await read(pool, path)
    assert len(workers_of(pool)) == 1
    assert owned


async def test_idle_worker_is_let_go(make_pool: MakePool, path: Path) -> None:
    pool = make_pool(idle_s=0.01)
    await read(pool, path)
    await until(lambda: not workers_of(pool))
    assert await read(pool, path) == 3


async def test_close_ends_the_workers(make_pool: MakePool, path: Path) -> None:
    pool = make_pool()
    await read(pool, path)
    (pid,) = workers_of(pool)
    await pool.close()
    await pool.close()
    await until(lambda: is_gone(pid))


async def test_worker_at_work_ends_when_its_owner_closes_the_pipe(path: Path) -> None:
    worker = await ParseProcess.start(Limits(niceness=0))
    endless = encode_request(ReadRequest(str(path), HOSTILE["sleeping"], CHUNKER, None))
    asking = asyncio.create_task(worker.ask(endless))
    await asyncio.sleep(0.05)
    await worker.end()
    with pytest.raises(WorkerDied, match="SIGKILL"):
        await asking


class TestChildren:
    @pytest.fixture
    def archive(self, tmp_path: Path) -> Path:
        path = tmp_path / "archive"
        path.write_bytes(zipped({"a.bin": bytes(range(256)) * 4_000, "b.txt": b"", "c.txt": b"text"}))
        return path

    async def test_children_arrive_in_files_of_the_caller(self, make_pool: MakePool, archive: Path) -> None:
        document = await read_whole(make_pool(), archive, "application/zip")
        contents = [bytes(range(256)) * 4_000, b"", b"text"]
        assert document.parsed.children == ()
        assert [child.filename for child in document.children] == ["a.bin", "b.txt", "c.txt"]
        assert [child.path.read_bytes() for child in document.children] == contents
        assert [child.sha256 for child in document.children] == [
            hashlib.sha256(content).hexdigest() for content in contents
        ]
        assert [child.bytes for child in document.children] == [1_024_000, 0, 4]
        assert [child.head for child in document.children] == [content[:8_192] for content in contents]
        assert {child.path.stat().st_mode & 0o777 for child in document.children} == {0o600}

    async def test_worker_is_used_again_after_children(self, make_pool: MakePool, archive: Path) -> None:
        pool = make_pool()
        await read_whole(pool, archive, "application/zip")
        first = workers_of(pool)
        assert await read(pool, archive, "application/zip") == 1
        assert workers_of(pool) == first

    async def test_full_disk_leaves_no_file(self, make_pool: MakePool, archive: Path, tmp_path: Path) -> None:
        folder = tmp_path / "spool"
        folder.mkdir()
        paths = iter((folder / "1", folder / "missing" / "2", folder / "3"))
        pool = make_pool()
        with pytest.raises(Unavailable):
            await pool.read(archive, media_type="application/zip", title=None, new_spool=lambda: next(paths))
        assert list(folder.iterdir()) == []
        assert await read(pool, archive, "application/zip") == 1

    async def test_cancelled_read_leaves_no_file(self, make_pool: MakePool, tmp_path: Path) -> None:
        folder = tmp_path / "spool"
        folder.mkdir()
        pool, path = make_pool(), original(tmp_path, TEXT)
        names = count()
        reading = asyncio.create_task(
            pool.read(path, media_type="prolific", title=None, new_spool=lambda: folder / str(next(names)))
        )
        await until(lambda: len(list(folder.iterdir())) > 2)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        assert list(folder.iterdir()) == []

    async def test_more_than_is_allowed_is_not_taken(self, make_pool: MakePool, path: Path) -> None:
        pool = make_pool(children_bytes=1_000)
        for media_type in ("overfull", "prolific"):
            with pytest.raises(WorkerDied):
                await read(pool, path, media_type)
        assert [entry.name for entry in path.parent.iterdir()] == [path.name]

    @pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
    async def test_owner_holds_a_slice_at_a_time(self, make_pool: MakePool, path: Path) -> None:
        pool = make_pool()
        await read(pool, path)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        document = await read_whole(pool, path, "prolific")
        assert sum(child.bytes for child in document.children) == 100 * 2**20
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20 * 1024


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
async def test_worker_gets_no_secret(
    make_pool: MakePool, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "canary-key")
    pool = make_pool()
    await read(pool, path)
    (pid,) = workers_of(pool)
    assert "canary-key" not in environment_of(pid)


def environment_of(pid: int) -> str:
    return Path(f"/proc/{pid}/environ").read_text()


async def test_what_is_known_of_an_earlier_version_reaches_the_chunker(
    make_pool: MakePool, tmp_path: Path
) -> None:
    sentences = [f"Sentence number {n} tells something else than all the others do." for n in range(400)]
    pool, first = make_pool(), original(tmp_path, " ".join(sentences))
    before = (await read_whole(pool, first)).chunks
    second = original(tmp_path, " ".join(["A new beginning of some length.", *sentences]))

    known = [KnownChunk.of(chunk.text) for chunk in before]
    after = await pool.read(second, media_type="text/plain", title=None, new_spool=lambda: first, known=known)

    assert len({chunk.text for chunk in after.chunks} - {chunk.text for chunk in before}) <= 4
