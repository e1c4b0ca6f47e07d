"""The one place where parts meet: settings in, running container out."""

import logging
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from ragstone.adapters import Adapters, open_adapters, open_tracer
from ragstone.auth.keys import LOCAL, ApiKeys
from ragstone.auth.local_key import ensure_local_key
from ragstone.background import BackgroundWork, start_workers
from ragstone.config.settings import Settings
from ragstone.core.counts import IngestCounts
from ragstone.core.errors import EngineUnavailable
from ragstone.core.ports import (
    BackupFolder,
    Embedder,
    Manifest,
    Tracer,
)
from ragstone.core.retry import Dependency
from ragstone.dependencies import Dependencies
from ragstone.llms.extractive import ExtractiveLLM
from ragstone.parsers.detection import detect
from ragstone.services.backup import BackupService
from ragstone.services.changes import ChangeService
from ragstone.services.collections import CollectionService
from ragstone.services.consistency import AGREEMENT, Consistency, ConsistencyService
from ragstone.services.documents import DocumentService
from ragstone.services.files import FileService
from ragstone.services.health import HealthService, Ingestion
from ragstone.services.jobs import JobService
from ragstone.services.probes import (
    LoopLag,
    dependency_probes,
    disk_probe,
    ingestion_probe,
    manifest_probe,
    store_probe,
)
from ragstone.services.query import AnswerDefaults, QueryLimits, QueryService
from ragstone.services.records import RecordService
from ragstone.services.reindexing import Reindexing
from ragstone.services.watching import StoreWatch
from ragstone.storage.backup_folder import FilledFolder
from ragstone.storage.data_directory import DataDirectory, command_line

log = logging.getLogger(__name__)


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
    records: RecordService
    files: FileService
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
        needs = Dependencies.of(settings, adapters.llms, adapters.reranker, is_reindexing=False)
        tracer = await open_tracer(settings, stack)
        work = BackgroundWork(adapters, needs, tracer, settings.ranking)
        consistency = ConsistencyService(adapters.manifest, work.store, adapters.blobs)
        health, loop_lag = _health_service(settings, work, needs, ingestion), LoopLag()
        start_workers(stack, (loop_lag, health), without=())
        query = _query_service(settings, work, needs)
        services = _Services(work, query, consistency, health, loop_lag, tracer)
        yield _assemble(settings, directory, needs, services, AGREEMENT)


async def _start_services(
    settings: Settings, directory: DataDirectory, adapters: Adapters, stack: AsyncExitStack
) -> Container:
    is_reindexing = adapters.successor is not None
    needs = Dependencies.of(settings, adapters.llms, adapters.reranker, is_reindexing=is_reindexing)
    tracer = await open_tracer(settings, stack)
    work = BackgroundWork(adapters, needs, tracer, settings.ranking)
    query = _query_service(settings, work, needs)
    consistency = ConsistencyService(adapters.manifest, work.store, adapters.blobs, queued=work.queue.wake)
    is_remote = settings.qdrant_url is not None
    repaired = await _recover(consistency, may_wait=is_remote)
    reindexing = work.reindexing(query)
    watch = StoreWatch(work.store, consistency, is_owed=repaired is None) if is_remote else None
    health, loop_lag = _health_service(settings, work, needs, work.queue), LoopLag()
    workers = (work.purger, work.payloads, work.switch, work.queue, reindexing, watch, loop_lag, health)
    start_workers(stack, workers, without=() if adapters.can_embed else (work.queue,))
    services = _Services(work, query, consistency, health, loop_lag, tracer, reindexing)
    return _assemble(settings, directory, needs, services, repaired)


@dataclass(frozen=True, slots=True)
class _Services:
    """What a container that does all the work and one that only reads differ in."""

    work: BackgroundWork
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
    documents = DocumentService(manifest, blobs, store, work.queue, work.purger, detect=detect)
    changes = ChangeService(manifest, blobs, work.queue, work.payloads, detect=detect)
    jobs, records = JobService(manifest, work.queue), RecordService(manifest)
    return Container(
        directory=directory,
        keys=_api_keys(settings, directory),
        manifest=manifest,
        documents=documents,
        collections=CollectionService(manifest, work.purger),
        changes=changes,
        jobs=jobs,
        records=records,
        files=FileService(manifest, documents, changes, jobs, records),
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


def _health_service(
    settings: Settings, work: BackgroundWork, needs: Dependencies, ingestion: Ingestion
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


def _query_service(settings: Settings, work: BackgroundWork, needs: Dependencies) -> QueryService:
    adapters = work.parts.adapters
    return QueryService(
        work.parts.retrieval(adapters.embedder, adapters.store, needs.serving),
        needs.answerers,
        fallback=ExtractiveLLM(),
        limits=_query_limits(settings),
        defaults=AnswerDefaults(settings.llm_temperature, settings.llm_max_tokens),
        link_hosts=frozenset(settings.link_hosts),
    )


def _backup_service(settings: Settings, adapters: Adapters, work: BackgroundWork) -> BackupService:
    def new_folder(path: Path, directory_id: str) -> BackupFolder:
        return FilledFolder(path, data_dir=settings.data_dir, directory_id=directory_id)

    return BackupService(adapters.manifest, work.store, adapters.blobs, work.purger, new_folder=new_folder)


def _query_limits(settings: Settings) -> QueryLimits:
    return QueryLimits(
        request_s=settings.request_timeout.total_seconds(),
        idle_s=settings.stream_idle.total_seconds(),
        stream_s=settings.stream_total.total_seconds(),
        searches_here=settings.embedding_provider == "minilm"
        and not (settings.qdrant_url or settings.rerank_url),
    )
