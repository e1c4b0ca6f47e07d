"""Ragstone's parts opened in this process on a data directory that no server holds."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ragstone.adapters import Adapters, open_adapters
from ragstone.config.settings import load_settings
from ragstone.core.deadline import Deadline
from ragstone.core.filters import parse_filter
from ragstone.core.models import Scope, Source
from ragstone.core.retry import Dependency
from ragstone.core.timing import Stopwatch
from ragstone.pipelines.evidence import Evidence, gather_evidence
from ragstone.pipelines.ranking import MIXTURE, Mixture
from ragstone.pipelines.retrieval import RetrievalParts, Retrieved, retrieve_documents
from ragstone.pipelines.searching import Index, Ranking, Search

TOP_K = 5


@dataclass(frozen=True, slots=True)
class Inside:
    """Retrieval and its evidence without the API around it."""

    adapters: Adapters

    async def search(self, question: str, *, collection: str, top_k: int = TOP_K) -> Sequence[Source]:
        """Sources with their sentences' vectors."""
        search = Search(Scope(collection=collection), question, top_k, with_sentences=True)
        return (await self._retrieve(search)).sources

    async def evidence(
        self, question: str, *, collection: str, left_out: dict[str, Any] | None = None
    ) -> Evidence:
        """What the gate knows of a question; `left_out` is a filter as the API takes it."""
        scope, where = Scope(collection=collection), None if left_out is None else parse_filter(left_out)
        search = Search(scope, question, TOP_K, where=where, with_sentences=True)
        retrieved = await self._retrieve(search)
        encoder = self.adapters.sparse_encoder
        return gather_evidence(encoder, retrieved.weights, retrieved.question, retrieved.sources)

    async def ranked(
        self, question: str, collection: str, top_k: int, ranking: Ranking, mixture: Mixture
    ) -> Sequence[Source]:
        """Sources as another ranking has them."""
        search = Search(Scope(collection=collection), question, top_k)
        return (await self._retrieve(search, ranking, mixture)).sources

    async def _retrieve(
        self, search: Search, ranking: Ranking = "full", mixture: Mixture = MIXTURE
    ) -> Retrieved:
        parts = self._parts(ranking, mixture)
        return await retrieve_documents(parts, search, deadline=Deadline.after(60), stopwatch=Stopwatch())

    def _parts(self, ranking: Ranking, mixture: Mixture) -> RetrievalParts:
        adapters = self.adapters
        index = Index(adapters.store, adapters.manifest, ranking, mixture)
        embedding, searching = Dependency("embedding"), Dependency("search")
        return RetrievalParts(adapters.embedder, adapters.sparse_encoder, index, embedding, searching)


@asynccontextmanager
async def open_inside(folder: Path, *, precision: str = "int8") -> AsyncIterator[Inside]:
    """Adapters only: no queue, no repairs, nothing that changes the data."""
    async with AsyncExitStack() as stack:
        settings = load_settings(data_dir=folder, embedding_precision=precision)
        yield Inside(await open_adapters(settings, stack))
