"""What the adapters to servers of OpenAI's protocol share: a client with bounds, and what its failures mean."""

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
import openai

from ragstone.core.errors import (
    ExternalServiceError,
    InvalidSetting,
    UpstreamGarbled,
    UpstreamInterrupted,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from ragstone.vendors.event_stream import EventTooLarge
from ragstone.vendors.protocol import ProtocolViolation, ReportedFailure
from ragstone.vendors.statuses import failure_of_status, requested_wait_s

OPENAI_URL = "https://api.openai.com/v1"
MAX_BODY_BYTES = 8 * 1024 * 1024  # twice the longest honest one: 64 vectors of 3,072 numbers in decimal
MAX_STREAM_BYTES = (
    256 * 1024 * 1024
)  # nothing of it is kept; at 300 bytes a token far more than any answer has
MAX_FAILURE_BYTES = 64 * 1024  # of the body of a refusal, which is read only to keep the connection
CONNECT_WITHIN_S = 5.0
_NO_KEY = "none"  # servers on one's own machine need no key, the SDK does


UPSTREAM_ERRORS = (
    openai.OpenAIError,
    httpx2.HTTPError,
    httpx2.StreamError,
    ProtocolViolation,
    ReportedFailure,
    EventTooLarge,
    json.JSONDecodeError,
    UnicodeError,
    TimeoutError,
)
"""All that a call of the client can raise for what a server or the network did: catch it and `translate` it."""

_GARBLED = (
    openai.APIResponseValidationError,
    httpx2.DecodingError,
    ProtocolViolation,
    EventTooLarge,
    json.JSONDecodeError,
    UnicodeError,
)
_TIMED_OUT = (openai.APITimeoutError, httpx2.TimeoutException, TimeoutError)


def is_openai(base_url: str | None) -> bool:
    """Whether OpenAI itself answers there (one of its regions included)."""
    host = httpx2.URL(base_url or OPENAI_URL).host
    return host == "api.openai.com" or host.endswith(".api.openai.com")


def build_client(*, api_key: str | None, base_url: str | None, timeout_s: float) -> openai.AsyncOpenAI:
    """A client that tries once, follows no redirect, and reads at most MAX_BODY_BYTES of an answer that is no stream.
    Proxies of the environment are used, except for this machine.

    `timeout_s` bounds each wait: for a connection (at most 5 s), for the headers, and between two pieces of a body.
    Blocks for a quarter of a second, which the first call would else take: call it off the event loop. Of the SDK's
    environment variables only organization and project count, and those only at OpenAI itself. Raises InvalidSetting.
    """
    url = _checked_url(base_url or OPENAI_URL)
    if not api_key and is_openai(base_url):
        raise InvalidSetting("OpenAI needs an API key: set OPENAI_API_KEY, or the base URL of another server")
    key = _checked_key(api_key)
    client = openai.AsyncOpenAI(
        api_key=key,
        base_url=url.copy_with(userinfo=b""),
        max_retries=0,
        # The SDK would let OPENAI_CUSTOM_HEADERS replace the key. Bodies are bounded, so they must not be compressed.
        default_headers={"Authorization": f"Bearer {key}", "Accept-Encoding": "identity"},
        timeout=_timeout(timeout_s),
        http_client=_build_http_client(url, timeout_s),
    )
    if not is_openai(base_url):
        client.organization = client.project = None
    _warm_up()
    return client


def translate(error: Exception, *, service: str, has_begun: bool) -> ExternalServiceError:
    """The failure of the catalogue that one of UPSTREAM_ERRORS stands for; raise it `from None`, since the error's
    own text, request and body can hold keys and whatever the server said. `has_begun`: text was already delivered.
    """
    if has_begun:
        return UpstreamInterrupted(f"{service} broke off in the middle of its answer")
    if isinstance(error, openai.APIStatusError):
        wait_s = requested_wait_s(error.response.headers)
        return failure_of_status(error.status_code, service=service, retry_after_s=wait_s)
    if isinstance(error, ReportedFailure) and error.status is not None:
        return failure_of_status(error.status, service=service)
    if isinstance(error, _TIMED_OUT):
        return UpstreamTimeout(f"{service} did not answer in time")
    if isinstance(error, _GARBLED):
        return UpstreamGarbled(f"{service} did not answer in OpenAI's protocol; check the base URL")
    return UpstreamUnavailable(f"{service} cannot be reached, or broke off before it answered")


def _checked_url(base_url: str) -> httpx2.URL:
    try:
        url = httpx2.URL(base_url)
    except httpx2.InvalidURL:
        url = httpx2.URL("")
    if url.scheme not in ("http", "https") or not url.host:
        raise InvalidSetting("the base URL of the OpenAI protocol is not like https://host/v1")
    return url


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _checked_key(api_key: str | None) -> str:
    key = (api_key or _NO_KEY).strip()
    if not (key.isascii() and key.isprintable() and key):
        raise InvalidSetting("the API key holds characters that a header cannot carry; copy it again")
    return key


def _timeout(timeout_s: float) -> httpx2.Timeout:
    return httpx2.Timeout(timeout_s, connect=min(timeout_s, CONNECT_WITHIN_S))


def _build_http_client(url: httpx2.URL, timeout_s: float) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(
        timeout=_timeout(timeout_s),
        limits=httpx2.Limits(
            max_connections=None, max_keepalive_connections=100
        ),  # callers bound their requests
        verify=_tls_context(),
        trust_env=not _is_loopback(url.host),  # a proxy must not see what is meant for this machine
        follow_redirects=False,
        auth=(url.username, url.password) if url.userinfo else None,
        event_hooks={"response": [_bound_body]},
    )


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


@cache
def _warm_up() -> None:
    """One call of either kind that is answered in memory: it imports and builds what the SDK leaves to the first."""
    with ThreadPoolExecutor(1) as thread:  # the caller's may run an event loop
        thread.submit(asyncio.run, _call_nobody()).result()


async def _call_nobody() -> None:
    await anyio.lowlevel.checkpoint()  # loads its asyncio half, which a connection needs
    transport = httpx2.MockTransport(lambda _: httpx2.Response(200, content=b"{}"))
    async with httpx2.AsyncClient(transport=transport) as http_client:
        client = openai.AsyncOpenAI(
            api_key=_NO_KEY, base_url="http://localhost", max_retries=0, http_client=http_client
        )
        await client.embeddings.with_raw_response.create(
            model="none", input=["none"], encoding_format="base64"
        )
        chat = client.chat.completions.with_streaming_response
        async with chat.create(model="none", messages=[{"role": "user", "content": "none"}], stream=True):
            pass
