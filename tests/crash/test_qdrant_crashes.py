"""The process dies around every change of a vector store that lives on: a server on another machine."""

import os
from collections.abc import Iterator

import pytest

from ragstone.services import switching
from ragstone.vectorstores import edge_engine, qdrant
from tests.crash.harness import CrashServer, settle
from tests.crash.light_server import Embedding
from tests.crash.oracle import Oracle
from tests.crash.test_crash_points import LATER, WHILE_SERVING, WHILE_STARTING, Chain
from tests.engines import quick_folder
from tests.qdrant_process import QdrantProcess

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

WHERE_THE_STORE_CHANGES = [
    *qdrant.CRASH_POINTS,
    *switching.CRASH_POINTS,
    *("ingest.indexed", "purge.after_points", "qdrant.after_upsert:3", "qdrant.before_delete:2"),
]
EVERYWHERE = [
    *qdrant.CRASH_POINTS,
    *(point for point in (*WHILE_SERVING, *LATER, *WHILE_STARTING) if point not in edge_engine.CRASH_POINTS),
    *("qdrant.after_upsert:3", "qdrant.before_delete:2"),
]
POINTS = EVERYWHERE if "ALL_CRASH_POINTS" in os.environ else WHERE_THE_STORE_CHANGES
"""All of them with `make points`, which takes minutes more; the embedded engine always visits all of its own."""


@pytest.fixture(scope="module")
def chain() -> Iterator[Chain]:
    with quick_folder() as folder, QdrantProcess(folder / "qdrant") as server:
        made = Chain(folder / "data", Embedding(qdrant_url=server.url))
        yield made
        made.rest()


@pytest.mark.parametrize("point", POINTS)
def test_no_acknowledgement_is_broken_by_a_death_at(point: str, chain: Chain) -> None:
    assert chain.die_at(point), f"{point} was never visited"


def test_a_server_that_dies_with_its_store_finds_everything_again() -> None:
    with quick_folder() as folder, QdrantProcess(folder / "qdrant") as store:
        oracle, embedding = Oracle(), Embedding(qdrant_url=store.url)
        server = CrashServer(folder / "data", embedding=embedding)
        for source in ("one", "two", "three"):
            oracle.upload(server, source)
        server.kill_group()
        store.kill()
        store.start()
        again = CrashServer(folder / "data", embedding=embedding)
        problems = settle(again) + oracle.violations(again) + again.disagreements()
        assert again.stop() == 0
        assert problems == []
