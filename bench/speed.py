"""`make bench`: latency, throughput, ingest, memory and start-up of Ragstone, as ratios to the floor in the same run.

The floor is bench/bare.py. Rounds of both alternate and medians are reported, so that a busy machine hits both.
"""

import argparse
import os
from collections.abc import Collection
from pathlib import Path

from bench import (
    bombs,
    client,
    dialect,
    figures,
    liveness,
    mcp,
    middleware,
    outage,
    overload,
    parsing,
    ranking,
    serving,
    sizes,
    starting,
    streams,
)
from bench.load import run_on_uvloop
from bench.report import Report
from bench.stream_cost import measure_cost
from bench.stream_growth import measure_growth
from bench.stream_servers import serving as serving_streams

EXPERIMENTS = (
    "start",
    "parsing",
    "bombs",
    "middleware",
    "ranking",
    "ingest",
    "load",
    "busy",
    "sizes",
    "streams",
    "liveness",
    "overload",
    "outage",
    "interfaces",
)
FULL = serving.Plan(rounds=9, seconds=3.0, busy_documents=400, busy_seconds=15.0)
SKIN_CALLS = 300  # of each way
LIVENESS_DOCUMENTS = 20  # enough for its questions
FULL_STREAMS = streams.Plan(rounds=12, waves=8, answers=5_000)
NOTES = (
    "ratio: Ragstone over bare, the median of the rounds' ratios; p99 over all rounds; × n: n callers at once",
    "/query: Ragstone answers extractively, with citations and their check; bare asks the scripted model over HTTP",
    "CPU and PSS: all processes of the server; bare is one process and keeps nothing on disk",
    "documents and questions are made up (bench/corpus.py), about ten chunks a document",
)
PARSING_NOTES = (
    "ratio: Ragstone over the library that opens the format and takes its text, the median of the rounds' ratios",
    "bare makes neither blocks nor headings, order, places or limits; MB are those of the text that comes out",
)
STREAM_NOTES = (
    "ratio: Ragstone over bare, the median of the rounds' ratios; p95 over all rounds; × n: n streams begun at once",
    "both ask one scripted model: first token after 0.2 s, 40 tokens a second, 80 tokens, a citation each 23 tokens",
    "CPU: all processes of the server; Ragstone weighs each citation, which takes an embedding where it is not verbatim",
)


async def run(report: Report, *, only: Collection[str], is_full: bool) -> None:
    """Each experiment's table as soon as it is known."""
    plan = FULL if is_full else serving.Plan()
    if "start" in only:
        report.add(figures.table("Start", await starting.measure()))
    if "parsing" in only:
        report.add(figures.table("Reading documents", await parsing.measure(), PARSING_NOTES))
    if "bombs" in only:
        report.add(figures.table("Documents that grow without end", await bombs.measure()))
    if "middleware" in only:
        report.add(figures.table("Cost of the middleware", await middleware.measure()))
    if "ranking" in only:
        report.add(figures.table("Second stage of the ranking", await ranking.measure()))
    if {"ingest", "load", "busy"}.intersection(only):
        await _serve(report, plan, only)
    if "sizes" in only:
        report.add(figures.table("Size", await sizes.measure()))
    if "streams" in only:
        await _stream(report, FULL_STREAMS if is_full else streams.Plan())
    if "liveness" in only:
        async with serving_streams(LIVENESS_DOCUMENTS) as servers:
            report.add(figures.table("A 50 MB PDF and 100 streams at once", await liveness.measure(servers)))
    if "overload" in only:
        plan_of_crowd = overload.FULL if is_full else overload.Plan()
        report.add(figures.table("Overload", await overload.measure(plan_of_crowd), overload.NOTES))
    if "outage" in only:
        plan_of_outage = outage.FULL if is_full else outage.Plan()
        report.add(figures.table("A model that is down", await outage.measure(plan_of_outage), outage.NOTES))
    if "interfaces" in only:
        for skin in (client, dialect, mcp):
            report.add(await skin.measure(SKIN_CALLS))


async def _serve(report: Report, plan: serving.Plan, only: Collection[str]) -> None:
    ingested: list[figures.Figure] = []
    async with serving.both(plan, ingested) as servers:
        report.add(figures.table("Memory and ingest", ingested, NOTES))
        if "load" in only:
            report.add(figures.table("Load", await serving.measure_load(servers, plan), NOTES))
        if "busy" in only:
            report.add(figures.table("Queries during an ingest", await serving.measure_busy(servers, plan)))


async def _stream(report: Report, plan: streams.Plan) -> None:
    report.add(figures.table("Cost of a streamed token", await measure_cost()))
    async with serving_streams(plan.documents) as servers:
        first, alone_ms = await streams.measure_first_token(servers, plan)
        report.add(figures.table("First token", first, STREAM_NOTES))
        crowds = await streams.measure_crowds(servers, plan, alone_ms)
        report.add(figures.table("Many streams", crowds, STREAM_NOTES))
        growth = await measure_growth(servers, plan.answers)
        report.add(figures.table("Memory over streamed answers", growth))


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(prog="python -m bench.speed", description=__doc__)
    parser.add_argument("--only", default=",".join(EXPERIMENTS), help=f"some of {','.join(EXPERIMENTS)}")
    parser.add_argument("--full", action="store_true", help="longer and more rounds; takes half an hour")
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
