"""From stored bytes to indexed points: parse, chunk, embed, index. Switching to the version is the service's."""

import asyncio
import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from ragstone.core.crash import crash_point
from ragstone.core.deadline import Deadline
from ragstone.core.errors import NoText, UnsafeArchive, UnsupportedMediaType
from ragstone.core.models import (
    UNNAMED,
    Chunk,
    Embedding,
    EmbeddingInput,
    IndexedVersion,
    IngestTask,
    JobKind,
    Member,
    Point,
    Progress,
    ReadDocument,
    SpooledChild,
    Stage,
    StoredPoint,
)
from ragstone.core.ports import (
    BlobStore,
    DocumentReader,
    Embedder,
    Manifest,
    SparseEncoder,
    TypeDetector,
    VectorStore,
)
from ragstone.core.retry import Dependency
from ragstone.core.timing import Stopwatch
from ragstone.pipelines.features import decode, pack_features
from ragstone.pipelines.known import known_before
from ragstone.pipelines.payload import chunk_payload, embedding_key, point_id, sentence_texts

BATCH_CHUNKS = 32  # about a second of embedding: progress moves, memory stays small, cancelling is quick
_TELLING_CHARACTERS = 8_000  # of a document tell its language, within 2 ms of the event loop
_WIDEST_GAP = 100  # characters between two chunks
BATCH_LIMIT_S = 300.0  # for a batch's embeddings, retries included; then the job waits its turn again
MOST_DEPTH = 3  # of documents inside documents
_COMPRESSED = ("gz", "bz2", "xz")
UNKNOWN_TYPE = "application/octet-stream"
PROGRESS_EVERY_S = 0.5  # a commit with fsync each; small documents are done before the first one

CRASH_POINTS = (
    "ingest.parsed",
    "ingest.text_stored",
    "ingest.embedded",
    "ingest.batch_indexed",
    "ingest.indexed",
)


class JobGone(Exception):
    """The job was cancelled, superseded, or its document deleted: stop without a word."""


@dataclass(frozen=True, slots=True)
class IngestParts:
    """The ports that ingestion works with."""

    reader: DocumentReader
    embedder: Embedder
    sparse_encoder: SparseEncoder
    store: VectorStore
    blobs: BlobStore
    manifest: Manifest
    embedding: Dependency
    detect: TypeDetector


async def ingest(parts: IngestParts, task: IngestTask, stopwatch: Stopwatch) -> IndexedVersion:
    """Do all the work of a task; its points are confirmed by the store when this returns. Running it again is
    harmless. Raises IngestError kinds, WorkerDied, EngineUnavailable, EmbedderUnavailable, ExternalServiceError kinds,
    DeadlineExceeded, JobGone."""
    progress = ProgressLog(parts.manifest, task.job.id)
    document = await _read(parts, task, progress, stopwatch)
    parsed, chunks = document.parsed, document.chunks
    chunked = ChunkedText.of(parts.sparse_encoder, document)
    title = task.title or parsed.title or task.filename or "Untitled"
    with stopwatch.stage("chunk"):  # the text is chunked where it is parsed; what remains is to store it
        text_sha256 = await _store_content(parts, task, document)
    stopwatch.tell("embed", provider=parts.embedding.provider, model=parts.embedder.fingerprint)
    stopwatch.tell("index", collection=task.scope.collection, chunks=len(chunks))
    reused = 0
    for first in range(0, len(chunks), BATCH_CHUNKS):
        await progress.report(Stage.EMBED, first, len(chunks))
        points, known = await embed_chunks(parts, task, chunked, first, title, stopwatch)
        reused += known
        with stopwatch.stage("index"):
            await parts.store.upsert(task.scope, points)
        crash_point("ingest.batch_indexed")
    await progress.report(Stage.INDEX, len(chunks), len(chunks))
    crash_point("ingest.indexed")
    return IndexedVersion(
        job_id=task.job.id,
        document_id=task.document_id,
        version=task.version,
        title=title,
        text_sha256=text_sha256,
        characters=len(parsed.text),
        chunks=len(chunks),
        pages=parsed.pages,
        encoding=parsed.encoding,
        stage_ms=stopwatch.stages(),
        chunks_reused=reused,
        bytes=task.bytes,
        request_id=task.job.request_id,
    )


@dataclass(frozen=True, slots=True)
class ChunkedText:
    """A document's text in chunks, and the language that most of it seems to be written in."""

    text: str
    chunks: Sequence[Chunk]
    language: str

    @classmethod
    def of(cls, encoder: SparseEncoder, document: ReadDocument) -> "ChunkedText":
        """As it was read."""
        text = document.parsed.text
        return cls(text, document.chunks, encoder.language(text[:_TELLING_CHARACTERS]))

    def gap(self, index: int) -> str | None:
        """What parts a chunk from the one before it; None where that is more than white space."""
        if not index:
            return None
        between = self.text[self.chunks[index - 1].end : self.chunks[index].start]
        return between if len(between) <= _WIDEST_GAP and not between.strip() else None


@dataclass(slots=True)
class ProgressLog:
    """Writes progress down at most every half second, and notices that the job is gone."""

    manifest: Manifest
    job_id: str
    _written: float = field(default_factory=time.monotonic)

    async def report(self, stage: Stage, done: int, total: int) -> None:
        """Raises JobGone."""
        if time.monotonic() - self._written < PROGRESS_EVERY_S:
            return
        if not await self.manifest.record_progress(self.job_id, stage, Progress(done, total, "chunks")):
            raise JobGone
        self._written = time.monotonic()


