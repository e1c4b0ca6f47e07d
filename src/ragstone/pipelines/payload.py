"""What a point carries of its chunk, written at ingest and read back at search. Plain JSON."""

import hashlib
import uuid
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from ragstone.core.filters import epoch_micros
from ragstone.core.models import Chunk, IngestTask, Location, Sentence, Source, VisibleDocument
from ragstone.pipelines.features import Packed
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
    task: IngestTask, chunk: Chunk, *, title: str, key: str, gap: str | None, language: str, features: str
) -> dict[str, Any]:
    """The payload of one point. `gap` is the text between the chunk before it and this one, None where it is not white
    space; `language` the code of the language that it was taken for; `features` what ranking reads of it."""
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
        "gap": gap,
        "language": language,
        "features": features,
    }


def sentence_texts(chunk: Chunk) -> list[str]:
    """The text of each sentence."""
    return [chunk.text[start - chunk.start : end - chunk.start] for start, end in chunk.sentences]


def location_of(payload: Mapping[str, Any]) -> Location:
    """The chunk's place in the original."""
    return Location(**payload["location"])


def source_of(
    payload: Mapping[str, Any], candidate: Candidate, document: VisibleDocument, features: Packed | None
) -> Source:
    """A hit as a source, not numbered yet. Title and metadata come from the manifest, which alone knows them now.
    Only answers need sentences, which are unpacked from `features`; None leaves them out."""
    return Source(
        n=0,
        document_id=document.id,
        version=document.version,
        chunk_id=candidate.id,
        index=payload["index"],
        language=payload["language"],
        title=document.title,
        heading=tuple(payload["heading"]),
        location=location_of(payload),
        start=payload["start"],
        end=payload["end"],
        text=payload["text"],
        score=round(candidate.score, 6),
        scores={
            "dense": _rounded(candidate.dense),
            "sparse": _rounded(candidate.sparse),
            **{name: round(score, 6) for name, score in candidate.terms.items()},
        },
        metadata=document.metadata,
        sentences=() if features is None else sentences_of(payload, features),
    )


def sentences_of(payload: Mapping[str, Any], features: Packed) -> tuple[Sentence, ...]:
    """The chunk's sentences, with vectors and terms where its features have them."""
    bounds: list[list[int]] = payload["sentences"]
    is_known = features.sentences == len(bounds)
    has_vectors = is_known and features.has_vectors
    vectors = features.unit_vectors() if has_vectors else np.zeros((len(bounds), 0), np.float32)
    tokens = features.tokens() if is_known else [None] * len(bounds)
    first, text = payload["start"], payload["text"]
    return tuple(
        Sentence(start, end, text[start - first : end - first], vectors[row], tokens=tokens[row])
        for row, (start, end) in enumerate(bounds)
    )


def _rounded(score: float | None) -> float | None:
    return None if score is None else round(score, 6)
