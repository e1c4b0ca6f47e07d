"""Where calls go, what goes with each of them, and what it means when nothing comes back."""

from dataclasses import dataclass, field, replace
from typing import Any

import httpx2

from ragstone import __version__
from ragstone.client.call import Call
from ragstone.client.errors import CallFailed, ConnectionLost, TimedOut, UnexpectedReply
from ragstone.client.retries import Attempts, Retries
from ragstone.core.models import Unset

CONNECT_S = 10.0
NEVER_SENT = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.PoolTimeout,
    httpx2.ProxyError,
    httpx2.UnsupportedProtocol,
    httpx2.LocalProtocolError,
)
HOPELESS = (httpx2.UnsupportedProtocol, httpx2.LocalProtocolError)


@dataclass(frozen=True, slots=True)
class Server:
    """Where calls go, and with what patience."""

    url: str
    api_key: str | None = field(repr=False)
    timeout_s: float | None
    retries: Retries

    def changed(
        self,
        *,
        timeout_s: float | Unset | None = Unset.UNSET,
        retries: Retries | Unset = Unset.UNSET,
    ) -> "Server":
        """The same with another patience, where one is given."""
        return replace(
            self,
            timeout_s=self.timeout_s if isinstance(timeout_s, Unset) else timeout_s,
            retries=self.retries if isinstance(retries, Unset) else retries,
        )

    def begin(self, call: Call[Any]) -> Attempts:
        """The attempts of a call."""
        return self.retries.begin(None if call.is_unbounded else self.timeout_s)

    def request(self, call: Call[Any], timeout_s: float | None) -> dict[str, Any]:
        """A request's arguments but for its body."""
        bound_s = None if call.is_unbounded else timeout_s
        connect_s = CONNECT_S if bound_s is None else min(CONNECT_S, bound_s)
        headers = {"User-Agent": f"ragstone-python/{__version__}", **call.headers}
        if self.api_key is not None:
            headers["Authorization"] = f"Bearer {self.api_key}"
        return {
            "method": call.method,
            "url": self.url + call.path,
            "params": call.params or None,
            "headers": headers,
            "timeout": httpx2.Timeout(bound_s, connect=connect_s),
        }

    def lost(self, error: httpx2.RequestError, *, has_begun: bool = False) -> CallFailed:
        """What a failure of the connection means."""
        retryable, in_doubt = not isinstance(error, HOPELESS), not isinstance(error, NEVER_SENT)
        if not isinstance(error, httpx2.TransportError) or isinstance(error, httpx2.SSEError):
            return UnexpectedReply(f"the server at {self.url} answers what cannot be read: {error}")
        if isinstance(error, httpx2.TimeoutException) and in_doubt:
            message = f"the server at {self.url} has said nothing for too long"
            return TimedOut(message, retryable=retryable, in_doubt=True)
        return self.silent(has_begun=has_begun, retryable=retryable, in_doubt=in_doubt)

    def silent(
        self, *, has_begun: bool = False, retryable: bool = True, in_doubt: bool = True
    ) -> ConnectionLost:
        """The connection ended too early."""
        message = f"the server at {self.url} does not answer"
        if has_begun:
            message = f"the connection to the server at {self.url} broke off before the answer was complete"
        return ConnectionLost(message, retryable=retryable, in_doubt=in_doubt)


def pause_s(call: Call[Any], failure: CallFailed, attempts: Attempts) -> float:
    """How long to wait before the next attempt. Raises the failure where there is none."""
    if not call.may_follow(failure):
        raise failure
    return attempts.pause_s(failure)
