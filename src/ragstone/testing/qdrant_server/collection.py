"""One collection of the stand-in: a shard of Qdrant Edge in a folder, and the requests to it."""

import json
import shutil
from pathlib import Path
from typing import Any

from qdrant_edge import (
    CountRequest,
    Distance,
    EdgeConfig,
    EdgeShard,
    EdgeSparseVectorParams,
    EdgeVectorParams,
    FacetRequest,
    FloatIndexParams,
    KeywordIndexParams,
    Modifier,
    QueryBatchRequest,
    ScrollRequest,
    UpdateOperation,
    UuidIndexParams,
    VectorStorageDatatype,
)

from ragstone.testing.qdrant_server.terms import Json, to_filter, to_json, to_point, to_query

INDEXES = {"keyword": KeywordIndexParams, "uuid": UuidIndexParams, "float": FloatIndexParams}
DATATYPES = {"float16": VectorStorageDatatype.Float16, "float32": VectorStorageDatatype.Float32}


class Collection:
    """What a server would keep in memory and on disk; every call blocks."""

    def __init__(self, folder: Path):
        self._folder = folder
        self._settings: dict[str, Any] = json.loads((folder / "settings.json").read_text())
        self._shard = EdgeShard.load(str(folder / "shard"), _config(self._settings))

    @classmethod
    def create(cls, folder: Path, settings: Json) -> "Collection":
        """With the settings of `PUT /collections/{name}`."""
        folder.mkdir(parents=True)
        (folder / "settings.json").write_text(json.dumps(settings))
        EdgeShard.create(str(folder / "shard"), _config(settings)).close()
        return cls(folder)

    def describe(self) -> dict[str, Any]:
        """As `GET /collections/{name}`."""
        schema = self._shard.info().payload_schema
        params = {name: self._settings.get(name) for name in ("vectors", "sparse_vectors", "shard_number")}
        return {
            "status": "green",
            "optimizer_status": "ok",
            "segments_count": 1,
            "points_count": self._count(None),
            "config": {
                "params": params,
                "hnsw_config": {"m": 0, "ef_construct": 100, "full_scan_threshold": 10000},
                "optimizer_config": {
                    "deleted_threshold": 0.2,
                    "vacuum_min_vector_number": 1000,
                    "default_segment_number": 1,
                    "flush_interval_sec": 5,
                },
            },
            "payload_schema": {name: {"data_type": _type_of(name), "points": 0} for name in schema},
        }

    def index(self, body: Json) -> dict[str, Any]:
        """As `PUT …/index`."""
        schema = dict(body["field_schema"])
        options = {name: value for name, value in schema.items() if name == "is_tenant"}
        self._shard.update(
            UpdateOperation.create_field_index(body["field_name"], INDEXES[schema["type"]](**options))
        )
        return _COMPLETED

    def update(self, body: Json) -> list[dict[str, Any]]:
        """As `POST …/points/batch`."""
        for operation in body["operations"]:
            self._shard.update(_to_update(operation))
        return [_COMPLETED for _ in body["operations"]]

    def retrieve(self, body: Json) -> list[dict[str, Any]]:
        """As `POST …/points`."""
        found = self._shard.retrieve(
            body["ids"], body.get("with_payload", True), body.get("with_vector", False)
        )
        return [to_json(record) for record in found]

    def scroll(self, body: Json) -> dict[str, Any]:
        """As `POST …/points/scroll`."""
        records, next_id = self._shard.scroll(
            ScrollRequest(
                offset=body.get("offset"),
                limit=body["limit"],
                filter=to_filter(body.get("filter")),
                with_payload=body.get("with_payload", True),
                with_vector=body.get("with_vector", False),
            )
        )
        told = [to_json(record) for record in records]
        return {"points": told, "next_page_offset": None if next_id is None else str(next_id)}

    def count(self, body: Json) -> dict[str, Any]:
        """As `POST …/points/count`."""
        return {"count": self._count(body.get("filter"))}

    def query(self, body: Json) -> list[dict[str, Any]]:
        """As `POST …/points/query/batch`: those with a vector in one batch, the others by their filter."""
        searches = body["searches"]
        asked = [to_query(search) for search in searches if "query" in search]
        hits = iter(self._shard.query_batch(QueryBatchRequest(asked)) if asked else [])
        return [
            {
                "points": (
                    [to_json(hit) for hit in next(hits)] if "query" in search else self._without_query(search)
                )
            }
            for search in searches
        ]

    def facet(self, body: Json) -> dict[str, Any]:
        """As `POST …/facet`."""
        request = FacetRequest(
            body["key"], limit=body["limit"], exact=body["exact"], filter=to_filter(body.get("filter"))
        )
        return {"hits": [{"value": hit.value, "count": hit.count} for hit in self._shard.facet(request).hits]}

    def close(self) -> None:
        """Put everything on disk."""
        self._shard.flush()
        self._shard.close()

    def drop(self) -> None:
        """With all its points."""
        self._shard.close()
        shutil.rmtree(self._folder)

    def _without_query(self, search: Json) -> list[dict[str, Any]]:
        return [{**point, "version": 0, "score": 0.0} for point in self.scroll(search)["points"]]

    def _count(self, found: Json | None) -> int:
        return self._shard.count(CountRequest(exact=True, filter=to_filter(found)))


_COMPLETED = {"operation_id": 0, "status": "completed"}


def _config(settings: Json) -> EdgeConfig:
    vectors = {
        name: EdgeVectorParams(
            size=params["size"],
            distance=Distance.Cosine,
            datatype=DATATYPES[params.get("datatype", "float32")],
        )
        for name, params in settings["vectors"].items()
    }
    sparse = {name: EdgeSparseVectorParams(modifier=Modifier.Idf) for name in settings["sparse_vectors"]}
    return EdgeConfig(vectors=vectors, sparse_vectors=sparse)


def _to_update(operation: Json) -> UpdateOperation:
    match operation:
        case {"upsert": {"points": points}}:
            return UpdateOperation.upsert_points([to_point(point) for point in points])
        case {"delete": {"filter": found}}:
            selected = to_filter(found)
            assert selected is not None
            return UpdateOperation.delete_points_by_filter(selected)
        case {"overwrite_payload": {"payload": payload, "points": ids}}:
            return UpdateOperation.overwrite_payload(ids, payload)
    raise ValueError(f"unknown operation {sorted(operation)}")


def _type_of(field: str) -> str:
    return "float" if field.startswith("numbers.") else "keyword"
