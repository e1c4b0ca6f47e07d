"""The shard on disk: how it is laid out, created, and loaded again. Runs in the engine's process.

<directory>/lock              held while an engine runs; names its socket (see edge_server)
<directory>/shard/layout.json what the points look like; another layout is refused
<directory>/shard/edge/       Qdrant Edge's own files
"""

import json
import shutil
from pathlib import Path

from qdrant_edge import (
    Distance,
    EdgeConfig,
    EdgeOptimizersConfig,
    EdgeShard,
    EdgeSparseVectorParams,
    EdgeVectorParams,
    KeywordIndexParams,
    Memory,
    Modifier,
    UuidIndexParams,
    VectorStorageDatatype,
)

from ragstone.core.files import sync, sync_tree

SHARD = "shard"
DENSE = "dense"
SPARSE = "bm25"
LAYOUT_VERSION = 1

SCAN_SEGMENTS = 2
"""Segments are scanned in parallel: on two idle cores a scan of 100,000 points takes 5.5 ms of wall time instead of
10.5 (measured), the CPU time is the same. Each costs 20 MB of memory, so not more than that."""

_NO_HNSW_KB = 1 << 40  # exact scan: recall 1.0, no build that blocks the engine for minutes
_SPARSE_SCAN_BELOW = (
    100  # points; the default of 5,000 makes filtered BM25 three times as slow at 10,000 points
)
INDEXES: dict[str, KeywordIndexParams | UuidIndexParams] = {
    "scope": KeywordIndexParams(is_tenant=True),
    "document_version": KeywordIndexParams(),
    "tokens": UuidIndexParams(),
}
"""Made by the engine after the very first start: each costs dozens of fsyncs, and 10 MB of memory."""


class EngineRefusal(Exception):
    """The engine cannot start; `code` is one of the catalogue's."""

    def __init__(self, code: str, message: str):
        super().__init__(message)
        self.code = code
        self.message = message


def open_shard(directory: Path, *, dimension: int) -> EdgeShard:
    """Load the shard under `directory`, made at first. Raises EngineRefusal."""
    folder = directory / SHARD
    try:
        if not folder.exists():
            _create(folder, dimension)
        _check_layout(folder, dimension)
        return EdgeShard.load(str(folder / "edge"), _config(dimension))
    except EngineRefusal:
        raise
    except Exception as error:  # Edge raises nothing more specific
        raise EngineRefusal(
            "startup_failed", f"the vectors in {directory} cannot be opened: {error}"
        ) from error


def sync_log(directory: Path) -> None:
    """Put Edge's write-ahead log on disk. It has every write since Edge's own flush, and Edge finds its way back from
    it whatever became of the other files' pages (a test tears them at random)."""
    log = directory / SHARD / "edge" / "wal"
    for path in [*log.iterdir(), log]:
        sync(path)


def _config(dimension: int) -> EdgeConfig:
    dense = EdgeVectorParams(
        size=dimension,
        distance=Distance.Cosine,
        # Half the memory and two thirds of the scan's time of float32; recall@10 .999, scores within 1e-4 (measured).
        datatype=VectorStorageDatatype.Float16,
        memory=Memory.Cold,  # mapped as it is read; Cached would fill 32 MB a segment at once, however few the points
    )
    sparse = EdgeSparseVectorParams(modifier=Modifier.Idf, full_scan_threshold=_SPARSE_SCAN_BELOW)
    return EdgeConfig(
        vectors={DENSE: dense},
        sparse_vectors={SPARSE: sparse},
        optimizers=EdgeOptimizersConfig(indexing_threshold=_NO_HNSW_KB, default_segment_number=SCAN_SEGMENTS),
        max_search_threads=SCAN_SEGMENTS,
    )


def _create(folder: Path, dimension: int) -> None:
    """Build beside and rename, so that a death in between leaves nothing half made.

    Edge makes one segment and offers no way to ask for more; new points go to the smallest segment there is, so a
    second empty one, taken over from a second empty shard, is all that it takes.
    """
    staging = folder.with_suffix(".new")
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    for name in ["edge", *(f"spare-{n}" for n in range(1, SCAN_SEGMENTS))]:
        EdgeShard.create(str(staging / name), _config(dimension)).close()
    for spare in staging.glob("spare-*"):
        for segment in (spare / "segments").iterdir():
            segment.rename(staging / "edge" / "segments" / segment.name)
        shutil.rmtree(spare)
    (staging / "layout.json").write_text(json.dumps(_layout(dimension)))
    sync_tree(staging)
    staging.rename(folder)
    sync(folder.parent)


def _layout(dimension: int) -> dict[str, int]:
    return {"version": LAYOUT_VERSION, "dimension": dimension}


def _check_layout(folder: Path, dimension: int) -> None:
    found = json.loads((folder / "layout.json").read_text())
    if found != _layout(dimension):
        raise EngineRefusal(
            "fingerprint_changed",
            f"the vectors in {folder} have the layout {found}, this configuration needs {_layout(dimension)}; "
            "go back to the old configuration, or ingest the documents into another data directory",
        )
