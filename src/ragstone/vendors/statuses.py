"""What a vendor's HTTP status means to us, and how long it asks us to wait. Nothing it said itself is repeated."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from ragstone.core.errors import (
    ExternalServiceError,
    UpstreamRateLimited,
    UpstreamRefused,
    UpstreamUnavailable,
)

_CHECK = {
    401: "check its API key",
    403: "check what its API key may do",
    404: "check the model's name and the base URL",
}
_CHECK_REQUEST = "check the model's name, the base URL, and that the request is within the model's limits"


def failure_of_status(
    status: int, *, service: str, retry_after_s: float | None = None
) -> ExternalServiceError:
    """The error that a status outside of 2xx stands for."""
    message = f"{service} answered {status}"
    if status == 429:
        return UpstreamRateLimited(f"{message}: too many requests", retry_after_s=retry_after_s)
    if status in (408, 409) or status >= 500:
        return UpstreamUnavailable(message, retry_after_s=retry_after_s)
    if status < 400:
        return UpstreamRefused(f"{message}, and redirects are not followed; check the base URL")
    return UpstreamRefused(f"{message}; {_CHECK.get(status, _CHECK_REQUEST)}")


def requested_wait_s(headers: Mapping[str, str]) -> float | None:
    """The wait that `retry-after-ms` or `Retry-After` (seconds or a date) asks for; None if there is none, or it is
    in the past or not a time. Header names are lower case, or the mapping ignores case."""
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    value = headers.get("retry-after")
    seconds = _number(value)
    return seconds if seconds is not None else _seconds_until(value)


def _number(value: str | None) -> float | None:
    try:
        number = float(value or "")
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None


def _seconds_until(date: str | None) -> float | None:
    try:
        moment = parsedate_to_datetime(date or "")
    except (ValueError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    seconds = (moment - datetime.now(UTC)).total_seconds()
    return seconds if seconds >= 0 else None
