"""The points of a version that is visible already, made anew for another collection."""

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from ragstone.core.errors import BlobMissing
from ragstone.core.models import IngestTask, Point, VersionContent, VisibleDocument
from ragstone.core.ports import VectorStore
from ragstone.core.timing import Stopwatch
from ragstone.pipelines.ingestion import BATCH_CHUNKS, ChunkedText, IngestParts, drop_children, embed_chunks
from ragstone.pipelines.known import known_chunks


class ReadingChanged(Exception):
    """The original reads otherwise than when its version was made: offsets into the stored text would be wrong."""


async def index_again(
    parts: IngestParts,
    task: IngestTask,
    content: VersionContent,
    document: VisibleDocument,
    served: VectorStore,
    write: Callable[[Sequence[Point]], Awaitable[None]],
) -> None:
    """Hand all points of the version to `write`, a batch at a time, under the ids that they have in every collection.
    Title and metadata are those of `document`, its chunks those that `served` has. Raises what `ingest` raises, BlobMissing, ReadingChanged, and what
    `write` raises."""
    if not await parts.blobs.exists(task.sha256):
        raise BlobMissing(f"the original of document {task.document_id} is gone from the data directory")
    path = parts.blobs.path(task.sha256)
    read = await parts.reader.read(
        path,
        media_type=task.media_type,
        title=task.title,
        new_spool=parts.blobs.new_spool,
        known=await known_chunks(served, task.scope, task.document_id, task.version),
    )
    drop_children(read)  # documents of their own, indexed again as such
    chunks, text_sha256 = read.chunks, hashlib.sha256(read.parsed.text.encode()).hexdigest()
    if (len(chunks), text_sha256) != (content.chunks, content.text_sha256):
        raise ReadingChanged
    chunked = ChunkedText.of(parts.sparse_encoder, read)
    shown = replace(task, metadata=document.metadata)
    for first in range(0, len(chunks), BATCH_CHUNKS):
        points, _ = await embed_chunks(parts, shown, chunked, first, document.title, Stopwatch())
        await write(points)
