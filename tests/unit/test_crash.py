"""Crash points: they kill at the named visit, and only there."""

import os
import signal
import subprocess
import sys

import pytest

SCRIPT = """
from ragstone.core.crash import crash_point
for visit in range(1, 5):
    crash_point("elsewhere")
    crash_point("work:done")
    print(visit, flush=True)
"""


def survived_visits(crash_at: str | None) -> tuple[int, int]:
    environment = {name: value for name, value in os.environ.items() if name != "CRASH_AT"}
    if crash_at is not None:
        environment["CRASH_AT"] = crash_at
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=environment, stdout=subprocess.PIPE, check=False
    )
    return len(ended.stdout.split()), ended.returncode


@pytest.mark.parametrize(
    ("crash_at", "survived"), [("work:done", 0), ("work:done:1", 0), ("work:done:3", 2), ("elsewhere:4", 3)]
)
def test_the_named_visit_kills(crash_at: str, survived: int) -> None:
    assert survived_visits(crash_at) == (survived, -signal.SIGKILL)


@pytest.mark.parametrize("crash_at", [None, "", "work", "work:done:5", "done"])
def test_nothing_else_does(crash_at: str | None) -> None:
    assert survived_visits(crash_at) == (4, 0)