async def _read(
    parts: IngestParts, task: IngestTask, progress: ProgressLog, stopwatch: Stopwatch
) -> ReadDocument:
    await progress.report(Stage.PARSE, 0, 0)
    with stopwatch.stage("chunk"):
        known = await known_before(parts.store, task)
    stopwatch.tell("parse", media_type=task.media_type, bytes=task.bytes)
    with stopwatch.stage("parse"):
        document = await parts.reader.read(
            parts.blobs.path(task.sha256),
            media_type=task.media_type,
            title=task.title,
            new_spool=parts.blobs.new_spool,
            known=known,
            chunk_tokens=task.chunk_tokens,
        )
    crash_point("ingest.parsed")
    return document


async def _store_content(parts: IngestParts, task: IngestTask, document: ReadDocument) -> str:
    """The text, and the bytes of what is inside; returns the text's hash. All is referred to before it is stored, so
    that no purge of equal bytes comes between. Takes over the children's files. Raises NoText, UnsafeArchive, JobGone.
    """
    try:
        _require_sense(task, document)
        content = document.parsed.text.encode()
        sha256 = hashlib.sha256(content).hexdigest()
        members = [await _member(parts, task, child) for child in document.children]
        if not await parts.manifest.record_content(task.job.id, sha256, members):
            raise JobGone
        await parts.blobs.put(content)
        for child in document.children:
            await parts.blobs.put_file(child.path, child.sha256)
    finally:
        drop_children(document)
    crash_point("ingest.text_stored")
    return sha256


def drop_children(document: ReadDocument) -> None:
    """Remove the files of children that nobody took over."""
    for child in document.children:
        child.path.unlink(missing_ok=True)


def _require_sense(task: IngestTask, document: ReadDocument) -> None:
    if not document.chunks:
        raise NoText("the document holds no text")
    if document.children and task.depth >= MOST_DEPTH:
        raise UnsafeArchive(f"documents are nested more than {MOST_DEPTH} deep")


async def _member(parts: IngestParts, task: IngestTask, child: SpooledChild) -> Member:
    """What its type is, its content says; one that nobody reads has a type that fails with its reason."""
    filename = _name_inside(task, child)
    try:
        media_type = await asyncio.to_thread(parts.detect, child.head, filename, child.media_type, child.path)
    except UnsupportedMediaType:
        media_type = UNKNOWN_TYPE
    return Member(filename, child.sha256, child.bytes, media_type)


def _name_inside(task: IngestTask, child: SpooledChild) -> str:
    """`table.csv.gz` holds `table.csv`, also where it does not say so."""
    stem, _, suffix = (task.filename or "").rpartition(".")
    return stem if child.filename == UNNAMED and stem and suffix.lower() in _COMPRESSED else child.filename


async def embed_chunks(
    parts: IngestParts, task: IngestTask, chunked: ChunkedText, first: int, title: str, stopwatch: Stopwatch
) -> tuple[list[Point], int]:
    """Points of the batch that begins with chunk `first`, and how many vectors were taken over: only chunks that no
    stored point has an equal of are embedded. A re-index embeds anew."""
    chunks = chunked.chunks[first : first + BATCH_CHUNKS]
    keys = [embedding_key(chunk, parts.embedder.fingerprint) for chunk in chunks]
    with stopwatch.stage("embed"):
        known = (
            {} if task.job.kind is JobKind.REINDEX else await parts.store.find_embeddings(task.scope, keys)
        )
        fresh = [chunk for chunk, key in zip(chunks, keys, strict=True) if key not in known]
        inputs = [_input(chunk) for chunk in fresh]
        embeddings = iter(
            await parts.embedding.call(
                lambda: parts.embedder.embed_documents(inputs),
                deadline=Deadline.after(BATCH_LIMIT_S),
                stopwatch=stopwatch,
            )
        )
    crash_point("ingest.embedded")

    def build() -> list[Point]:
        return [
            _point(parts, task, chunked, chunk, title, key, known.get(key) or next(embeddings))
            for chunk, key in zip(chunks, keys, strict=True)
        ]

    points = await asyncio.to_thread(build)  # about 10 ms of Python a batch, in which questions would wait
    return points, len(chunks) - len(fresh)


def _input(chunk: Chunk) -> EmbeddingInput:
    offset = len(chunk.embedding_text) - len(chunk.text) - chunk.start
    return EmbeddingInput(
        chunk.embedding_text, tuple((start + offset, end + offset) for start, end in chunk.sentences)
    )


def _point(
    parts: IngestParts,
    task: IngestTask,
    chunked: ChunkedText,
    chunk: Chunk,
    title: str,
    key: str,
    known: StoredPoint | Embedding,
) -> Point:
    if isinstance(known, Embedding):
        dense, vectors = known.vector, known.spans
    else:
        assert known.dense is not None
        dense, vectors = known.dense, decode(known.payload["features"]).unit_vectors()
    encoder, texts = parts.sparse_encoder, sentence_texts(chunk)
    language = encoder.language(chunk.text, chunked.language)
    sentences = [encoder.terms(text, language) for text in texts]
    return Point(
        id=point_id(task.document_id, task.version, chunk.index),
        dense=dense,
        sparse=encoder.encode_document([encoder.terms(chunk.context, language), *sentences]),
        payload=chunk_payload(
            task,
            chunk,
            title=title,
            key=key,
            gap=chunked.gap(chunk.index),
            language=language,
            features=pack_features(sentences, [len(text) for text in texts], vectors, language),
        ),
    )
