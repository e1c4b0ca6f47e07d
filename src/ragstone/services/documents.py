"""Documents as their users handle them: upload, look, delete."""

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ragstone.core.errors import BlobMissing, RagstoneError
from ragstone.core.filters import Filter
from ragstone.core.models import (
    Acceptance,
    Deletion,
    Document,
    DocumentStatus,
    IdempotencyKey,
    Job,
    Metadata,
    NewUpload,
    OnDuplicate,
    Page,
    PurgeTarget,
    Scope,
    StoredPoint,
    Version,
    VersionEntry,
)
from ragstone.core.ports import BlobStore, JobQueue, Manifest, TypeDetector, VectorStore
from ragstone.pipelines.payload import point_id
from ragstone.services.purging import Purger

log = logging.getLogger(__name__)

PURGE_WAIT_S = 5.0  # a delete answers 200 when the purge was read back within it, else 202


@dataclass(frozen=True, slots=True)
class UploadFields:
    """What a user says about an upload."""

    scope: Scope
    source: str | None = None
    title: str | None = None
    metadata: Metadata | None = None
    on_duplicate: OnDuplicate = OnDuplicate.VERSION
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True)
class ReceivedFile:
    """A file that was received into the spool."""

    path: Path
    sha256: str
    size_bytes: int
    head: bytes
    filename: str | None
    declared_type: str | None
    source: str | None = None
    """The file's name where it can tell documents apart."""


@dataclass(frozen=True, slots=True)
class DeleteReceipt:
    """What went with a document, those inside it included. `job` goes on with what is not yet read back as gone."""

    document_id: str
    versions: int
    points_deleted: int
    blobs_deleted: int
    verified_absent: bool
    job: Job | None


@dataclass(frozen=True, slots=True)
class ChunkPage:
    """Chunks of the visible version in order, and whether more follow."""

    points: tuple[StoredPoint, ...]
    next_index: int | None


