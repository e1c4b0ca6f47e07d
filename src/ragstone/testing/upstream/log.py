"""What the server was asked, and how each request ended."""

import asyncio
import time
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any, Literal

Outcome = Literal["answered", "fault", "client_left"]

KEPT_BYTES = 64 * 1024 * 1024  # of bodies, as a server for demonstrations may run for days
_RECORD_BYTES = 1024  # about what a record takes beside its body


@dataclass(slots=True)
class RecordedRequest:
    """One request. `outcome` is None while it is open; `fault` names what it ran into; times are monotonic seconds."""

    method: str
    path: str
    route: str
    headers: dict[str, str]
    body: Any
    started: float
    fault: str | None = None
    outcome: Outcome | None = None
    ended: float | None = None


class RequestLog:
    """Requests in the order in which they came, the oldest forgotten beyond 64 MB; counts are of all."""

    def __init__(self) -> None:
        self.requests: list[RecordedRequest] = []
        self.disconnects = 0
        self.open_requests = 0
        self._counts: Counter[str] = Counter()
        self._sizes: list[int] = []
        self._kept_bytes = 0
        self._idle = asyncio.Event()
        self._idle.set()

    def begin(
        self, method: str, path: str, route: str, headers: dict[str, str], body: Any, size: int
    ) -> RecordedRequest:
        """Record a request that has come."""
        record = RecordedRequest(method, path, route, headers, body, time.monotonic())
        self.requests.append(record)
        self._sizes.append(size + _RECORD_BYTES)
        self._kept_bytes += self._sizes[-1]
        self._forget_oldest()
        self._counts[route] += 1
        self.open_requests += 1
        self._idle.clear()
        return record

    def end(self, record: RecordedRequest, outcome: Outcome) -> None:
        """Record how it ended."""
        record.outcome = outcome
        record.ended = time.monotonic()
        self.disconnects += outcome == "client_left"
        self.open_requests -= 1
        if not self.open_requests:
            self._idle.set()

    def count(self, route: str | None = None) -> int:
        """How many requests came for a route, or at all."""
        return self._counts[route] if route else self._counts.total()

    async def wait_until_idle(self, timeout_s: float) -> None:
        """Return once no request is open. Raises TimeoutError."""
        async with asyncio.timeout(timeout_s):
            await self._idle.wait()

    def as_json(self) -> dict[str, Any]:
        """All of it."""
        return {
            "requests": [asdict(record) for record in self.requests],
            "counts": dict(self._counts),
            "disconnects": self.disconnects,
            "open_requests": self.open_requests,
        }

    def _forget_oldest(self) -> None:
        while self._kept_bytes > KEPT_BYTES:
            self._kept_bytes -= self._sizes.pop(0)
            del self.requests[0]
