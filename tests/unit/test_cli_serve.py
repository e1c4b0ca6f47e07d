"""`ragstone serve` in this process: where it announces itself, and how it ends."""

import asyncio
import logging
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from ragstone import bootstrap
from ragstone.cli.serve import Server, run_server
from ragstone.config.settings import load_settings
from ragstone.storage.data_directory import owner_of
from tests.waiting import until


@pytest.fixture(autouse=True)
def _logging_restored(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(bootstrap.EMBEDDERS, "minilm", "tests.unit.test_cli:hashing")
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    logging.getLogger("uvicorn.access").disabled = False


async def announced(data_dir: Path) -> str:
    """The address that the lock file names."""

    async def is_announced() -> bool:
        owner = owner_of(data_dir)
        return owner is not None and owner.url is not None

    await until(is_announced)
    owner = owner_of(data_dir)
    assert owner is not None
    assert owner.url is not None
    assert (owner.pid, owner.command) == (os.getpid(), "ragstone serve")
    return owner.url


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_it_announces_its_address_serves_and_ends_on_sigterm(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], host: str
) -> None:
    data_dir = tmp_path / "data"
    serving = asyncio.create_task(run_server(load_settings(data_dir=data_dir, host=host, port=0)))

    url = await announced(data_dir)
    async with httpx2.AsyncClient(base_url=url, trust_env=False) as http:
        assert (await http.get("/health/live")).json() == {"status": "alive"}
    os.kill(os.getpid(), signal.SIGTERM)
    await serving

    assert f"Ragstone listens on {url}" in capsys.readouterr().err
    assert owner_of(data_dir) is None


class Health:
    is_stopping = False


class Container:
    health = Health()


def test_a_first_signal_ends_in_order_and_a_second_does_not_wait() -> None:
    import uvicorn

    server = Server(uvicorn.Config("unused:app", log_config=None), Container())  # type: ignore[arg-type]

    server.handle_exit(signal.SIGTERM, None)
    assert (server.should_exit, server.force_exit, Container.health.is_stopping) == (True, False, True)
    server.handle_exit(signal.SIGTERM, None)
    assert server.force_exit
