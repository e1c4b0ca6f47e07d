"""Documents as their users handle them: upload, look, delete, re-index."""

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ragstone.core.errors import BlobMissing, RagstoneError
from ragstone.core.filters import Filter
from ragstone.core.models import (
    Acceptance,
    Document,
    DocumentStatus,
    Metadata,
    NewUpload,
    OnDuplicate,
    Page,
    PurgeReceipt,
    Scope,
    StoredPoint,
    Version,
)
from ragstone.core.ports import BlobStore, JobQueue, Manifest, VectorStore
from ragstone.pipelines.payload import point_id
from ragstone.services.purging import Purger

log = logging.getLogger(__name__)

PURGE_WAIT_S = 5.0  # a delete answers 200 when the purge was read back within it, else 202


class Detector(Protocol):
    """Media type by content; raises UnsupportedMediaType."""

    def __call__(
        self, head: bytes, filename: str | None, declared: str | None, path: Path | None = None
    ) -> str:
        """See parsers.detection."""
        ...


@dataclass(frozen=True, slots=True)
class UploadFields:
    """What a user says about an upload."""

    scope: Scope
    source: str | None = None
    title: str | None = None
    metadata: Metadata | None = None
    on_duplicate: OnDuplicate = OnDuplicate.VERSION


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
        detect: Detector,
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
        return await self._accept(upload, lambda: self._blobs.put_file(received.path, received.sha256))

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
        return await self._accept(upload, lambda: self._blobs.put(content))

    async def get(self, tenant_id: str, document_id: str) -> Document:
        """Raises DocumentNotFound."""
        return await self._manifest.get_document(tenant_id, document_id)

    async def list(
        self,
        scope: Scope,
        *,
        status: DocumentStatus | None,
        title: str | None,
        where: Filter | None,
        sort: str,
        limit: int,
        cursor: str | None,
    ) -> Page[Document]:
        """Raises CollectionNotFound, InvalidCursor."""
        await self._manifest.require_collection(scope)
        return await self._manifest.list_documents(
            scope, status=status, title=title, where=where, sort=sort, limit=limit, cursor=cursor
        )

    async def content(self, tenant_id: str, document_id: str) -> tuple[Version, Path]:
        """The stored original of the visible version. Raises DocumentNotFound, BlobMissing."""
        version = await self._manifest.get_version(tenant_id, document_id)
        if not await self._blobs.exists(version.sha256):
            await self._manifest.get_document(tenant_id, document_id)  # not lost, but deleted meanwhile
            raise BlobMissing(f"the original of document {document_id} is gone from the data directory")
        return version, self._blobs.path(version.sha256)

    async def text(self, tenant_id: str, document_id: str) -> str:
        """The extracted text that all offsets refer to; empty until it was parsed. Raises DocumentNotFound,
        BlobMissing."""
        version = await self._manifest.get_version(tenant_id, document_id)
        if version.text_sha256 is None:
            return ""
        try:
            return (await self._blobs.read(version.text_sha256)).decode()
        except BlobMissing:
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

    async def delete(self, tenant_id: str, document_id: str) -> PurgeReceipt:
        """Invisible when it returns; purged too, unless that takes longer than five seconds: then the receipt names
        the job that goes on. Raises DocumentNotFound."""
        target = await self._manifest.delete_document(tenant_id, document_id)
        purge = asyncio.create_task(self._purger.purge(target), name=f"purge {document_id}")
        purge.add_done_callback(_consume)
        try:
            async with asyncio.timeout(PURGE_WAIT_S):
                return await asyncio.shield(purge)
        except (TimeoutError, RagstoneError) as error:
            log.warning("purge goes on in the background", extra={"document_id": document_id}, exc_info=error)
            self._purger.wake()
            return PurgeReceipt(
                document_id,
                target.versions,
                points_deleted=0,
                blobs_deleted=0,
                verified_absent=False,
                job_id=target.job_id,
            )

    async def reindex(self, tenant_id: str, document_id: str) -> Acceptance:
        """Raises DocumentNotFound, Conflict, QueueFull."""
        acceptance = await self._manifest.request_reindex(tenant_id, document_id)
        self._queue.wake()
        return acceptance

    async def _accept(self, upload: NewUpload, store_blob: Callable[[], Awaitable[object]]) -> Acceptance:
        """The bytes are stored inside the manifest's transaction, which excludes that the purge of another document
        removes the same bytes in between."""
        acceptance = await self._manifest.accept_upload(upload, store_blob)
        self._queue.wake()
        self._purger.wake()
        return acceptance


def _consume(purge: "asyncio.Task[PurgeReceipt]") -> None:
    """Nobody may be waiting any more when it fails; the purger's loop tries again."""
    if not purge.cancelled():
        purge.exception()
