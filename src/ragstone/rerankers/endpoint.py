"""What rerankers over HTTP share: one bounded request a call, and the check of every score that comes back."""

import asyncio
import math
from typing import Any

import httpx2
import orjson

from ragstone.core.errors import UpstreamGarbled, UpstreamUnavailable
from ragstone.vendors import http
from ragstone.vendors.protocol import parse_json, without_surrogates
from ragstone.vendors.statuses import failure_of_status, requested_wait_s

SERVICE = "the reranker"
PROTOCOL = "the protocol that it is configured for"
LAST_STEP = "/rerank"  # of every such server's path
_BLANK = " "  # some servers refuse an empty text


class RerankEndpoint:
    """One URL that takes questions with passages. One attempt a call, which `timeout_s` bounds as a whole."""

    def __init__(self, url: str, *, usual_path: str, api_key: str | None, timeout_s: float) -> None:
        """`usual_path` is that of a URL without one; to any other path `/rerank` is added, unless it ends so. Blocks for
        a moment: call it off the event loop. Raises InvalidSetting."""
        given = http.checked_url(url, wanted="the reranker's URL is not like http://127.0.0.1:8080")
        self.url = _complete(given, usual_path).copy_with(userinfo=b"")
        self._timeout_s = timeout_s
        self._headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
        if api_key is not None:
            self._headers["Authorization"] = f"Bearer {http.checked_key(api_key)}"
        self._client = http.build_client(given, timeout_s=timeout_s)

    async def ask(self, body: dict[str, Any]) -> object:
        """The JSON that it answers. Raises ExternalServiceError kinds."""
        if self._client.is_closed:
            raise UpstreamUnavailable(f"{SERVICE}'s client is closed")
        try:
            async with asyncio.timeout(self._timeout_s):
                response = await self._client.post(
                    self.url, content=orjson.dumps(body), headers=self._headers
                )
            if response.is_success:
                # Servers may repeat the passages, and parsing them would hold up every stream.
                return await asyncio.to_thread(parse_json, response.content)
        except http.HTTP_ERRORS as error:
            raise http.translate(error, service=SERVICE, protocol=PROTOCOL) from None
        wait_s = requested_wait_s(response.headers)
        raise failure_of_status(response.status_code, service=SERVICE, retry_after_s=wait_s)

    async def close(self) -> None:
        """Close all connections; idempotent."""
        await self._client.aclose()


def read_scores(rows: object, *, member: str, count: int) -> list[float]:
    """The score of each text, in the order of the texts, from rows with an `index` and a score in `member`. Raises
    UpstreamGarbled where there is not exactly one finite number for each."""
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise UpstreamGarbled(f"{SERVICE} returned no list of scores; check its URL and its provider")
    by_index = {row.get("index"): row.get(member) for row in rows if type(row.get("index")) is int}
    if len(rows) != count or set(by_index) != set(range(count)):
        raise UpstreamGarbled(
            f"{SERVICE} returned {len(rows)} scores with {len(by_index)} different numbers for {count} texts"
        )
    return [_finite(by_index[index]) for index in range(count)]


def as_sent(text: str) -> str:
    """Text that can be encoded and is not empty."""
    return without_surrogates(text) if text.strip() else _BLANK


def _finite(score: object) -> float:
    if isinstance(score, int | float) and not isinstance(score, bool):
        try:
            number = float(score)
        except OverflowError:  # an integer of hundreds of digits
            number = math.inf
        if math.isfinite(number):
            return number
    raise UpstreamGarbled(f"{SERVICE} returned a score that is not a finite number")


def _complete(url: httpx2.URL, usual_path: str) -> httpx2.URL:
    path = url.path.rstrip("/")
    if not path:
        return url.copy_with(path=usual_path)
    return url.copy_with(path=path if path.endswith(LAST_STEP) else path + LAST_STEP)
