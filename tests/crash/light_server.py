"""A server that starts quickly, since many are killed: forked from a process that has imported everything, with a
hashing embedder and quick flushes. On SIGUSR1 it writes a line that tells whether manifest, blobs and vectors agree.
"""

import asyncio
import importlib
import json
import multiprocessing
import os
import signal
import sys
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import uvloop

from ragstone.bootstrap import Container, build_container
from ragstone.cli import serve as serving
from ragstone.cli.address import bind
from ragstone.config.settings import load_settings
from ragstone.core import crash
from ragstone.core.logs import configure_logging
from ragstone.services import switching
from ragstone.testing.embedders import HashingEmbedder

# Imported by name where a server is built: every fork would pay for it.
for late in ("storage.manifest", "vectorstores.edge", "vectorstores.qdrant", "parsers.pool"):
    importlib.import_module(f"ragstone.{late}")

DIMENSION = 64
CHECKED = "consistency: "


@dataclass(frozen=True, slots=True)
class Embedding:
    """Which embedder the server has, whether it is to take over data of another one, and which Qdrant server keeps the
    vectors, if any."""

    dimension: int = DIMENSION
    reindex: bool = False
    qdrant_url: str | None = None


def start(data_dir: Path, crash_at: str | None, embedding: Embedding) -> tuple[ForkServerProcess, Connection]:
    """The process, and the end of a pipe from which its standard error is read."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["__main__", __name__])
    reading, writing = context.Pipe(duplex=False)
    process = context.Process(target=serve, args=(data_dir, crash_at, embedding, writing), daemon=True)
    process.start()
    writing.close()
    return process, reading


def serve(data_dir: Path, crash_at: str | None, embedding: Embedding, log: Connection) -> None:
    """Serve on a free port until SIGTERM, in a process group of its own."""
    os.setsid()
    os.dup2(log.fileno(), sys.stderr.fileno())
    log.close()
    os.environ["CRASH_AT"] = crash_at or ""
    importlib.reload(crash)
    uvloop.run(_serve(data_dir, embedding))


async def _serve(data_dir: Path, embedding: Embedding) -> None:
    switching.FLUSH_EVERY_S = 0.05
    serving.LINGER_S = 0.0
    settings = load_settings(data_dir=data_dir, port=0, qdrant_url=embedding.qdrant_url)
    configure_logging(level="WARNING", log_format="json")
    embedder = HashingEmbedder(embedding.dimension)
    async with build_container(settings, embedder=embedder, reindex=embedding.reindex) as container:
        checks = set[asyncio.Task[None]]()
        asyncio.get_running_loop().add_signal_handler(
            signal.SIGUSR1, lambda: checks.add(asyncio.create_task(_check(container)))
        )
        with bind(settings) as taken:
            await serving.serve_container(settings, container, taken)


async def _check(container: Container) -> None:
    found = await container.consistency.check()
    sys.stderr.write(CHECKED + json.dumps(asdict(found)) + "\n")
    sys.stderr.flush()
