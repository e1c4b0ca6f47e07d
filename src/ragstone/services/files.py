"""Files that are attached to collections, as OpenAI's dialect has it: a file is a document; attached to another
collection it is a copy there, whose source names it."""

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from ragstone.core.errors import DocumentNotFound, HomeOfFile, RecordNotFound
from ragstone.core.models import (
    DEFAULT_COLLECTION,
    Acceptance,
    Document,
    DocumentName,
    DocumentPatch,
    DocumentStatus,
    Metadata,
    RecordKind,
    Scope,
    Source,
)
from ragstone.core.ports import Manifest
from ragstone.services.changes import ChangeService
from ragstone.services.documents import DocumentService, ReceivedFile, UploadFields
from ragstone.services.jobs import JobService
from ragstone.services.records import RecordService

HOME = DEFAULT_COLLECTION
"""Where a file is uploaded to that was not said to belong anywhere, as any document is."""
_COPY = "file:"
_COPY_OF = re.compile(rf"{_COPY}([0-9a-f-]{{36}})")
_PAGE = 200
MOST_NAMES = 10_000  # that are remembered: two megabytes


@dataclass(frozen=True, slots=True)
class Attachment:
    """One file of a batch. `attributes` None leaves those that the file has."""

    file_id: str
    attributes: Metadata | None = None
    chunk_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """Files that were attached to a collection together; without those that were deleted since."""

    id: str
    collection: str
    created_at: float
    files: tuple[Document, ...]


def file_id_of(document: Document | DocumentName) -> str:
    """The id of the file that a document is, or is a copy of."""
    found = _COPY_OF.fullmatch(document.source or "")
    return found[1] if found else document.id


def is_copy(document: Document) -> bool:
    """Whether it is a file that was uploaded elsewhere."""
    return file_id_of(document) != document.id


