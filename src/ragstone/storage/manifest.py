"""The manifest on SQL: each method of the port is one transaction, told in a function of the module it belongs to."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import ParamSpec, TypeVar

from sqlalchemy import text

from ragstone.core.errors import RagstoneError
from ragstone.core.filters import Filter
from ragstone.core.models import (
    Acceptance,
    Collection,
    CollectionPatch,
    CollectionState,
    Deletion,
    Document,
    DocumentName,
    DocumentPatch,
    DocumentStatus,
    Failure,
    IndexedVersion,
    IngestTask,
    Job,
    JobKind,
    JobState,
    ManifestCopy,
    Member,
    NewContent,
    NewUpload,
    Page,
    PayloadTarget,
    Progress,
    PurgeReceipt,
    PurgeTarget,
    QueueState,
    Record,
    RecordKind,
    Scope,
    Stage,
    Version,
    VersionContent,
    VersionEntry,
    VisibleDocument,
)
from ragstone.core.threads import in_thread
from ragstone.storage import (
    changes,
    collections,
    consistency,
    deletion,
    files,
    jobs,
    listing,
    purges,
    reading,
    records,
    schema,
    snapshots,
    switching,
    uploads,
)
from ragstone.storage.database import Database, Transaction, utc_now
from ragstone.storage.visibility import Visibility

P = ParamSpec("P")
T = TypeVar("T")

WRITES = (
    "migrate",
    "accept",
    "reindex",
    "claim",
    "progress",
    "text",
    "patch",
    "payload",
    "cancel",
    "requeue",
    "fail",
    "switch",
    "release",
    "recover",
    "tombstone",
    "purge",
    "collection",
    "property",
    "record",
)
"""Names of the commits, as `Database.write` is given them."""
CRASH_POINTS = tuple(f"{name}.{moment}_commit" for name in WRITES for moment in ("before", "after"))


async def open_manifest(
    path: Path, *, max_queued_jobs: int = 10_000, clock: Callable[[], datetime] = utc_now
) -> "SqlManifest":
    """Open the SQLite database at `path`, created or migrated as needed; its folder exists. Raises ForeignDatabase,
    StartupError."""
    database = await asyncio.to_thread(_open, path, clock)
    return SqlManifest(database, max_queued_jobs=max_queued_jobs)


def _open(path: Path, clock: Callable[[], datetime]) -> Database:
    database = Database(path, clock=clock)
    database.prepare(schema.prepare)
    return database


class SqlManifest:
    """Implements `core.ports.Manifest`. Callbacks run on the event loop while the transaction waits for them; they
    must not call the manifest."""

    def __init__(self, database: Database, *, max_queued_jobs: int):
        self._database = database
        self._visibility = Visibility(database)
        self._max_queued_jobs = max_queued_jobs

    # ---- collections ----

    async def create_collection(
        self, tenant_id: str, name: str, description: str, title: str = "", metadata: Mapping[str, str] = {}
    ) -> Collection:
        """See the port."""
        return await self._database.write(
            "collection", collections.create, tenant_id, name, description, title, metadata
        )

    async def update_collection(self, tenant_id: str, name: str, patch: CollectionPatch) -> Collection:
        """See the port."""
        return await self._database.write("collection", collections.change, tenant_id, name, patch)

    async def collection_state(self, tenant_id: str, name: str) -> CollectionState:
        """See the port."""
        return await self._database.scan(collections.state, tenant_id, name)

    async def get_collection(self, tenant_id: str, name: str) -> Collection:
        """See the port."""
        return await self._database.read(collections.get, tenant_id, name)

    async def require_collection(self, scope: Scope) -> None:
        """See the port."""
        await self._visibility.require_collection(scope)

    async def list_collections(self, tenant_id: str, *, limit: int, cursor: str | None) -> Page[Collection]:
        """See the port."""
        return await self._database.scan(collections.list_page, tenant_id, limit=limit, cursor=cursor)

    async def collections_beside(
        self, tenant_id: str, *, beside: str | None, is_descending: bool, limit: int
    ) -> tuple[list[Collection], bool]:
        """See the port."""
        return await self._database.scan(
            collections.list_by_age, tenant_id, beside=beside, is_descending=is_descending, limit=limit
        )

    async def delete_collection_of_copies(self, tenant_id: str, name: str) -> int:
        """See the port."""
        return await self._database.write("tombstone", collections.delete_with_copies, tenant_id, name)

    async def delete_collection(self, tenant_id: str, name: str, *, cascade: bool) -> int:
        """See the port."""
        return await self._database.write(
            "tombstone", collections.delete_with_documents, tenant_id, name, cascade=cascade
        )

    # ---- documents ----

    async def accept_upload(
        self, upload: NewUpload, confirm_blob: Callable[[], Awaitable[object]]
    ) -> Acceptance:
        """See the port."""
        return await self._database.write(
            "accept",
            uploads.accept,
            upload,
            confirm_blob=_from_thread(confirm_blob),
            max_queued_jobs=self._max_queued_jobs,
        )

    async def replace_content(
        self,
        tenant_id: str,
        document_id: str,
        content: NewContent,
        confirm_blob: Callable[[], Awaitable[object]],
    ) -> Acceptance:
        """See the port."""
        return await self._database.write(
            "accept",
            changes.replace_content,
            tenant_id,
            document_id,
            content,
            confirm_blob=_from_thread(confirm_blob),
            max_queued_jobs=self._max_queued_jobs,
        )

    async def restore_version(self, tenant_id: str, document_id: str, version: int) -> Acceptance:
        """See the port."""
        return await self._database.write(
            "reindex",
            changes.restore_version,
            tenant_id,
            document_id,
            version,
            max_queued_jobs=self._max_queued_jobs,
        )

    async def update_document(
        self, tenant_id: str, document_id: str, patch: DocumentPatch
    ) -> tuple[Document, PayloadTarget | None]:
        """See the port."""
        return await self._database.write("patch", changes.update_document, tenant_id, document_id, patch)

    async def stale_payloads(self, limit: int) -> list[PayloadTarget]:
        """See the port."""
        return await self._database.read(changes.stale_payloads, limit)

    async def finish_payload(self, target: PayloadTarget) -> None:
        """See the port."""
        await self._database.write("payload", changes.finish_payload, target)

    async def list_versions(self, tenant_id: str, document_id: str) -> tuple[VersionEntry, ...]:
        """See the port."""
        return await self._database.read(reading.list_versions, tenant_id, document_id)

    async def get_document(self, tenant_id: str, document_id: str) -> Document:
        """See the port."""
        return await self._database.read(reading.get_document, tenant_id, document_id)

    async def list_documents(
        self,
        scope: Scope,
        *,
        status: DocumentStatus | None,
        title: str | None,
        parent_id: str | None,
        where: Filter | None,
        sort: str,
        limit: int,
        cursor: str | None,
    ) -> Page[Document]:
        """See the port."""
        return await self._database.scan(
            listing.list_documents,
            scope,
            status=status,
            title=title,
            parent_id=parent_id,
            where=where,
            sort=sort,
            limit=limit,
            cursor=cursor,
        )

    async def documents_beside(
        self, scope: Scope, *, beside: str | None, is_descending: bool, limit: int
    ) -> tuple[list[Document], bool]:
        """See the port."""
        return await self._database.scan(
            listing.documents_beside, scope, beside=beside, is_descending=is_descending, limit=limit
        )

    async def list_files(
        self, tenant_id: str, *, beside: str | None, is_descending: bool, limit: int
    ) -> tuple[list[Document], bool]:
        """See the port."""
        return await self._database.scan(
            files.list_files, tenant_id, beside=beside, is_descending=is_descending, limit=limit
        )

    async def get_file(self, tenant_id: str, file_id: str) -> Document:
        """See the port."""
        return await self._database.read(files.get, tenant_id, file_id)

    async def attached_files(self, scope: Scope, file_ids: Sequence[str]) -> list[Document]:
        """See the port."""
        return await self._database.read(files.attached, scope, file_ids)

    async def delete_file(self, tenant_id: str, file_id: str) -> Deletion:
        """See the port."""
        return await self._database.write("tombstone", files.delete, tenant_id, file_id)

    async def detach_file(self, scope: Scope, file_id: str) -> Deletion:
        """See the port."""
        return await self._database.write("tombstone", files.detach, scope, file_id)

    async def document_names(self, scope: Scope, ids: Sequence[str]) -> list[DocumentName]:
        """See the port."""
        return await self._database.read(listing.document_names, scope, ids)

    async def get_version(self, tenant_id: str, document_id: str, version: int | None = None) -> Version:
        """See the port."""
        return await self._database.read(reading.get_version, tenant_id, document_id, version)

    async def delete_document(self, tenant_id: str, document_id: str) -> Deletion:
        """See the port."""
        return await self._database.write("tombstone", deletion.delete_document, tenant_id, document_id)

    async def count_matching(self, scope: Scope, where: Filter) -> int:
        """See the port."""
        return await self._database.scan(deletion.count_matching, scope, where)

    async def delete_matching(self, scope: Scope, where: Filter) -> Deletion | None:
        """See the port."""
        return await self._database.write("tombstone", deletion.delete_matching, scope, where)

    async def expire_documents(self) -> int:
        """See the port."""
        if not await self._database.read(deletion.has_expired_documents):
            return 0
        return await self._database.write("tombstone", deletion.expire_documents)

    async def request_reindex(self, tenant_id: str, document_id: str) -> Acceptance:
        """See the port."""
        return await self._database.write(
            "reindex", changes.request_reindex, tenant_id, document_id, max_queued_jobs=self._max_queued_jobs
        )

    async def visible_documents(self, scope: Scope, ids: Sequence[str]) -> dict[str, VisibleDocument]:
        """See the port."""
        return await self._visibility.visible_documents(scope, ids)

    # ---- jobs ----

    async def get_job(self, tenant_id: str, job_id: str) -> Job:
        """See the port."""
        return await self._database.read(reading.get_job, tenant_id, job_id)

    async def list_jobs(
        self,
        tenant_id: str,
        *,
        state: JobState | None,
        kind: JobKind | None,
        document_id: str | None,
        limit: int,
        cursor: str | None,
    ) -> Page[Job]:
        """See the port."""
        return await self._database.scan(
            reading.list_jobs,
            tenant_id,
            state=state,
            kind=kind,
            document_id=document_id,
            limit=limit,
            cursor=cursor,
        )

    async def cancel_job(self, tenant_id: str, job_id: str) -> Job:
        """See the port."""
        return await self._database.write("cancel", jobs.cancel, tenant_id, job_id)

    async def retry_job(self, tenant_id: str, job_id: str) -> Acceptance:
        """See the port."""
        return await self._database.write(
            "reindex", jobs.retry, tenant_id, job_id, max_queued_jobs=self._max_queued_jobs
        )

    async def claim_tasks(self, limit: int) -> list[IngestTask]:
        """See the port."""
        return await self._database.write("claim", jobs.claim, limit)

    async def next_due(self) -> datetime | None:
        """See the port."""
        return await self._database.read(jobs.next_due)

    async def queue_state(self) -> QueueState:
        """See the port."""
        return await self._database.scan(jobs.queue_state)

    async def record_progress(self, job_id: str, stage: Stage, progress: Progress) -> bool:
        """See the port."""
        return await self._database.write("progress", jobs.record_progress, job_id, stage, progress)

    async def record_content(self, job_id: str, text_sha256: str, inside: Sequence[Member] = ()) -> bool:
        """See the port."""
        return await self._database.write("text", jobs.record_content, job_id, text_sha256, inside)

    async def requeue(
        self, job_id: str, *, delay: timedelta, failure: Failure, is_strike: bool = True
    ) -> None:
        """See the port."""
        await self._database.write(
            "requeue", jobs.requeue, job_id, delay=delay, failure=failure, is_strike=is_strike
        )

    async def fail_task(self, job_id: str, failure: Failure) -> None:
        """See the port."""
        await self._database.write("fail", jobs.fail, job_id, failure)

    async def switch_versions(self, indexed: Sequence[IndexedVersion]) -> list[str]:
        """See the port."""
        return await self._database.write("switch", switching.switch, indexed)

    async def release_tasks(self, job_ids: Sequence[str]) -> None:
        """See the port."""
        if job_ids:
            await self._database.write("release", jobs.release, job_ids)

    async def recover(self, *, max_attempts: int) -> tuple[int, int]:
        """See the port."""
        return await self._database.write("recover", jobs.recover, max_attempts=max_attempts)

    # ---- purges and consistency ----

    async def purge_targets(self, limit: int) -> list[PurgeTarget]:
        """See the port."""
        return await self._database.read(purges.purge_targets, limit)

    async def finish_purge(
        self, target: PurgeTarget, points_deleted: int, delete_blob: Callable[[str], Awaitable[bool]]
    ) -> PurgeReceipt:
        """See the port."""
        return await self._database.write(
            "purge", purges.finish_purge, target, points_deleted, delete_blobs=_one_by_one(delete_blob)
        )

    async def delete_unreferenced(
        self, hashes: Sequence[str], delete_blob: Callable[[str], Awaitable[bool]]
    ) -> int:
        """See the port."""
        return await self._database.write(
            "purge", purges.delete_unreferenced, set(hashes), _one_by_one(delete_blob)
        )

    async def expected_points(self) -> dict[str, int]:
        """See the port."""
        return await self._database.scan(consistency.expected_points)

    async def visible_contents(self) -> dict[str, VersionContent]:
        """See the port."""
        return await self._database.scan(consistency.visible_contents)

    async def unfinished_originals(self) -> dict[str, str]:
        """See the port."""
        return await self._database.scan(consistency.unfinished_originals)

    async def visible_task(self, document_version: str) -> IngestTask | None:
        """See the port."""
        return await self._database.read(consistency.visible_task, document_version)

    async def live_versions(self) -> set[str]:
        """See the port."""
        return await self._database.scan(consistency.live_versions)

    async def repair_version(self, document_version: str) -> None:
        """See the port."""
        await self._database.write("reindex", changes.repair_version, document_version)

    async def referenced_blobs(self) -> dict[str, bool]:
        """See the port."""
        return await self._database.scan(consistency.referenced_blobs)

    # ---- records ----

    async def put_record(self, tenant_id: str, record: Record) -> None:
        """See the port."""
        await self._database.write("record", records.put, tenant_id, record)

    async def get_record(self, tenant_id: str, kind: RecordKind, record_id: str) -> Record:
        """See the port."""
        return await self._database.read(records.get, tenant_id, kind, record_id)

    async def delete_record(self, tenant_id: str, kind: RecordKind, record_id: str) -> None:
        """See the port."""
        await self._database.write("record", records.drop, tenant_id, kind, record_id)

    async def get_property(self, key: str) -> str | None:
        """See the port."""
        return await self._database.read(consistency.get_property, key)

    async def set_property(self, key: str, value: str) -> None:
        """See the port."""
        await self._database.write("property", consistency.set_property, key, value)

    async def snapshot(self, target: Path) -> ManifestCopy:
        """See the port."""
        return await in_thread(snapshots.copy_database, self._database.path, target)

    async def counts(self) -> Mapping[str, int]:
        """See the port."""
        return await self._database.scan(consistency.counts)

    async def is_healthy(self) -> bool:
        """See the port."""
        try:
            return await self._database.read(_probe)
        except RagstoneError:
            return False

    async def close(self) -> None:
        """See the port."""
        await self._database.close()
        self._visibility.close()


def _probe(tx: Transaction) -> bool:
    return bool(tx.execute(text("SELECT 1")).scalar())


def _one_by_one(delete_blob: Callable[[str], Awaitable[bool]]) -> Callable[[Sequence[str]], int]:
    async def delete_blobs(hashes: Sequence[str]) -> int:
        return sum([await delete_blob(sha256) for sha256 in hashes])

    return _from_thread(delete_blobs)


def _from_thread(function: Callable[P, Awaitable[T]]) -> Callable[P, T]:
    """A plain function for the database's thread: runs `function` on the present event loop and waits for it."""
    loop = asyncio.get_running_loop()

    async def awaited(*args: P.args, **kwargs: P.kwargs) -> T:
        return await function(*args, **kwargs)

    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        return asyncio.run_coroutine_threadsafe(awaited(*args, **kwargs), loop).result()

    return call
