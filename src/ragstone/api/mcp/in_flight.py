"""Requests at work that their client may still give up by a message of its own, as the handshake era does."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from fastapi import Request
from mcp.shared.dispatcher import coerce_request_id
from mcp.types import RequestId

SESSION_HEADER = "mcp-session-id"

_Key = tuple[str | None, str, RequestId]


class InFlight:
    """By caller, session and the client's own id. A session is nothing but a name that no other client can guess: it is
    given at the handshake, and kept nowhere."""

    def __init__(self) -> None:
        self._give_up: dict[_Key, list[Callable[[], None]]] = {}

    @contextmanager
    def listed(self, request: Request, request_id: RequestId, give_up: Callable[[], None]) -> Iterator[None]:
        """While the block runs, `cancel` calls `give_up`."""
        key = _key(request, request_id)
        if key is None:
            yield
            return
        self._give_up.setdefault(key, []).append(
            give_up
        )  # a client may use an id twice: then it gives up both
        try:
            yield
        finally:
            self._give_up[key].remove(give_up)
            if not self._give_up[key]:
                del self._give_up[key]

    def cancel(self, request: Request, request_id: RequestId) -> None:
        """What is not at work (any more) is not missed."""
        key = _key(request, request_id)
        for give_up in self._give_up.get(key, []) if key is not None else []:
            give_up()


def _key(request: Request, request_id: RequestId) -> _Key | None:
    session = request.headers.get(SESSION_HEADER)
    if session is None:
        return None
    return getattr(request.state, "principal", None), session, coerce_request_id(request_id)
