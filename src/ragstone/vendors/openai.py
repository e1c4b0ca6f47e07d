"""What the adapters to servers of OpenAI's protocol share: a client with bounds, and what its failures mean."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import httpx2
import openai

from ragstone.core.errors import ExternalServiceError, InvalidSetting, UpstreamInterrupted
from ragstone.vendors import http
from ragstone.vendors.event_stream import EventTooLarge
from ragstone.vendors.protocol import ProtocolViolation, ReportedFailure
from ragstone.vendors.statuses import failure_of_status, requested_wait_s

OPENAI_URL = "https://api.openai.com/v1"
PROTOCOL = "OpenAI's protocol"
_NO_KEY = "none"  # servers on one's own machine need no key, the SDK does


UPSTREAM_ERRORS = (openai.OpenAIError, ReportedFailure, EventTooLarge, *http.HTTP_ERRORS)
"""All that a call of the client can raise for what a server or the network did: catch it and `translate` it."""

_GARBLED = (openai.APIResponseValidationError, EventTooLarge)


def is_openai(base_url: str | None) -> bool:
    """Whether OpenAI itself answers there (one of its regions included)."""
    host = httpx2.URL(base_url or OPENAI_URL).host
    return host == "api.openai.com" or host.endswith(".api.openai.com")


def build_client(*, api_key: str | None, base_url: str | None, timeout_s: float) -> openai.AsyncOpenAI:
    """A client that tries once, follows no redirect, and reads bounded bodies (`vendors.http`). Proxies of the environment
    are used, except for this machine.

    `timeout_s` bounds each wait: for a connection (at most 5 s), for the headers, and between two pieces of a body.
    Blocks for a quarter of a second, which the first call would else take: call it off the event loop. Of the SDK's
    environment variables only organization and project count, and those only at OpenAI itself. Raises InvalidSetting.
    """
    url = http.checked_url(
        base_url or OPENAI_URL, wanted="the base URL of the OpenAI protocol is not like https://host/v1"
    )
    if not api_key and is_openai(base_url):
        raise InvalidSetting("OpenAI needs an API key: set OPENAI_API_KEY, or the base URL of another server")
    key = http.checked_key(api_key or _NO_KEY)
    client = openai.AsyncOpenAI(
        api_key=key,
        base_url=url.copy_with(userinfo=b""),
        max_retries=0,
        # The SDK would let OPENAI_CUSTOM_HEADERS replace the key. Bodies are bounded, so they must not be compressed.
        default_headers={"Authorization": f"Bearer {key}", "Accept-Encoding": "identity"},
        timeout=http.timeout(timeout_s),
        http_client=http.build_client(url, timeout_s=timeout_s),
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
    return http.translate(_plain(error), service=service, protocol=PROTOCOL)


def _plain(error: Exception) -> Exception:
    """Errors of the SDK and of streams as the one of HTTP that they are like."""
    if isinstance(error, openai.APITimeoutError):
        return TimeoutError()
    return ProtocolViolation() if isinstance(error, _GARBLED) else error


@cache
def _warm_up() -> None:
    """One call of either kind that is answered in memory: it imports and builds what the SDK leaves to the first."""
    with ThreadPoolExecutor(1) as thread:  # the caller's may run an event loop
        thread.submit(asyncio.run, _call_nobody()).result()


async def _call_nobody() -> None:
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
