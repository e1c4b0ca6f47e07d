"""Data directories of any size without the hours of embedding: made-up text, random unit vectors, true bookkeeping.

Written with the product's own adapters and payloads, so that start-up finds manifest, blobs and vectors in agreement.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
from sqlalchemy import insert

from bench.corpus import make_paragraphs
from bench.inside import open_inside
from ragstone.adapters import Adapters
from ragstone.core.models import (
    Chunk,
    IngestTask,
    Job,
    JobKind,
    JobState,
    Point,
    Progress,
    Scope,
    SparseVector,
    Terms,
    Vector,
    VersionState,
)
from ragstone.core.sentences import sentence_spans
from ragstone.pipelines.features import pack_features
from ragstone.pipelines.payload import chunk_payload, point_id
from ragstone.storage.database import Database, Transaction
from ragstone.storage.tables import documents, jobs, title_key, versions

SCOPE = Scope()
BATCH = 500
PARAGRAPHS = 2_000  # distinct ones; beyond them texts repeat with other vectors
MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
MANIFEST = "manifest.db"

Row = dict[str, Any]
Rows = tuple[Row, Row, Row]
"""Of a document, of its version, of its finished job."""


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A text with all that is derived from it."""

    text: str
    sentences: tuple[tuple[int, int], ...]
    terms: tuple[Terms, ...]
    sparse: SparseVector


async def build(folder: Path, *, count: int, chunks_each: int, with_vectors: bool = True) -> None:
    """`count` documents of `chunks_each` points in the default collection of a new data directory, the sentences with
    vectors or without."""
    async with open_inside(folder) as inside:
        adapters = inside.adapters
        texts = islice(make_paragraphs(), min(PARAGRAPHS, count * chunks_each))
        paragraphs = [_paragraph(text, adapters) for text in texts]
        random = np.random.default_rng(11)
        points: list[Point] = []
        rows: list[Rows] = []
        for number in range(count):
            first = number * chunks_each
            chosen = [paragraphs[(first + index) % len(paragraphs)] for index in range(chunks_each)]
            points += _points(number, chosen, random, adapters, with_vectors=with_vectors)
            rows.append(_rows(number, chosen, adapters))
            while len(points) >= BATCH:
                await adapters.store.upsert(SCOPE, points[:BATCH])
                del points[:BATCH]
        await adapters.store.upsert(SCOPE, points)
        await adapters.store.flush()
    await _write_rows(folder / MANIFEST, rows)


def _paragraph(text: str, adapters: Adapters) -> Paragraph:
    spans = tuple((start, end) for start, end in sentence_spans(text))
    terms = tuple(adapters.sparse_encoder.terms(text[start:end]) for start, end in spans)
    return Paragraph(text, spans, terms, adapters.sparse_encoder.encode_document(terms))


def _document_id(number: int) -> str:
    return str(UUID(int=number + 1))


def _title(number: int) -> str:
    return f"Made-up document {number}"


def _points(
    number: int,
    paragraphs: Sequence[Paragraph],
    random: np.random.Generator,
    adapters: Adapters,
    *,
    with_vectors: bool,
) -> Iterator[Point]:
    task, start = _task(number), 0
    for index, paragraph in enumerate(paragraphs):
        sentences = tuple((start + first, start + last) for first, last in paragraph.sentences)
        chunk = Chunk(
            index, start, start + len(paragraph.text), paragraph.text, _title(number), sentences=sentences
        )
        rows = len(sentences) if with_vectors else 0
        vectors = _unit_rows(random, rows, adapters.embedder.dimension)
        lengths = [end - begin for begin, end in sentences]
        yield Point(
            id=point_id(task.document_id, task.version, index),
            dense=_unit_rows(random, 1, adapters.embedder.dimension)[0],
            sparse=paragraph.sparse,
            payload=chunk_payload(
                task,
                chunk,
                title=_title(number),
                key=f"{number}-{index}",
                gap="\n\n" if index else None,
                language="en",
                features=pack_features(paragraph.terms, lengths, vectors),
            ),
        )
        start += len(paragraph.text) + 2


def _unit_rows(random: np.random.Generator, rows: int, dimension: int) -> Vector:
    made = random.standard_normal((rows, dimension), dtype=np.float32)
    unit: Vector = made / np.linalg.norm(made, axis=1, keepdims=True)
    return unit


def _task(number: int) -> IngestTask:
    job = Job(
        id=f"job-{number}",
        tenant_id=SCOPE.tenant_id,
        document_id=_document_id(number),
        version=1,
        kind=JobKind.INGEST,
        state=JobState.SUCCEEDED,
        stage=None,
        progress=Progress(),
        attempts=1,
        next_retry_at=None,
        error=None,
        stage_ms={},
        created_at=MOMENT,
        finished_at=MOMENT,
    )
    return IngestTask(
        job=job,
        scope=SCOPE,
        document_id=_document_id(number),
        version=1,
        sha256="",
        filename=None,
        media_type="text/plain",
        title=_title(number),
        source=f"made-up/{number}",
        metadata={},
        created_at=MOMENT,
    )


def _rows(number: int, paragraphs: Sequence[Paragraph], adapters: Adapters) -> Rows:
    """Once its bytes lie in the blob folder (not fsynced: it is made up)."""
    texts = [*(paragraph.text for paragraph in paragraphs), str(number)]
    content = "\n\n".join(texts).encode()
    sha256 = hashlib.sha256(content).hexdigest()
    path = adapters.blobs.path(sha256)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    document = {
        "id": _document_id(number),
        "tenant_id": SCOPE.tenant_id,
        "collection": SCOPE.collection,
        "source": f"made-up/{number}",
        "title": _title(number),
        "title_key": title_key(_title(number)),
        "metadata": {},
        "visible_version": 1,
        "newest_version": 1,
        "created_at": MOMENT,
        "updated_at": MOMENT,
    }
    version = {
        "document_id": _document_id(number),
        "version": 1,
        "state": VersionState.VISIBLE,
        "job_id": f"job-{number}",
        "sha256": sha256,
        "text_sha256": sha256,
        "bytes": len(content),
        "characters": len(content.decode()),
        "chunks": len(paragraphs),
        "media_type": "text/plain",
        "title": _title(number),
        "metadata": {},
        "created_at": MOMENT,
    }
    job = {
        "id": f"job-{number}",
        "tenant_id": SCOPE.tenant_id,
        "document_id": _document_id(number),
        "version": 1,
        "kind": JobKind.INGEST,
        "state": JobState.SUCCEEDED,
        "stage_ms": {},
        "created_at": MOMENT,
        "finished_at": MOMENT,
    }
    return document, version, job


async def _write_rows(path: Path, rows: Sequence[Rows]) -> None:
    def write(tx: Transaction) -> None:
        for table, filled in zip((documents, versions, jobs), zip(*rows, strict=True), strict=True):
            tx.execute(insert(table), list(filled))

    database = Database(path)
    await database.write("synthetic", write)
    await database.close()
