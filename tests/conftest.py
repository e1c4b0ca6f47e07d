"""Fixtures of the whole suite: no network, a container with a quick embedder, and a real server."""

import asyncio
import ipaddress
import os
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

import httpx2
import pytest
import pytest_asyncio

from ragstone.config.settings import Settings, load_settings
from ragstone.core.models import Embedding, EmbeddingInput, Vector
from tests import real_qdrant
from tests.apiclient import Api
from tests.engines import IN_MEMORY
from tests.servers import Server

if IN_MEMORY:  # where `tmp_path` is: most of what tests wait for is the disk
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", IN_MEMORY)
assert real_qdrant.NOTE  # imported first: other tests must not see that server

_refused: list[str] = []
"""Attempts to reach another machine."""


def _guard(event: str, arguments: tuple[Any, ...]) -> None:
    """An audit hook: whoever looks up or connects to anything but this machine is refused, and the test fails."""
    if event == "socket.connect" and isinstance(arguments[1], tuple) and not _is_local(str(arguments[1][0])):
        _refuse(str(arguments[1]))
    if event == "socket.getaddrinfo" and not _is_local(_text(arguments[0])):
        _refuse(_text(arguments[0]))


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host in {"", "localhost", "None"}


def _text(host: object) -> str:
    return host.decode() if isinstance(host, bytes) else str(host)


def _refuse(host: str) -> None:
    _refused.append(host)
    raise PermissionError(f"a test tried to reach {host}")


sys.addaudithook(_guard)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What uses the shared container runs in its event loop."""
    for item in items:
        if "container" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest.fixture(autouse=True)
def _no_network() -> Iterator[None]:
    _refused.clear()
    yield
    assert not _refused, f"network was tried: {_refused}"


NEVER = "neverending"


class CountingEmbedder:
    """An embedder that remembers what it was asked to embed."""

    def __init__(self, inner: Any):
        self._inner = inner
        self.fingerprint: str = inner.fingerprint
        self.dimension: int = inner.dimension
        self.embedded: list[str] = []
        self.cancelled: list[str] = []

    def legibility(self, text: str) -> float:
        """All of it."""
        return 1.0

    def count_tokens(self, text: str) -> tuple[int, bool]:
        """Pass it on."""
        counted: tuple[int, bool] = self._inner.count_tokens(text)
        return counted

    async def embed_query(self, text: str) -> Vector:
        """Pass it on; a question with this word is never answered, and its cancellation remembered."""
        if NEVER in text:
            try:
                await asyncio.sleep(600)
            except asyncio.CancelledError:
                self.cancelled.append(text)
                raise
        vector: Vector = await self._inner.embed_query(text)
        return vector

    async def embed_documents(self, inputs: Sequence[EmbeddingInput]) -> list[Embedding]:
        """Pass them on and remember them."""
        self.embedded += [item.text for item in inputs]
        embeddings: list[Embedding] = await self._inner.embed_documents(inputs)
        return embeddings

    async def close(self) -> None:
        """Pass it on."""
        await self._inner.close()

    def times_embedded(self, part: str) -> int:
        """How many of the texts hold this part."""
        return sum(part in text for text in self.embedded)


@pytest.fixture(scope="session")
def embedder() -> CountingEmbedder:
    """The container's embedder: hashed words."""
    from ragstone.testing.embedders import HashingEmbedder

    return CountingEmbedder(HashingEmbedder(dimension=256))


@pytest.fixture(scope="session")
def app_settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings of the shared container; its data directory lies in a folder of its own, with a file beside it."""
    sandbox = tmp_path_factory.mktemp("sandbox")
    (sandbox / "precious.txt").write_text("keep me")
    return load_settings(
        data_dir=sandbox / "data",
        allowed_hosts=("rag.example",),
        cors_origins=("https://app.example",),
        max_upload_bytes=4 * 1024 * 1024,
    )


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def container(app_settings: Settings, embedder: CountingEmbedder) -> AsyncIterator[Any]:
    """All parts but the encoder are real. Tests take a collection of their own. Flushes come at once."""
    from ragstone.bootstrap import build_container
    from ragstone.services import switching

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(switching, "FLUSH_EVERY_S", 0.02)
        async with build_container(app_settings, embedder=embedder) as opened:
            yield opened


@pytest.fixture(scope="session")
def app(container: Any, app_settings: Settings) -> Any:
    """The ASGI application over the container."""
    from ragstone.api.main import create_app

    return create_app(app_settings, container)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def client(app: Any) -> AsyncIterator[httpx2.AsyncClient]:
    """An HTTP client that calls the application in process."""
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1", timeout=30.0) as opened:
        yield opened


@pytest.fixture(scope="session")
def api(client: httpx2.AsyncClient) -> Api:
    """The client as most tests use it."""
    return Api(client)


@pytest_asyncio.fixture(loop_scope="session")
async def collection(api: Api) -> str:
    """A collection for one test."""
    return await api.new_collection()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A real server with the packaged encoder, ended in order."""
    folder = tmp_path_factory.mktemp("server")
    running = Server(folder / "data", folder=folder)
    yield running
    assert running.stop() == 0, "".join(running.lines[-50:])
