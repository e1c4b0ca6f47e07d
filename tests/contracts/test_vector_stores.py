"""The vector store's contract, kept by the oracle in memory and by Qdrant Edge in its own process."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio

from ragstone.core.ports import VectorStore
from ragstone.testing.vector_store_contract import VectorStoreContract
from ragstone.testing.vector_store_contract.scenes import DIMENSION
from ragstone.testing.vector_store_contract.snapshots import OpenCopy
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

    @pytest.fixture
    def open_copy(self) -> OpenCopy:
        @asynccontextmanager
        async def opened(directory: Path) -> AsyncIterator[VectorStore]:
            yield InMemoryVectorStore.open(directory, dimension=DIMENSION)

        return opened


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with quick_folder() as folder, open_engine(folder, dimension=DIMENSION) as opened:
        yield opened


class TestEngineInTheSameProcess(VectorStoreContract):
    @pytest.fixture
    def store(self, engine: Engine) -> VectorStore:
        return store_of(engine, dimension=DIMENSION)

    @pytest.fixture
    def open_copy(self) -> OpenCopy:
        @asynccontextmanager
        async def opened(directory: Path) -> AsyncIterator[VectorStore]:
            with open_engine(directory, dimension=DIMENSION) as copy:
                yield store_of(copy, dimension=DIMENSION)

        return opened


@pytest.mark.asyncio(loop_scope="module")
class TestEdgeVectorStore(VectorStoreContract):
    @pytest.fixture
    def store(self, edge_store: EdgeVectorStore) -> VectorStore:
        return edge_store

    @pytest.fixture
    def open_copy(self) -> OpenCopy:
        @asynccontextmanager
        async def opened(directory: Path) -> AsyncIterator[VectorStore]:
            copy = await EdgeVectorStore.open(directory, dimension=DIMENSION)
            yield copy
            await copy.close()

        return opened
