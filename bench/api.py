"""What a user does with the HTTP API: upload, wait until ready, search, ask. Over several connections at once."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from bench.load import Connection, UnexpectedStatus

Item = TypeVar("Item")
Result = TypeVar("Result")

CALLERS = 4  # enough to keep two cores busy
POLL_S = 1.0  # listing costs the server 10 ms of CPU, which would count as ingest
DEEPEST = 1_000  # offset + top_k of one search


class NotIngested(Exception):
    """A document that failed."""


@dataclass(frozen=True, slots=True)
class TextDocument:
    """A document to be uploaded as text; `source` is its identity."""

    source: str
    title: str
    text: str


class Api:
    """A server's API, for callers that work side by side."""

    def __init__(self, connections: Sequence[Connection]):
        self._connections = connections

    async def each(
        self, items: Iterable[Item], work: Callable[[Connection, Item], Awaitable[Result]]
    ) -> list[Result]:
        """`work` on every item, one item a connection at a time; results in the order of the items."""
        waiting = enumerate(items)
        results: dict[int, Result] = {}

        async def take(connection: Connection) -> None:
            for position, item in waiting:
                results[position] = await work(connection, item)

        await asyncio.gather(*(take(connection) for connection in self._connections))
        return [results[position] for position in sorted(results)]

    async def call(self, method: str, path: str, body: Any = None) -> Any:
        """One call outside of `each`."""
        return await self._connections[0].call(method, path, body)

    async def upload(self, collection: str, documents: Iterable[TextDocument]) -> dict[str, str]:
        """Into a new collection (`default` exists); returns document id → source. Nothing is waited for."""
        if collection != "default":
            await self.call("POST", "/collections", {"name": collection})

        async def one(connection: Connection, document: TextDocument) -> tuple[str, str]:
            body = {
                "text": document.text,
                "title": document.title or None,
                "source": document.source,
                "collection": collection,
                "on_duplicate": "version",
            }
            reply = await connection.call("POST", "/documents", body)
            return reply["document"]["id"], document.source

        return dict(await self.each(documents, one))

    async def wait_ready(self, collection: str) -> None:
        """Until no document of the collection is queued or in work. Raises NotIngested."""
        while await self.has_work(collection):  # noqa: ASYNC110 - the event is in another process
            await asyncio.sleep(POLL_S)
        if failed := await self._any(collection, "failed"):
            raise NotIngested(f"{failed[0]['source']}: {failed[0]['error']}")

    async def has_work(self, collection: str) -> bool:
        """Whether a document is queued or in work."""
        return bool(await self._any(collection, "queued") or await self._any(collection, "processing"))

    async def text(self, document_id: str) -> str:
        """The extracted text, which offsets refer to."""
        connection = self._connections[0]
        path = f"/documents/{document_id}/text"
        status, content = await connection.exchange(connection.request("GET", path))
        if status != 200:
            raise UnexpectedStatus(f"GET {path} answered {status}")
        return content.decode()

    async def _any(self, collection: str, status: str) -> list[Any]:
        reply = await self.call("GET", f"/documents?collection={collection}&status={status}&limit=1")
        found: list[Any] = reply["items"]
        return found


async def wait_job(connection: Connection, job_id: str, *, poll_s: float) -> dict[str, Any]:
    """The job once it has ended; a new version of a document that is ready can be waited for in no other way."""
    while True:
        job: dict[str, Any] = await connection.call("GET", f"/jobs/{job_id}")
        if job["state"] not in ("queued", "running"):
            return job
        await asyncio.sleep(poll_s)


@asynccontextmanager
async def api_of(port: int, *, callers: int = CALLERS) -> AsyncIterator[Api]:
    """The API of a server that is ready."""
    connections = [Connection(port) for _ in range(callers)]
    try:
        yield Api(connections)
    finally:
        for connection in connections:
            await connection.close()


async def rank_documents(
    connection: Connection, question: str, *, collection: str, mode: str, wanted: int = 100
) -> list[str]:
    """Ids of the best `wanted` documents, each at the place of its best chunk; pages until there are enough, the hits
    are exhausted, or the API's depth is reached."""
    ranking: dict[str, None] = {}
    for offset in range(0, DEEPEST, 100):
        body = {
            "query": question,
            "collection": collection,
            "mode": mode,
            "top_k": 100,
            "offset": offset,
            "include_text": False,
        }
        results = (await connection.call("POST", "/search", body))["results"]
        ranking.update(dict.fromkeys(result["document_id"] for result in results))
        if len(ranking) >= wanted or len(results) < 100:
            break
    return list(ranking)[:wanted]


def read_lines(text: str) -> list[Any]:
    """The values of a JSON-lines file."""
    return [json.loads(line) for line in text.splitlines() if line.strip()]
