"""The vector store's contract, kept by the client of a Qdrant server: on its local mode, over HTTP to a stand-in, and on a
real server where QDRANT_URL names one."""

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio

from ragstone.core.ports import VectorStore
from ragstone.testing.vector_store_contract import VectorStoreContract
from ragstone.testing.vector_store_contract.scenes import DIMENSION
from ragstone.testing.vector_store_contract.snapshots import OpenCopy
from ragstone.vectorstores.edge import EdgeVectorStore
from ragstone.vectorstores.qdrant import QdrantVectorStore
from ragstone.vectorstores.qdrant_collection import Layout, drop_collection
from ragstone.vectorstores.qdrant_connection import QdrantConnection
from tests import real_qdrant
from tests.qdrant_stores import NO_INDEXES, on_local_mode, over_the_wire

pytestmark = pytest.mark.filterwarnings(NO_INDEXES)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def local_store() -> AsyncIterator[QdrantVectorStore]:
    async with on_local_mode(DIMENSION) as store:
        yield store


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served_store() -> AsyncIterator[QdrantVectorStore]:
    async with over_the_wire(DIMENSION) as store:
        yield store


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


@pytest.mark.asyncio(loop_scope="module")
class TestOverTheWire(VectorStoreContract):
    @pytest.fixture
    def store(self, served_store: QdrantVectorStore) -> VectorStore:
        return served_store


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def real_store() -> AsyncIterator[QdrantVectorStore]:
    """A real server or cluster, where one is named."""
    if not real_qdrant.URL:
        pytest.skip(real_qdrant.NOTE)
    connection = QdrantConnection.open(real_qdrant.URL, api_key=real_qdrant.KEY, timeout_s=30)
    name = f"ragstone-test-{uuid.uuid4().hex[:12]}"
    yield QdrantVectorStore(connection, name, Layout(DIMENSION))
    await drop_collection(connection, name)
    await connection.close()


@pytest.mark.asyncio(loop_scope="module")
class TestOnRealServer(VectorStoreContract):
    @pytest.fixture
    def store(self, real_store: QdrantVectorStore) -> VectorStore:
        return real_store
