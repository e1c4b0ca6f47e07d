"""Which embedder and which collection serve, and which collection is to be built beside it."""

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

from ragstone.config.settings import Settings
from ragstone.core.errors import FingerprintChanged, RagstoneError
from ragstone.core.models import Vector
from ragstone.core.ports import Embedder, Manifest, SparseEncoder, VectorStore
from ragstone.core.registry import load_object
from ragstone.embeddings.absent import AbsentEmbedder
from ragstone.embeddings.probed import SAME_FROM, ProbedEmbedder
from ragstone.services.embedding_space import (
    SERVING,
    SUCCESSOR,
    EmbeddingSpace,
    pack_probes,
    read_space,
    unpack_probes,
    write_space,
)
from ragstone.vector_homes import VectorHome, choose_home, join_home

log = logging.getLogger(__name__)

# provider → factory; a provider's library loads only when it is chosen
EMBEDDERS = {
    "minilm": "ragstone.embeddings.minilm:MiniLMEmbedder",
    "openai": "ragstone.embeddings.openai:OpenAIEmbedder",
}
PACKAGED = frozenset({"minilm"})
"""Providers whose weights are checked by their hash, so that nothing need be probed."""

PROBE_LIMIT_S = 5.0  # a start does not wait longer for an embedder over the network
HOW_TO_REINDEX = "or index the documents anew while the old index serves: ragstone serve --reindex"


@dataclass(frozen=True, slots=True)
class Generation:
    """A space, its embedder and its collection. `can_embed` False: the embedder cannot be had any more."""

    space: EmbeddingSpace
    embedder: Embedder
    store: VectorStore
    can_embed: bool = True


@dataclass(frozen=True, slots=True)
class OpenVectors:
    """What serves, and what is to be built beside it and to take its place."""

    serving: Generation
    home: VectorHome
    successor: Generation | None = None


async def open_vectors(
    settings: Settings,
    manifest: Manifest,
    embedder: Embedder,
    sparse_encoder: SparseEncoder,
    stack: AsyncExitStack,
    *,
    reindex: bool,
) -> OpenVectors:
    """One collection a space: vectors of two embedders or tokenizers never meet. What is opened is closed by `stack`.
    Raises FingerprintChanged where they would, unless `reindex` says to build anew."""
    wanted = _wanted(settings, embedder, sparse_encoder)
    known = await _recorded(manifest) or wanted
    home = await choose_home(settings, manifest, known.folder, stack, rebuild=reindex)
    opening = _Opening(settings, manifest, stack, wanted, home)
    same = opening.guard(embedder, known, SERVING)
    difference = _difference(settings.data_dir, known, opening.wanted) or await _probe(same)
    if difference is None:
        return OpenVectors(await opening.open_unchanged(known, same), home)
    if not reindex:
        raise FingerprintChanged(f"{difference}; go back to the old configuration, {HOW_TO_REINDEX}")
    if known.sparse_fingerprint != opening.wanted.sparse_fingerprint:
        _refuse_words(settings.data_dir, known)
    log.warning("documents are indexed anew", extra={"reason": difference})
    return await opening.open_changed(known, embedder)


async def open_shared_vectors(
    settings: Settings,
    manifest: Manifest,
    embedder: Embedder,
    sparse_encoder: SparseEncoder,
    stack: AsyncExitStack,
) -> OpenVectors:
    """The collection that serves, as the process that opened it has it. Raises FingerprintChanged where
    that process has another configuration, EngineUnavailable."""
    home = await join_home(settings, manifest, stack)
    opening = _Opening(settings, manifest, stack, _wanted(settings, embedder, sparse_encoder), home)
    known = await _recorded(manifest) or opening.wanted
    if difference := _difference(settings.data_dir, known, opening.wanted):
        raise FingerprintChanged(difference)
    store = await home.attach(known)
    return OpenVectors(Generation(known, opening.guard(embedder, known, SERVING), store), home)


