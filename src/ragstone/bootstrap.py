"""The one place where parts meet: settings in, running container out."""

import asyncio
import logging
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ragstone.auth.keys import LOCAL, ApiKeys
from ragstone.auth.local_key import ensure_local_key
from ragstone.config.settings import Settings
from ragstone.core.counts import IngestCounts
from ragstone.core.errors import EngineUnavailable, InvalidSetting
from ragstone.core.ports import (
    LLM,
    BackupFolder,
    BlobStore,
    DocumentReader,
    Embedder,
    JobObserver,
    Manifest,
    SparseEncoder,
    Tracer,
    VectorStore,
)
from ragstone.core.registry import load_object
from ragstone.core.retry import Dependency
from ragstone.dependencies import Dependencies
from ragstone.llms.extractive import ExtractiveLLM
from ragstone.parsers.detection import detect
from ragstone.pipelines.ingestion import IngestParts
from ragstone.pipelines.retrieval import RetrievalParts
from ragstone.pipelines.searching import Index
from ragstone.queues.in_process import InProcessQueue
from ragstone.services.backup import BackupService
from ragstone.services.changes import ChangeService
from ragstone.services.collections import CollectionService
from ragstone.services.consistency import AGREEMENT, Consistency, ConsistencyService
from ragstone.services.documents import DocumentService
from ragstone.services.health import HealthService, Ingestion
from ragstone.services.ingestion import IngestService
from ragstone.services.jobs import JobService
from ragstone.services.payloads import PayloadWriter
from ragstone.services.probes import (
    LoopLag,
    dependency_probes,
    disk_probe,
    ingestion_probe,
    manifest_probe,
    store_probe,
)
from ragstone.services.purging import Purger
from ragstone.services.query import AnswerDefaults, QueryLimits, QueryService
from ragstone.services.reindexing import Reindexing
from ragstone.services.serving import ServingStore
from ragstone.services.switching import VersionSwitch
from ragstone.services.watching import StoreWatch
from ragstone.storage.backup_folder import FilledFolder
from ragstone.storage.data_directory import BLOBS_FOLDER, MANIFEST_FILE, DataDirectory, command_line
from ragstone.vector_opening import EMBEDDERS, OpenVectors, open_shared_vectors, open_vectors

log = logging.getLogger(__name__)

# provider → factory; a provider's library loads only when it is chosen
LLMS = {
    "extractive": "ragstone.llms.extractive:ExtractiveLLM",
    "openai": "ragstone.llms.openai:OpenAILLM",
    "aisuite": "ragstone.llms.aisuite:AisuiteLLM",
}
CHUNKER = "ragstone.chunking.structural:build_chunker"


@dataclass(frozen=True, slots=True)
class Successor:
    """What takes the place of embedder and store once all documents are in it; `retire` then frees the old ones."""

    embedder: Embedder
    store: VectorStore
    retire: Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Adapters:
    """The implementations behind the ports; tests may pass their own."""

    embedder: Embedder
    sparse_encoder: SparseEncoder
    store: VectorStore
    manifest: Manifest
    blobs: BlobStore
    reader: DocumentReader
    llms: Mapping[str, LLM]
    """By provider, the default first."""
    can_embed: bool = True
    """Whether `embedder` is there; if not, documents wait for `successor`."""
    successor: Successor | None = None


@dataclass(frozen=True, slots=True)
class Container:
    """Everything that a front door (HTTP, CLI) may call."""

    directory: DataDirectory
    keys: ApiKeys
    """Who may call."""
    manifest: Manifest
    documents: DocumentService
    collections: CollectionService
    changes: ChangeService
    jobs: JobService
    query: QueryService
    health: HealthService
    loop_lag: LoopLag
    ingest_counts: IngestCounts
    consistency: ConsistencyService
    backups: BackupService
    reindexing: Reindexing | None
    """Where the configured embedder is not yet the one that serves."""
    tracer: Tracer | None
    """Where an endpoint for traces is configured."""
    dependencies: tuple[Dependency, ...]
    """What requests depend on, for the metrics."""
    repaired: Consistency | None
    """What start-up found and repaired; None: the Qdrant server was down, and it is done when it is up."""


