"""What is particular to a manifest on SQLite: its files, its locks, its clock, and who waits for whom."""

import asyncio
import sqlite3
import stat
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from ragstone.core.errors import JobNotFound, Unavailable
from ragstone.core.models import Failure, Scope
from ragstone.storage import schema
from ragstone.storage.database import Database, Transaction
from ragstone.storage.manifest import SqlManifest, open_manifest
from ragstone.storage.visibility import _VISIBLE
from ragstone.testing.manifest_contract.lists import all_documents
from ragstone.testing.manifest_contract.scenes import (
    SCOPE,
    TENANT,
    claim,
    keep_blob,
    make_ready,
    new_upload,
    purge_all,
    upload,
)


class Clock:
    """A time that passes when told to."""

    def __init__(self) -> None:
        self.now = datetime(2030, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "manifest.sqlite3"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def manifest(path: Path, clock: Clock) -> AsyncIterator[SqlManifest]:
    opened = await open_manifest(path, clock=clock)
    yield opened
    await opened.close()


@pytest.fixture
async def impatient(path: Path) -> AsyncIterator[SqlManifest]:
    """A manifest that waits for no other process."""
    database = Database(path, busy_timeout=timedelta(0))
    database.prepare(schema.prepare)
    opened = SqlManifest(database, max_queued_jobs=100)
    yield opened
    await opened.close()


@contextmanager
def write_lock(path: Path) -> Iterator[None]:
    """Another process that is in the middle of a write."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


class TestFiles:
    async def test_the_database_and_its_log_are_private(self, manifest: SqlManifest, path: Path) -> None:
        await upload(manifest)
        files = [path, Path(f"{path}-wal"), Path(f"{path}-shm")]
        assert [stat.S_IMODE(file.stat().st_mode) for file in files] == [0o600] * 3

    async def test_commits_reach_the_disk_and_references_are_checked(self, path: Path) -> None:
        database = Database(path)
        database.prepare(schema.prepare)

        def pragmas(tx: Transaction) -> list[object]:
            names = ("journal_mode", "synchronous", "foreign_keys", "fullfsync")
            return [tx.execute(text(f"PRAGMA {name}")).scalar() for name in names]

        assert await database.write("property", pragmas) == ["wal", 2, 1, 1]
        await database.close()


class TestOtherProcesses:
    async def test_each_sees_at_once_what_another_committed(self, manifest: SqlManifest, path: Path) -> None:
        other = await open_manifest(path)
        ready = await make_ready(manifest)
        assert (await other.visible_documents(SCOPE, [ready.id])).keys() == {ready.id}
        assert (await other.get_document(TENANT, ready.id)) == ready
        await other.create_collection(TENANT, "notes", "")
        await manifest.require_collection(Scope(TENANT, "notes"))
        await other.delete_document(TENANT, ready.id)
        assert await manifest.visible_documents(SCOPE, [ready.id]) == {}
        await other.close()

    async def test_simultaneous_uploads_through_two_processes_are_one_document(
        self, manifest: SqlManifest, path: Path
    ) -> None:
        other = await open_manifest(path)
        accepted = await asyncio.gather(*(upload(each) for each in (manifest, other) * 10))
        assert len({each.document.id for each in accepted}) == 1
        assert sum(each.job is not None for each in accepted) == 1
        await other.close()

    async def test_reads_do_not_wait_for_a_writer(self, impatient: SqlManifest, path: Path) -> None:
        ready = await make_ready(impatient)
        with write_lock(path):
            assert (await impatient.visible_documents(SCOPE, [ready.id])).keys() == {ready.id}
            await impatient.require_collection(SCOPE)
            assert len(await all_documents(impatient)) == 1
            assert await impatient.is_healthy()

    async def test_a_write_that_waited_too_long_is_unavailable_and_can_be_repeated(
        self, impatient: SqlManifest, path: Path
    ) -> None:
        with write_lock(path), pytest.raises(Unavailable, match="locked"):
            await upload(impatient)
        assert (await upload(impatient)).job is not None

    async def test_a_look_up_that_would_wait_goes_to_a_thread(self, manifest: SqlManifest) -> None:
        ready = await make_ready(manifest)
        manifest._visibility._connection.set_progress_handler(lambda: 1, 1)  # refuses every statement
        assert (await manifest.visible_documents(SCOPE, [ready.id])).keys() == {ready.id}
        await manifest.require_collection(SCOPE)


class TestFailures:
    async def test_a_full_disk_loses_the_upload_and_nothing_else(self, manifest: SqlManifest) -> None:
        ready = await make_ready(manifest)

        def limit(tx: Transaction, pages: int) -> None:
            tx.execute(text(f"PRAGMA max_page_count = {pages}"))

        await manifest._database.write("property", limit, 1)  # no page more than there are now
        with pytest.raises(Unavailable, match="full"):
            await upload(manifest, "big", metadata={"text": "x" * 100_000})
        await manifest._database.write("property", limit, 1_000_000)
        assert await all_documents(manifest) == [ready]
        assert (await upload(manifest, "big", metadata={"text": "x" * 100_000})).job is not None

    async def test_a_cancelled_caller_leaves_all_or_nothing(self, manifest: SqlManifest) -> None:
        reached, go_on = asyncio.Event(), asyncio.Event()

        async def confirm() -> None:
            reached.set()
            await go_on.wait()

        accepting = asyncio.create_task(manifest.accept_upload(new_upload(), confirm))
        await reached.wait()
        accepting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await accepting
        go_on.set()
        assert (await upload(manifest)).job is None  # the transaction was begun, so it was finished
        assert len(await all_documents(manifest)) == 1

    async def test_the_event_loop_goes_on_while_a_transaction_waits_for_it(
        self, manifest: SqlManifest
    ) -> None:
        ready = await make_ready(manifest, "ready")
        reached, go_on = asyncio.Event(), asyncio.Event()

        async def confirm() -> None:
            reached.set()
            await go_on.wait()

        accepting = asyncio.create_task(manifest.accept_upload(new_upload("slow"), confirm))
        await reached.wait()
        assert await all_documents(manifest) == [ready]
        assert (await manifest.visible_documents(SCOPE, [ready.id])).keys() == {ready.id}
        go_on.set()
        assert (await accepting).job is not None

    async def test_a_closed_manifest_is_unhealthy_and_unavailable(self, path: Path) -> None:
        manifest = await open_manifest(path)
        await manifest.close()
        await manifest.close()
        assert not await manifest.is_healthy()
        with pytest.raises(Unavailable, match="closed"):
            await manifest.accept_upload(new_upload(), keep_blob)

    async def test_closing_waits_for_what_was_begun(self, path: Path) -> None:
        manifest = await open_manifest(path)
        uploads = [asyncio.create_task(upload(manifest, f"{n}")) for n in range(5)]
        await asyncio.sleep(0)
        await manifest.close()
        assert all(accepted.job for accepted in await asyncio.gather(*uploads))


class TestTime:
    async def test_a_delayed_job_is_due_when_its_time_has_come(
        self, manifest: SqlManifest, clock: Clock
    ) -> None:
        await upload(manifest)
        task = await claim(manifest)
        await manifest.requeue(task.job.id, delay=timedelta(seconds=30), failure=Failure("x", "y"))
        clock.now += timedelta(seconds=29, microseconds=999_999)
        assert await manifest.claim_tasks(1) == []
        clock.now += timedelta(microseconds=1)
        assert (await claim(manifest)).job.next_retry_at is None

    async def test_jobs_of_purged_documents_can_be_polled_for_a_day(
        self, manifest: SqlManifest, clock: Clock
    ) -> None:
        jobs = []
        for source in ("first", "second"):
            ready = await make_ready(manifest, source)
            deletion = await manifest.delete_document(TENANT, ready.id)
            await purge_all(manifest)
            jobs.append(deletion.job.id)
            clock.now += timedelta(hours=23)
        ready = await make_ready(manifest, "third")
        await manifest.delete_document(TENANT, ready.id)
        await purge_all(manifest)
        with pytest.raises(JobNotFound):
            await manifest.get_job(TENANT, jobs[0])
        await manifest.get_job(TENANT, jobs[1])

    async def test_jobs_of_dropped_versions_can_be_polled_for_a_day(
        self, manifest: SqlManifest, clock: Clock
    ) -> None:
        first = await upload(manifest, content="0")
        assert first.job is not None
        for n in range(1, 12):
            await upload(manifest, content=f"{n}")
        await purge_all(manifest)
        await manifest.get_job(TENANT, first.job.id)
        clock.now += timedelta(days=1)
        await upload(manifest, content="12")
        await purge_all(manifest)
        with pytest.raises(JobNotFound):
            await manifest.get_job(TENANT, first.job.id)

    async def test_times_keep_their_microseconds(self, manifest: SqlManifest, clock: Clock) -> None:
        clock.now = datetime(2031, 2, 3, 4, 5, 6, 789_123, tzinfo=UTC)
        document = (await upload(manifest)).document
        assert (await manifest.get_document(TENANT, document.id)).created_at == clock.now


class TestPlans:
    """Statements that must not walk through a collection or the queue."""

    async def test_visible_documents_are_found_by_id(self, manifest: SqlManifest) -> None:
        plan = manifest._visibility._connection.execute(
            f"EXPLAIN QUERY PLAN {_VISIBLE}", ("[]", TENANT, "default", 0)
        ).fetchall()
        (step,) = [detail for *_, detail in plan if " documents " in detail]
        assert "(id=?)" in step

    async def test_lists_are_read_in_order_and_work_is_cancelled_by_document(self, path: Path) -> None:
        plans = await _plans_of_a_life(path)
        lists = [steps for statement, steps in plans.items() if "ORDER BY documents" in statement]
        assert len(lists) == 4  # the parts of those on a page among them
        for steps in lists:
            assert "documents_" in steps
            assert "TEMP B-TREE" not in steps.replace("TEMP B-TREE FOR RIGHT PART", "")
        (cancel,) = [
            steps
            for statement, steps in plans.items()
            if statement.startswith("UPDATE jobs") and "IN (SELECT" in statement
        ]
        assert "jobs_by_document" in cancel


async def _plans_of_a_life(path: Path) -> dict[str, str]:
    """The plan of each statement that lists and deletes run."""
    database = Database(path)
    database.prepare(schema.prepare)
    manifest = SqlManifest(database, max_queued_jobs=100)
    plans: dict[str, str] = {}

    def trace(tx: Transaction) -> None:
        driver = tx.connection.connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        driver.set_trace_callback(lambda statement: plans.update({statement: ""}))

    ready = await make_ready(manifest)
    await database.write("property", trace)
    await database.scan(trace)
    for sort in ("created_at", "-created_at", "title"):
        await all_documents(manifest, sort=sort)
    await manifest.delete_document(TENANT, ready.id)
    await purge_all(manifest)
    await manifest.close()
    with closing(sqlite3.connect(path)) as connection:
        for statement in plans:
            if statement.startswith(("SELECT", "UPDATE")):
                steps = connection.execute(f"EXPLAIN QUERY PLAN {statement}").fetchall()
                plans[statement] = "; ".join(step[-1] for step in steps)
    return plans
