"""The way to a Qdrant server or cluster: one attempt a call, within a time limit, failing with names of the catalogue.

Everything that imports the vendor's client lies in the modules `qdrant*` of this room: importing it takes 3 CPU
seconds, so they are imported only where a server is configured.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar
from urllib.parse import urlsplit

import httpx
from pydantic import ValidationError
from qdrant_client import AsyncQdrantClient
from qdrant_client.common.client_exceptions import QdrantException, ResourceExhaustedResponse
from qdrant_client.http.exceptions import ApiException, ResponseHandlingException, UnexpectedResponse

from ragstone.core.errors import (
    EngineUnavailable,
    RagstoneError,
    StartupError,
    UpstreamGarbled,
    UpstreamRefused,
)
from ragstone.core.hosts import is_loopback

T = TypeVar("T")
Request = Callable[[AsyncQdrantClient], Awaitable[T]]

OLDEST = (1, 19)
"""The first release that counts BM25's statistics over a filter; an older one ignores the wish, and one collection's
ranking would depend on another's."""

MAX_CONNECTIONS = 64
_KEPT_IDLE = 32  # the client keeps none to 127.0.0.1 unless told
_PASSING = frozenset({408, 409, 425, 429})
_HANGING_UP = (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError)
"""What a request meets whose kept connection the server had closed."""


class QdrantConnection:
    """Calls of one server or cluster. `name` is its address without user, password and path."""

    def __init__(self, client: AsyncQdrantClient, *, name: str, timeout_s: float):
        self._client = client
        self._name = name
        self._timeout_s = timeout_s
        self._is_closed = False

    @classmethod
    def open(cls, url: str, *, api_key: str | None, timeout_s: float) -> "QdrantConnection":
        """Nothing is sent yet. The key goes as a header, since the client warns of it on plain HTTP: inside of a
        private network that is a choice, and the documentation speaks of it."""
        address = urlsplit(url)
        host = address.hostname or url
        port = address.port or (443 if address.scheme == "https" else 6333)
        client = AsyncQdrantClient(
            url=url,
            port=port,
            timeout=max(1, round(timeout_s)),
            headers={} if api_key is None else {"api-key": api_key},
            check_compatibility=False,  # it warns from a thread; `require_version` refuses
            limits=httpx.Limits(max_connections=MAX_CONNECTIONS, max_keepalive_connections=_KEPT_IDLE),
            trust_env=not is_loopback(host),  # a proxy must not see what is meant for this machine
        )
        return cls(client, name=f"{host}:{port}", timeout_s=timeout_s)

    async def call(self, request: Request[T]) -> T:
        """One attempt; begun once more where the server had hung up meanwhile, since every request of ours may be
        repeated. Raises EngineUnavailable, UpstreamRefused, UpstreamGarbled."""
        try:
            return await self._attempt(request)
        except _HungUp:
            pass
        return await self._attempt(request)

    async def require_version(self) -> None:
        """Raises StartupError where the server is too old for the same answers; EngineUnavailable kinds."""
        found = (await self.call(lambda client: client.info())).version
        major, _, rest = found.partition(".")
        minor = rest.partition(".")[0]
        if not (major.isdecimal() and minor.isdecimal()) or (int(major), int(minor)) < OLDEST:
            oldest = ".".join(map(str, OLDEST))
            raise StartupError(f"Qdrant at {self._name} has version {found}; {oldest} or later is needed")

    async def close(self) -> None:
        """Let go of the connections; idempotent."""
        if not self._is_closed:
            self._is_closed = True
            await self._client.close()

    async def _attempt(self, request: Request[T]) -> T:
        if self._is_closed:
            raise EngineUnavailable("the vector store is closed")
        try:
            async with asyncio.timeout(self._timeout_s):
                return await request(self._client)
        except TimeoutError:
            raise EngineUnavailable(f"{self._told} did not answer within {self._timeout_s:g} s") from None
        except (ApiException, QdrantException) as error:
            raise self._named(error) from error
        except (
            ValidationError,
            ValueError,
            AssertionError,
        ) as error:  # what its client makes of a strange answer
            raise UpstreamGarbled(f"{self._told} answered with something that is not its protocol") from error

    def _named(self, error: ApiException | QdrantException) -> RagstoneError:
        """The catalogue's failure. What the server says is not repeated: it may quote payloads."""
        match error:
            case ResourceExhaustedResponse():
                return EngineUnavailable(f"{self._told} is busy", retry_after_s=error.retry_after_s)
            case UnexpectedResponse(status_code=int(status)):
                return self._refusal(status)
            case ResponseHandlingException(source=ValidationError()):
                return UpstreamGarbled(f"{self._told} answered with something that is not its protocol")
            case ResponseHandlingException(source=httpx.TimeoutException()):
                return EngineUnavailable(f"{self._told} did not answer within {self._timeout_s:g} s")
            case ResponseHandlingException(source=source) if isinstance(source, _HANGING_UP):
                return _HungUp(f"{self._told} broke the connection")
        return EngineUnavailable(f"{self._told} cannot be reached")

    def _refusal(self, status: int) -> RagstoneError:
        if status in _PASSING or status >= 500:
            return EngineUnavailable(f"{self._told} answered with status {status}")
        if status in (401, 403):
            return UpstreamRefused(f"{self._told} refused the key (status {status}); see QDRANT_API_KEY")
        if status == 404:
            return UpstreamRefused(
                f"{self._told} does not have the collection any more; it is being made again"
            )
        return UpstreamRefused(f"{self._told} refused a request (status {status})")

    @property
    def _told(self) -> str:
        return f"Qdrant at {self._name}"


class _HungUp(EngineUnavailable):
    """The connection broke before the answer was whole."""
