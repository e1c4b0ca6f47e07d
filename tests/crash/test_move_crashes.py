"""A move of vectors to a server that dies at any point is finished by the same command."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from ragstone.bootstrap import build_container
from ragstone.config.settings import load_settings
from ragstone.core.models import Scope
from ragstone.migration import CRASH_POINTS
from ragstone.services import switching
from ragstone.services.documents import UploadFields
from ragstone.testing.embedders import HashingEmbedder
from tests.engines import quick_folder
from tests.qdrant_process import QdrantProcess
from tests.servers import clean_environment
from tests.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

POINTS = CRASH_POINTS if "ALL_CRASH_POINTS" in os.environ else ("move.page_copied", "move.switched")
"""All of them with `make points`."""

TEXTS = [f"Zebra {n} runs over the plain." for n in range(3)]


@pytest.fixture(scope="module")
def qdrant() -> Iterator[QdrantProcess]:
    with quick_folder() as folder, QdrantProcess(folder) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data_dir = tmp_path_factory.mktemp("filled") / "data"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(switching, "FLUSH_EVERY_S", 0.0)
        async with build_container(
            load_settings(data_dir=data_dir), embedder=HashingEmbedder(64)
        ) as container:
            for text in TEXTS:
                await container.documents.upload_text(text, UploadFields(Scope()))

            async def all_ready() -> bool:
                return len(await container.manifest.visible_contents()) == len(TEXTS)

            await until(all_ready)
    return data_dir


def migrate(data_dir: Path, url: str, *, crash_at: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ragstone.cli", "migrate", "--to", url, "--data-dir", str(data_dir)],
        cwd=data_dir.parent,
        env=clean_environment(CRASH_AT=crash_at),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("point", POINTS)
async def test_a_move_that_dies_is_finished_by_the_same_command(
    point: str, filled: Path, qdrant: QdrantProcess, tmp_path: Path
) -> None:
    data_dir = shutil.copytree(filled, tmp_path / "data")

    died = migrate(data_dir, qdrant.url, crash_at=point)
    again = migrate(data_dir, qdrant.url, crash_at="")

    assert died.returncode == -signal.SIGKILL, died.stderr
    if point != "move.dropped":  # then all was done but for a file
        assert again.returncode == 0, again.stderr
    settings = load_settings(data_dir=data_dir, qdrant_url=qdrant.url)
    async with build_container(settings, embedder=HashingEmbedder(64)) as container:
        assert container.repaired is not None
        assert container.repaired.is_consistent
        assert container.repaired.points == len(TEXTS)
