"""What can go wrong with an upstream, by name, and the queue that says whom it befalls."""

import math
import re
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any

MID_TOKENS = 3  # sent before a `…_mid` fault unless it says otherwise

CHAT_KINDS = (
    *("status", "hang_headers", "html200", "json200"),
    *("hang_mid", "drop_mid", "cut_mid", "reset_mid"),
    *("malformed", "error_event", "no_done", "empty_choices", "content_filter", "length"),
    *("slow", "repeat", "huge", "huge_token"),
)
EMBEDDINGS_KINDS = (
    *("status", "hang_headers", "html200", "huge"),
    *("wrong_dim", "nan", "zero", "short", "shuffled"),
)
RERANK_KINDS = ("status", "hang_headers", "html200", "malformed", "huge", "nan", "short", "shuffled")
KINDS = {"chat": CHAT_KINDS, "embeddings": EMBEDDINGS_KINDS, "rerank": RERANK_KINDS}

_ENDINGS = ("no_done", "length")  # they follow the whole answer unless `after` cuts it
_NEXT_KEY = re.compile(r",(?=\s*[a-z_]+=)")  # so that a value may be an HTTP date, which holds a comma


@dataclass(frozen=True, slots=True)
class Fault:
    """A failure that requests run into.

    `after` is how many tokens are sent first: by default 3 for the `…_mid` kinds, all for `no_done` and `length`, else
    0 (after the headers, before any token). It means nothing to kinds that replace the whole response, and for a reply
    that is not streamed only whether half of its body is sent first. `route` is "chat", "embeddings", "rerank" or None
    for all that know the kind. `times` is how many requests it befalls; 0 = all, until a fault for the same route is scripted.

    `code`, `retry_after` and `retry_after_ms` belong to `status` and are sent literally. `text` is a canary in what
    `status`, `error_event` and `html200` say, `utf8` for a `malformed` line that cannot be decoded, and the tokens per
    second of `slow`.
    """

    kind: str
    after: int | None = None
    route: str | None = None
    times: int = 1
    code: int = 503
    retry_after: str | float | None = None
    retry_after_ms: str | float | None = None
    text: str | None = None

    def __post_init__(self) -> None:
        if self.route not in (None, *KINDS):
            raise ValueError(f"unknown route '{self.route}' of a fault; known: {', '.join(KINDS)}")
        known = KINDS[self.route] if self.route else sorted(set().union(*KINDS.values()))
        if self.kind not in known:
            raise ValueError(f"unknown fault '{self.kind}'; known: {', '.join(known)}")
        self._check_values()

    @classmethod
    def parse(cls, spec: str) -> "Fault":
        """From the form of a command line or URL, as in `status:code=429,retry_after=1,times=2`. Raises ValueError."""
        kind, _, rest = spec.partition(":")
        values: dict[str, Any] = {}
        for pair in _NEXT_KEY.split(rest) if rest else ():
            key, has_value, value = pair.partition("=")
            key = key.strip()
            if not has_value or key not in _VALUES:
                raise ValueError(f"unknown '{pair}' in fault '{spec}'; known: {', '.join(_VALUES)}")
            values[key] = _number(key, value) if key in ("after", "times", "code") else value
        return cls(kind.strip(), **values)

    @property
    def routes(self) -> frozenset[str]:
        """The routes whose requests it can befall."""
        return frozenset(
            route for route, kinds in KINDS.items() if self.kind in kinds and self.route in (None, route)
        )

    def tokens_before(self, total: int) -> int:
        """How many of `total` tokens are sent before it happens."""
        if self.after is not None:
            return min(self.after, total)
        if self.kind in _ENDINGS:
            return total
        return min(MID_TOKENS, total) if self.kind.endswith("_mid") else 0

    @property
    def tokens_per_s(self) -> float:
        """The pace of `slow`."""
        return float(self.text) if self.text else 1.0

    def _check_values(self) -> None:
        if self.times < 0 or (self.after is not None and self.after < 0):
            raise ValueError("'times' and 'after' of a fault are not negative")
        if not 400 <= self.code <= 599:
            raise ValueError(f"'code' of a fault is 400 to 599, not {self.code}")
        if any(not str(value).isprintable() for value in (self.retry_after, self.retry_after_ms)):
            raise ValueError("a Retry-After of a fault is printable")
        if self.kind == "slow" and not _is_positive(self.text or "1"):
            raise ValueError(f"'text' of slow is its tokens per second, not '{self.text}'")


_VALUES = tuple(each.name for each in fields(Fault) if each.name != "kind")


def _is_positive(text: str) -> bool:
    try:
        return 0 < float(text) < math.inf
    except ValueError:
        return False


def _number(key: str, value: str) -> int:
    try:
        return int(value)
    except ValueError:
        raise ValueError(f"'{key}' of a fault is a whole number, not '{value}'") from None


class FaultQueue:
    """Faults in the order in which requests run into them."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[Fault, int]] = deque()

    def add(self, faults: Iterable[Fault]) -> None:
        """Queue them; those that would stay for ever make room where the new ones share a route with them."""
        added = [(fault, fault.times) for fault in faults]
        taken = frozenset[str]().union(*(fault.routes for fault, _ in added))
        kept = [entry for entry in self._waiting if entry[0].times or not entry[0].routes & taken]
        self._waiting = deque([*kept, *added])

    def clear(self) -> None:
        """Forget all."""
        self._waiting.clear()

    def take(self, route: str) -> Fault | None:
        """The first fault for the route; None if all is well."""
        for position, (fault, left) in enumerate(self._waiting):
            if route not in fault.routes:
                continue
            if left == 1:
                del self._waiting[position]
            elif left:
                self._waiting[position] = (fault, left - 1)
            return fault
        return None
