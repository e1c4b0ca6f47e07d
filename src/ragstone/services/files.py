"""Files that are attached to collections, as OpenAI's dialect has it: a file is a document; attached to another
collection it is a copy there, which names it."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

from ragstone.core.errors import Conflict, DocumentNotFound, RecordNotFound
from ragstone.core.models import (
    DEFAULT_COLLECTION,
    Document,
    DocumentName,
    DocumentPatch,
    DocumentStatus,
    Metadata,
    Record,
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
_PAGE = 200
MOST_NAMES = 10_000  # that are remembered: two megabytes
_IN_WORK = (DocumentStatus.QUEUED, DocumentStatus.PROCESSING)


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that is to be attached. `attributes` None: none, or those that it was attached with before."""

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
    return document.copy_of or document.id


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

    async def upload(
        self, received: ReceivedFile, *, tenant_id: str, label: str, expires_at: datetime | None
    ) -> Document:
        """A new file. The same name, bytes and label give the file that is there, which expires as was said last; other
        bytes make another one."""
        source = f"{label}:{received.sha256[:16]}:{received.filename}"
        fields = UploadFields(Scope(tenant_id, HOME), source)
        document = (await self._documents.upload_file(received, fields)).document
        if document.expires_at == expires_at:
            return document
        return await self._changes.update(tenant_id, document.id, DocumentPatch(expires_at=expires_at))

    async def get(self, tenant_id: str, file_id: str) -> Document:
        """The document that was uploaded, or the oldest copy where that one was deleted by itself. Raises
        DocumentNotFound."""
        return await self._manifest.get_file(tenant_id, file_id)

    async def uploaded(
        self,
        tenant_id: str,
        *,
        after: str | None,
        is_descending: bool,
        limit: int,
        passes: Callable[[Document], bool],
    ) -> tuple[list[Document], bool]:
        """Files that pass, by age, behind the one with the id `after`; and whether more follow. Raises
        DocumentNotFound."""

        def turn(beside: str | None, limit: int) -> Awaitable[tuple[list[Document], bool]]:
            return self._manifest.list_files(
                tenant_id, beside=beside, is_descending=is_descending, limit=limit
            )

        return await _walk(turn, after, limit, passes)

    async def delete(self, tenant_id: str, file_id: str) -> None:
        """The file and all its copies, in one commit. Raises DocumentNotFound."""
        await self._documents.purged(file_id, self._manifest.delete_file(tenant_id, file_id))

    async def attach(self, scope: Scope, wanted: Attachment) -> Document:
        """Make a file one of this collection; repeating it changes nothing but the attributes. Raises DocumentNotFound,
        CollectionNotFound, Conflict (it is there in chunks of another size), QueueFull."""
        await self._manifest.require_collection(scope)
        file = await self.get(scope.tenant_id, wanted.file_id)
        if file.collection == scope.collection:
            return await self._attached_again(file, wanted)
        accepted = await self._documents.copy(
            file,
            scope,
            file_id=file_id_of(file),
            metadata=wanted.attributes,
            chunk_tokens=wanted.chunk_tokens,
        )
        if accepted.job is not None:
            return accepted.document
        return await self._attached_again(accepted.document, wanted)

    async def attached(self, scope: Scope, file_id: str) -> Document:
        """The file as this collection has it. Raises CollectionNotFound, DocumentNotFound."""
        await self._manifest.require_collection(scope)
        found = await self._manifest.attached_files(scope, [file_id])
        if not found:  # it may be the id of a copy elsewhere
            file = await self._manifest.get_file(scope.tenant_id, file_id)
            found = await self._manifest.attached_files(scope, [file_id_of(file)])
        if not found:
            raise DocumentNotFound(f"the file {file_id!r} is not attached to {scope.collection!r}")
        return found[0]

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
        """Files of a collection that pass, by age, behind the file `beside`; from the beginning where that one was taken
        out meanwhile, as by those who empty what they list. Raises CollectionNotFound, DocumentNotFound."""
        await self._manifest.require_collection(scope)
        here = [] if beside is None else await self._manifest.attached_files(scope, [beside])

        def turn(beside: str | None, limit: int) -> Awaitable[tuple[list[Document], bool]]:
            return self._manifest.documents_beside(
                scope, beside=beside, is_descending=is_descending, limit=limit
            )

        if beside is not None and not here:
            await turn(beside, 1)  # raises where there never was such a file
        return await _walk(turn, here[0].id if here else None, limit, passes)

    async def detach(self, scope: Scope, file_id: str) -> None:
        """Take a copy out of its collection; the file stays. Raises CollectionNotFound, DocumentNotFound, HomeOfFile."""
        await self._manifest.require_collection(scope)
        await self._documents.purged(file_id, self._manifest.detach_file(scope, file_id))

    async def change_attributes(self, scope: Scope, file_id: str, attributes: Metadata) -> Document:
        """Put these in place of the ones that are there. Raises CollectionNotFound, DocumentNotFound."""
        return await self._with_attributes(await self.attached(scope, file_id), attributes)

    # ---- batches ----

    async def attach_batch(self, scope: Scope, wanted: Sequence[Attachment]) -> Batch:
        """All of them, or none where one is unknown. Raises as `attach`."""
        await self._manifest.require_collection(scope)
        for each in wanted:
            await self.get(scope.tenant_id, each.file_id)
        for each in wanted:
            await self.attach(scope, each)
        content = {"collection": scope.collection, "file_ids": [each.file_id for each in wanted]}
        batch_id = f"vsfb_{uuid4().hex}"
        return await self._batch(
            scope, await self._records.remember(scope.tenant_id, RecordKind.BATCH, batch_id, content)
        )

    async def batch(self, scope: Scope, batch_id: str) -> Batch:
        """As it stands now. Raises RecordNotFound."""
        record = await self._records.recall(scope.tenant_id, RecordKind.BATCH, batch_id)
        if record.content["collection"] != scope.collection:
            raise RecordNotFound(f"there is no batch {batch_id!r} of {scope.collection!r}")
        return await self._batch(scope, record)

    async def cancel_batch(self, scope: Scope, batch_id: str) -> Batch:
        """Stop what of it is still in work. Raises RecordNotFound."""
        for document in (await self.batch(scope, batch_id)).files:
            if document.status in _IN_WORK:
                await self._jobs.cancel_of_document(scope.tenant_id, document.id)
        return await self.batch(scope, batch_id)

    async def _batch(self, scope: Scope, record: Record) -> Batch:
        files = await self._manifest.attached_files(scope, record.content["file_ids"])
        return Batch(record.id, scope.collection, record.created_at.timestamp(), tuple(files))

    async def _attached_again(self, document: Document, wanted: Attachment) -> Document:
        if wanted.chunk_tokens not in (None, document.chunk_tokens):
            raise Conflict(
                f"the file {wanted.file_id!r} is there already, in chunks of another size; detach it first"
            )
        return await self._with_attributes(document, wanted.attributes)

    async def _with_attributes(self, document: Document, attributes: Metadata | None) -> Document:
        if attributes is None or attributes == document.metadata:
            return document
        patch = DocumentPatch(metadata=attributes, replaces_metadata=True)
        return await self._changes.update(document.tenant_id, document.id, patch)


async def _walk(
    turn: Callable[[str | None, int], Awaitable[tuple[list[Document], bool]]],
    beside: str | None,
    limit: int,
    passes: Callable[[Document], bool],
) -> tuple[list[Document], bool]:
    """The first that pass, page by page, and whether more follow."""
    found: list[Document] = []
    has_more, size = True, limit + 1  # one page is enough where all pass
    while len(found) <= limit and has_more:
        page, has_more = await turn(beside, size)
        size = _PAGE
        found.extend(document for document in page if passes(document))
        beside = page[-1].id if page else beside
    return found[:limit], len(found) > limit
