"""The vector store's contract, kept by the client of a Qdrant server: on its local mode."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio
from qdrant_client import AsyncQdrantClient

from ragstone.core.ports import VectorStore
from ragstone.testing.vector_store_contract import VectorStoreContract
from ragstone.testing.vector_store_contract.scenes import DIMENSION
from ragstone.testing.vector_store_contract.snapshots import OpenCopy
from ragstone.vectorstores.edge import EdgeVectorStore
from ragstone.vectorstores.qdrant import QdrantVectorStore
from ragstone.vectorstores.qdrant_collection import Layout
from ragstone.vectorstores.qdrant_connection import QdrantConnection

pytestmark = pytest.mark.filterwarnings("ignore:Payload indexes have no effect in the local Qdrant")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def local_store() -> AsyncIterator[QdrantVectorStore]:
    connection = QdrantConnection(AsyncQdrantClient(":memory:"), name="local", timeout_s=30)
    connection.require_version = _any_version
    yield QdrantVectorStore(connection, "points", Layout(DIMENSION))
    await connection.close()


async def _any_version() -> None:
    """Local mode has none."""


@pytest.fixture
def open_copy() -> OpenCopy:
    @asynccontextmanager
    async def opened(directory: Path) -> AsyncIterator[VectorStore]:
        copy = await EdgeVectorStore.open(directory, dimension=DIMENSION)
        yield copy
        await copy.close()

    return opened


@pytest.mark.asyncio(loop_scope="module")
class TestOnLocalMode(VectorStoreContract):
    @pytest.fixture
    def store(self, local_store: QdrantVectorStore) -> VectorStore:
        return local_store
