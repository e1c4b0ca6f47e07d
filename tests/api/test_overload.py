"""More questions than there is room for: at once a word on when to come back, and all is normal afterwards."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ragstone.api import main
from ragstone.config.settings import load_settings
from ragstone.services import query
from ragstone.testing.embedders import HashingEmbedder
from tests.apiclient import Json, check_reply
from tests.conftest import NEVER, CountingEmbedder
from tests.live import Live, live_server
from tests.waiting import until

AT_WORK, IN_LINE = 2, 3
REFUSED_WITHIN_S = 0.1


@pytest.fixture
async def live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Live]:
    """A server with little room, whose embedder never ends with some questions."""
    monkeypatch.setattr(query, "MAX_ACTIVE_HERE", AT_WORK)
    monkeypatch.setattr(query, "MAX_IN_LINE", IN_LINE)
    embedder = CountingEmbedder(HashingEmbedder(dimension=64))
    async with live_server(load_settings(data_dir=tmp_path / "data"), embedder) as opened:
        yield opened


async def fill(live: Live) -> list[asyncio.Task[Json]]:
    """Take all the room there is."""
    asking = [
        asyncio.create_task(live.api.post("/search", {"query": f"{NEVER} {number}"}))
        for number in range(AT_WORK + IN_LINE)
    ]
    await until(lambda: _is_full(live))
    return asking


async def _is_full(live: Live) -> bool:
    return live.container.query.refusal is not None


async def _has_room(live: Live) -> bool:
    return not await _is_full(live)


async def leave(asking: list[asyncio.Task[Json]]) -> None:
    for task in asking:
        task.cancel()
    await asyncio.gather(*asking, return_exceptions=True)


@pytest.mark.parametrize("path", ["/search", "/query"])
async def test_a_question_beyond_the_line_is_refused_at_once(live: Live, path: str) -> None:
    asking = await fill(live)
    took_s: list[float] = []

    for _ in range(20):
        started = time.perf_counter()
        reply = await live.http.post(path, json={"query": "Anything?"})
        took_s.append(time.perf_counter() - started)
        check_reply(reply)
        assert (reply.status_code, reply.json()["error"]["code"]) == (503, "unavailable")

    assert sorted(took_s)[len(took_s) // 2] < REFUSED_WITHIN_S
    await leave(asking)


async def test_all_else_is_answered_meanwhile(live: Live) -> None:
    asking = await fill(live)

    assert (await live.api.get("/health/ready"))["status"] == "ready"
    assert (await live.api.upload_text("A text."))["document"]["id"]

    await leave(asking)


async def test_room_is_given_back_when_the_others_leave(live: Live) -> None:
    await leave(await fill(live))

    await until(lambda: _has_room(live))
    assert await live.api.search("Anything?") == []


async def test_requests_in_all_are_bounded_but_for_probes(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(main, "MAX_REQUESTS", 0)

    refused = await live.api.refused("GET", "/documents", 503)

    assert refused["retryable"]
    for path in ("/health", "/health/live", "/health/ready"):
        await live.api.get(path)
    counted = (await live.http.get("/metrics")).text
    assert 'ragstone_requests_total{method="GET",route="/documents",status="503"} 1.0' in counted
