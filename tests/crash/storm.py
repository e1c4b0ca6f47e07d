"""Random kills under mixed load: `python -m tests.crash.storm --rounds 50`, of several workers with `--workers 2`.
Exit 1 at the first broken promise.

A start that takes too long is counted and told at the end, for a busy machine makes starts slow as well.
"""

import argparse
import random
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tests.crash.at_rest import REAL_DIMENSION, consistency_violations
from tests.crash.harness import CrashServer, Gone, settle
from tests.crash.oracle import Oracle

SOURCES = [*(f"doc-{number}" for number in range(8)), "zip-0", "zip-1", "zip-2"]
OPERATIONS = {
    "upload": 6,
    "put": 3,
    "patch": 3,
    "restore": 2,
    "cancel": 2,
    "retry": 2,
    "reindex": 1,
    "delete": 2,
    "delete_by_filter": 1,
}
KINDS = ("api", "engine", "group")
KINDS_OF_WORKERS = ("leader", "assistant")
READY_S = 10.0


def main() -> None:
    """Run the rounds and print one line each."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=50)
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--workers", type=int, default=1)
    options = arguments.parse_args()
    kinds = KINDS if options.workers == 1 else (*KINDS, *KINDS_OF_WORKERS)
    chance = random.Random(options.seed)
    oracle, starts_s = Oracle(chance), list[float]()
    with tempfile.TemporaryDirectory(prefix="ragstone-storm-") as folder:
        data_dir = Path(folder) / "data"
        for number in range(1, options.rounds + 1):
            kind = chance.choice(kinds)
            run_round(data_dir, oracle, chance, kind, options.workers)
            starts_s.append(check_round(data_dir, oracle, number, kind, options.workers))
    print(", ".join(f"{name} {times}" for name, times in sorted(oracle.done.items())))
    slow = sum(start_s > READY_S for start_s in starts_s)
    print(
        f"{options.rounds} kills, 0 lost, 0 torn, 0 ghosts; slowest start {max(starts_s):.1f} s, {slow} over {READY_S:.0f} s"
    )
    sys.exit(bool(slow))


def run_round(data_dir: Path, oracle: Oracle, chance: random.Random, kind: str, workers: int) -> None:
    """Load until the kill, which comes at a random moment."""
    server = CrashServer(data_dir, real=True, workers=workers)
    kills: dict[str, Callable[[], object]] = {
        "api": server.kill,
        "engine": server.kill_engine,
        "group": server.kill_group,
        "leader": partial(server.kill_worker, 1),
        "assistant": partial(server.kill_worker, 2),
    }
    timer = threading.Timer(chance.uniform(0.05, 2.5), kills[kind])
    timer.start()
    until = time.monotonic() + 3.0
    try:
        while time.monotonic() < until and server.is_alive():
            (operation,) = chance.choices(list(OPERATIONS), list(OPERATIONS.values()))
            getattr(oracle, operation)(server, chance.choice(SOURCES))
            time.sleep(chance.uniform(0.0, 0.05))
    except Gone:
        pass
    timer.join()
    if server.is_alive():
        server.kill_group()


def check_round(data_dir: Path, oracle: Oracle, number: int, kind: str, workers: int) -> float:
    """Restart, settle, ask the oracle; returns the seconds to readiness."""
    started = time.monotonic()
    server = CrashServer(data_dir, real=True, workers=workers)
    ready_s = time.monotonic() - started
    oracle.resend(server)
    problems = settle(server) + oracle.violations(server)
    if not problems:
        oracle.learn(server)
    code = server.stop()
    problems += [] if code == 0 else [f"exit {code} after SIGTERM"]
    problems += consistency_violations(data_dir, dimension=REAL_DIMENSION)
    print(f"round {number:3d} {kind:6s} ready {ready_s:.2f} s {problems or 'ok'}", flush=True)
    if problems:
        sys.exit(1)
    return ready_s


if __name__ == "__main__":
    main()
