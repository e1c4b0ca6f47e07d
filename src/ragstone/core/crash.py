"""Named places at which the process kills itself, so that tests can prove what survives. Off unless `CRASH_AT` is set.

`CRASH_AT=name` dies at the first visit of `crash_point("name")`, `CRASH_AT=name:3` at the third. The variable is read
once, at import; a point that is not armed costs two comparisons.
"""

import os
import signal


class _Armed:
    """The one point that `CRASH_AT` names, and how many visits it still survives."""

    def __init__(self, wanted: str) -> None:
        name, separator, visit = wanted.rpartition(":")
        counted = bool(separator) and visit.isdecimal()
        self.name = name if counted else wanted
        self.visits_left = int(visit) if counted else 1


_armed = _Armed(os.environ["CRASH_AT"]) if os.environ.get("CRASH_AT") else None


def crash_point(name: str) -> None:
    """Kill the own process with SIGKILL if this is the armed point and the armed visit; else do nothing."""
    if _armed is None or name != _armed.name:
        return
    _armed.visits_left -= 1
    if _armed.visits_left <= 0:
        os.kill(os.getpid(), signal.SIGKILL)