class _Opening:
    """What all steps need to know."""

    def __init__(
        self,
        settings: Settings,
        manifest: Manifest,
        stack: AsyncExitStack,
        wanted: EmbeddingSpace,
        home: VectorHome,
    ):
        self._settings = settings
        self._manifest = manifest
        self._stack = stack
        self._home = home
        self.wanted = wanted

    async def open_unchanged(self, known: EmbeddingSpace, embedder: Embedder) -> Generation:
        recorded = await read_space(self._manifest, SERVING) or known
        space = replace(recorded, provider=self.wanted.provider, options=self.wanted.options)
        if space != await read_space(self._manifest, SERVING):
            await write_space(self._manifest, SERVING, space)
        await self._forget_successor()
        await self._home.remove_others({space.folder})
        return Generation(space, embedder, await self._home.open(space))

    async def open_changed(self, known: EmbeddingSpace, embedder: Embedder) -> OpenVectors:
        space, guarded = await self._successor(known, embedder)
        await self._home.remove_others({known.folder, space.folder})
        former = await self._former_embedder(known)
        serving = Generation(
            known,
            former or AbsentEmbedder(known.embedder_fingerprint, dimension=known.dimension),
            await self._home.open(known),
            can_embed=former is not None,
        )
        return OpenVectors(serving, self._home, Generation(space, guarded, await self._home.open(space)))

    async def _successor(self, known: EmbeddingSpace, embedder: Embedder) -> tuple[EmbeddingSpace, Embedder]:
        """Go on with the one that was begun, if it is the one that is wanted; else begin anew."""
        name = f"{self.wanted.fingerprint} after {known.folder}"
        wanted = replace(self.wanted, folder=_folder_name(name))
        begun = await read_space(self._manifest, SUCCESSOR)
        if begun is not None and begun.folder == wanted.folder:
            guarded = self.guard(embedder, begun, SUCCESSOR)
            if await _probe(guarded) is None:
                return begun, guarded
        await self._home.remove_others({known.folder})
        await self._home.require_absent(wanted.folder)
        await write_space(self._manifest, SUCCESSOR, wanted)
        guarded = self.guard(embedder, wanted, SUCCESSOR)
        await _probe(guarded)
        return wanted, guarded

    async def _former_embedder(self, known: EmbeddingSpace) -> Embedder | None:
        """The embedder that the old collection was made with, if it still answers as it did."""
        try:
            build = load_object(EMBEDDERS[known.provider])
            options = {**known.options, **self._settings.embedder_key(known.provider, known.options)}
            former: Embedder = await asyncio.to_thread(build, **options)
        except (RagstoneError, KeyError, TypeError) as error:  # TypeError: options of another release
            log.warning("the old embedder cannot be built", extra={"reason": str(error)})
            return None
        if former.fingerprint != known.embedder_fingerprint:
            await former.close()
            return None
        return await self._if_same(former, known)

    async def _if_same(self, former: Embedder, known: EmbeddingSpace) -> Embedder | None:
        guarded = self.guard(former, known, SERVING)
        if not isinstance(guarded, ProbedEmbedder):
            self._stack.push_async_callback(former.close)
            return guarded
        likeness = await _likeness(guarded)
        if likeness is not None and likeness >= SAME_FROM:
            self._stack.push_async_callback(former.close)
            log.warning(
                "until the switch, questions and documents still go to the old embedder",
                extra={"base_url": known.options.get("base_url")},
            )
            return guarded
        await former.close()
        return None

    def guard(self, embedder: Embedder, space: EmbeddingSpace, key: str) -> Embedder:
        """An embedder over the network is held to its probes; the first ones are remembered under `key`."""
        if space.provider in PACKAGED:
            return embedder
        known = None if space.probes is None else unpack_probes(space.probes)
        return ProbedEmbedder(embedder, known, self._rememberer(space, key))

    def _rememberer(self, space: EmbeddingSpace, key: str) -> Callable[[Sequence[Vector]], Awaitable[None]]:
        async def remember(probes: Sequence[Vector]) -> None:
            recorded = await read_space(self._manifest, key) or space
            if recorded.folder == space.folder:
                await write_space(self._manifest, key, replace(recorded, probes=pack_probes(probes)))

        return remember

    async def _forget_successor(self) -> None:
        if await read_space(self._manifest, SUCCESSOR) is not None:
            await write_space(self._manifest, SUCCESSOR, None)


def _wanted(settings: Settings, embedder: Embedder, sparse_encoder: SparseEncoder) -> EmbeddingSpace:
    fingerprint = f"{embedder.fingerprint} {sparse_encoder.fingerprint}"
    return EmbeddingSpace(
        fingerprint,
        settings.embedding_provider,
        settings.embedder_record(),
        embedder.dimension,
        _folder_name(fingerprint),
    )


async def _recorded(manifest: Manifest) -> EmbeddingSpace | None:
    """Directories of earlier builds name the fingerprint alone, whose first part is the provider."""
    space = await read_space(manifest, SERVING)
    earlier = await manifest.get_property("embedding_fingerprint")
    if space is not None or earlier is None:
        return space
    provider, _, rest = earlier.partition(":")
    dimension = next((int(part) for part in reversed(rest.split(":")[:-1]) if part.isdecimal()), 1)
    options: dict[str, Any] = {"precision": "int8"} if provider in PACKAGED else {}
    return EmbeddingSpace(earlier, provider, options, dimension, _folder_name(earlier))


def _difference(data_dir: Path, known: EmbeddingSpace, wanted: EmbeddingSpace) -> str | None:
    if known.fingerprint == wanted.fingerprint:
        return None
    return f"the documents in {data_dir} were embedded as '{known.fingerprint}', now '{wanted.fingerprint}' is configured"


async def _probe(embedder: Embedder) -> str | None:
    """Why its vectors cannot be compared with the remembered ones; an embedder that does not answer is asked again
    before its first vector."""
    if not isinstance(embedder, ProbedEmbedder):
        return None
    likeness = await _likeness(embedder)
    if likeness is None or likeness >= SAME_FROM:
        return None
    return (
        f"the embedder answers to '{embedder.fingerprint}' with other vectors than those of the documents (cosine "
        f"{likeness:.3f} for the same text): another model is served behind this name"
    )


async def _likeness(embedder: ProbedEmbedder) -> float | None:
    try:
        async with asyncio.timeout(PROBE_LIMIT_S):
            return await embedder.likeness()
    except (RagstoneError, TimeoutError) as error:
        log.warning(
            "the embedder cannot be checked yet; this is done before its first vector is used",
            extra={"embedder": embedder.fingerprint, "reason": str(error)},
        )
        return None


def _refuse_words(data_dir: Path, known: EmbeddingSpace) -> NoReturn:
    raise FingerprintChanged(
        f"the words of the documents in {data_dir} are counted as '{known.sparse_fingerprint}', which this release "
        "cannot do, so the old index cannot serve; use the release that made it, or ingest the documents into a new "
        "RAGSTONE_DATA_DIR"
    )


def _folder_name(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:16]
