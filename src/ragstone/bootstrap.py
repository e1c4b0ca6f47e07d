"""The one place where parts meet: settings in, running container out."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from ragstone.config.settings import Settings
from ragstone.core.errors import FingerprintChanged
from ragstone.core.ports import (
    LLM,
    BackupFolder,
    BlobStore,
    DocumentReader,
    Embedder,
    Manifest,
    SparseEncoder,
    VectorStore,
)
from ragstone.core.registry import load_object
from ragstone.core.retry import Dependency, RetryPolicy
from ragstone.llms.extractive import ExtractiveLLM
from ragstone.parsers.detection import detect
from ragstone.pipelines.asking import Answerer
from ragstone.pipelines.ingestion import IngestParts
from ragstone.pipelines.retrieval import RetrievalParts
from ragstone.pipelines.searching import Index
from ragstone.queues.in_process import InProcessQueue
from ragstone.services.backup import BackupService
from ragstone.services.changes import ChangeService
from ragstone.services.collections import CollectionService
from ragstone.services.consistency import Consistency, ConsistencyService
from ragstone.services.documents import DocumentService
from ragstone.services.health import HealthService
from ragstone.services.ingestion import IngestService
from ragstone.services.jobs import JobService
from ragstone.services.payloads import PayloadWriter
from ragstone.services.purging import Purger
from ragstone.services.query import AnswerDefaults, QueryLimits, QueryService
from ragstone.services.switching import VersionSwitch
from ragstone.storage.backup_folder import FilledFolder
from ragstone.storage.data_directory import (
    BLOBS_FOLDER,
    MANIFEST_FILE,
    DataDirectory,
    command_line,
    vectors_path,
)

log = logging.getLogger(__name__)

# provider → factory; a provider's library loads only when it is chosen
EMBEDDERS = {
    "minilm": "ragstone.embeddings.minilm:MiniLMEmbedder",
    "openai": "ragstone.embeddings.openai:OpenAIEmbedder",
}
LLMS = {
    "extractive": "ragstone.llms.extractive:ExtractiveLLM",
    "openai": "ragstone.llms.openai:OpenAILLM",
    "aisuite": "ragstone.llms.aisuite:AisuiteLLM",
}
CHUNKER = "ragstone.chunking.structural:build_chunker"


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


@dataclass(frozen=True, slots=True)
class Container:
    """Everything that a front door (HTTP, CLI) may call."""

    directory: DataDirectory
    manifest: Manifest
    documents: DocumentService
    collections: CollectionService
    changes: ChangeService
    jobs: JobService
    query: QueryService
    health: HealthService
    consistency: ConsistencyService
    backups: BackupService
    dependencies: tuple[Dependency, ...]
    """What requests depend on, for the metrics."""
    repaired: Consistency
    """What start-up found and repaired."""


@asynccontextmanager
async def build_container(
    settings: Settings, *, embedder: Embedder | None = None
) -> AsyncIterator[Container]:
    """Hold the data directory, open all parts, repair what a crash left, start the background work; close all in
    reverse. `embedder` replaces the configured one. Raises StartupError kinds."""
    async with AsyncExitStack() as stack:
        directory = DataDirectory.open(settings.data_dir, command=command_line())
        stack.callback(directory.close)
        adapters = await open_adapters(settings, stack, embedder)
        yield await _start_services(settings, directory, adapters, stack)


async def open_adapters(
    settings: Settings, stack: AsyncExitStack, embedder: Embedder | None = None
) -> Adapters:
    """The encoder loads in a thread while the manifest migrates; the engine starts once the fingerprint is known."""
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
    store = await _open_store(folder, manifest, found, sparse_encoder)
    stack.push_async_callback(store.close)
    reader = WorkerPool(CHUNKER, workers=settings.parse_workers, limits=Limits(**settings.parse_limits()))
    stack.push_async_callback(reader.close)
    blobs = FileBlobStore(folder / BLOBS_FOLDER)
    return Adapters(found, sparse_encoder, store, manifest, blobs, reader, answering)


async def _load_embedder(settings: Settings, given: Embedder | None) -> Embedder:
    if given is not None:
        return given
    build = load_object(EMBEDDERS[settings.embedding_provider])
    embedder: Embedder = await asyncio.to_thread(build, **settings.embedder_options())
    return embedder


def _build_llms(settings: Settings) -> dict[str, LLM]:
    return {name: load_object(LLMS[name])(**options) for name, options in settings.llm_options().items()}


async def _open_store(
    folder: Path, manifest: Manifest, embedder: Embedder, sparse_encoder: SparseEncoder
) -> VectorStore:
    from ragstone.vectorstores.edge import EdgeVectorStore

    fingerprint = f"{embedder.fingerprint} {sparse_encoder.fingerprint}"
    known = await manifest.get_property("embedding_fingerprint")
    if known is not None and known != fingerprint:
        raise FingerprintChanged(
            f"the documents in {folder} were embedded as '{known}', now '{fingerprint}' is configured; "
            "go back to the old configuration, or ingest the documents into a new RAGSTONE_DATA_DIR"
        )
    await manifest.set_property("embedding_fingerprint", fingerprint)
    return await EdgeVectorStore.open(vectors_path(folder, fingerprint), dimension=embedder.dimension)


async def _start_services(
    settings: Settings, directory: DataDirectory, adapters: Adapters, stack: AsyncExitStack
) -> Container:
    manifest, store, blobs = adapters.manifest, adapters.store, adapters.blobs
    consistency = ConsistencyService(manifest, store, blobs)
    repaired = await consistency.recover()
    vendors = _retry_policy(settings, settings.openai_max_retries, settings.llm_timeout.total_seconds())
    embedding = _embedding_dependency(settings, vendors)
    searching = Dependency(
        "search",
        _retry_policy(settings, settings.qdrant_max_retries, None),
        provider="embedded",
        is_local=True,
    )
    answerers = {
        name: Answerer(llm, Dependency("llm", vendors, provider=name), settings.llm_context_tokens)
        for name, llm in adapters.llms.items()
    }
    parts = IngestParts(
        adapters.reader, adapters.embedder, adapters.sparse_encoder, store, blobs, manifest, embedding, detect
    )

    def after_switch() -> None:
        """Replaced versions wait for their purge, versions given back and parts for their turn, changed words for
        being written."""
        purger.wake()
        payloads.wake()
        queue.wake()

    def new_backup_folder(path: Path, directory_id: str) -> BackupFolder:
        return FilledFolder(path, data_dir=settings.data_dir, directory_id=directory_id)

    switch = VersionSwitch(store, manifest, switched=after_switch)
    queue = InProcessQueue(manifest, IngestService(parts, manifest, switch).run)
    purger = Purger(store, manifest, blobs, queue)
    payloads = PayloadWriter(store, manifest)
    for worker in (
        purger,
        payloads,
        switch,
        queue,
    ):  # stopped in reverse: no new work, then the last switch, then purges
        worker.start()
        stack.push_async_callback(worker.stop)
    retrieval = RetrievalParts(
        adapters.embedder, adapters.sparse_encoder, Index(store, manifest), embedding, searching
    )
    return Container(
        directory=directory,
        manifest=manifest,
        documents=DocumentService(manifest, blobs, store, queue, purger, detect=detect),
        collections=CollectionService(manifest, purger),
        changes=ChangeService(manifest, blobs, queue, payloads, detect=detect),
        jobs=JobService(manifest, queue),
        query=QueryService(
            retrieval,
            answerers,
            fallback=ExtractiveLLM(),
            limits=_query_limits(settings),
            defaults=AnswerDefaults(settings.llm_temperature, settings.llm_max_tokens),
            link_hosts=frozenset(settings.link_hosts),
        ),
        health=HealthService(manifest, store, queue),
        consistency=consistency,
        backups=BackupService(manifest, store, blobs, purger, new_folder=new_backup_folder),
        dependencies=(
            embedding,
            searching,
            *(answerer.dependency for answerer in answerers.values() if answerer.llm.is_generative),
        ),
        repaired=repaired,
    )


def _embedding_dependency(settings: Settings, vendors: RetryPolicy) -> Dependency:
    """The packaged encoder is as slow as this machine is busy: only the request's own time limits it."""
    if settings.embedding_provider == "minilm":
        return Dependency("embedding", replace(vendors, attempt_timeout_s=None), "minilm", is_local=True)
    return Dependency("embedding", vendors, settings.embedding_provider)


def _retry_policy(settings: Settings, attempts: int, attempt_timeout_s: float | None) -> RetryPolicy:
    return RetryPolicy(
        attempts=attempts,
        min_wait_s=settings.retry_min_wait.total_seconds(),
        max_wait_s=settings.retry_max_wait.total_seconds(),
        attempt_timeout_s=attempt_timeout_s,
    )


def _query_limits(settings: Settings) -> QueryLimits:
    return QueryLimits(
        request_s=settings.request_timeout.total_seconds(),
        idle_s=settings.stream_idle.total_seconds(),
        stream_s=settings.stream_total.total_seconds(),
    )
