"""What the failures of a Qdrant server are called, and what is asked again."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from qdrant_client.common.client_exceptions import ResourceExhaustedResponse

from ragstone.core.errors import EngineUnavailable, FingerprintChanged, UpstreamGarbled, UpstreamRefused
from ragstone.testing.qdrant_server import Fault, QdrantServer
from ragstone.vectorstores.qdrant_collection import Layout, ensure_collection, list_collections
from ragstone.vectorstores.qdrant_connection import QdrantConnection
from tests.engines import quick_folder

CANARY = "scripted"


@pytest.fixture
def folder() -> Iterator[Path]:
    with quick_folder() as made:
        yield made


@asynccontextmanager
async def connected(folder: Path, **options: Any) -> AsyncIterator[tuple[QdrantServer, QdrantConnection]]:
    async with QdrantServer(folder) as server:
        connection = QdrantConnection.open(server.url, **{"api_key": None, "timeout_s": 5.0, **options})
        yield server, connection
        await connection.close()


async def ask(connection: QdrantConnection) -> list[str]:
    return await list_collections(connection, "")


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        *((code, EngineUnavailable) for code in (408, 409, 429, 500, 502, 503)),
        *((code, UpstreamRefused) for code in (400, 401, 403, 404, 422)),
    ],
)
async def test_a_status_has_a_name_and_what_was_said_is_not_repeated(
    folder: Path, code: int, kind: type[Exception]
) -> None:
    async with connected(folder) as (server, connection):
        server.script(Fault("status", code=code))
        with pytest.raises(kind) as caught:
            await ask(connection)
        assert CANARY not in str(caught.value)
        assert len(server.requests) == 1


async def test_silence_ends_with_the_time_limit(folder: Path) -> None:
    async with connected(folder, timeout_s=1.0) as (server, connection):
        server.script(Fault("hang", times=0))
        with pytest.raises(EngineUnavailable, match="within 1 s"):
            await ask(connection)
        server.script()
        assert await ask(connection) == []


@pytest.mark.parametrize("kind", ["reset", "reset_after", "cut"])
async def test_a_broken_connection_is_asked_again_once(folder: Path, kind: Any) -> None:
    async with connected(folder) as (server, connection):
        server.script(Fault(kind))
        assert await ask(connection) == []
        server.script(Fault(kind, times=0))
        with pytest.raises(EngineUnavailable, match="broke the connection"):
            await ask(connection)
        assert len(server.requests) == 4


async def test_an_answer_that_is_no_json_is_garbled(folder: Path) -> None:
    async with connected(folder) as (server, connection):
        server.script(Fault("garbled"))
        with pytest.raises(UpstreamGarbled):
            await ask(connection)


async def test_a_busy_server_says_when_to_come_back(folder: Path) -> None:
    async def busy(_client: Any) -> None:
        raise ResourceExhaustedResponse("too many", 7)

    async with connected(folder) as (_, connection):
        with pytest.raises(EngineUnavailable, match="busy") as caught:
            await connection.call(busy)
    assert caught.value.retry_after_s == 7


async def test_a_closed_connection_is_no_defect(folder: Path) -> None:
    async with connected(folder) as (_, connection):
        await connection.close()
        with pytest.raises(EngineUnavailable, match="closed"):
            await ask(connection)


async def test_the_key_travels_in_its_header(folder: Path) -> None:
    async with QdrantServer(folder, key="right") as server:
        for key, is_right in (("right", True), ("wrong", False), (None, False)):
            connection = QdrantConnection.open(server.url, api_key=key, timeout_s=5)
            if is_right:
                assert await ask(connection) == []
            else:
                with pytest.raises(UpstreamRefused, match="QDRANT_API_KEY"):
                    await ask(connection)
            await connection.close()


async def test_connections_are_kept(folder: Path) -> None:
    async with connected(folder) as (server, connection):
        for _ in range(5):
            await ask(connection)
        assert len(server._connections) == 1


async def test_a_collection_with_vectors_of_another_length_is_refused(folder: Path) -> None:
    async with connected(folder) as (_, connection):
        await ensure_collection(connection, "points", Layout(8))
        with pytest.raises(FingerprintChanged, match="16 numbers"):
            await ensure_collection(connection, "points", Layout(16))


async def test_a_collection_is_laid_out_as_the_settings_say(folder: Path) -> None:
    sent: list[Any] = []
    async with connected(folder) as (_, connection):
        connection._client.http.client.add_middleware(_recorder(sent))
        layout = Layout(8, 2, 3, 2, quantization="int8", is_on_disk=True)
        await ensure_collection(connection, "points", layout)
    (created,) = [body for method, path, body in sent if (method, path) == ("PUT", "/collections/points")]
    assert (created["shard_number"], created["replication_factor"]) == (2, 3)
    assert created["write_consistency_factor"] == 2
    assert created["quantization_config"]["scalar"] == {"type": "int8", "memory": "pinned"}
    assert created["vectors"]["dense"]["memory"] == "cold"
    assert created["hnsw_config"] == {"m": 0, "payload_m": 16}
    indexes = {body["field_name"]: body["field_schema"] for _, path, body in sent if path.endswith("/index")}
    assert indexes["scope"] == {"type": "keyword", "is_tenant": True}


def _recorder(sent: list[Any]) -> Any:
    async def record(request: httpx.Request, call_next: Any) -> httpx.Response:
        import orjson

        body = orjson.loads(request.content) if request.content else None
        sent.append((request.method, request.url.path, body))
        response: httpx.Response = await call_next(request)
        return response

    return record
