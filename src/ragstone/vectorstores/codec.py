"""Points, vectors and payloads as they travel to the engine: the store's side. Checks what Edge would take silently."""

import json
import math
from array import array
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import orjson

from ragstone.core.errors import BadEmbedding
from ragstone.core.filters import payload_fields
from ragstone.core.models import Point, ScoredId, SparseVector, StoredPoint, Vector
from ragstone.vectorstores.fields import embedding_token, numbers_of, tokens_of
from ragstone.vectorstores.kept import FEATURES

_BY_THE_BOOK = "\n"  # opens a payload that orjson would not read back as it was


def unit_rows(vectors: Sequence[Vector], dimension: int) -> Vector:
    """The vectors at length one, shape (len(vectors), dimension). Raises BadEmbedding."""
    for vector in vectors:
        if np.shape(vector) != (dimension,):
            raise BadEmbedding(f"a vector of shape {np.shape(vector)} where ({dimension},) belongs")
    rows = np.array(vectors, np.float64).reshape(len(vectors), dimension)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    if not np.isfinite(lengths).all():
        raise BadEmbedding("a vector holds NaN or infinity")
    if not lengths.all():
        raise BadEmbedding("a vector has length zero")
    unit: Vector = (rows / lengths).astype(np.float32)
    return unit


def pack_sparse(sparse: SparseVector) -> tuple[bytes, bytes]:
    """Token ids as uint32, weights as float32. Raises BadEmbedding."""
    if len(sparse.indices) != len(sparse.values) or len(set(sparse.indices)) != len(sparse.indices):
        raise BadEmbedding("a sparse vector needs one weight for each of its distinct tokens")
    if not all(map(math.isfinite, sparse.values)):
        raise BadEmbedding("a sparse vector holds NaN or infinity")
    return array("I", sparse.indices).tobytes(), array("f", sparse.values).tobytes()


def pack_point(tenant_id: str, point: Point, unit: Vector, sparse: tuple[bytes, bytes]) -> list[Any]:
    """One point as `Engine.upsert` takes it."""
    return [point.id, unit.tobytes(), *sparse, *pack_payload(tenant_id, point.payload)]


def pack_payload(tenant_id: str, payload: Mapping[str, Any]) -> list[Any]:
    """What the engine keeps of a payload: document version, tokens, numbers, all else as JSON, features."""
    fields = payload_fields(payload)
    tokens = tokens_of(fields)
    if (key := fields["embedding_key"]) is not None:
        tokens.append(embedding_token(tenant_id, key))
    body = {name: value for name, value in payload.items() if name != FEATURES}
    return [
        fields["document_version"],
        b"".join(tokens),
        numbers_of(fields),
        _to_json(body),
        payload.get(FEATURES, ""),
    ]


def unpack_point(stored: Sequence[Any]) -> StoredPoint:
    """A point as the engine hands it back; the payload is what was written, to the last digit."""
    id_, body, features, dense = stored
    vector = None if dense is None else np.frombuffer(dense, np.float32)
    return StoredPoint(id_, unpack_payload(body, features), vector)


def unpack_hits(hits: tuple[Sequence[str], Sequence[float]]) -> list[ScoredId]:
    """One leg's hits."""
    ids, scores = hits
    return [ScoredId(id_, score) for id_, score in zip(ids, scores, strict=True)]


def _to_json(payload: Any) -> str:
    try:
        return orjson.dumps(payload).decode()
    except TypeError:  # an integer over 64 bits, or half a character: both are good JSON
        return _BY_THE_BOOK + json.dumps(payload)


def unpack_payload(body: str, features: str = "") -> dict[str, Any]:
    """The payload that `pack_payload` made this JSON of; with its features, where they were read."""
    payload: dict[str, Any] = json.loads(body) if body.startswith(_BY_THE_BOOK) else orjson.loads(body)
    return {**payload, FEATURES: features} if features else payload
