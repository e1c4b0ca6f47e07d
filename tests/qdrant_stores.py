"""Stores of the client of a Qdrant server, without a Qdrant server."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from qdrant_client import AsyncQdrantClient

from ragstone.testing.qdrant_server import QdrantServer
from ragstone.vectorstores.qdrant import QdrantVectorStore
from ragstone.vectorstores.qdrant_collection import Layout
from ragstone.vectorstores.qdrant_connection import QdrantConnection
from tests.engines import quick_folder

NO_INDEXES = "ignore:Payload indexes have no effect in the local Qdrant"
"""What local mode warns of."""


class LocalConnection(QdrantConnection):
    """To the client's local mode, which has no version."""

    def __init__(self) -> None:
        super().__init__(AsyncQdrantClient(":memory:"), name="local", timeout_s=30)

    async def require_version(self) -> None:
        """Nothing to ask."""


@asynccontextmanager
async def on_local_mode(dimension: int) -> AsyncIterator[QdrantVectorStore]:
    """In the client's own imitation of a server."""
    connection = LocalConnection()
    yield QdrantVectorStore(connection, "points", Layout(dimension))
    await connection.close()


@asynccontextmanager
async def over_the_wire(dimension: int) -> AsyncIterator[QdrantVectorStore]:
    """Over HTTP, in JSON, by the real engine."""
    with quick_folder() as folder:
        async with QdrantServer(folder) as server:
            connection = QdrantConnection.open(server.url, api_key=None, timeout_s=30)
            yield QdrantVectorStore(connection, "points", Layout(dimension))
            await connection.close()
