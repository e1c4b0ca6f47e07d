"""What disagrees in a data directory at rest (I4), without repairing anything."""

import asyncio
from pathlib import Path

from ragstone.services.consistency import Consistency, ConsistencyService
from ragstone.storage.blobs import FileBlobStore
from ragstone.storage.manifest import open_manifest
from ragstone.vectorstores.edge import EdgeVectorStore
from tests.crash.light_server import DIMENSION

REAL_DIMENSION = 384


def consistency_violations(data_dir: Path, *, dimension: int = DIMENSION) -> list[str]:
    """Orphans and gaps, a sentence each. No server may hold the directory."""
    found = asyncio.run(_check(data_dir, dimension))
    return [
        *(f"{key}: points are missing" for key in found.incomplete_versions),
        *(f"{key}: points without a version" for key in found.orphan_versions),
        *(f"{key}: its original is missing" for key in found.missing_originals),
        *(f"{key}: its text is missing" for key in found.missing_texts),
    ]


async def _check(data_dir: Path, dimension: int) -> Consistency:
    manifest = await open_manifest(data_dir / "manifest.db")
    (folder,) = (data_dir / "vectors").iterdir()
    store = await EdgeVectorStore.open(folder, dimension=dimension)
    try:
        return await ConsistencyService(manifest, store, FileBlobStore(data_dir / "blobs")).check()
    finally:
        await store.close()
        await manifest.close()
