"""HTTP to servers that may be slow, wrong or malicious: a client with bounds, and what its failures mean."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from functools import cache
from ipaddress import ip_address
from typing import Any

import anyio.lowlevel
import httpx2

from ragstone.core.errors import (
    ExternalServiceError,
    InvalidSetting,
    UpstreamGarbled,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from ragstone.vendors.protocol import ProtocolViolation

MAX_BODY_BYTES = 8 * 1024 * 1024  # twice the longest honest one: 64 vectors of 3,072 numbers in decimal
MAX_STREAM_BYTES = (
    256 * 1024 * 1024
)  # nothing of it is kept; at 300 bytes a token far more than any answer has
MAX_FAILURE_BYTES = 64 * 1024  # of the body of a refusal, which is read only to keep the connection
CONNECT_WITHIN_S = 5.0

HTTP_ERRORS = (
    httpx2.HTTPError,
    httpx2.StreamError,
    ProtocolViolation,
    json.JSONDecodeError,
    UnicodeError,
    TimeoutError,
)
"""All that a call of the client can raise for what a server or the network did: catch it and `translate` it."""

_GARBLED = (httpx2.DecodingError, ProtocolViolation, json.JSONDecodeError, UnicodeError)
_TIMED_OUT = (httpx2.TimeoutException, TimeoutError)


def translate(error: Exception, *, service: str, protocol: str) -> ExternalServiceError:
    """The failure of the catalogue that one of HTTP_ERRORS stands for; raise it `from None`, since the error's own
    text and request can hold keys and whatever the server said."""
    if isinstance(error, _TIMED_OUT):
        return UpstreamTimeout(f"{service} did not answer in time")
    if isinstance(error, _GARBLED):
        return UpstreamGarbled(f"{service} did not answer in {protocol}; check the base URL")
    return UpstreamUnavailable(f"{service} cannot be reached, or broke off before it answered")


def checked_url(given: str, *, wanted: str) -> httpx2.URL:
    """Raises InvalidSetting, saying what was `wanted`, where it is no URL of a server."""
    try:
        url = httpx2.URL(given)
    except httpx2.InvalidURL:
        url = httpx2.URL("")
    if url.scheme not in ("http", "https") or not url.host:
        raise InvalidSetting(wanted)
    return url


def checked_key(api_key: str) -> str:
    """Raises InvalidSetting where it cannot be sent."""
    key = api_key.strip()
    if not (key.isascii() and key.isprintable() and key):
        raise InvalidSetting("the API key holds characters that a header cannot carry; copy it again")
    return key


def timeout(timeout_s: float) -> httpx2.Timeout:
    """For each wait: for a connection (at most 5 s), for the headers, and between two pieces of a body."""
    return httpx2.Timeout(timeout_s, connect=min(timeout_s, CONNECT_WITHIN_S))


def build_client(url: httpx2.URL, *, timeout_s: float) -> httpx2.AsyncClient:
    """A client of the server at `url` that follows no redirect and reads bounded bodies. Proxies of the environment are
    used, except for this machine. Blocks for a fifth of a second the first time, which the first call would else take.
    """
    _warm_up()
    return httpx2.AsyncClient(
        timeout=timeout(timeout_s),
        limits=httpx2.Limits(
            max_connections=None, max_keepalive_connections=100
        ),  # callers bound their requests
        verify=_tls_context(),
        trust_env=not _is_loopback(url.host),  # a proxy must not see what is meant for this machine
        follow_redirects=False,
        auth=(url.username, url.password) if url.userinfo else None,
        event_hooks={"response": [_bound_body]},
    )


@cache
def _warm_up() -> None:
    """A connection needs anyio's half for asyncio, which is loaded at its first use: 50 ms."""
    with ThreadPoolExecutor(1) as thread:  # the caller's may run an event loop
        thread.submit(asyncio.run, anyio.lowlevel.checkpoint()).result()


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


async def _bound_body(response: httpx2.Response) -> None:
    """Before anything of the body is read. A compressed body is refused: some kilobytes of it can become gigabytes."""
    is_compressed = response.headers.get("content-encoding", "identity").strip().lower() not in (
        "",
        "identity",
    )
    if is_compressed and response.is_success:
        raise ProtocolViolation("a compressed body")
    if is_compressed:
        del response.headers["content-encoding"]  # nobody reads the body of a failure: let it stay compressed
    assert isinstance(response.stream, httpx2.AsyncByteStream)
    is_stream = response.headers.get("content-type", "").startswith("text/event-stream")
    most_bytes = MAX_STREAM_BYTES if is_stream else MAX_BODY_BYTES
    if not response.is_success:
        most_bytes = MAX_FAILURE_BYTES
    response.stream = _BoundedBody(response.stream, most_bytes=most_bytes, is_failure=not response.is_success)


class _BoundedBody(httpx2.AsyncByteStream):
    """A body up to its limit; beyond it, that of a failure just ends."""

    def __init__(self, inner: httpx2.AsyncByteStream, *, most_bytes: int, is_failure: bool):
        self._inner = inner
        self._is_failure = is_failure
        self._left = most_bytes

    async def __aiter__(self) -> AsyncIterator[bytes]:
        parts: Any = self._inner.__aiter__()
        async with aclosing(parts):
            async for part in parts:
                self._left -= len(part)
                if self._left < 0:
                    break
                yield part
        if self._left < 0 and not self._is_failure:
            raise ProtocolViolation("a body over its limit")

    async def aclose(self) -> None:
        await self._inner.aclose()


@cache
def _tls_context() -> ssl.SSLContext:
    """One for all clients: it takes a tenth of a second to read the system's certificates."""
    return httpx2.create_ssl_context()
