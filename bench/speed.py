"""`make bench`: latency, throughput, ingest, memory and start-up of Ragstone, as ratios to the floor in the same run.

The floor is bench/bare.py. Rounds of both alternate and medians are reported, so that a busy machine hits both.
"""

import argparse
import os
from collections.abc import Collection
from pathlib import Path

from bench import figures, serving, sizes, starting
from bench.load import run_on_uvloop
from bench.report import Report

EXPERIMENTS = ("start", "ingest", "load", "busy", "sizes")
FULL = serving.Plan(rounds=9, seconds=3.0, busy_documents=400, busy_seconds=15.0)
NOTES = (
    "ratio: Ragstone over bare, the median of the rounds' ratios; p99 over all rounds; × n: n callers at once",
    "/query: Ragstone answers extractively, with citations and their check; bare asks the scripted model over HTTP",
    "CPU and PSS: all processes of the server; bare is one process and keeps nothing on disk",
    "documents and questions are made up (bench/corpus.py), about ten chunks a document",
)


async def run(report: Report, *, only: Collection[str], is_full: bool) -> None:
    """Each experiment's table as soon as it is known."""
    plan = FULL if is_full else serving.Plan()
    if "start" in only:
        report.add(figures.table("Start", await starting.measure()))
    if {"ingest", "load", "busy"}.intersection(only):
        await _serve(report, plan, only)
    if "sizes" in only:
        report.add(figures.table("Size", await sizes.measure()))


async def _serve(report: Report, plan: serving.Plan, only: Collection[str]) -> None:
    ingested: list[figures.Figure] = []
    async with serving.both(plan, ingested) as servers:
        report.add(figures.table("Memory and ingest", ingested, NOTES))
        if "load" in only:
            report.add(figures.table("Load", await serving.measure_load(servers, plan), NOTES))
        if "busy" in only:
            report.add(figures.table("Queries during an ingest", await serving.measure_busy(servers, plan)))


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(prog="python -m bench.speed", description=__doc__)
    parser.add_argument("--only", default=",".join(EXPERIMENTS), help=f"some of {','.join(EXPERIMENTS)}")
    parser.add_argument(
        "--full", action="store_true", help="longer and more rounds; takes a quarter of an hour"
    )
    parser.add_argument("--json", type=Path, default=None, help="write the tables here too")
    arguments = parser.parse_args()
    only = arguments.only.split(",")
    if strangers := sorted(set(only) - set(EXPERIMENTS)):
        parser.error(f"unknown experiments: {', '.join(strangers)}")
    print(f"{os.cpu_count()} cores, load average before the run {os.getloadavg()[0]:.1f}\n")
    report = Report()
    run_on_uvloop(run(report, only=only, is_full=arguments.full))
    report.save(arguments.json)


if __name__ == "__main__":
    main()
