"""The vector store's contract, kept by the client of a Qdrant server: on its local mode, over HTTP to a stand-in, and on a
real server where QDRANT_URL names one."""

import os
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio
from qdrant_client import AsyncQdrantClient

from ragstone.core.ports import VectorStore
from ragstone.testing.qdrant_server import QdrantServer
from ragstone.testing.vector_store_contract import VectorStoreContract
from ragstone.testing.vector_store_contract.scenes import DIMENSION
from ragstone.testing.vector_store_contract.snapshots import OpenCopy
from ragstone.vectorstores.edge import EdgeVectorStore
from ragstone.vectorstores.qdrant import QdrantVectorStore
from ragstone.vectorstores.qdrant_collection import Layout, drop_collection
from ragstone.vectorstores.qdrant_connection import QdrantConnection
from tests.engines import quick_folder

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


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served_store() -> AsyncIterator[QdrantVectorStore]:
    """Over HTTP, in JSON, by the real engine."""
    with quick_folder() as folder:
        async with QdrantServer(folder) as server:
            connection = QdrantConnection.open(server.url, api_key=None, timeout_s=30)
            yield QdrantVectorStore(connection, "points", Layout(DIMENSION))
            await connection.close()


@pytest.mark.asyncio(loop_scope="module")
class TestOverTheWire(VectorStoreContract):
    @pytest.fixture
    def store(self, served_store: QdrantVectorStore) -> VectorStore:
        return served_store


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def real_store() -> AsyncIterator[QdrantVectorStore]:
    """A real server or cluster, where one is named."""
    url = os.environ.get("QDRANT_URL")
    if not url:
        pytest.skip("QDRANT_URL is not set: no real Qdrant server to try")
    connection = QdrantConnection.open(url, api_key=os.environ.get("QDRANT_API_KEY"), timeout_s=30)
    name = f"ragstone-test-{uuid.uuid4().hex[:12]}"
    yield QdrantVectorStore(connection, name, Layout(DIMENSION))
    await drop_collection(connection, name)
    await connection.close()


@pytest.mark.asyncio(loop_scope="module")
class TestOnRealServer(VectorStoreContract):
    @pytest.fixture
    def store(self, real_store: QdrantVectorStore) -> VectorStore:
        return real_store
