"""The implementations behind the ports, opened as the settings say."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass

from ragstone.config.settings import Settings
from ragstone.core.errors import InvalidSetting
from ragstone.core.ports import (
    LLM,
    BlobStore,
    DocumentReader,
    Embedder,
    Manifest,
    Reranker,
    SparseEncoder,
    Tracer,
    VectorStore,
)
from ragstone.core.registry import load_object
from ragstone.storage.data_directory import BLOBS_FOLDER, MANIFEST_FILE
from ragstone.vector_opening import EMBEDDERS, OpenVectors, open_shared_vectors, open_vectors

# provider → factory; a provider's library loads only when it is chosen
LLMS = {
    "extractive": "ragstone.llms.extractive:ExtractiveLLM",
    "openai": "ragstone.llms.openai:OpenAILLM",
    "aisuite": "ragstone.llms.aisuite:AisuiteLLM",
}
RERANKERS = {
    "tei": "ragstone.rerankers.tei:TeiReranker",
    "cohere": "ragstone.rerankers.cohere:CohereReranker",
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
    reranker: Reranker | None = None


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
    calling = asyncio.create_task(asyncio.to_thread(_build_callers, settings))
    try:
        manifest = await open_manifest(folder / MANIFEST_FILE, max_queued_jobs=settings.max_queued_jobs)
        stack.push_async_callback(manifest.close)
    finally:
        found, (answering, reranker) = await asyncio.gather(loading, calling)
        stack.push_async_callback(found.close)
        if reranker is not None:
            stack.push_async_callback(reranker.close)
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
        reranker=reranker,
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


def _build_callers(settings: Settings) -> tuple[dict[str, LLM], Reranker | None]:
    """Those who answer, by provider, and the reranker where one is configured."""
    llms = {name: load_object(LLMS[name])(**options) for name, options in settings.llm_options().items()}
    options = settings.reranker_options()
    if options is None:
        return llms, None
    reranker: Reranker = load_object(RERANKERS[settings.rerank_provider])(**options)
    return llms, reranker


async def open_tracer(settings: Settings, stack: AsyncExitStack) -> Tracer | None:
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
