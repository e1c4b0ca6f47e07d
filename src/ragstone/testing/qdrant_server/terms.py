"""Filters, queries and points from the JSON of Qdrant's REST interface to the objects of Qdrant Edge."""

from collections.abc import Mapping
from typing import Any

from qdrant_edge import (
    FieldCondition,
    Filter,
    HasIdCondition,
    IdfParams,
    MatchAny,
    MatchValue,
    Point,
    Query,
    QueryRequest,
    RangeFloat,
    Record,
    ScoredPoint,
    SearchParams,
    SparseVector,
)

Json = Mapping[str, Any]


def to_filter(found: Json | None) -> Filter | None:
    """A filter, of which nothing is left out silently."""
    if found is None:
        return None
    unknown = found.keys() - {"must", "should", "must_not"}
    if unknown:
        raise ValueError(f"unknown parts of a filter: {sorted(unknown)}")
    parts = {name: [_to_condition(each) for each in conditions] for name, conditions in found.items()}
    return Filter(must=parts.get("must"), should=parts.get("should"), must_not=parts.get("must_not"))


def _to_condition(found: Json) -> Any:
    match found:
        case {"has_id": ids}:
            return HasIdCondition(set(ids))
        case {"key": key, "match": {"value": value}}:
            return FieldCondition(key, match=MatchValue(value))
        case {"key": key, "match": {"any": values}}:
            return FieldCondition(key, match=MatchAny(values))
        case {"key": key, "range": bounds}:
            return FieldCondition(key, range=RangeFloat(**bounds))
    return to_filter(found)


def to_query(found: Json) -> QueryRequest:
    """One query of a batch; it has a vector."""
    nearest = found["query"]["nearest"]
    idf = (found.get("params") or {}).get("idf")
    corpus = to_filter(idf["corpus"]) if idf else None
    return QueryRequest(
        found["limit"],
        query=Query.Nearest(_to_vector(nearest), using=found["using"]),
        filter=to_filter(found.get("filter")),
        params=SearchParams(idf=IdfParams(corpus=corpus)) if corpus else None,
        with_payload=found.get("with_payload", False),
        with_vector=found.get("with_vector", False),
    )


def to_point(found: Json) -> Point:
    """With its vectors and payload."""
    vectors = {name: _to_vector(vector) for name, vector in found["vector"].items()}
    return Point(found["id"], vectors, found["payload"])


def to_json(record: Record | ScoredPoint) -> dict[str, Any]:
    """A record or hit, as the interface tells it."""
    told: dict[str, Any] = {
        "id": str(record.id),
        "payload": record.payload,
        "vector": _told_vectors(record.vector),
    }
    if isinstance(record, ScoredPoint):
        told |= {"version": 0, "score": record.score}
    return told


def _to_vector(found: Any) -> Any:
    if isinstance(found, list):
        return found
    return SparseVector(found["indices"], found["values"])


def _told_vectors(found: Any) -> dict[str, Any] | None:
    if not found:
        return None
    return {
        name: (
            {"indices": vector.indices, "values": vector.values}
            if isinstance(vector, SparseVector)
            else vector
        )
        for name, vector in found.items()
    }
