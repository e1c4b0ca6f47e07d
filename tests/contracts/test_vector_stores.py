"""The vector store's contract, kept by the oracle in memory and by Qdrant Edge in its own process."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from ragstone.core.ports import VectorStore
from ragstone.testing.vector_store_contract import VectorStoreContract
from ragstone.testing.vector_store_contract.scenes import DIMENSION
from ragstone.testing.vector_stores import InMemoryVectorStore
from ragstone.vectorstores.edge import EdgeVectorStore


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def edge_store(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EdgeVectorStore]:
    store = await EdgeVectorStore.open(tmp_path_factory.mktemp("vectors"), dimension=DIMENSION)
    yield store
    await store.close()


class TestInMemoryVectorStore(VectorStoreContract):
    @pytest.fixture
    def store(self) -> VectorStore:
        return InMemoryVectorStore(dimension=DIMENSION)


@pytest.mark.asyncio(loop_scope="module")
class TestEdgeVectorStore(VectorStoreContract):
    @pytest.fixture
    def store(self, edge_store: EdgeVectorStore) -> VectorStore:
        return edge_store
