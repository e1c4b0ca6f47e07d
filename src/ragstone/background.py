"""What works in the background: ingestion, switches, purges, payloads, and building a collection beside."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Protocol

from ragstone.adapters import Adapters
from ragstone.core.counts import IngestCounts
from ragstone.core.ports import Embedder, JobObserver, Tracer, VectorStore
from ragstone.core.retry import Dependency
from ragstone.dependencies import Dependencies
from ragstone.parsers.detection import detect
from ragstone.pipelines.ingestion import IngestParts
from ragstone.pipelines.reranking import Reranking
from ragstone.pipelines.retrieval import RetrievalParts
from ragstone.pipelines.searching import Index, Ranking
from ragstone.queues.in_process import InProcessQueue
from ragstone.services.ingestion import IngestService
from ragstone.services.payloads import PayloadWriter
from ragstone.services.purging import Purger
from ragstone.services.query import QueryService
from ragstone.services.reindexing import Reindexing
from ragstone.services.serving import ServingStore
from ragstone.services.switching import VersionSwitch


@dataclass(frozen=True, slots=True)
class PartsBuilder:
    """The parts of pipelines over one embedder and its collection."""

    adapters: Adapters
    searching: Dependency
    reranking: Reranking | None
    ranking: Ranking

    def retrieval(self, embedder: Embedder, store: VectorStore, embedding: Dependency) -> RetrievalParts:
        """For questions."""
        index = Index(store, self.adapters.manifest, self.ranking)
        encoder = self.adapters.sparse_encoder
        return RetrievalParts(embedder, encoder, index, embedding, self.searching, self.reranking)

    def ingesting(self, embedder: Embedder, store: VectorStore, embedding: Dependency) -> IngestParts:
        """For documents."""
        of = self.adapters
        return IngestParts(
            of.reader, embedder, of.sparse_encoder, store, of.blobs, of.manifest, embedding, detect
        )


class BackgroundWork:
    """The work in the background, over the collection that serves."""

    def __init__(self, adapters: Adapters, needs: Dependencies, tracer: Tracer | None, ranking: Ranking):
        manifest, successor = adapters.manifest, adapters.successor
        self.parts = PartsBuilder(adapters, needs.searching, needs.reranking, ranking)
        self._needs = needs
        self._successor = successor
        self.store = ServingStore(adapters.store, building=None if successor is None else successor.store)
        self.counts = IngestCounts()
        self.switch = VersionSwitch(
            self.store, manifest, switched=self._after_switch, when_ready=self.counts.version_ready
        )
        serving = self.parts.ingesting(adapters.embedder, adapters.store, needs.serving)
        observers: tuple[JobObserver, ...] = (self.counts,) if tracer is None else (self.counts, tracer)
        self._ingest = IngestService(serving, manifest, self.switch, observers=observers)
        self.queue = InProcessQueue(manifest, self._ingest.run)
        self.purger = Purger(self.store, manifest, adapters.blobs, self.queue)
        self.payloads = PayloadWriter(self.store, manifest)

    def reindexing(self, query: QueryService) -> Reindexing | None:
        """Where a collection is built beside: what builds it, and makes it serve."""
        successor = self._successor
        if successor is None:
            return None
        copied = self.parts.ingesting(successor.embedder, successor.store, self._needs.embedding)
        found = self.parts.retrieval(successor.embedder, successor.store, self._needs.embedding)

        def adopt() -> asyncio.Event:
            """In one step of the event loop, so that nothing begins with one half of each."""
            self.store.adopt()
            self._ingest.use(copied)
            return query.use(found)

        return Reindexing(copied, self.store, self.queue, self.switch, adopt=adopt, retire=successor.retire)

    def _after_switch(self) -> None:
        """Replaced versions wait for their purge, versions given back and parts for their turn, changed words for
        being written."""
        self.purger.wake()
        self.payloads.wake()
        self.queue.wake()


class Worker(Protocol):
    """What works in the background."""

    def start(self) -> None:
        """Begin."""
        ...

    async def stop(self) -> None:
        """End in order, also where it never began."""
        ...


def start_workers(
    stack: AsyncExitStack, workers: Sequence[Worker | None], *, without: Sequence[Worker]
) -> None:
    """Stopped in reverse: no new work, then the last switch, then purges. Those in `without` are started by others."""
    for worker in filter(None, workers):
        if worker not in without:
            worker.start()
        stack.push_async_callback(worker.stop)