class DocumentService:
    """Owns the order of things that makes an acknowledged upload durable and a delete final."""

    def __init__(
        self,
        manifest: Manifest,
        blobs: BlobStore,
        store: VectorStore,
        queue: JobQueue,
        purger: Purger,
        *,
        detect: TypeDetector,
    ):
        self._manifest = manifest
        self._blobs = blobs
        self._store = store
        self._queue = queue
        self._purger = purger
        self._detect = detect

    def new_spool(self) -> Path:
        """Where to receive a file."""
        return self._blobs.new_spool()

    async def upload_file(self, received: ReceivedFile, fields: UploadFields) -> Acceptance:
        """Durable when it returns: bytes first, then the row. The spooled file is taken over. Raises
        UnsupportedMediaType, CollectionNotFound, QueueFull."""
        media_type = await asyncio.to_thread(
            self._detect, received.head, received.filename, received.declared_type, received.path
        )
        upload = NewUpload(
            scope=fields.scope,
            sha256=received.sha256,
            bytes=received.size_bytes,
            media_type=media_type,
            source=fields.source or received.source,
            filename=received.filename,
            title=fields.title,
            metadata=fields.metadata,
            on_duplicate=fields.on_duplicate,
        )
        return await self._accept(
            upload, fields.idempotency_key, lambda: self._blobs.put_file(received.path, received.sha256)
        )

    async def upload_text(self, text: str, fields: UploadFields) -> Acceptance:
        """The same for text in a request; its identity is `source` alone."""
        content = text.encode()
        upload = NewUpload(
            scope=fields.scope,
            sha256=await asyncio.to_thread(lambda: hashlib.sha256(content).hexdigest()),
            bytes=len(content),
            media_type="text/plain",
            source=fields.source,
            filename=None,
            title=fields.title,
            metadata=fields.metadata,
            on_duplicate=fields.on_duplicate,
        )
        return await self._accept(upload, fields.idempotency_key, lambda: self._blobs.put(content))

    async def copy(
        self,
        original: Document,
        into: Scope,
        *,
        file_id: str,
        metadata: Metadata | None,
        chunk_tokens: int | None,
    ) -> Acceptance:
        """The stored bytes of a document as one of another collection, of which nothing is embedded twice; `file_id` is
        the document that was uploaded. Raises DocumentNotFound, CollectionNotFound, DocumentExists, QueueFull.
        """
        version = await self._manifest.get_version(original.tenant_id, original.id)
        upload = NewUpload(
            scope=into,
            sha256=version.sha256,
            bytes=version.bytes,
            media_type=version.media_type,
            source=f"file:{file_id}",
            filename=version.filename,
            title=version.title,
            metadata=metadata,
            chunk_tokens=chunk_tokens,
            copy_of=file_id,
        )
        return await self._accept(upload, None, lambda: self._require_bytes(version))

    async def get(self, tenant_id: str, document_id: str) -> Document:
        """Raises DocumentNotFound."""
        return await self._manifest.get_document(tenant_id, document_id)

    async def list(
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
        """Raises CollectionNotFound, InvalidCursor."""
        await self._manifest.require_collection(scope)
        return await self._manifest.list_documents(
            scope,
            status=status,
            title=title,
            parent_id=parent_id,
            where=where,
            sort=sort,
            limit=limit,
            cursor=cursor,
        )

    async def versions(self, tenant_id: str, document_id: str) -> tuple[VersionEntry, ...]:
        """All that are kept, newest first. Raises DocumentNotFound."""
        return await self._manifest.list_versions(tenant_id, document_id)

    async def content(
        self, tenant_id: str, document_id: str, version: int | None = None
    ) -> tuple[Version, Path]:
        """The stored original of the visible version, or of another that is kept. Raises DocumentNotFound,
        VersionNotFound, BlobMissing."""
        found = await self._manifest.get_version(tenant_id, document_id, version)
        if not await self._blobs.exists(found.sha256):
            await self._manifest.get_version(
                tenant_id, document_id, version
            )  # not lost, but deleted meanwhile
            raise BlobMissing(f"the original of document {document_id} is gone from the data directory")
        return found, self._blobs.path(found.sha256)

    async def text(self, tenant_id: str, document_id: str, number: int | None = None) -> str:
        """The extracted text of that version (None = the visible one) that all offsets refer to; empty until it was
        parsed. Raises DocumentNotFound, VersionNotFound, BlobMissing."""
        version = await self._manifest.get_version(tenant_id, document_id, number)
        if version.text_sha256 is None:
            return ""
        try:
            return (await self._blobs.read(version.text_sha256)).decode()
        except BlobMissing:
            await self._manifest.get_version(
                tenant_id, document_id, number
            )  # not lost, but dropped meanwhile
            document = await self._manifest.get_document(tenant_id, document_id)
            if document.status is DocumentStatus.READY:
                raise
            return ""  # just being written: the reference comes before the bytes

    async def chunks(self, tenant_id: str, document_id: str, *, first: int, limit: int) -> ChunkPage:
        """Chunks of the visible version from index `first`. Raises DocumentNotFound."""
        document = await self._manifest.get_document(tenant_id, document_id)
        if document.status is not DocumentStatus.READY:
            return ChunkPage((), None)
        last = min(first + limit, document.chunks)
        ids = [point_id(document.id, document.version, index) for index in range(first, last)]
        scope = Scope(tenant_id, document.collection)
        points = await self._store.retrieve(scope, ids)
        return ChunkPage(tuple(points), last if last < document.chunks else None)

    async def delete(self, tenant_id: str, document_id: str) -> DeleteReceipt:
        """Invisible when it returns; purged too, unless that takes longer than five seconds: then the receipt names
        the job that goes on. Raises DocumentNotFound."""
        return await self.purged(document_id, self._manifest.delete_document(tenant_id, document_id))

    async def purged(self, document_id: str, deleting: Awaitable[Deletion]) -> DeleteReceipt:
        """The same for whatever else the manifest deletes. Raises as `deleting`."""
        with self._purger.watched() as receipts:
            deletion = await deleting
            versions = sum(len(target.versions) for target in deletion.targets)
            if not await self._purged_in_time(document_id, deletion.targets):
                return DeleteReceipt(document_id, versions, 0, 0, verified_absent=False, job=deletion.job)
        own = [receipt for receipt in receipts if receipt.job_id == deletion.job.id]
        points = sum(receipt.points_deleted for receipt in own)
        blobs = sum(receipt.blobs_deleted for receipt in own)
        return DeleteReceipt(document_id, versions, points, blobs, verified_absent=True, job=None)

    async def count_matching(self, scope: Scope, where: Filter) -> int:
        """How many documents `delete_matching` would delete. Raises CollectionNotFound."""
        await self._manifest.require_collection(scope)
        return await self._manifest.count_matching(scope, where)

    async def delete_matching(self, scope: Scope, where: Filter) -> Job | None:
        """All that pass are invisible when it returns; the job purges them, None if there were none. Raises
        CollectionNotFound."""
        await self._manifest.require_collection(scope)
        deletion = await self._manifest.delete_matching(scope, where)
        self._purger.wake()
        return None if deletion is None else deletion.job

    async def _accept(
        self, upload: NewUpload, key: str | None, store_blob: Callable[[], Awaitable[object]]
    ) -> Acceptance:
        """The bytes are stored inside the manifest's transaction, which excludes that the purge of another document
        removes the same bytes in between."""
        keyed = replace(upload, idempotency=idempotency_key(key, upload))
        acceptance = await self._manifest.accept_upload(keyed, store_blob)
        self._queue.wake()
        self._purger.wake()
        return acceptance

    async def _require_bytes(self, version: Version) -> None:
        if not await self._blobs.exists(version.sha256):
            raise BlobMissing(
                f"the original of document {version.document_id} is gone from the data directory"
            )

    async def _purged_in_time(self, document_id: str, targets: Sequence[PurgeTarget]) -> bool:
        """Whether all were purged within five seconds; else it goes on in the background."""
        purge = asyncio.create_task(self._purge(targets), name=f"purge {document_id}")
        purge.add_done_callback(_consume)
        try:
            async with asyncio.timeout(PURGE_WAIT_S):
                await asyncio.shield(purge)
        except (TimeoutError, RagstoneError) as error:
            log.warning("purge goes on in the background", extra={"document_id": document_id}, exc_info=error)
            self._purger.wake()
            return False
        return True

    async def _purge(self, targets: Sequence[PurgeTarget]) -> None:
        for target in targets:
            await self._purger.purge(target)


def idempotency_key(key: str | None, *said: object) -> IdempotencyKey | None:
    """The client's key with the hash of all that the request said; dataclasses of plain values."""
    if key is None:
        return None
    return IdempotencyKey(key, hashlib.sha256(repr(said).encode("utf-8", "surrogatepass")).hexdigest())


def _consume(purge: "asyncio.Task[None]") -> None:
    """Nobody may be waiting any more when it fails; the purger's loop tries again."""
    if not purge.cancelled():
        purge.exception()
