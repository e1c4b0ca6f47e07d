"""Both legs of a search and what completes them, out of a store's single calls: for stores that know no shorter way."""

import asyncio

from ragstone.core.filters import Filter
from ragstone.core.models import LegHits, Scope, SparseVector, Vector
from ragstone.core.ports import VectorStore


async def search_legs(
    store: VectorStore,
    scope: Scope,
    dense: Vector,
    sparse: SparseVector,
    *,
    limit: int,
    where: Filter | None = None,
) -> LegHits:
    """See `VectorStore.search_legs`."""
    (near, worded), idf = await asyncio.gather(
        store.search_hybrid(scope, dense, sparse, limit=limit, where=where),
        store.term_weights(scope, sparse.indices, where=where),
    )
    once = sorted({hit.id for hit in near} ^ {hit.id for hit in worded})
    if not once or not worded:
        return LegHits(near, worded, [], [], idf)
    more_near, more_worded = await store.search_hybrid(
        scope, dense, sparse, limit=len(once), where=where, ids=once
    )
    known_near, known_worded = {hit.id for hit in near}, {hit.id for hit in worded}
    return LegHits(
        near,
        worded,
        [hit for hit in more_near if hit.id not in known_near],
        [hit for hit in more_worded if hit.id not in known_worded],
        idf,
    )
