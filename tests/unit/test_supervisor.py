"""The supervisor in this process, over workers of its own: what it says, what it passes on, how it ends."""

import asyncio
import logging
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from ragstone.cli.address import bind
from ragstone.cli.supervisor import run_workers
from ragstone.config.settings import load_settings, setting_names
from ragstone.core.errors import DataDirectoryInUse, StartupError
from ragstone.storage.data_directory import DataDirectory, owner_of
from tests.servers import announced, listening_at
from tests.workers import all_gone, family, has_both, worker_pids

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


@pytest.fixture(autouse=True)
def _own_settings_and_logging(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in setting_names():
        monkeypatch.delenv(name, raising=False)
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    logging.getLogger("uvicorn.access").disabled = False


async def test_it_announces_the_address_fills_posts_again_and_ends_in_order(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    data_dir = tmp_path / "data"
    others = set(family(os.getpid()))  # ourselves, and what other tests have left running
    serving = asyncio.create_task(run_workers(load_settings(data_dir=data_dir, port=0, workers=2)))
    url = await announced(data_dir)
    await has_both(url)
    first = worker_pids(os.getpid())

    for pid in first.values():
        os.kill(pid, signal.SIGKILL)
    await has_both(url)
    everyone = set(family(os.getpid())) - others
    os.kill(os.getpid(), signal.SIGTERM)
    await serving

    assert url in map(listening_at, capsys.readouterr().err.splitlines())
    assert not set(first.values()) & everyone
    assert await all_gone(list(everyone), 5.0)
    assert owner_of(data_dir) is None
    with pytest.raises(httpx2.ConnectError):
        httpx2.get(url, trust_env=False)


async def test_what_keeps_the_first_worker_from_starting_is_said_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "manifest.db").write_text("this is no database, but a text that is longer than a header is")

    with pytest.raises(StartupError, match="is not a database"):
        await run_workers(load_settings(data_dir=tmp_path, port=0, workers=2))

    assert worker_pids(os.getpid()) == {}
    assert owner_of(tmp_path) is None


async def test_a_first_worker_that_dies_before_it_serves_ends_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CRASH_AT", "migrate.before_commit")

    with pytest.raises(StartupError, match="ended before it was ready"):
        await run_workers(load_settings(data_dir=tmp_path, port=0, workers=2))

    assert worker_pids(os.getpid()) == {}


async def test_nothing_is_started_where_another_owner_or_listener_is(tmp_path: Path) -> None:
    directory = DataDirectory.open(tmp_path / "held", command="ragstone serve")
    with bind(load_settings(port=0)) as bound:
        bound.listen()
        port = bound.getsockname()[1]
        with pytest.raises(StartupError, match="cannot be listened on"):
            await run_workers(load_settings(data_dir=tmp_path / "free", port=port, workers=2))
    with pytest.raises(DataDirectoryInUse):
        await run_workers(load_settings(data_dir=tmp_path / "held", port=0, workers=2))

    directory.close()
    assert owner_of(tmp_path / "free") is None
