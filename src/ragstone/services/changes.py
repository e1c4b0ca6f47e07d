"""Changing documents: other bytes, old bytes again, another reading of the same, other words about them."""

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace

from ragstone.core.errors import Unavailable
from ragstone.core.models import Acceptance, Document, DocumentPatch, NewContent
from ragstone.core.ports import BlobStore, JobQueue, Manifest, TypeDetector
from ragstone.services.documents import ReceivedFile, UploadFields, idempotency_key
from ragstone.services.payloads import PayloadWriter

log = logging.getLogger(__name__)

PATCH_WAIT_S = (
    5.0  # so long a patch waits until filters see it; then its points are written in the background
)


class ChangeService:
    """Every change of bytes is a new version, and the old one answers until the switch."""

    def __init__(
        self,
        manifest: Manifest,
        blobs: BlobStore,
        queue: JobQueue,
        payloads: PayloadWriter,
        *,
        detect: TypeDetector,
    ):
        self._manifest = manifest
        self._blobs = blobs
        self._queue = queue
        self._payloads = payloads
        self._detect = detect

    async def replace_file(
        self, tenant_id: str, document_id: str, received: ReceivedFile, fields: UploadFields
    ) -> Acceptance:
        """New bytes from the spool. Raises UnsupportedMediaType, DocumentNotFound, Conflict, QueueFull,
        IdempotencyMismatch."""
        media_type = await asyncio.to_thread(
            self._detect, received.head, received.filename, received.declared_type, received.path
        )
        content = NewContent(
            sha256=received.sha256,
            bytes=received.size_bytes,
            media_type=media_type,
            filename=received.filename,
            title=fields.title,
            metadata=fields.metadata,
        )
        return await self._replace(
            tenant_id,
            document_id,
            content,
            fields.idempotency_key,
            lambda: self._blobs.put_file(received.path, received.sha256),
        )

    async def replace_text(
        self, tenant_id: str, document_id: str, text: str, fields: UploadFields
    ) -> Acceptance:
        """The same for text in a request."""
        raw = text.encode()
        content = NewContent(
            sha256=await asyncio.to_thread(lambda: hashlib.sha256(raw).hexdigest()),
            bytes=len(raw),
            media_type="text/plain",
            filename=None,
            title=fields.title,
            metadata=fields.metadata,
        )
        return await self._replace(
            tenant_id, document_id, content, fields.idempotency_key, lambda: self._blobs.put(raw)
        )

    async def restore(self, tenant_id: str, document_id: str, version: int) -> Acceptance:
        """The bytes of an earlier version as a new one. Raises DocumentNotFound, VersionNotFound, Conflict,
        QueueFull."""
        return self._woken(await self._manifest.restore_version(tenant_id, document_id, version))

    async def reindex(self, tenant_id: str, document_id: str) -> Acceptance:
        """The stored bytes read and embedded again. Raises DocumentNotFound, Conflict, QueueFull."""
        return self._woken(await self._manifest.request_reindex(tenant_id, document_id))

    async def update(self, tenant_id: str, document_id: str, patch: DocumentPatch) -> Document:
        """Other words about a document; filters see them when this returns, or soon after if the engine is slow or
        down. Raises DocumentNotFound, InvalidRequest."""
        document, target = await self._manifest.update_document(tenant_id, document_id, patch)
        if target is not None:
            try:
                async with asyncio.timeout(PATCH_WAIT_S):
                    await self._payloads.write(target)
            except (TimeoutError, Unavailable) as error:
                log.warning("points are changed later", extra={"document_id": document_id}, exc_info=error)
                self._payloads.wake()
        return document

    async def _replace(
        self,
        tenant_id: str,
        document_id: str,
        content: NewContent,
        key: str | None,
        store_blob: Callable[[], Awaitable[object]],
    ) -> Acceptance:
        keyed = replace(content, idempotency=idempotency_key(key, document_id, content))
        accepted = await self._manifest.replace_content(tenant_id, document_id, keyed, store_blob)
        return self._woken(accepted)

    def _woken(self, accepted: Acceptance) -> Acceptance:
        self._queue.wake()
        return accepted
