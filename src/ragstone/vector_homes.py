"""Where the physical collections lie: folders of the data directory, or a Qdrant server. Which of the two it is, is
told by what lies there, so that a restored backup never takes the place of the server that it is a copy of.
"""

import asyncio
import logging
import re
import shutil
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit
from uuid import uuid4

from ragstone.config.settings import Settings
from ragstone.core.errors import EngineUnavailable, StartupError, UpstreamRefused, VectorsElsewhere
from ragstone.core.ports import Manifest, VectorStore
from ragstone.services.embedding_space import EmbeddingSpace
from ragstone.storage.data_directory import VECTORS_FOLDER
from ragstone.storage.move_file import begin_move_anew, end_move

if TYPE_CHECKING:
    from ragstone.vectorstores.edge import EdgeVectorStore
    from ragstone.vectorstores.qdrant import QdrantVectorStore
    from ragstone.vectorstores.qdrant_connection import QdrantConnection

log = logging.getLogger(__name__)

PREFIX = "vectors_prefix"
"""The property that names this directory's collections on a server; empty while they lie in the directory."""

_FOLDER = re.compile(r"[0-9a-f]{16}")
_SHARD = "shard"


class VectorHome(Protocol):
    """All physical collections of a data directory, by the folder names of their spaces."""

    async def open(self, space: EmbeddingSpace) -> VectorStore:
        """Made if it is not there. Raises StartupError kinds."""
        ...

    async def attach(self, space: EmbeddingSpace) -> VectorStore:
        """As another process has opened it. Raises EngineUnavailable."""
        ...

    async def remove_others(self, kept: set[str]) -> None:
        """Collections that a switch or an abandoned re-index left. What cannot be removed now, the next start does."""
        ...

    async def require_absent(self, folder: str) -> None:
        """What is begun anew must not find vectors of another model. Raises StartupError."""
        ...

    async def remove(self, folder: str) -> None:
        """A collection that nobody has open."""
        ...


async def choose_home(
    settings: Settings, manifest: Manifest, folder: str, stack: AsyncExitStack, *, rebuild: bool
) -> VectorHome:
    """The home that is configured, if the vectors of the serving collection lie in it, or nowhere yet. `rebuild`:
    those that lie on a server are given up. Raises VectorsElsewhere."""
    prefix = await manifest.get_property(PREFIX)
    has_files = has_vectors(settings.data_dir, folder)
    if settings.qdrant_url is None:
        if prefix and not has_files and not rebuild:
            raise VectorsElsewhere(
                f"the vectors of {settings.data_dir} are on a Qdrant server, but QDRANT_URL is not set; set it, or index "
                "the documents anew in the directory: ragstone serve --reindex"
            )
        if prefix:
            await manifest.set_property(PREFIX, "")
        await asyncio.to_thread(begin_move_anew, settings.data_dir)
        return FolderHome(settings.data_dir / VECTORS_FOLDER, stack)
    if has_files:
        raise VectorsElsewhere(
            f"QDRANT_URL is set, but the vectors lie in {settings.data_dir}; move them once: "
            f"ragstone migrate --to {shown(settings.qdrant_url)}, or unset QDRANT_URL"
        )
    await asyncio.to_thread(end_move, settings.data_dir)  # one that died after its switch
    if not prefix:
        prefix = new_prefix()
        await manifest.set_property(PREFIX, prefix)
    return await open_server(settings, settings.qdrant_url, prefix, stack)


async def join_home(settings: Settings, manifest: Manifest, stack: AsyncExitStack) -> VectorHome:
    """The home that another process over the same data directory has chosen."""
    prefix = await manifest.get_property(PREFIX)
    if settings.qdrant_url is None or not prefix:
        return FolderHome(settings.data_dir / VECTORS_FOLDER, stack)
    return await open_server(settings, settings.qdrant_url, prefix, stack)


async def open_server(settings: Settings, url: str, prefix: str, stack: AsyncExitStack) -> "ServerHome":
    """The collections of this prefix on the server at `url`, which need not be up."""
    connect = await asyncio.to_thread(_import_connection)  # its import takes seconds
    connection = connect(url, api_key=settings.qdrant_key, timeout_s=settings.qdrant_timeout.total_seconds())
    stack.push_async_callback(connection.close)
    return ServerHome(connection, prefix, settings.qdrant_layout(), url=shown(url))


def new_prefix() -> str:
    """A name that no other data directory has on the same server."""
    return f"ragstone-{uuid4().hex[:12]}"