class FileService:
    """Files by their ids, whichever collection they are seen in."""

    def __init__(
        self,
        manifest: Manifest,
        documents: DocumentService,
        changes: ChangeService,
        jobs: JobService,
        records: RecordService,
    ):
        self._manifest = manifest
        self._documents = documents
        self._changes = changes
        self._jobs = jobs
        self._records = records
        self._names: dict[tuple[str, int], DocumentName] = {}

    async def upload(self, received: ReceivedFile, *, tenant_id: str, label: str) -> Acceptance:
        """A new file. The same name, bytes and label give the file that is there; other bytes make another one."""
        source = f"{label}:{received.sha256[:16]}:{received.filename}"
        return await self._documents.upload_file(received, UploadFields(Scope(tenant_id, HOME), source))

    async def get(self, tenant_id: str, file_id: str) -> Document:
        """The document that was uploaded, or the oldest copy where that one was deleted by itself. Raises
        DocumentNotFound."""
        try:
            return await self._manifest.get_document(tenant_id, file_id)
        except DocumentNotFound:
            copies = await self._copies(tenant_id, file_id)
            if not copies:
                raise
            return copies[0]

    async def uploaded(
        self,
        tenant_id: str,
        *,
        after: str | None,
        is_descending: bool,
        limit: int,
        passes: Callable[[Document], bool],
    ) -> tuple[list[Document], bool]:
        """Uploaded files that pass, by age, behind the one with the id `after`; and whether more follow. Copies are left
        out. Raises DocumentNotFound."""
        return await self._walk(
            tenant_id,
            None,
            beside=after,
            is_descending=is_descending,
            limit=limit,
            passes=lambda document: passes(document) and not is_copy(document),
        )

    async def delete(self, tenant_id: str, file_id: str) -> None:
        """The file and all its copies. Raises DocumentNotFound."""
        await self.get(tenant_id, file_id)
        copies = [document.id for document in await self._copies(tenant_id, file_id)]
        for document_id in (*copies, file_id):
            with suppress(DocumentNotFound):  # deleted meanwhile, or only copies were left
                await self._documents.delete(tenant_id, document_id)

    async def attach(self, scope: Scope, wanted: Attachment) -> Document:
        """Make a file one of this collection; repeating it changes nothing but the attributes. Raises DocumentNotFound,
        CollectionNotFound, QueueFull."""
        file = await self.get(scope.tenant_id, wanted.file_id)
        if file.collection == scope.collection:
            await self._manifest.require_collection(scope)
            return await self._with_attributes(file, wanted.attributes)
        accepted = await self._documents.copy(
            file,
            scope,
            source=f"{_COPY}{wanted.file_id}",
            metadata=wanted.attributes,
            chunk_tokens=wanted.chunk_tokens,
        )
        copy = accepted.document
        if copy.expires_at != file.expires_at:
            patch = DocumentPatch(expires_at=file.expires_at)
            copy = await self._changes.update(scope.tenant_id, copy.id, patch)
        return copy if accepted.job else await self._with_attributes(copy, wanted.attributes)

    async def attached(self, scope: Scope, file_id: str) -> Document:
        """The file as this collection has it. Raises CollectionNotFound, DocumentNotFound."""
        await self._manifest.require_collection(scope)
        for document in await self._copies(scope.tenant_id, file_id):
            if document.collection == scope.collection:
                return document
        document = await self._manifest.get_document(scope.tenant_id, file_id)
        if document.collection != scope.collection:
            raise DocumentNotFound(f"the file {file_id!r} is not attached to {scope.collection!r}")
        return document

    async def names(self, scope: Scope, sources: Sequence[Source]) -> dict[str, DocumentName]:
        """Of the documents that these are of, by their own ids. A version's name never changes, so it is read once."""
        found = {
            source.document_id: name
            for source in sources
            if (name := self._names.get((source.document_id, source.version))) is not None
        }
        unknown = sorted({source.document_id for source in sources} - found.keys())
        for name in await self._manifest.document_names(scope, unknown) if unknown else ():
            found[name.id] = self._names[name.id, name.version] = name
        while len(self._names) > MOST_NAMES:
            del self._names[next(iter(self._names))]
        return found

    async def list_attached(
        self,
        scope: Scope,
        *,
        beside: str | None,
        is_descending: bool,
        limit: int,
        passes: Callable[[Document], bool],
    ) -> tuple[list[Document], bool]:
        """Files of a collection that pass, by age, behind the file `beside`. Raises CollectionNotFound,
        DocumentNotFound."""
        await self._manifest.require_collection(scope)
        document_id = None if beside is None else (await self.attached(scope, beside)).id
        return await self._walk(
            scope.tenant_id,
            scope.collection,
            beside=document_id,
            is_descending=is_descending,
            limit=limit,
            passes=passes,
        )

    async def detach(self, scope: Scope, file_id: str) -> None:
        """Take a copy out of its collection; the file stays. Raises CollectionNotFound, DocumentNotFound, HomeOfFile."""
        document = await self.attached(scope, file_id)
        if not is_copy(document):
            raise HomeOfFile(
                f"the file {file_id!r} was uploaded to {scope.collection!r} and is nowhere else; delete the file"
            )
        await self._documents.delete(scope.tenant_id, document.id)

    async def change_attributes(self, scope: Scope, file_id: str, attributes: Metadata) -> Document:
        """Put these in place of the ones that are there. Raises CollectionNotFound, DocumentNotFound."""
        return await self._with_attributes(await self.attached(scope, file_id), attributes)

    async def require_only_copies(self, scope: Scope) -> None:
        """Raises CollectionNotFound, and HomeOfFile where a file would be lost with the collection."""
        await self._manifest.require_collection(scope)
        after, has_more = None, True
        while has_more:
            page, has_more = await self._manifest.documents_beside(
                scope.tenant_id, scope.collection, beside=after, is_descending=False, limit=_PAGE
            )
            own = [each for each in page if each.parent_id is None and not is_copy(each)]
            if own:
                raise HomeOfFile(
                    f"the collection {scope.collection!r} is where {own[0].id!r} was uploaded to, and perhaps others; "
                    "delete these files first, or the collection with cascade"
                )
            after = page[-1].id if page else after

    # ---- batches ----

    async def attach_batch(self, scope: Scope, wanted: Sequence[Attachment]) -> Batch:
        """All of them, or none where one is unknown. Raises as `attach`."""
        await self._manifest.require_collection(scope)
        for each in wanted:
            await self.get(scope.tenant_id, each.file_id)
        for each in wanted:
            await self.attach(scope, each)
        content = {"collection": scope.collection, "file_ids": [each.file_id for each in wanted]}
        record = await self._records.remember(
            scope.tenant_id, RecordKind.BATCH, f"vsfb_{uuid4().hex}", content
        )
        return await self._batch(scope.tenant_id, record.id, record.content, record.created_at.timestamp())

    async def batch(self, scope: Scope, batch_id: str) -> Batch:
        """As it stands now. Raises RecordNotFound."""
        record = await self._records.recall(scope.tenant_id, RecordKind.BATCH, batch_id)
        if record.content["collection"] != scope.collection:
            raise RecordNotFound(f"there is no batch {batch_id!r} of {scope.collection!r}")
        return await self._batch(scope.tenant_id, record.id, record.content, record.created_at.timestamp())

    async def cancel_batch(self, scope: Scope, batch_id: str) -> Batch:
        """Stop what of it is still in work. Raises RecordNotFound."""
        for document in (await self.batch(scope, batch_id)).files:
            if document.status in (DocumentStatus.QUEUED, DocumentStatus.PROCESSING):
                await self._jobs.cancel_of_document(scope.tenant_id, document.id)
        return await self.batch(scope, batch_id)

    async def _batch(
        self, tenant_id: str, batch_id: str, content: Mapping[str, Any], created_at: float
    ) -> Batch:
        scope = Scope(tenant_id, content["collection"])
        files: list[Document] = []
        for file_id in content["file_ids"]:
            try:
                files.append(await self.attached(scope, file_id))
            except DocumentNotFound:
                continue
        return Batch(batch_id, scope.collection, created_at, tuple(files))

    async def _walk(
        self,
        tenant_id: str,
        collection: str | None,
        *,
        beside: str | None,
        is_descending: bool,
        limit: int,
        passes: Callable[[Document], bool],
    ) -> tuple[list[Document], bool]:
        found: list[Document] = []
        has_more = True
        while len(found) <= limit and has_more:
            page, has_more = await self._manifest.documents_beside(
                tenant_id, collection, beside=beside, is_descending=is_descending, limit=max(_PAGE, limit)
            )
            found.extend(document for document in page if passes(document))
            beside = page[-1].id if page else beside
        return found[:limit], len(found) > limit

    async def _copies(self, tenant_id: str, file_id: str) -> list[Document]:
        return await self._manifest.documents_from(tenant_id, f"{_COPY}{file_id}")

    async def _with_attributes(self, document: Document, attributes: Metadata | None) -> Document:
        if attributes is None or attributes == document.metadata:
            return document
        gone = dict.fromkeys(document.metadata.keys() - attributes.keys())
        patch = DocumentPatch(metadata={**gone, **attributes})
        return await self._changes.update(document.tenant_id, document.id, patch)
