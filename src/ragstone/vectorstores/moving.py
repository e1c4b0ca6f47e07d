"""Points on their way from one engine to another, as they are: same ids, vectors, words and payloads."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import numpy as np

from ragstone.core.models import Scope, SparseVector, Vector
from ragstone.core.ports import VectorStore
from ragstone.vectorstores.kept import Row, floats, integers

PAGE = 256  # points; about two megabytes


class Movable(Protocol):
    """An engine that hands out its points page by page, and takes pages of others."""

    async def read_rows(self, after: str | None, limit: int) -> tuple[list[Row], str | None]:
        """The points from the id `after` on, in the order of ids, and the id at which the next page begins."""
        ...

    async def write_rows(self, rows: Sequence[Row]) -> None:
        """Insert or replace by id. Idempotent."""
        ...


class MovableStore(VectorStore, Movable, Protocol):
    """A vector store over such an engine."""


def scope_and_vectors(row: Row) -> tuple[Scope, Vector, SparseVector]:
    """Whose point it is, and what it is found by."""
    tenant_id, scope, (_, dense, indices, values, *_) = row
    collection = scope.rpartition("/")[2]  # its name has no slash
    sparse = SparseVector(tuple(integers(indices)), tuple(floats(values)))
    return Scope(tenant_id, collection), np.frombuffer(dense, np.float32), sparse


async def _nothing(_after: str | None, _moved: int) -> None:
    pass


async def copy_points(
    source: Movable,
    target: Movable,
    *,
    after: str | None = None,
    on_page: Callable[[str | None, int], Awaitable[None]] = _nothing,
) -> int:
    """All points from `after` on; returns how many. `on_page` is told after each page where to go on, and how many
    were copied until then."""
    copied = 0
    while True:
        rows, after = await source.read_rows(after, PAGE)
        if rows:
            await target.write_rows(rows)
        copied += len(rows)
        await on_page(after, copied)
        if after is None:
            return copied