@asynccontextmanager
async def build_container(
    settings: Settings,
    *,
    embedder: Embedder | None = None,
    reindex: bool = False,
    directory: DataDirectory | None = None,
) -> AsyncIterator[Container]:
    """Hold the data directory, open all parts, repair what a crash left, start the background work; close all in
    reverse. `embedder` replaces the configured one. `reindex`: where the data were embedded with another
    configuration, serve them as they are and index them anew beside. A `directory` that is given is held by the
    caller. Raises StartupError kinds."""
    async with AsyncExitStack() as stack:
        if directory is None:
            directory = DataDirectory.open(settings.data_dir, command=command_line())
            stack.callback(directory.close)
        adapters = await open_adapters(settings, stack, embedder, reindex=reindex)
        yield await _start_services(settings, directory, adapters, stack)


@asynccontextmanager
async def build_reading_container(
    settings: Settings, *, directory: DataDirectory, ingestion: Ingestion, embedder: Embedder | None = None
) -> AsyncIterator[Container]:
    """Open all parts beside a process that has built its container over the same directory, and shares its engine. For
    reading alone: nothing is repaired, nothing works in the background, and what changes documents is to be passed on
    to that process, whose `ingestion` health tells of. Raises StartupError kinds, EngineUnavailable."""
    async with AsyncExitStack() as stack:
        adapters = await open_adapters(settings, stack, embedder, is_reader=True)
        needs = Dependencies.of(settings, adapters.llms, is_reindexing=False)
        tracer = await _open_tracer(settings, stack)
        work = _Work(adapters, needs, tracer)
        consistency = ConsistencyService(adapters.manifest, work.store, adapters.blobs)
        health, loop_lag = _health_service(settings, work, needs, ingestion), LoopLag()
        _start_workers(stack, (loop_lag, health), without=())
        query = _query_service(settings, work, needs)
        services = _Services(work, query, consistency, health, loop_lag, tracer)
        yield _assemble(settings, directory, needs, services, AGREEMENT)


async def open_adapters(
    settings: Settings,
    stack: AsyncExitStack,
    embedder: Embedder | None = None,
    *,
    reindex: bool = False,
    is_reader: bool = False,
) -> Adapters:
    """The encoder loads in a thread while the manifest migrates; the engine starts once the fingerprint is known.
    `is_reader`: another process has started it, and is the one that writes."""
    from ragstone.embeddings.bm25 import Bm25Encoder
    from ragstone.parsers.bounds import Limits
    from ragstone.parsers.pool import WorkerPool
    from ragstone.storage.blobs import FileBlobStore
    from ragstone.storage.manifest import open_manifest

    folder = settings.data_dir
    loading = asyncio.create_task(_load_embedder(settings, embedder))
    llms = asyncio.create_task(asyncio.to_thread(_build_llms, settings))
    try:
        manifest = await open_manifest(folder / MANIFEST_FILE, max_queued_jobs=settings.max_queued_jobs)
        stack.push_async_callback(manifest.close)
    finally:
        found, answering = await asyncio.gather(loading, llms)
        stack.push_async_callback(found.close)
        for llm in answering.values():
            stack.push_async_callback(llm.close)
    sparse_encoder = Bm25Encoder()
    if is_reader:
        vectors = await open_shared_vectors(settings, manifest, found, sparse_encoder, stack)
    else:
        vectors = await open_vectors(settings, manifest, found, sparse_encoder, stack, reindex=reindex)
    reader = WorkerPool(CHUNKER, workers=settings.parse_workers, limits=Limits(**settings.parse_limits()))
    stack.push_async_callback(reader.close)
    blobs = FileBlobStore(folder / BLOBS_FOLDER, is_reader=is_reader)
    return Adapters(
        vectors.serving.embedder,
        sparse_encoder,
        vectors.serving.store,
        manifest,
        blobs,
        reader,
        answering,
        can_embed=vectors.serving.can_embed,
        successor=_successor(vectors),
    )


