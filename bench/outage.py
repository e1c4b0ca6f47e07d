"""A model that is down for a minute under a steady load: how often it is asked, and how soon all is normal again."""

import asyncio
import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.corpus import make_documents
from bench.figures import Figure
from bench.ingesting import ingest
from bench.load import Connection
from bench.server import free_port, running
from ragstone.testing.upstream import Fault, ScriptedUpstream

ASKED_LIMIT, NORMAL_LIMIT_S = 1.2, 10.0
DOWN = Fault("status", code=503, times=0)
NOTES = (
    "the model answers every request with 503 and then, from one moment to the next, as it should",
    "normal: from that moment until the first answer after which none is degraded",
)


@dataclass(frozen=True, slots=True)
class Plan:
    """A steady load; `down_s` with the model down, `up_s` after its recovery."""

    per_second: float = 20.0
    down_s: float = 15.0
    up_s: float = 12.0


FULL = Plan(down_s=60.0)


@dataclass(slots=True)
class Asked:
    """Answers by the second at which they were asked for, and whether each came from the model."""

    whole: list[tuple[float, bool]] = field(default_factory=list)
    errors: int = 0


async def measure(plan: Plan) -> list[Figure]:
    """One server, one scripted model, one outage."""
    async with ScriptedUpstream(first_token_s=0.0, tokens_per_s=1000.0) as upstream:
        port = free_port()
        with tempfile.TemporaryDirectory(prefix="ragstone-bench-") as folder:
            model = {"OPENAI_BASE_URL": upstream.base_url, "OPENAI_MODEL": "scripted"}
            settings = {"RAGSTONE_DATA_DIR": str(Path(folder)), "RAGSTONE_PORT": str(port), **model}
            async with running("ragstone.cli", "serve", port=port, environment=settings) as server:
                await server.wait_ready()
                documents = make_documents(12)
                await ingest(server, documents)
                questions = [question for document in documents for question in document.questions]
                return await _measure(port, upstream, await _answerable(port, questions), plan)


async def _answerable(port: int, questions: Sequence[str]) -> list[bytes]:
    """Requests for which the model is asked."""
    connection = Connection(port)
    found = []
    for question in questions:
        body = {"query": question, "provider": "extractive"}
        if not (await connection.call("POST", "/query", body))["abstained"]:
            found.append(connection.request("POST", "/query", {"query": question}))
    await connection.close()
    return found


async def _measure(
    port: int, upstream: ScriptedUpstream, requests: Sequence[bytes], plan: Plan
) -> list[Figure]:
    upstream.script(DOWN)
    down = await _ask(port, requests, plan.per_second, plan.down_s)
    upstream_requests = len([each for each in upstream.requests if each.route == "chat"])
    upstream.clear()
    up = await _ask(port, requests, plan.per_second, plan.up_s)
    degraded = [at_s for at_s, is_whole in up.whole if not is_whole]
    normal_s = max(degraded, default=0.0)
    ratio = upstream_requests / len(down.whole)
    return [
        Figure(
            f"requests to the model for {len(down.whole)} questions",
            upstream_requests,
            None,
            ratio,
            f"≤ {ASKED_LIMIT:g} ×",
            ratio <= ASKED_LIMIT,
        ),
        Figure("degraded answers", len(down.whole) - sum(is_whole for _, is_whole in down.whole)),
        Figure("errors", errors := down.errors + up.errors, target="0", is_met=errors == 0),
        Figure(
            "normal after, s", normal_s, target=f"≤ {NORMAL_LIMIT_S:g}", is_met=normal_s <= NORMAL_LIMIT_S
        ),
    ]


async def _ask(port: int, requests: Sequence[bytes], per_second: float, seconds: float) -> Asked:
    asked, started = Asked(), time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for number in range(round(per_second * seconds)):
            await asyncio.sleep(max(0.0, started + number / per_second - time.perf_counter()))
            tasks.create_task(_ask_once(port, requests[number % len(requests)], started, asked))
    return asked


async def _ask_once(port: int, request: bytes, started: float, asked: Asked) -> None:
    connection, at_s = Connection(port), time.perf_counter() - started
    status, content = await connection.exchange(request)
    await connection.close()
    if status != 200:
        asked.errors += 1
        return
    asked.whole.append((at_s, json.loads(content)["degraded"] == []))
