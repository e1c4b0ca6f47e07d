"""What ingesting takes: CPU-seconds of all processes per megabyte, of the floor and of Ragstone in both precisions."""

import hashlib
import tempfile
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from bench.api import POLL_S, TextDocument, api_of, wait_job
from bench.corpus import MadeUpDocument, make_documents, make_paragraphs
from bench.figures import Figure, against_bare
from bench.load import Connection, connected
from bench.server import Server, ready_ragstone

LIMITS = {"fp32": 1.1, "int8": 0.6}
COLLECTION = "default"
Job = dict[str, Any]
WARM_UP_SEED = 6
PARAGRAPHS = 1_500
MOST_NEW = (
    0.02  # of the chunks: packing is optimised over a section, so a change moves its neighbours' borders too
)
LOOK_UP_SHARE = 0.1  # of the first upload's time: finding the chunks that are known


async def ingest_both(
    floor: Server, ours: Server, documents: Sequence[MadeUpDocument], *, fp32_documents: int
) -> list[Figure]:
    """All documents into both; the first ones into a second Ragstone that computes in fp32."""
    megabytes = _megabytes(documents)
    floor_cpu, floor_chunks = await ingest_bare(floor, documents)
    our_cpu, our_chunks = await ingest(ours, documents)
    figures = [
        _ingest_figure("int8", our_cpu / megabytes, floor_cpu / megabytes),
        Figure("ingest, chunks per CPU-second (int8)", our_chunks / our_cpu, floor_chunks / floor_cpu),
        Figure("characters a chunk", megabytes * 1e6 / our_chunks, megabytes * 1e6 / floor_chunks),
    ]
    with tempfile.TemporaryDirectory(prefix="ragstone-bench-") as folder:
        async with ready_ragstone(Path(folder), precision="fp32") as exact:
            some = documents[:fp32_documents]
            exact_cpu, _ = await ingest(exact, some)
            figures.append(_ingest_figure("fp32", exact_cpu / _megabytes(some), floor_cpu / megabytes))
    return figures


def _ingest_figure(precision: str, ours: float, floor: float) -> Figure:
    name = f"ingest, CPU-seconds per MB, all processes ({precision})"
    return against_bare(name, [ours], [floor], at_most=LIMITS[precision])


def _megabytes(documents: Sequence[MadeUpDocument]) -> float:
    return sum(len(document.text.encode()) for document in documents) / 1e6


async def ingest_bare(server: Server, documents: Sequence[MadeUpDocument]) -> tuple[float, int]:
    """CPU-seconds of the server, warmed up by one document, and chunks."""
    async with api_of(server.port) as api:

        async def one(connection: Connection, document: MadeUpDocument) -> int:
            reply = await connection.call("POST", "/documents", {"text": document.text})
            return int(reply["chunks"])

        await api.each(make_documents(1, seed=WARM_UP_SEED), one)
        before = server.cpu_s()
        chunks = await api.each(documents, one)
        return server.cpu_s() - before, sum(chunks)


async def ingest(server: Server, documents: Sequence[MadeUpDocument]) -> tuple[float, int]:
    """CPU-seconds of all processes, the parse worker included and started, until the last document is ready; and
    chunks."""
    async with api_of(server.port) as api:
        await api.upload(COLLECTION, uploads(make_documents(1, seed=WARM_UP_SEED)))
        await api.wait_ready(COLLECTION)
        before = server.cpu_s()
        ids = await api.upload(COLLECTION, uploads(documents))
        await api.wait_ready(COLLECTION)
        cpu = server.cpu_s() - before
        chunks = await api.each(ids, lambda connection, key: connection.call("GET", f"/documents/{key}"))
    return cpu, sum(document["chunks"] for document in chunks)


def uploads(documents: Sequence[MadeUpDocument]) -> list[TextDocument]:
    """Named by what they hold."""
    return [TextDocument(_source(document), document.title, document.text) for document in documents]


def _source(document: MadeUpDocument) -> str:
    return hashlib.sha256(document.text.encode()).hexdigest()[:16]


async def measure_change(server: Server) -> list[Figure]:
    """A document of about a thousand chunks, then again with one paragraph written anew: only what changed is to be
    embedded, and embedding is to take its share. Counts and times are the jobs' own account."""
    paragraphs = list(islice(make_paragraphs(seed=9), PARAGRAPHS))
    changed = [*paragraphs]
    changed[PARAGRAPHS // 2] = "This was written anew. It tells of the silver compass of the lighthouse."
    async with connected(server.port) as connection:
        first = await _ingest_job(connection, "\n\n".join(paragraphs))
        second = await _ingest_job(connection, "\n\n".join(changed))
    chunks = second["progress"]["total"]
    new = chunks - second["chunks_reused"]
    what = f"one of {PARAGRAPHS} paragraphs of a document of {chunks} chunks changed"
    return [
        Figure(
            f"{what}: chunks embedded", new, None, new / chunks, f"≤ {MOST_NEW:.2f}", new / chunks <= MOST_NEW
        ),
        _share(f"{what}: embedding ms", first, second, "embed_ms", new / chunks + LOOK_UP_SHARE),
        _share(f"{what}: all ms", first, second, None, None),
    ]


def _share(name: str, first: Job, second: Job, stage: str | None, most: float | None) -> Figure:
    """Of the update in the first upload; the sum of all stages where none is named."""
    before, after = (
        sum(job["stage_ms"].values()) if stage is None else job["stage_ms"][stage] for job in (first, second)
    )
    limit = "" if most is None else f"≤ {most:.2f} ×"
    return Figure(
        f"{name} (first upload {before:,.0f})",
        after,
        None,
        after / before,
        limit,
        None if most is None else after / before <= most,
    )


async def _ingest_job(connection: Connection, text: str) -> Job:
    """The job that has succeeded."""
    reply = await connection.call("POST", "/documents", {"text": text, "source": "changing"})
    return await wait_job(connection, reply["job"]["id"], poll_s=POLL_S)
