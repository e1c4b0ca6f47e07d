"""What a point carries of its chunk, written at ingest and read back at search. Plain JSON."""

import base64
import hashlib
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from ragstone.core.filters import epoch_micros
from ragstone.core.models import Chunk, IngestTask, Location, Sentence, Source, Vector, VisibleDocument
from ragstone.core.ports import SparseEncoder
from ragstone.pipelines.fusion import Candidate

_POINTS = uuid.UUID("6f0b1d0e-53a6-5f0e-9d61-2f3f6ad6c1de")  # namespace of point ids; never change it


def document_version(document_id: str, version: int) -> str:
    """The internal key by which all points of one version are counted and deleted."""
    return f"{document_id}:{version}"


def point_id(document_id: str, version: int, index: int) -> str:
    """UUIDv5 of (document, version, chunk index): writing a chunk again replaces it."""
    return str(uuid.uuid5(_POINTS, f"{document_id}:{version}:{index}"))


def embedding_key(chunk: Chunk, fingerprint: str) -> str:
    """Equal for chunks whose vectors are equal: same embedded text, same sentence spans, same embedder."""
    offset = len(chunk.embedding_text) - len(chunk.text) - chunk.start
    spans = [(start + offset, end + offset) for start, end in chunk.sentences]
    digest = hashlib.blake2b(digest_size=16)
    for part in (fingerprint, chunk.embedding_text, repr(spans)):
        digest.update(part.encode("utf-8", "surrogatepass"))
        digest.update(b"\0")
    return digest.hexdigest()


def chunk_payload(
    task: IngestTask, chunk: Chunk, *, title: str, key: str, spans: str, tokens: Sequence[Sequence[int]]
) -> dict[str, Any]:
    """The payload of one point; `spans` are its sentence vectors as `pack_spans` makes them, `tokens` the token ids of
    each sentence: finding them anew takes a query's process 20 µs a sentence."""
    return {
        "tenant_id": task.scope.tenant_id,
        "collection": task.scope.collection,
        "document_id": task.document_id,
        "document_version": document_version(task.document_id, task.version),
        "embedding_key": key,
        "source": task.source,
        "title": title,
        "filename": task.filename,
        "media_type": task.media_type,
        "created_at": epoch_micros(task.created_at),
        "metadata": dict(task.metadata),
        "index": chunk.index,
        "start": chunk.start,
        "end": chunk.end,
        "text": chunk.text,
        "heading": list(chunk.heading),
        "location": asdict(chunk.location),
        "sentences": [list(span) for span in chunk.sentences],
        "spans": spans,
        "tokens": [list(ids) for ids in tokens],
    }


def sentence_tokens(encoder: SparseEncoder, chunk: Chunk) -> list[list[int]]:
    """The token ids of each sentence, ascending."""
    texts = (chunk.text[start - chunk.start : end - chunk.start] for start, end in chunk.sentences)
    return [sorted(encoder.token_ids(text)) for text in texts]


def pack_spans(spans: Vector) -> str:
    """Sentence vectors, shape (n, dimension), as base64 of int8: each row scaled to its own largest value, since
    only directions are compared. 384 bytes a sentence; costs about a point of accuracy or none."""
    if not len(spans):
        return ""
    largest = np.abs(spans).max(axis=1, keepdims=True)
    largest[largest == 0] = 1.0
    return base64.b64encode(np.rint(spans * (127.0 / largest)).astype(np.int8).tobytes()).decode("ascii")


def unpack_spans(packed: str, rows: int) -> Vector:
    """Unit rows again, zeros where the sentence had no vector; shape (rows, dimension)."""
    if not rows:
        return np.zeros((0, 0), np.float32)
    flat = np.frombuffer(base64.b64decode(packed), np.int8).astype(np.float32)
    spans = flat.reshape(rows, -1)
    norms = np.linalg.norm(spans, axis=1, keepdims=True)
    norms[norms == 0] = 1.0
    unit: Vector = spans / norms
    return unit


def location_of(payload: Mapping[str, Any]) -> Location:
    """The chunk's place in the original."""
    return Location(**payload["location"])


def source_of(
    payload: Mapping[str, Any], candidate: Candidate, document: VisibleDocument, *, with_sentences: bool
) -> Source:
    """A hit as a source, not numbered yet. Title and metadata come from the manifest, which alone knows them now.
    Sentences cost 34 µs a hit, and only answers need them."""
    return Source(
        n=0,
        document_id=document.id,
        version=document.version,
        chunk_id=candidate.id,
        title=document.title,
        heading=tuple(payload["heading"]),
        location=location_of(payload),
        start=payload["start"],
        end=payload["end"],
        text=payload["text"],
        score=round(candidate.score, 6),
        scores={"dense": _rounded(candidate.dense), "sparse": _rounded(candidate.sparse)},
        metadata=document.metadata,
        sentences=_sentences(payload) if with_sentences else (),
    )


def _sentences(payload: Mapping[str, Any]) -> tuple[Sentence, ...]:
    bounds: list[list[int]] = payload["sentences"]
    vectors = unpack_spans(payload["spans"], len(bounds)) if payload["spans"] else None
    first, text = payload["start"], payload["text"]
    nothing = np.zeros(0, np.float32)
    tokens = payload.get("tokens")  # points of earlier builds have none
    return tuple(
        Sentence(
            start,
            end,
            text[start - first : end - first],
            nothing if vectors is None else vectors[row],
            tokens=None if tokens is None else frozenset(tokens[row]),
        )
        for row, (start, end) in enumerate(bounds)
    )


def _rounded(score: float | None) -> float | None:
    return None if score is None else round(score, 6)
