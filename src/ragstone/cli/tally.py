"""What became of the files of one ingest."""

import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    """How a file came to be searchable."""

    NEW = "new"
    CHANGED = "changed"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class FileFailure:
    """Why a file is not searchable as it is now. `page` where the fault lies, if known."""

    source: str
    code: str
    message: str
    page: int | None = None


@dataclass(slots=True)
class Tally:
    """Counts as they grow. `stopped` says why the end was not reached."""

    total: int = 0
    searchable: Counter[Kind] = field(default_factory=Counter)
    failures: list[FileFailure] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    bytes_sent: int = 0
    waiting_for: str = ""
    stopped: str | None = None
    started_at: float = field(default_factory=time.monotonic)

    @property
    def done(self) -> int:
        """Files whose outcome is known."""
        return self.searchable.total() + len(self.failures)

    @property
    def seconds(self) -> float:
        """Since the start."""
        return time.monotonic() - self.started_at

    @property
    def is_success(self) -> bool:
        """Whether every file is searchable as it is."""
        return self.searchable.total() == self.total

    def count_sent(self, size_bytes: int) -> None:
        """Bytes that were read to be sent."""
        self.bytes_sent += size_bytes

    def wait_for(self, reason: str) -> None:
        """What the command is waiting for, nothing if empty."""
        self.waiting_for = reason

    def as_json(self) -> dict[str, Any]:
        """The whole outcome."""
        return {
            "files": self.total,
            "searchable": self.searchable.total(),
            **{kind.value: self.searchable[kind] for kind in Kind},
            "failed": len(self.failures),
            "failures": [asdict(failure) for failure in self.failures],
            "left_out": dict(self.left_out),
            "bytes_sent": self.bytes_sent,
            "seconds": round(self.seconds, 3),
            "stopped": self.stopped,
        }