def shown(url: str) -> str:
    """The URL without what it may hold of a key."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


def has_vectors(data_dir: Path, folder: str) -> bool:
    """Whether the embedded engine ever kept this collection here."""
    return (data_dir / VECTORS_FOLDER / folder / _SHARD).exists()


def drop_vectors(data_dir: Path, folder: str) -> None:
    """Delete the files of a collection that nobody has open."""
    shutil.rmtree(data_dir / VECTORS_FOLDER / folder, ignore_errors=True)


class FolderHome:
    """Implements `VectorHome`: each collection in a folder, with an engine process of its own."""

    def __init__(self, path: Path, stack: AsyncExitStack):
        self._path = path
        self._stack = stack

    async def open(self, space: EmbeddingSpace) -> "EdgeVectorStore":
        """See the protocol."""
        from ragstone.vectorstores.edge import EdgeVectorStore

        store = await EdgeVectorStore.open(self._path / space.folder, dimension=space.dimension)
        self._stack.push_async_callback(store.close)
        return store

    async def attach(self, space: EmbeddingSpace) -> "EdgeVectorStore":
        """See the protocol: through the engine that the other process has started."""
        from ragstone.vectorstores.edge import EdgeVectorStore

        store = await EdgeVectorStore.attach(self._path / space.folder, dimension=space.dimension)
        self._stack.push_async_callback(store.close)
        return store

    async def remove_others(self, kept: set[str]) -> None:
        """See the protocol."""
        await asyncio.to_thread(_remove_others, self._path, kept)

    async def require_absent(self, folder: str) -> None:
        """See the protocol."""
        if (self._path / folder).exists():
            raise StartupError(
                f"{self._path / folder} is left from an earlier re-index and cannot be removed yet; start again"
            )

    async def remove(self, folder: str) -> None:
        """See the protocol."""
        await asyncio.to_thread(shutil.rmtree, self._path / folder, ignore_errors=True)


class ServerHome:
    """Implements `VectorHome`: collections on one server or cluster, whose names begin with this directory's prefix."""

    def __init__(self, connection: "QdrantConnection", prefix: str, layout: dict[str, Any], *, url: str):
        self._connection = connection
        self._prefix = f"{prefix}-"
        self._layout = layout
        self._url = url

    async def open(self, space: EmbeddingSpace) -> VectorStore:
        """See the protocol. A server that is down is told in the log, and used when it comes up."""
        store = self.connect(space)
        try:
            await store.prepare()
        except UpstreamRefused as error:
            raise StartupError(error.message) from error
        except EngineUnavailable as error:
            log.error(  # noqa: TRY400 - the trace of a refused connection tells nothing more
                "the vector store is down; it is used when it comes up, and the server is not ready until then",
                extra={"url": self._url, "reason": error.message},
            )
        return store

    async def attach(self, space: EmbeddingSpace) -> VectorStore:
        """See the protocol."""
        return self.connect(space)

    def connect(self, space: EmbeddingSpace) -> "QdrantVectorStore":
        """The store, of which nothing was asked yet."""
        from ragstone.vectorstores.qdrant import QdrantVectorStore
        from ragstone.vectorstores.qdrant_collection import Layout

        return QdrantVectorStore(
            self._connection, self._prefix + space.folder, Layout(space.dimension, **self._layout)
        )

    async def remove_others(self, kept: set[str]) -> None:
        """See the protocol."""
        from ragstone.vectorstores.qdrant_collection import drop_collection, list_collections

        try:
            for name in await list_collections(self._connection, self._prefix):
                if name.removeprefix(self._prefix) not in kept:
                    await drop_collection(self._connection, name)
        except (EngineUnavailable, UpstreamRefused) as error:
            log.warning("collections cannot be cleared away yet", extra={"reason": error.message})

    async def require_absent(self, folder: str) -> None:
        """See the protocol."""
        from ragstone.vectorstores.qdrant_collection import list_collections

        try:
            names = await list_collections(self._connection, self._prefix)
        except (EngineUnavailable, UpstreamRefused) as error:
            raise StartupError(f"a re-index needs the Qdrant server: {error.message}") from error
        if self._prefix + folder in names:
            raise StartupError(
                f"the collection '{self._prefix}{folder}' is left from an earlier re-index and cannot be removed yet; "
                "start again"
            )

    async def remove(self, folder: str) -> None:
        """See the protocol."""
        from ragstone.vectorstores.qdrant_collection import drop_collection

        await drop_collection(self._connection, self._prefix + folder)


def _import_connection() -> Any:
    from ragstone.vectorstores.qdrant_connection import QdrantConnection

    return QdrantConnection.open


def _remove_others(vectors: Path, kept: set[str]) -> None:
    for folder in vectors.iterdir() if vectors.is_dir() else ():
        if _FOLDER.fullmatch(folder.name) and folder.name not in kept:
            shutil.rmtree(
                folder, ignore_errors=True
            )  # an engine that is just ending; gone with the next start
