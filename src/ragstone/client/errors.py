"""What a call can raise, beside mistakes in its arguments.

CallFailed
├── ApiError                     the API answered with an error of its own; it has a code
│   ├── InvalidRequest           400, 405, 415, 422 and others of the 400s
│   ├── Unauthorized, Forbidden  401, 403
│   ├── NotFound                 404
│   ├── Conflict                 409
│   ├── TooLarge                 413
│   ├── RateLimited              429
│   ├── ServerFailed             500 and others of the 500s
│   ├── UpstreamFailed           502
│   ├── Unavailable              503
│   └── DeadlineExceeded         504
├── ConnectionLost ── TimedOut   nothing came back, or not all of it
├── UnexpectedReply              something came back that is not of the API
├── JobFailed                    background work that was waited for has failed, or was cancelled
└── StillWorking                 it is not done within the time that the caller gave it
"""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx2
from pydantic import ValidationError

from ragstone.api.schemas.documents import JobReply
from ragstone.api.schemas.error import ErrorDetail, ErrorReply
from ragstone.core.errors import ChangeInDoubt, catalogue

REFUSED_UNREAD = (429, 503)  # whoever answers so has not begun
PASSING = frozenset({408, 429, 500, 502, 503, 504})  # where nobody says whether another attempt may help


class CallFailed(Exception):
    """One sentence for whoever reads it. `retryable`: the same call may succeed later. `in_doubt`: the server may have
    done what it was asked for all the same."""

    def __init__(
        self,
        message: str,
        *,
        retryable: bool = False,
        in_doubt: bool = False,
        retry_after_s: float | None = None,
    ):
        super().__init__(message)
        self.message = message
        self.retryable = retryable
        self.in_doubt = in_doubt
        self.retry_after_s = retry_after_s


class ApiError(CallFailed):
    """The API's own error; `code` is stable, and docs/troubleshooting.md has a section about each."""

    def __init__(
        self,
        code: str,
        message: str,
        *,
        status: int,
        retryable: bool = False,
        request_id: str | None = None,
        details: Sequence[ErrorDetail] = (),
        retry_after_s: float | None = None,
    ):
        in_doubt = status >= 500 and (status not in REFUSED_UNREAD or code == ChangeInDoubt.code)
        super().__init__(
            f"{code}: {message}", retryable=retryable, in_doubt=in_doubt, retry_after_s=retry_after_s
        )
        self.code = code
        self.message = message
        self.status = status
        self.request_id = request_id
        self.details = tuple(details)


class InvalidRequest(ApiError):
    """The request is not one that the API takes."""


class Unauthorized(ApiError):
    """No API key, or none that is known."""


class Forbidden(ApiError):
    """The server does not answer under this name, or not to this origin."""


class NotFound(ApiError):
    """Missing, or not yours."""


class Conflict(ApiError):
    """The state does not allow it."""


class TooLarge(ApiError):
    """More bytes than the server takes."""


class RateLimited(ApiError):
    """Too much at once: the queue is full."""


class ServerFailed(ApiError):
    """A defect of the server; its log has the request id."""


class UpstreamFailed(ApiError):
    """A service that the server needs refused, or answered what it cannot use."""


class Unavailable(ApiError):
    """The server, or a part that it needs, is down or full."""


class DeadlineExceeded(ApiError):
    """The server's time for the request was up."""


class ConnectionLost(CallFailed):
    """Nothing came back, or not all of it."""


class TimedOut(ConnectionLost):
    """The server said nothing for longer than the client waits."""


class UnexpectedReply(CallFailed):
    """What came back is not of the API: of a proxy, or of another server."""


class JobFailed(CallFailed):
    """Background work has failed, or was cancelled; `job` tells all of it."""

    def __init__(self, job: JobReply):
        self.code = job.state if job.error is None else job.error.code
        reason = "the job was cancelled" if job.error is None else job.error.message
        super().__init__(f"{self.code}: {reason}")
        self.message = reason
        self.page = None if job.error is None else job.error.page
        self.job = job


class StillWorking(CallFailed, TimeoutError):
    """The work goes on; nobody waits for it any more. `job` as it was last seen."""

    def __init__(self, job: JobReply, waited_s: float):
        super().__init__(f"job {job.id} is still {job.state} after {waited_s:g} s")
        self.job = job


_KINDS: dict[int, type[ApiError]] = {
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    413: TooLarge,
    429: RateLimited,
    502: UpstreamFailed,
    503: Unavailable,
    504: DeadlineExceeded,
}
_SECONDS = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")
_STATUSES = {kind.code: kind.status for kind in catalogue()}


def kind_of(status: int) -> type[ApiError]:
    """The class of an error with this status."""
    return _KINDS.get(status) or (ServerFailed if status >= 500 else InvalidRequest)


def status_of(code: str) -> int:
    """Of an error that comes as an event, without a status; 500 for a code that is not known here."""
    return _STATUSES.get(code, 500)


def error_of(response: httpx2.Response) -> CallFailed:
    """What a reply says that is no success; its content has been read."""
    status, retry_after_s = response.status_code, seconds_to_wait(response.headers)
    try:
        error = ErrorReply.model_validate(_completed(response)).error
    except (ValueError, TypeError, KeyError):  # of something between the server and us
        return UnexpectedReply(
            f"{response.url} answers {status} with what is no error of Ragstone's API",
            retryable=status in PASSING,
            in_doubt=status >= 500 and status not in REFUSED_UNREAD,
            retry_after_s=retry_after_s,
        )
    return kind_of(status)(
        error.code,
        error.message,
        status=status,
        retryable=error.retryable,
        request_id=error.request_id,
        details=error.details,
        retry_after_s=retry_after_s,
    )


def no_reply(response: httpx2.Response, problem: ValidationError) -> UnexpectedReply:
    """A success whose content is not what it should be."""
    first = problem.errors(include_url=False, include_input=False)[0]
    place = ".".join(map(str, first["loc"]))
    return UnexpectedReply(
        f"{response.url} answers {response.status_code} with what is no reply of Ragstone's API: "
        f"{f'{place}: ' if place else ''}{first['msg']}"
    )


def seconds_to_wait(headers: Mapping[str, str]) -> float | None:
    """What `Retry-After` says, in seconds or as a date; None where it says nothing that can be followed."""
    given = headers.get("retry-after", "")
    if _SECONDS.fullmatch(given):
        return float(given)
    try:
        return _seconds_until(given)
    except (ValueError, OverflowError):
        return None


def _seconds_until(date: str) -> float:
    moment = parsedate_to_datetime(date)
    zoned = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return max((zoned - datetime.now(UTC)).total_seconds(), 0.0)


def _completed(response: httpx2.Response) -> object:
    """The content, with what older servers and gateways in front of them leave out."""
    content = response.json()
    defaults: dict[str, Any] = {
        "retryable": response.status_code in PASSING,
        "request_id": response.headers.get("x-request-id"),
        "details": [],
    }
    return {"error": defaults | content["error"]}