def _successor(vectors: OpenVectors) -> Successor | None:
    serving, successor = vectors.serving, vectors.successor
    if successor is None:
        return None

    async def retire() -> None:
        await serving.embedder.close()
        await serving.store.close()
        await vectors.home.remove(serving.space.folder)

    return Successor(successor.embedder, successor.store, retire)


async def _load_embedder(settings: Settings, given: Embedder | None) -> Embedder:
    if given is not None:
        return given
    build = load_object(EMBEDDERS[settings.embedding_provider])
    embedder: Embedder = await asyncio.to_thread(build, **settings.embedder_options())
    return embedder


def _build_llms(settings: Settings) -> dict[str, LLM]:
    return {name: load_object(LLMS[name])(**options) for name, options in settings.llm_options().items()}


async def _start_services(
    settings: Settings, directory: DataDirectory, adapters: Adapters, stack: AsyncExitStack
) -> Container:
    needs = Dependencies.of(settings, adapters.llms, is_reindexing=adapters.successor is not None)
    tracer = await _open_tracer(settings, stack)
    work = _Work(adapters, needs, tracer)
    query = _query_service(settings, work, needs)
    consistency = ConsistencyService(adapters.manifest, work.store, adapters.blobs, queued=work.queue.wake)
    is_remote = settings.qdrant_url is not None
    repaired = await _recover(consistency, may_wait=is_remote)
    reindexing = work.reindexing(query)
    watch = StoreWatch(work.store, consistency, is_owed=repaired is None) if is_remote else None
    health, loop_lag = _health_service(settings, work, needs, work.queue), LoopLag()
    workers = (work.purger, work.payloads, work.switch, work.queue, reindexing, watch, loop_lag, health)
    _start_workers(stack, workers, without=() if adapters.can_embed else (work.queue,))
    services = _Services(work, query, consistency, health, loop_lag, tracer, reindexing)
    return _assemble(settings, directory, needs, services, repaired)


@dataclass(frozen=True, slots=True)
class _Services:
    """What a container that does all the work and one that only reads differ in."""

    work: "_Work"
    query: QueryService
    consistency: ConsistencyService
    health: HealthService
    loop_lag: LoopLag
    tracer: Tracer | None
    reindexing: Reindexing | None = None


def _assemble(
    settings: Settings,
    directory: DataDirectory,
    needs: Dependencies,
    services: _Services,
    repaired: Consistency | None,
) -> Container:
    work = services.work
    adapters, store = work.parts.adapters, work.store
    manifest, blobs = adapters.manifest, adapters.blobs
    return Container(
        directory=directory,
        keys=_api_keys(settings, directory),
        manifest=manifest,
        documents=DocumentService(manifest, blobs, store, work.queue, work.purger, detect=detect),
        collections=CollectionService(manifest, work.purger),
        changes=ChangeService(manifest, blobs, work.queue, work.payloads, detect=detect),
        jobs=JobService(manifest, work.queue),
        backups=_backup_service(settings, adapters, work),
        query=services.query,
        health=services.health,
        loop_lag=services.loop_lag,
        ingest_counts=work.counts,
        consistency=services.consistency,
        reindexing=services.reindexing,
        tracer=services.tracer,
        dependencies=needs.all(),
        repaired=repaired,
    )


def _api_keys(settings: Settings, directory: DataDirectory) -> ApiKeys:
    """Where keys are needed, that of the data directory is one, so that commands on this machine always have one."""
    if not settings.needs_keys:
        return ApiKeys({})
    configured = {each.label: each.key.get_secret_value() for each in settings.api_keys}
    return ApiKeys({**configured, LOCAL: ensure_local_key(directory.path)})


async def _recover(consistency: ConsistencyService, *, may_wait: bool) -> Consistency | None:
    """None where the vector store is another machine's, and down."""
    try:
        return await consistency.recover()
    except EngineUnavailable as error:
        if not may_wait:
            raise
        log.warning("vectors are not checked until their server is up", extra={"reason": error.message})
        return None


