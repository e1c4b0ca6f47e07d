"""Points and records, between the port's and those of Qdrant's client. What is kept of a point is what the embedded
engine keeps (see `kept`), so that points can move from one to the other as they are."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from qdrant_client import models

from ragstone.core.models import Point, Scope, SparseVector, StoredPoint, Vector
from ragstone.vectorstores.codec import pack_payload, unpack_payload
from ragstone.vectorstores.fields import scope_key
from ragstone.vectorstores.kept import (
    FEATURES,
    Row,
    floats,
    from_payload,
    integers,
    pack_floats,
    pack_integers,
    to_payload,
)
from ragstone.vectorstores.qdrant_collection import DENSE, SPARSE

Record = models.Record | models.ScoredPoint


def to_point(scope: Scope, point: Point, unit: Vector) -> models.PointStruct:
    """With its dense vector at length one."""
    return models.PointStruct(
        id=point.id,
        vector={DENSE: unit.tolist(), SPARSE: to_sparse(point.sparse)},
        payload=payload_of(scope, point.payload),
    )


def to_sparse(sparse: SparseVector) -> models.SparseVector:
    """Token ids and weights."""
    return models.SparseVector(indices=list(sparse.indices), values=[float(each) for each in sparse.values])


def payload_of(scope: Scope, payload: Mapping[str, Any]) -> dict[str, Any]:
    """What is kept of a point besides its vectors."""
    fixed = {"tenant_id": scope.tenant_id, "scope": scope_key(scope.tenant_id, scope.collection)}
    return to_payload(fixed, *pack_payload(scope.tenant_id, payload))


def to_row(record: Record) -> Row:
    """A point that moves to another engine."""
    tenant_id, scope, kept = from_payload(_payload(record))
    vector: Any = record.vector
    dense, sparse = vector[DENSE], vector[SPARSE]
    packed = [pack_floats(dense), pack_integers(sparse.indices), pack_floats(sparse.values)]
    return tenant_id, scope, [str(record.id), *packed, *kept]


def from_row(row: Row) -> models.PointStruct:
    """A point that comes from another engine."""
    tenant_id, scope, (id_, dense, indices, values, *kept) = row
    sparse = models.SparseVector(indices=integers(indices), values=floats(values))
    payload = to_payload({"tenant_id": tenant_id, "scope": scope}, *kept)
    return models.PointStruct(id=id_, vector={DENSE: floats(dense), SPARSE: sparse}, payload=payload)


def to_stored(record: Record) -> StoredPoint:
    """What the port hands back; with the dense vector where it was asked for."""
    dense = None
    if isinstance(record.vector, dict):
        dense = np.array(record.vector[DENSE], np.float32)
    payload = _payload(record)
    return StoredPoint(str(record.id), unpack_payload(payload["body"], payload.get(FEATURES, "")), dense)


def features_of(record: Record) -> str:
    """Empty where the point has none."""
    features: str = _payload(record).get(FEATURES, "")
    return features


def weight_of(record: Record, index: int) -> float:
    """The stored weight of one of the record's tokens."""
    vector: Any = record.vector
    sparse = vector[SPARSE]
    return float(sparse.values[sparse.indices.index(index)])


def ids_in_order(records: Sequence[Record], ids: Sequence[str], scope: str) -> list[Record]:
    """Those of the scope, in the order of `ids`."""
    found = {str(record.id): record for record in records if _payload(record)["scope"] == scope}
    return [found[id_] for id_ in ids if id_ in found]


def _payload(record: Record) -> dict[str, Any]:
    assert record.payload is not None  # it was asked for
    return record.payload
