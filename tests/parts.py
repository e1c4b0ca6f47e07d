"""The services over stand-ins for engine and parser: real manifest, blobs, queue, switch and purger; faults on demand."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from ragstone.adapters import Adapters, Successor
from ragstone.bootstrap import Container, _start_services
from ragstone.config.settings import load_settings
from ragstone.core.errors import NoText
from ragstone.core.models import (
    DEFAULT_TENANT,
    Acceptance,
    Chunk,
    Document,
    Job,
    JobState,
    KnownChunk,
    Metadata,
    OnDuplicate,
    ParsedDocument,
    ReadDocument,
    Scope,
    SpooledChild,
)
from ragstone.core.ports import LLM
from ragstone.core.timing import Stopwatch
from ragstone.llms.extractive import ExtractiveLLM
from ragstone.pipelines.searching import Search
from ragstone.services.consistency import Consistency
from ragstone.services.documents import UploadFields
from ragstone.services.embedding_space import SERVING, EmbeddingSpace, write_space
from ragstone.storage.blobs import FileBlobStore
from ragstone.storage.data_directory import DataDirectory
from ragstone.storage.database import utc_now
from ragstone.storage.manifest import open_manifest
from tests.memory_store import MemoryStore
from tests.waiting import until
from tests.words import WordEmbedder, WordEncoder

INSIDE = "inside "
UNFINISHED = (JobState.QUEUED, JobState.RUNNING)


@dataclass
class ParagraphReader:
    """Implements `DocumentReader`: a paragraph is a chunk; `inside NAME: TEXT` is also a document inside. `faults` maps a word to what reading a text that holds it
    raises (each is raised once for every time it is listed); `gates` to an event that the reading waits for.
    """

    faults: dict[str, list[Exception]] = field(default_factory=dict)
    gates: dict[str, asyncio.Event] = field(default_factory=dict)
    reading: list[str] = field(default_factory=list)
    known: list[list[KnownChunk]] = field(default_factory=list)

    async def read(
        self,
        path: Path,
        *,
        media_type: str,
        title: str | None,
        new_spool: Callable[[], Path],
        known: Sequence[KnownChunk] = (),
        chunk_tokens: int | None = None,
    ) -> ReadDocument:
        """See the port."""
        text = await asyncio.to_thread(path.read_text)
        self.reading.append(text)
        self.known.append(list(known))
        for word, gate in self.gates.items():
            if word in text:
                await gate.wait()
        for word, faults in self.faults.items():
            if word in text and faults:
                raise faults.pop(0)
        if not text.strip():
            raise NoText("the document holds no text")
        children = tuple(
            _spooled(part, new_spool()) for part in text.split("\n\n") if part.startswith(INSIDE)
        )
        return ReadDocument(ParsedDocument(text, (), title=None), tuple(_chunks(text, title)), children)

    async def close(self) -> None:
        """See the port."""


def _spooled(paragraph: str, spool: Path) -> SpooledChild:
    name, _, text = paragraph.removeprefix(INSIDE).partition(": ")
    content = text.encode()
    spool.write_bytes(content)
    return SpooledChild(name, None, spool, sha256(content).hexdigest(), len(content), content)


def _chunks(text: str, title: str | None) -> list[Chunk]:
    chunks: list[Chunk] = []
    start = 0
    for paragraph in text.split("\n\n"):
        end = start + len(paragraph)
        chunks.append(Chunk(len(chunks), start, end, paragraph, title or "", sentences=((start, end),)))
        start = end + 2
    return chunks


@dataclass
class World:
    """A running container and its stand-ins."""

    container: Container
    store: MemoryStore
    reader: ParagraphReader
    embedder: WordEmbedder
    blobs: FileBlobStore

    @property
    def repaired(self) -> Consistency:
        """What its start found and repaired."""
        assert self.container.repaired is not None
        return self.container.repaired

    async def upload(
        self,
        text: str,
        source: str | None = None,
        *,
        metadata: Metadata | None = None,
        title: str | None = None,
        on_duplicate: OnDuplicate = OnDuplicate.VERSION,
    ) -> Acceptance:
        """Accept a text."""
        fields = UploadFields(Scope(), source, title, metadata, on_duplicate)
        return await self.container.documents.upload_text(text, fields)

    async def ready(self, text: str, source: str | None = None, **fields: Any) -> Document:
        """Upload and wait until it is searchable."""
        acceptance = await self.upload(text, source, **fields)
        assert acceptance.job is not None
        job = await self.finished(acceptance.job.id)
        assert job.state is JobState.SUCCEEDED, job.error
        return await self.get(acceptance.document.id)

    async def get(self, document_id: str) -> Document:
        """The document now."""
        return await self.container.documents.get(DEFAULT_TENANT, document_id)

    async def job(self, job_id: str) -> Job:
        """The job now."""
        return await self.container.manifest.get_job(DEFAULT_TENANT, job_id)

    async def finished(self, job_id: str) -> Job:
        """The job once it has ended."""

        async def has_ended() -> bool:
            return (await self.job(job_id)).state not in UNFINISHED

        await until(has_ended)
        return await self.job(job_id)

    async def texts(self, question: str, *, top_k: int = 10) -> list[str]:
        """What a search finds."""
        search = Search(Scope(), question, top_k)
        found = await self.container.query.search(search, stopwatch=Stopwatch())
        return [source.text for source in found.sources]


@asynccontextmanager
async def open_world(
    folder: Path,
    *,
    store: MemoryStore | None = None,
    llm: LLM | None = None,
    reader: ParagraphReader | None = None,
    settings: Mapping[str, Any] | None = None,
    successor: Successor | None = None,
    can_embed: bool = True,
    clock: Callable[[], datetime] = utc_now,
) -> AsyncIterator[World]:
    """Start everything over `folder`, with the points of an earlier `store`; stopped in order at the end. `llm`
    answers where it is given. Documents are copied to `successor`, if there is one."""
    store, reader, embedder = store or MemoryStore(), reader or ParagraphReader(), WordEmbedder()
    configured = load_settings(data_dir=folder, **(settings or {}))
    async with AsyncExitStack() as stack:
        directory = DataDirectory.open(folder, command="test")
        stack.callback(directory.close)
        manifest = await open_manifest(
            folder / "manifest.db", max_queued_jobs=configured.max_queued_jobs, clock=clock
        )
        stack.push_async_callback(manifest.close)
        await write_space(manifest, SERVING, EmbeddingSpace("words bm25", "words", {}, 1, "words"))
        blobs = FileBlobStore(folder / "blobs")
        answering = {"fake": llm, "extractive": ExtractiveLLM()} if llm else {"extractive": ExtractiveLLM()}
        adapters = Adapters(
            embedder, WordEncoder(), store, manifest, blobs, reader, answering, can_embed, successor
        )
        container = await _start_services(configured, directory, adapters, stack)
        yield World(container, store, reader, embedder, blobs)