class _Work:
    """The work in the background, over the collection that serves."""

    def __init__(self, adapters: Adapters, needs: Dependencies, tracer: Tracer | None):
        manifest, successor = adapters.manifest, adapters.successor
        self.parts = PartsBuilder(adapters, needs.searching)
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


async def _open_tracer(settings: Settings, stack: AsyncExitStack) -> Tracer | None:
    """Closed after all that records. Raises InvalidSetting."""
    if settings.otlp_endpoint is None:
        return None
    try:
        from ragstone.tracing import Tracing
    except ImportError as error:
        raise InvalidSetting(
            "OTEL_EXPORTER_OTLP_ENDPOINT is set, and traces need the extra: pip install 'ragstone[otel]'"
        ) from error
    tracing = Tracing.to(settings.otlp_endpoint)
    stack.push_async_callback(tracing.close)
    return tracing


def _health_service(
    settings: Settings, work: _Work, needs: Dependencies, ingestion: Ingestion
) -> HealthService:
    manifest, limit = work.parts.adapters.manifest, settings.max_upload_bytes
    return HealthService(
        [
            manifest_probe(manifest),
            store_probe(work.store),
            ingestion_probe(manifest, ingestion, max_queued_jobs=settings.max_queued_jobs),
            disk_probe(lambda: shutil.disk_usage(settings.data_dir).free, max_upload_bytes=limit),
            *dependency_probes(needs.all()),
        ]
    )


def _query_service(settings: Settings, work: _Work, needs: Dependencies) -> QueryService:
    adapters = work.parts.adapters
    return QueryService(
        work.parts.retrieval(adapters.embedder, adapters.store, needs.serving),
        needs.answerers,
        fallback=ExtractiveLLM(),
        limits=_query_limits(settings),
        defaults=AnswerDefaults(settings.llm_temperature, settings.llm_max_tokens),
        link_hosts=frozenset(settings.link_hosts),
    )


def _backup_service(settings: Settings, adapters: Adapters, work: _Work) -> BackupService:
    def new_folder(path: Path, directory_id: str) -> BackupFolder:
        return FilledFolder(path, data_dir=settings.data_dir, directory_id=directory_id)

    return BackupService(adapters.manifest, work.store, adapters.blobs, work.purger, new_folder=new_folder)


class Worker(Protocol):
    """What works in the background."""

    def start(self) -> None:
        """Begin."""
        ...

    async def stop(self) -> None:
        """End in order, also where it never began."""
        ...


def _start_workers(
    stack: AsyncExitStack, workers: Sequence[Worker | None], *, without: Sequence[Worker]
) -> None:
    """Stopped in reverse: no new work, then the last switch, then purges. Those in `without` are started by others."""
    for worker in filter(None, workers):
        if worker not in without:
            worker.start()
        stack.push_async_callback(worker.stop)


@dataclass(frozen=True, slots=True)
class PartsBuilder:
    """The parts of pipelines over one embedder and its collection."""

    adapters: Adapters
    searching: Dependency

    def retrieval(self, embedder: Embedder, store: VectorStore, embedding: Dependency) -> RetrievalParts:
        """For questions."""
        index = Index(store, self.adapters.manifest)
        return RetrievalParts(embedder, self.adapters.sparse_encoder, index, embedding, self.searching)

    def ingesting(self, embedder: Embedder, store: VectorStore, embedding: Dependency) -> IngestParts:
        """For documents."""
        of = self.adapters
        return IngestParts(
            of.reader, embedder, of.sparse_encoder, store, of.blobs, of.manifest, embedding, detect
        )


def _query_limits(settings: Settings) -> QueryLimits:
    return QueryLimits(
        request_s=settings.request_timeout.total_seconds(),
        idle_s=settings.stream_idle.total_seconds(),
        stream_s=settings.stream_total.total_seconds(),
        is_local=not settings.receivers(),
    )
