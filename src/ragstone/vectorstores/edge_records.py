"""Points and records, between what travels (ids, bytes, JSON) and Qdrant Edge's objects. Runs in the engine's process."""

from array import array
from typing import Any

from qdrant_edge import Point, Record, ScoredPoint, SparseVector

from ragstone.vectorstores.edge_shard import DENSE, SPARSE

Stored = tuple[str, str, bytes | None]
"""Id, payload as JSON, dense vector as float32 bytes where it was asked for."""


def to_point(
    fixed: dict[str, Any],
    id_: str,
    dense: bytes,
    indices: bytes,
    values: bytes,
    version: str | None,
    tokens: bytes,
    numbers: dict[str, list[float]],
    body: str,
) -> Point:
    """`fixed` is the part of the payload that all points of a batch share."""
    vectors: dict[str, Any] = {DENSE: floats(dense), SPARSE: SparseVector(integers(indices), floats(values))}
    return Point(id_, vectors, to_payload(fixed, version, tokens, numbers, body))


def to_payload(
    fixed: dict[str, Any], version: str | None, tokens: bytes, numbers: dict[str, list[float]], body: str
) -> dict[str, Any]:
    """What is kept of a point besides its vectors."""
    digits = tokens.hex()
    return {
        **fixed,
        "document_version": version,
        "tokens": [digits[start : start + 32] for start in range(0, len(digits), 32)],
        "numbers": numbers,
        "body": body,
    }


def to_stored(record: Record) -> Stored:
    """What the store hands back."""
    vector: Any = record.vector
    dense = array("f", vector[DENSE]).tobytes() if vector else None
    return str(record.id), _payload(record)["body"], dense


def scope_of(record: Record) -> str:
    """The scope that the point was written to."""
    return str(_payload(record)["scope"])


def weight_of(hit: ScoredPoint, index: int) -> float:
    """The stored weight of one of the hit's tokens."""
    vector: Any = hit.vector
    sparse = vector[SPARSE]
    return float(sparse.values[sparse.indices.index(index)])


def floats(packed: bytes) -> list[float]:
    """Raw float32 as numbers."""
    return array("f", packed).tolist()


def integers(packed: bytes) -> list[int]:
    """Raw uint32 as numbers."""
    return array("I", packed).tolist()


def _payload(record: Record) -> dict[str, Any]:
    payload = record.payload
    assert payload is not None  # it was asked for
    return payload
