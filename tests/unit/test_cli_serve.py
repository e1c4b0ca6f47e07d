"""`ragstone serve` in this process: where it announces itself, and how it ends."""

import asyncio
import json
import logging
import os
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from ragstone import vector_opening
from ragstone.auth.local_key import find_local_key
from ragstone.cli.address import greet
from ragstone.cli.client import open_client
from ragstone.cli.serve import Server, run_server, tell_receivers
from ragstone.config.settings import load_settings, setting_names
from ragstone.core.errors import StartupError
from ragstone.middleware.admission import OpenRequests
from ragstone.storage.data_directory import owner_of
from tests.servers import announced, listening_at


@pytest.fixture(autouse=True)
def _own_settings_and_logging(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(vector_opening.EMBEDDERS, "minilm", "tests.unit.test_cli:hashing")
    for name in setting_names():
        monkeypatch.delenv(name, raising=False)
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    logging.getLogger("uvicorn.access").disabled = False


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
        await asyncio.sleep(0.2)
        assert (await http.get("/health/ready")).status_code == 503
    await serving

    (told,) = [line for line in capsys.readouterr().err.splitlines() if listening_at(line)]
    fields = {"url": url, "documentation": f"{url}/docs", "receivers": "No text leaves this machine."}
    assert fields.items() <= json.loads(told).items()
    assert owner_of(data_dir) is None


async def test_beyond_loopback_callers_need_the_key_that_it_makes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    data_dir = tmp_path / "data"
    settings = load_settings(data_dir=data_dir, host="0.0.0.0", port=0)
    serving = asyncio.create_task(run_server(settings))
    url = await announced(data_dir)
    key = find_local_key(data_dir)
    assert key is not None

    async with httpx2.AsyncClient(base_url=url, trust_env=False) as http:
        refused = await http.get("/documents", headers={"Host": "evil.example"})
        answered = await http.get("/documents", headers={"X-API-Key": key, "Host": "rag.example"})
    async with open_client(settings) as client:
        health = await client.health()
    os.kill(os.getpid(), signal.SIGINT)
    await serving

    assert (refused.status_code, answered.status_code) == (401, 200)
    assert health.components is not None
    said = capsys.readouterr().err + caplog.text
    assert str(data_dir / "api-key") in said
    assert key not in said


async def test_a_port_that_is_taken_is_told_before_anything_is_opened(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(StartupError, match="Address already in use"):
            await run_server(load_settings(data_dir=tmp_path / "data", port=port))

    assert not (tmp_path / "data").exists()


LOCAL_MODEL = {"openai_base_url": "http://127.0.0.1:11434/v1", "openai_model": "m"}
REMOTE_MODEL = {"openai_base_url": "https://llm.example/v1", "openai_model": "m"}
EMBEDDER = {"embedding_provider": "openai", "embedding_model": "e", "embedding_dimension": 8}
QUESTIONS = "Questions and the passages that answer them are sent to: "


class TestReceivers:
    @pytest.mark.parametrize(
        "settings", [{}, LOCAL_MODEL, {**LOCAL_MODEL, **EMBEDDER}, {"rerank_url": "http://[::1]:8080"}]
    )
    def test_nobody_else_reads_where_all_models_are_on_this_machine(self, settings: dict[str, Any]) -> None:
        assert tell_receivers(load_settings(**settings)) == "No text leaves this machine."

    @pytest.mark.parametrize(
        ("settings", "hosts"),
        [
            (REMOTE_MODEL, "llm.example"),
            ({"openai_api_key": "k", "openai_model": "m"}, "api.openai.com"),
            ({"aisuite_models": ("mistral:small",), **REMOTE_MODEL}, "llm.example, mistral"),
            ({**REMOTE_MODEL, **EMBEDDER, "embedding_base_url": "http://[::1]:9/v1"}, "llm.example"),
            ({"rerank_url": "https://rerank.example"}, "rerank.example"),
            ({**LOCAL_MODEL, "rerank_url": "https://rerank.example"}, "rerank.example"),
        ],
    )
    def test_a_model_elsewhere_is_named(self, settings: dict[str, Any], hosts: str) -> None:
        assert tell_receivers(load_settings(**settings)) == f"{QUESTIONS}{hosts}."

    def test_an_encoder_elsewhere_reads_the_documents(self) -> None:
        settings = load_settings(**LOCAL_MODEL, **EMBEDDER, embedding_base_url="https://vectors.example/v1")

        assert tell_receivers(settings) == "Documents and questions are sent to: vectors.example."

    def test_a_qdrant_server_elsewhere_gets_documents_too(self) -> None:
        settings = load_settings(qdrant_url="https://qdrant.example:6333")
        assert tell_receivers(settings) == "Documents and questions are sent to: qdrant.example."


class Health:
    is_stopping = False


class Container:
    health = Health()


def test_a_first_signal_ends_in_order_and_a_second_does_not_wait() -> None:
    import uvicorn

    config = uvicorn.Config("unused:app", log_config=None)
    with socket.socket() as bound:
        parts = {"requests": OpenRequests(), "listening": bound, "told": ""}
        server = Server(config, Container(), **parts)  # type: ignore[arg-type]

        server.handle_exit(signal.SIGTERM, None)
        assert (server.should_exit, server.force_exit, Container.health.is_stopping) == (True, False, True)
        server.handle_exit(signal.SIGTERM, None)
        assert server.force_exit


def test_on_a_terminal_the_greeting_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)

    greet("http://127.0.0.1:8000", "No text leaves this machine.")

    assert capsys.readouterr().err == (
        "Ragstone listens on http://127.0.0.1:8000 (documentation: http://127.0.0.1:8000/docs)."
        " No text leaves this machine.\n"
    )
