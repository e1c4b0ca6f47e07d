"""The process dies around every change of a vector store that lives on: a server on another machine."""

from collections.abc import Iterator

import pytest

from ragstone.services import switching
from ragstone.vectorstores import qdrant
from tests.crash.harness import CrashServer, settle
from tests.crash.light_server import Embedding
from tests.crash.oracle import Oracle
from tests.crash.test_crash_points import Chain
from tests.engines import quick_folder
from tests.qdrant_process import QdrantProcess

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

POINTS = [
    *qdrant.CRASH_POINTS,
    *switching.CRASH_POINTS,
    *("ingest.batch_indexed", "ingest.indexed", "purge.after_points", "qdrant.after_upsert:3"),
    *("qdrant.before_delete:2", "switch.after_flush:3", "ingest.batch_indexed:3"),
]
"""Where the store and the manifest may differ; the others are visited with the embedded engine."""


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
