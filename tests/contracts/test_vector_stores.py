"""The vector store's contract, kept by the oracle in memory and by Qdrant Edge in its own process."""

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from ragstone.core.ports import VectorStore
from ragstone.testing.vector_store_contract import VectorStoreContract
from ragstone.testing.vector_store_contract.scenes import DIMENSION
from ragstone.testing.vector_stores import InMemoryVectorStore
from ragstone.vectorstores.edge import EdgeVectorStore
from ragstone.vectorstores.edge_engine import Engine
from tests.engines import open_engine, quick_folder, store_of


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def edge_store(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EdgeVectorStore]:
    store = await EdgeVectorStore.open(tmp_path_factory.mktemp("vectors"), dimension=DIMENSION)
    yield store
    await store.close()


class TestInMemoryVectorStore(VectorStoreContract):
    @pytest.fixture
    def store(self) -> VectorStore:
        return InMemoryVectorStore(dimension=DIMENSION)


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with quick_folder() as folder, open_engine(folder, dimension=DIMENSION) as opened:
        yield opened


class TestEngineInTheSameProcess(VectorStoreContract):
    @pytest.fixture
    def store(self, engine: Engine) -> VectorStore:
        return store_of(engine, dimension=DIMENSION)


@pytest.mark.asyncio(loop_scope="module")
class TestEdgeVectorStore(VectorStoreContract):
    @pytest.fixture
    def store(self, edge_store: EdgeVectorStore) -> VectorStore:
        return edge_store
