"""What is asked of a Qdrant server: queries and changes in the terms of its client."""

from collections.abc import Sequence
from typing import Any

from qdrant_client import models

from ragstone.core.models import SparseVector, Vector
from ragstone.vectorstores.kept import FEATURES
from ragstone.vectorstores.qdrant_collection import DENSE, SPARSE
from ragstone.vectorstores.qdrant_filters import has_value
from ragstone.vectorstores.qdrant_points import to_sparse


def upsert(batch: list[models.PointStruct]) -> models.UpsertOperation:
    """Insert or replace these points."""
    return models.UpsertOperation(upsert=models.PointsList(points=batch))


def overwrite(id_: str, payload: dict[str, Any]) -> models.OverwritePayloadOperation:
    """Another payload for a point."""
    return models.OverwritePayloadOperation(
        overwrite_payload=models.SetPayload(payload=payload, points=[id_])
    )


def of_versions(versions: Sequence[str]) -> models.Filter:
    """The points of these document versions, over all scopes."""
    return models.Filter(must=[has_value("document_version", *versions)])


def dense_query(
    unit: Vector, selected: models.Filter, parameters: models.SearchParams | None
) -> models.QueryRequest:
    """The nearest by cosine."""
    query = models.NearestQuery(nearest=unit.tolist())
    return models.QueryRequest(query=query, using=DENSE, filter=selected, params=parameters)


def sparse_query(
    sparse: SparseVector, selected: models.Filter, corpus: models.Filter, **options: Any
) -> models.QueryRequest:
    """The best by BM25; IDF is counted over `corpus`."""
    parameters = models.SearchParams(idf=models.IdfCorpusParams(corpus=corpus))
    query = models.NearestQuery(nearest=to_sparse(sparse))
    return models.QueryRequest(query=query, using=SPARSE, filter=selected, params=parameters, **options)


def token_query(token: bytes) -> models.QueryRequest:
    """One point that carries it."""
    selected = models.Filter(must=[has_value("tokens", token.hex())])
    return models.QueryRequest(filter=selected, limit=1, with_payload=["body", FEATURES], with_vector=[DENSE])


def limited(query: models.QueryRequest, limit: int) -> models.QueryRequest:
    """The same query for so many hits, of which ids and scores are enough."""
    return query.model_copy(update={"limit": limit, "with_payload": False})
