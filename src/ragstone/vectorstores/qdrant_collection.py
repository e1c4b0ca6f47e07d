"""How a collection is laid out on a server: its vectors, indexes and copies; made, checked, listed and dropped."""

from dataclasses import dataclass
from typing import Literal

from qdrant_client import AsyncQdrantClient, models

from ragstone.core.errors import FingerprintChanged
from ragstone.vectorstores.frames import CREATED_AT, number_field
from ragstone.vectorstores.qdrant_connection import QdrantConnection

DENSE = "dense"
SPARSE = "bm25"
MAX_NUMBER_INDEXES = 32
OVERSAMPLING = (
    2.0  # of quantized hits, which are then scored by the vectors themselves: recall 1.0 (without: .985)
)

_KEYWORD = models.KeywordIndexType.KEYWORD
NUMBERS = models.FloatIndexParams(type=models.FloatIndexType.FLOAT, enable_hnsw=False)
INDEXES: dict[str, models.PayloadSchemaParams] = {
    "scope": models.KeywordIndexParams(type=_KEYWORD, is_tenant=True),
    # No graphs for these two: their conditions select few points, and each value would cost links to all its points.
    "document_version": models.KeywordIndexParams(type=_KEYWORD, enable_hnsw=False),
    "tokens": models.UuidIndexParams(type=models.UuidIndexType.UUID, enable_hnsw=False),
    number_field(CREATED_AT): NUMBERS,
}

Quantization = Literal["none", "int8"]


@dataclass(frozen=True, slots=True)
class Layout:
    """What a new collection is made with; one that is there keeps what it has."""

    dimension: int
    shard_number: int = 1
    replication_factor: int = 1
    write_consistency_factor: int = 1
    quantization: Quantization = "none"
    is_on_disk: bool = False

    @property
    def search(self) -> models.SearchParams | None:
        """How a dense search makes good what quantization loses."""
        if self.quantization == "none":
            return None
        chosen = models.QuantizationSearchParams(rescore=True, oversampling=OVERSAMPLING)
        return models.SearchParams(quantization=chosen)


async def ensure_collection(connection: QdrantConnection, name: str, layout: Layout) -> set[str]:
    """Make it with its indexes, unless it is there; returns the fields that have one. Raises FingerprintChanged when
    its vectors have another length, StartupError, EngineUnavailable, UpstreamRefused, UpstreamGarbled."""
    await connection.require_version()
    if not await connection.call(lambda client: client.collection_exists(name)):
        await _create(connection, name, layout)
    found = await connection.call(lambda client: client.get_collection(name))
    _check(found, name, layout)
    for field, schema in INDEXES.items():
        if field not in found.payload_schema:
            await make_index(connection, name, field, schema)
    return {*found.payload_schema, *INDEXES}


async def make_index(
    connection: QdrantConnection, name: str, field: str, schema: models.PayloadSchemaParams = NUMBERS
) -> None:
    """Of a payload field; nothing happens where it is there. It is complete when this returns."""
    await connection.call(
        lambda client: client.create_payload_index(
            name, field, field_schema=schema, ordering=models.WriteOrdering.STRONG
        )
    )


async def list_collections(connection: QdrantConnection, prefix: str) -> list[str]:
    """Names that begin so."""
    found = await connection.call(lambda client: client.get_collections())
    return [each.name for each in found.collections if each.name.startswith(prefix)]


async def drop_collection(connection: QdrantConnection, name: str) -> None:
    """With all its points; idempotent."""
    await connection.call(lambda client: client.delete_collection(name))


async def _create(connection: QdrantConnection, name: str, layout: Layout) -> None:
    async def create(client: AsyncQdrantClient) -> None:
        if not await client.collection_exists(name):  # asked again, since a repetition may find its own work
            await client.create_collection(
                name,
                vectors_config={DENSE: _dense(layout)},
                sparse_vectors_config={SPARSE: models.SparseVectorParams(modifier=models.Modifier.IDF)},
                shard_number=layout.shard_number,
                replication_factor=layout.replication_factor,
                write_consistency_factor=layout.write_consistency_factor,
                # A graph for each scope and none over all: every search is within one scope.
                hnsw_config=models.HnswConfigDiff(m=0, payload_m=16),
                quantization_config=_quantization(layout),
            )

    await connection.call(create)


def _dense(layout: Layout) -> models.VectorParams:
    return models.VectorParams(
        size=layout.dimension,
        distance=models.Distance.COSINE,
        datatype=models.Datatype.FLOAT16,  # as the embedded engine has it: half the memory, recall@10 .999
        memory=models.Memory.COLD if layout.is_on_disk else None,
    )


def _quantization(layout: Layout) -> models.ScalarQuantization | None:
    if layout.quantization == "none":
        return None
    chosen = models.ScalarQuantizationConfig(type=models.ScalarType.INT8, memory=models.Memory.PINNED)
    return models.ScalarQuantization(scalar=chosen)


def _check(found: models.CollectionInfo, name: str, layout: Layout) -> None:
    vectors = found.config.params.vectors
    dense = vectors.get(DENSE) if isinstance(vectors, dict) else None
    if dense is None or dense.size != layout.dimension:
        raise FingerprintChanged(
            f"the collection '{name}' on the Qdrant server does not hold vectors of {layout.dimension} numbers; "
            "go back to the old configuration, or use another server"
        )
