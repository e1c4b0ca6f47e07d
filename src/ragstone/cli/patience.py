"""Waiting for a server: as long as it says when to come back, and for a while where it says nothing."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

from ragstone.cli.client import ApiClient
from ragstone.cli.failure import Refused, ServerSilent

PATIENCE_S = 60.0  # a restart takes seconds, with a large data directory up to ten
FIRST_WAIT_S, LONGEST_WAIT_S = 0.25, 5.0
QUEUE_FULL, UNAVAILABLE = 429, 503


class PatientClient:
    """Calls that are repeated until they are answered; so they have to be idempotent."""

    def __init__(self, api: ApiClient, *, say: Callable[[str], None], patience_s: float = PATIENCE_S):
        self._api = api
        self._say = say
        self._patience_s = patience_s

    async def call(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        """A full queue is waited for without end, since the server works it off; one that is down or does not answer
        for `patience_s`. Raises Refused, ServerSilent."""
        give_up_at, backing_off_s = None, FIRST_WAIT_S
        failure: Refused | ServerSilent
        while True:
            try:
                reply = await self._api.call(method, path, **request)
            except Refused as error:
                if error.status not in (QUEUE_FULL, UNAVAILABLE):
                    raise
                failure, wait_s = error, error.retry_after_s or LONGEST_WAIT_S
            except ServerSilent as error:
                failure, wait_s = error, backing_off_s
                backing_off_s = min(2 * wait_s, LONGEST_WAIT_S)
            else:
                self._say("")
                return reply
            give_up_at = self._next_end(failure, give_up_at)
            await asyncio.sleep(wait_s)

    def _next_end(self, failure: Refused | ServerSilent, give_up_at: float | None) -> float | None:
        """Until when to try. Raises the failure when that is past."""
        if isinstance(failure, Refused) and failure.status == QUEUE_FULL:
            self._say("the server's queue is full; waiting")
            return None
        now = time.monotonic()
        if give_up_at is None:
            give_up_at = now + self._patience_s
        if now >= give_up_at:
            raise failure
        self._say(f"{failure.message}; trying for another {give_up_at - now:.0f} s")
        return give_up_at
