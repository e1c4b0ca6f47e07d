"""A vector engine inside the test's own process, reached through the same frames as one outside."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ragstone.vectorstores.edge import EdgeVectorStore
from ragstone.vectorstores.edge_engine import Engine, answer
from ragstone.vectorstores.edge_process import error_of
from ragstone.vectorstores.frames import FrameReader, pack

_SHM, _ROOM = "/dev/shm", 2**31
IN_MEMORY = _SHM if os.access(_SHM, os.W_OK) and shutil.disk_usage(_SHM).free > _ROOM else None
"""A new shard costs a hundred fsyncs, which cost a second on a slow disk and nothing here."""


@contextmanager
def quick_folder() -> Iterator[Path]:
    """For engines whose files need not outlive anything."""
    with tempfile.TemporaryDirectory(dir=IN_MEMORY) as name:
        yield Path(name)


class InProcessLink:
    """Implements `edge.Link` without a process; what travels is packed and unpacked all the same."""

    def __init__(self, engine: Engine):
        self.engine = engine
        self.calls: list[str] = []
        self.restarts = 0

    async def call(self, operation: str, *arguments: object) -> Any:
        self.calls.append(operation)
        request = _travel([1, operation, *arguments])
        _, succeeded, result = _travel(answer(self.engine, request))
        if not succeeded:
            raise error_of(*result)
        return result

    async def close(self) -> None:
        self.engine.close()


@contextmanager
def open_engine(directory: Path, *, dimension: int) -> Iterator[Engine]:
    engine = Engine(directory, dimension=dimension)
    try:
        yield engine
    finally:
        engine.close()


def store_of(engine: Engine, *, dimension: int) -> EdgeVectorStore:
    return EdgeVectorStore(InProcessLink(engine), dimension=dimension)


def _travel(message: object) -> Any:
    (arrived,) = FrameReader().feed(pack(message))
    return arrived
