"""The stand-in itself: listening, routing, failing when told to, and ending all it began."""

import asyncio
import re
from pathlib import Path
from typing import Any, Self

import orjson

from ragstone.testing.qdrant_server.collection import Collection
from ragstone.testing.qdrant_server.faults import Fault, FaultList
from ragstone.testing.upstream.http import Connection, Exchange

VERSION = "1.20.0"
JSON = "application/json"
_COLLECTION = re.compile(r"/collections/(?P<name>[^/]+)(?P<rest>(?:/.*)?)")
_OPERATIONS = {
    ("PUT", "/index"): Collection.index,
    ("POST", "/points/batch"): Collection.update,
    ("POST", "/points"): Collection.retrieve,
    ("POST", "/points/scroll"): Collection.scroll,
    ("POST", "/points/count"): Collection.count,
    ("POST", "/points/query/batch"): Collection.query,
    ("POST", "/facet"): Collection.facet,
}


class NoSuchThing(Exception):
    """A collection or path that is not there."""


class QdrantServer:
    """Collections in folders below `folder`, which outlive it. Stopped, it can be started again on the same port."""

    def __init__(
        self,
        folder: Path,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        key: str | None = None,
        version: str = VERSION,
    ):
        self._folder = folder
        self._address = (host, port)
        self._key = key
        self._version = version
        self._faults = FaultList()
        self._server: asyncio.Server | None = None
        self._connections: set[Connection] = set()
        self._collections: dict[str, Collection] = {}
        self.requests: list[str] = []
        """Method and path of each, as they came."""

    @property
    def url(self) -> str:
        """Where it listens."""
        host, port = self._address
        return f"http://{host}:{port}"

    def script(self, *faults: Fault) -> None:
        """These befall requests from now on, instead of earlier ones; none: all is well."""
        self._faults.replace(faults)

    async def start(self) -> None:
        """Open what is there, and listen."""
        self._collections = {path.name: Collection(path) for path in self._found()}
        host, port = self._address
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: Connection(self._answer, self._connections), host, port
        )
        self._address = (host, self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Refuse connections, break off those there are, and put everything on disk."""
        if self._server is None:
            return
        self._server.close()
        self._server = None
        for connection in list(self._connections):
            if connection.answering is not None:
                connection.answering.cancel()
            connection.transport.abort()
        while self._connections:  # noqa: ASYNC110 - the transports say so in the next turn of the loop
            await asyncio.sleep(0)
        for collection in self._collections.values():
            collection.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def _found(self) -> list[Path]:
        return [path.parent for path in self._folder.glob("*/settings.json")]

    async def _answer(self, exchange: Exchange) -> None:
        method, path = exchange.request.method, exchange.request.path.partition("?")[0]
        if path == "/_faults":  # of a test in another process
            self.script(*(Fault.of(each) for each in orjson.loads(exchange.request.body)))
            exchange.send(200, b"{}", JSON)
            return
        self.requests.append(f"{method} {path}")
        fault = self._faults.take(path)
        if fault is not None and await _is_replaced(exchange, fault):
            return
        status, body = self._respond(exchange, method, path)
        if fault is not None and fault.kind == "reset_after":
            await exchange.reset()
        elif fault is not None and fault.kind == "cut":
            exchange.open(JSON, length=len(body))
            exchange.write(body[: len(body) // 2])
            await exchange.drop()
        else:
            exchange.send(status, body, JSON)

    def _respond(self, exchange: Exchange, method: str, path: str) -> tuple[int, bytes]:
        if self._key is not None and exchange.request.headers.get("api-key") != self._key:
            return 401, b"Must provide an API key or an Authorization bearer token"
        try:
            body = orjson.loads(exchange.request.body) if exchange.request.body else {}
            return 200, orjson.dumps(self._result(method, path, body))
        except NoSuchThing as error:
            return 404, orjson.dumps({"status": {"error": f"Not found: {error}"}, "time": 0.0})
        except (ValueError, KeyError, TypeError) as error:
            return 400, orjson.dumps({"status": {"error": f"Wrong input: {error!r}"}, "time": 0.0})

    def _result(self, method: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        if path == "/":
            return {"title": "qdrant - vector search engine", "version": self._version}
        if path == "/collections":
            told: Any = {"collections": [{"name": name} for name in self._collections]}
        elif (match := _COLLECTION.fullmatch(path)) is None:
            raise NoSuchThing(path)
        else:
            told = self._of_collection(method, match["name"], match["rest"], body)
        return {"result": told, "status": "ok", "time": 0.0}

    def _of_collection(self, method: str, name: str, rest: str, body: dict[str, Any]) -> Any:
        if rest == "/exists":
            return {"exists": name in self._collections}
        if (method, rest) == ("PUT", ""):
            self._collections[name] = Collection.create(self._folder / name, body)
            return True
        if (method, rest) == ("DELETE", ""):
            dropped = self._collections.pop(name, None)
            if dropped is not None:
                dropped.drop()
            return dropped is not None
        collection = self._collections.get(name)
        if collection is None:
            raise NoSuchThing(f"Collection `{name}` doesn't exist!")
        if (method, rest) == ("GET", ""):
            return collection.describe()
        if (method, rest) not in _OPERATIONS:
            raise NoSuchThing(rest)
        return _OPERATIONS[method, rest](collection, body)


async def _is_replaced(exchange: Exchange, fault: Fault) -> bool:
    """Whether the fault has taken the answer's place."""
    match fault.kind:
        case "late":
            await asyncio.sleep(fault.seconds)
            return False
        case "hang":
            await exchange.hang()
        case "reset":
            await exchange.reset()
        case "status":
            exchange.send(fault.code, b'{"status": {"error": "scripted"}, "time": 0.0}', JSON)
        case "garbled":
            exchange.send(200, b"<html>not the server you meant</html>", "text/html")
        case _:
            return False
    return True
