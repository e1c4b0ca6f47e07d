"""How far an upload and the work behind it are, and when to stop waiting for it."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from ragstone.api.schemas.documents import JobReply
from ragstone.client.contents import OnSent
from ragstone.client.errors import JobFailed, StillWorking

FIRST_LOOK_S, SLOWEST_LOOK_S = 0.05, 1.0

Stage: TypeAlias = Literal["send", "queued", "parse", "chunk", "embed", "index", "done"]


@dataclass(frozen=True, slots=True)
class Progress:
    """`done` of `total` units of a stage; `total` is 0 while unknown. `job` is None as long as bytes are sent."""

    stage: Stage
    done: int
    total: int
    unit: str
    job: JobReply | None = None


OnProgress: TypeAlias = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class Follow:
    """Whom to tell, and for how long to wait; None: as long as it takes."""

    on_progress: OnProgress | None = None
    timeout_s: float | None = None

    @property
    def on_sent(self) -> OnSent | None:
        """Tells of bytes that were sent."""
        report = self.on_progress
        if report is None:
            return None
        return lambda sent, total: report(Progress("send", sent, total or 0, "bytes"))


@dataclass(slots=True)
class Watch:
    """Looks at a job again and again, less often the longer it takes."""

    follow: Follow
    _started: float = field(default_factory=time.monotonic)
    _pause_s: float = FIRST_LOOK_S
    _told: Progress | None = None

    def look(self, job: JobReply) -> JobReply | None:
        """The job once it has succeeded. Raises JobFailed, and StillWorking when time is up."""
        self._tell(job)
        if job.state == "succeeded":
            return job
        if job.state in ("failed", "cancelled"):
            raise JobFailed(job)
        timeout_s = self.follow.timeout_s
        if timeout_s is not None and time.monotonic() - self._started >= timeout_s:
            raise StillWorking(job, timeout_s)
        return None

    def pause_s(self) -> float:
        """Until the next look."""
        pause_s = self._pause_s
        self._pause_s = min(1.5 * pause_s, SLOWEST_LOOK_S)
        if self.follow.timeout_s is None:
            return pause_s
        left_s = self.follow.timeout_s - (time.monotonic() - self._started)
        return min(pause_s, max(left_s, 0.0))

    def _tell(self, job: JobReply) -> None:
        now = _progress(job)
        if self.follow.on_progress is not None and now != self._told:
            self._told = now
            self.follow.on_progress(now)


def _progress(job: JobReply) -> Progress:
    stage: Stage = job.stage or "queued"
    if job.state == "succeeded":
        stage = "done"
    return Progress(stage, job.progress.done, job.progress.total, job.progress.unit, job)
