"""The two clients. They have the same routes, arguments and errors; one waits, the other is awaited."""

from copy import copy
from ssl import PROTOCOL_TLS_CLIENT, SSLContext
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import httpx2

from ragstone.client.calls import operations, questions, uploads
from ragstone.client.connection import AsyncConnection, Connection
from ragstone.client.methods import (
    AsyncResource,
    Resource,
    awaits,
    awaits_upload,
    sends,
    sends_upload,
    streams,
    streams_async,
)
from ragstone.client.resources import (
    Admin,
    AsyncAdmin,
    AsyncCollections,
    AsyncDocuments,
    AsyncJobs,
    Collections,
    Documents,
    Jobs,
)
from ragstone.client.retries import BoundedRetries, Retries
from ragstone.client.server import Server
from ragstone.core.hosts import is_loopback
from ragstone.core.models import Unset

DEFAULT_URL = "http://127.0.0.1:8000"
TIMEOUT_S = 120.0  # twice what a server takes by default, so that it is the server who tells what was late
MAX_RETRIES = 2


class Ragstone(Resource):
    """A client of one server, for any number of threads. Close it, or use it in a `with` block.

    `timeout_s` bounds a call with all its retries; only the bytes of an upload may take longer. With `transport` or
    `http` requests go through these; an `http` is not closed.
    """

    query = sends(questions.query)
    stream = streams(questions.query)
    search = sends(questions.search)
    upload = sends_upload(uploads.upload)
    upload_text = sends_upload(uploads.upload_text)
    upload_many = sends(uploads.upload_many)
    health = sends(operations.health)
    live = sends(operations.live)
    ready = sends(operations.ready)
    metrics = sends(operations.metrics)

    def __init__(
        self,
        base_url: str = DEFAULT_URL,
        *,
        api_key: str | None = None,
        timeout_s: float | None = TIMEOUT_S,
        max_retries: int = MAX_RETRIES,
        transport: httpx2.BaseTransport | None = None,
        http: httpx2.Client | None = None,
    ):
        self._owned = None
        if http is None:
            http = self._owned = httpx2.Client(transport=transport, **_network(base_url))
        server = Server(base_url.rstrip("/"), api_key, timeout_s, BoundedRetries(max_retries))
        self._use(Connection(http, server))

    def _use(self, connection: Connection) -> None:
        super().__init__(connection)
        self.documents = Documents(connection)
        self.collections = Collections(connection)
        self.jobs = Jobs(connection)
        self.admin = Admin(connection)

    def with_options(
        self,
        *,
        timeout_s: float | Unset | None = Unset.UNSET,
        max_retries: int | Unset = Unset.UNSET,
        retries: Retries | Unset = Unset.UNSET,
    ) -> "Ragstone":
        """The same with another patience, over the same connections, which close with the first. `retries` is a rule
        of your own."""
        if isinstance(max_retries, int):
            retries = BoundedRetries(max_retries)
        other = copy(self)
        other._owned = None
        server = self._connection.server.changed(timeout_s=timeout_s, retries=retries)
        other._use(Connection(self._connection.http, server))
        return other

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End its connections. Idempotent."""
        if self._owned is not None:
            self._owned.close()


class AsyncRagstone(AsyncResource):
    """As Ragstone, for programs that await: `async with`, `await`, `async for`; under asyncio or trio."""

    query = awaits(questions.query)
    stream = streams_async(questions.query)
    search = awaits(questions.search)
    upload = awaits_upload(uploads.upload)
    upload_text = awaits_upload(uploads.upload_text)
    upload_many = awaits(uploads.upload_many)
    health = awaits(operations.health)
    live = awaits(operations.live)
    ready = awaits(operations.ready)
    metrics = awaits(operations.metrics)

    def __init__(
        self,
        base_url: str = DEFAULT_URL,
        *,
        api_key: str | None = None,
        timeout_s: float | None = TIMEOUT_S,
        max_retries: int = MAX_RETRIES,
        transport: httpx2.AsyncBaseTransport | None = None,
        http: httpx2.AsyncClient | None = None,
    ):
        self._owned = None
        if http is None:
            http = self._owned = httpx2.AsyncClient(transport=transport, **_network(base_url))
        server = Server(base_url.rstrip("/"), api_key, timeout_s, BoundedRetries(max_retries))
        self._use(AsyncConnection(http, server))

    def _use(self, connection: AsyncConnection) -> None:
        super().__init__(connection)
        self.documents = AsyncDocuments(connection)
        self.collections = AsyncCollections(connection)
        self.jobs = AsyncJobs(connection)
        self.admin = AsyncAdmin(connection)

    def with_options(
        self,
        *,
        timeout_s: float | Unset | None = Unset.UNSET,
        max_retries: int | Unset = Unset.UNSET,
        retries: Retries | Unset = Unset.UNSET,
    ) -> "AsyncRagstone":
        """The same with another patience, over the same connections, which close with the first. `retries` is a rule
        of your own."""
        if isinstance(max_retries, int):
            retries = BoundedRetries(max_retries)
        other = copy(self)
        other._owned = None
        server = self._connection.server.changed(timeout_s=timeout_s, retries=retries)
        other._use(AsyncConnection(self._connection.http, server))
        return other

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End its connections. Idempotent."""
        if self._owned is not None:
            await self._owned.aclose()


def _network(base_url: str) -> dict[str, Any]:
    """A proxy of the environment leads to other machines, and never back to this one. Authorities are loaded for https
    alone: that takes 40 ms."""
    url = urlsplit(base_url)
    options: dict[str, Any] = {"trust_env": not is_loopback(url.hostname or "")}
    if url.scheme == "http":
        options["verify"] = SSLContext(PROTOCOL_TLS_CLIENT)  # which trusts nobody
    return options
