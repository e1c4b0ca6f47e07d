"""Points and records, between what travels (ids, bytes, JSON) and Qdrant Edge's objects. Runs in the engine's process."""

from typing import Any

from qdrant_edge import Point, Record, ScoredPoint, SparseVector

from ragstone.vectorstores.edge_shard import DENSE, SPARSE
from ragstone.vectorstores.kept import (
    FEATURES,
    floats,
    from_payload,
    integers,
    pack_floats,
    pack_integers,
    to_payload,
)

Stored = tuple[str, str, str, bytes | None]
"""Id, payload as JSON; where they were asked for, its features and the dense vector as float32 bytes."""


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
    features: str,
) -> Point:
    """`fixed` is the part of the payload that all points of a batch share."""
    vectors: dict[str, Any] = {DENSE: floats(dense), SPARSE: SparseVector(integers(indices), floats(values))}
    return Point(id_, vectors, to_payload(fixed, version, tokens, numbers, body, features))


def to_row(record: Record) -> list[Any]:
    """A point that moves to another engine: what `kept.Row` holds."""
    tenant_id, scope, kept = from_payload(_payload(record))
    vector: Any = record.vector
    dense, sparse = vector[DENSE], vector[SPARSE]
    packed = [pack_floats(dense), pack_integers(sparse.indices), pack_floats(sparse.values)]
    return [tenant_id, scope, [str(record.id), *packed, *kept]]


def to_stored(record: Record) -> Stored:
    """What the store hands back."""
    vector: Any = record.vector
    dense = pack_floats(vector[DENSE]) if vector else None
    payload = _payload(record)
    return str(record.id), payload["body"], payload.get(FEATURES, ""), dense


def features_of(record: Record) -> str:
    """Empty where the point has none."""
    features: str = _payload(record).get(FEATURES, "")
    return features


def scope_of(record: Record) -> str:
    """The scope that the point was written to."""
    return str(_payload(record)["scope"])


def weight_of(hit: ScoredPoint, index: int) -> float:
    """The stored weight of one of the hit's tokens."""
    vector: Any = hit.vector
    sparse = vector[SPARSE]
    return float(sparse.values[sparse.indices.index(index)])


def _payload(record: Record) -> dict[str, Any]:
    payload = record.payload
    assert payload is not None  # it was asked for
    return payload
