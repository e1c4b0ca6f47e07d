"""How a version was divided: what is unchanged in the next one is divided the same, and so need not be embedded."""

from ragstone.core.models import IngestTask, JobKind, KnownChunk, Scope
from ragstone.core.ports import VectorStore
from ragstone.pipelines.payload import point_id

_AT_ONCE = 64  # points: each brings its whole payload, and questions wait while it is unpacked


async def known_before(store: VectorStore, task: IngestTask) -> tuple[KnownChunk, ...]:
    """The chunks of the version that the task's replaces. None for a first version, nor for one that is to be indexed
    as if it were. While a version is in work no other becomes visible, so a second attempt is given the same. Raises
    EngineUnavailable."""
    if task.visible_version is None or task.job.kind is JobKind.REINDEX:
        return ()
    return await known_chunks(store, task.scope, task.document_id, task.visible_version)


async def known_chunks(
    store: VectorStore, scope: Scope, document_id: str, version: int
) -> tuple[KnownChunk, ...]:
    """All chunks that the store has of a version, in order. Raises EngineUnavailable."""
    known: list[KnownChunk] = []
    while len(known) % _AT_ONCE == 0:
        first = len(known)
        ids = [point_id(document_id, version, index) for index in range(first, first + _AT_ONCE)]
        points = await store.retrieve(scope, ids)
        known += [KnownChunk.of(point.payload["text"]) for point in points]
        if not points:
            break
    return tuple(known)
