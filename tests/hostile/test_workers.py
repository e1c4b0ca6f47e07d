"""Several workers, and any one of their processes killed, or all told to end."""

import asyncio
import contextlib
import os
import signal
import time
from pathlib import Path

import httpx2
import pytest

from ragstone.storage.data_directory import owner_of
from ragstone.testing.upstream import ScriptedUpstream
from tests.apiclient import Api
from tests.e2e.test_leaving import AT_ONCE, POLICY, Streams
from tests.servers import spawn
from tests.waiting import until
from tests.workers import Workers, all_gone, command_line, connected, family, has_both

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

RECOVERS_WITHIN_S = 60.0
"""Two to three seconds on an idle machine: nearly all of it is Python's imports."""
DIES_WITHIN_S = 10.0
ENDS_WITHIN_S = 10.0
LONG_TEXT = "\n\n".join(f"Paragraph {number} of a long text about markers." for number in range(1200))


async def readiness(url: str) -> int:
    """Its status; 0 once nobody listens."""
    try:
        async with httpx2.AsyncClient(base_url=url, trust_env=False) as http:
            return (await http.get("/health/ready")).status_code
    except httpx2.TransportError:
        return 0


async def started(folder: Path, **environment: str) -> Workers:
    server = await asyncio.to_thread(Workers, folder / "data", folder=folder, **environment)
    await has_both(server.url)
    return server


async def stopped(server: Workers) -> int:
    return await asyncio.to_thread(server.stop)


async def works(url: str) -> bool:
    """Whether it takes a document and answers a search, on a connection of their own each."""
    with contextlib.suppress(httpx2.TransportError):
        async with httpx2.AsyncClient(base_url=url, timeout=20.0, trust_env=False) as http:
            upload = await http.post("/documents", json={"text": "It lives.", "source": "pulse"})
            search = await http.post("/search", json={"query": "lives"})
            return upload.status_code in (200, 202) and search.status_code == 200
    return False


@pytest.mark.parametrize("role", ["leader", "assistant", "engine"])
async def test_a_killed_process_is_replaced_and_nothing_is_lost(role: str, tmp_path: Path) -> None:
    server = await started(tmp_path)
    async with connected(server.url, 1) as leader:
        kept = await leader.ready_text("A text that is kept about markers.")
        doomed = await leader.ready_text("A text that is deleted about markers.")
        await leader.delete(f"/documents/{doomed['id']}")
        pending = await leader.upload_text(LONG_TEXT, source="pending")
        killed = server.pid_of(role)
        if role != "leader":
            server.kill(role)
    if role == "leader":
        server.kill(role)

    async def is_replaced() -> bool:
        return server.pid_of(role) not in (None, killed) and await works(server.url)

    await until(is_replaced, within_s=RECOVERS_WITHIN_S)
    await has_both(server.url)
    async with connected(server.url, 2) as assistant:
        assert (await assistant.settled(pending))["status"] == "ready"
        assert (await assistant.get(f"/documents/{kept['id']}"))["status"] == "ready"
        await assistant.refused("GET", f"/documents/{doomed['id']}", 404)
        assert (await assistant.get("/admin/consistency"))["is_consistent"] is True
        assert (await assistant.get("/health"))["status"] == "healthy"
    assert await stopped(server) == 0


async def test_without_its_leader_a_worker_reads_says_so_and_keeps_changes_waiting(tmp_path: Path) -> None:
    server = await started(tmp_path)
    async with connected(server.url, 2) as assistant:
        document = await assistant.ready_text("A text about markers.")
        leader = server.pid_of("leader")
        assert leader is not None
        os.kill(leader, signal.SIGSTOP)  # so that it is neither there nor replaced
        try:
            assert (await assistant.get(f"/documents/{document['id']}"))["status"] == "ready"
            change = asyncio.create_task(assistant.call("DELETE", f"/documents/{document['id']}"))
            await asyncio.sleep(0.5)
            assert not change.done()
            os.kill(leader, signal.SIGKILL)
            reply = await change
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(leader, signal.SIGKILL)
        health = await assistant.get("/health")
        told_until = time.monotonic() + 1.5  # what was found is told again for a second
        while health["status"] == "healthy" and time.monotonic() < told_until:
            health = await assistant.get("/health")

        assert (reply.status_code, reply.json()["error"]["code"]) == (503, "change_in_doubt")
        assert reply.headers["retry-after"] == "1"
        assert (health["status"], health["components"]["ingestion"]["healthy"]) in (
            ("unhealthy", False),  # the engine went with the leader
            ("degraded", False),
        )
    assert await stopped(server) == 0


async def test_all_die_with_the_supervisor_and_the_next_start_finds_everything(tmp_path: Path) -> None:
    server = await started(tmp_path)
    async with httpx2.AsyncClient(base_url=server.url, timeout=60.0, trust_env=False) as http:
        document = await Api(http).ready_text("A text about markers.")
    everyone = family(server.process.pid)

    server.process.kill()
    server.process.wait()
    again = await asyncio.to_thread(
        Workers, server.data_dir, folder=tmp_path, RAGSTONE_WORKERS="2"
    )  # at once: it waits for the others' end

    assert await all_gone(everyone, DIES_WITHIN_S), [command_line(pid) for pid in everyone]
    async with httpx2.AsyncClient(base_url=again.url, timeout=60.0, trust_env=False) as http:
        assert (await Api(http).get(f"/documents/{document['id']}"))["status"] == "ready"
    assert await stopped(again) == 0
    assert owner_of(server.data_dir) is None


class TestSigterm:
    async def test_open_streams_of_all_workers_are_finished_and_nothing_new_begins(
        self, tmp_path: Path
    ) -> None:
        async with ScriptedUpstream(tokens_per_s=12) as upstream:
            server = await started(tmp_path, OPENAI_BASE_URL=upstream.base_url, OPENAI_MODEL="scripted")
            everyone = family(server.process.pid)
            async with connected(server.url, 1) as leader:
                await leader.ready(POLICY.encode(), "policy.md")
                await leader.upload_text(LONG_TEXT, source="in work")
            streams = Streams(server.url)
            await streams.open(AT_ONCE)

            server.process.send_signal(signal.SIGTERM)
            await asyncio.sleep(0.05)
            seen = [await readiness(server.url) for _ in range(3)]

            assert {events[-1][0] for events in await streams.ends()} == {"done"}
            assert await asyncio.to_thread(server.wait) == 0
            assert set(seen) <= {503, 0}
            assert await all_gone(everyone, DIES_WITHIN_S)
            assert not [line for line in server.lines if "Traceback" in line or '"error"' in line]

    async def test_a_second_signal_does_not_wait_for_open_streams(self, tmp_path: Path) -> None:
        async with ScriptedUpstream(tokens_per_s=1) as upstream:
            server = await started(tmp_path, OPENAI_BASE_URL=upstream.base_url, OPENAI_MODEL="scripted")
            async with connected(server.url, 1) as leader:
                await leader.ready(POLICY.encode(), "policy.md")
            streams = Streams(server.url)
            await streams.open(AT_ONCE)

            began = time.monotonic()
            for _ in range(2):
                server.process.send_signal(signal.SIGTERM)
                await asyncio.sleep(0.3)

            assert await asyncio.to_thread(server.wait) == 0
            assert time.monotonic() - began < ENDS_WITHIN_S
            for reading in streams.reading:
                reading.cancel()
            await asyncio.wait(streams.reading)
            await streams.close()

    @pytest.mark.parametrize("after_s", [0.3, 2.0])
    async def test_in_start_up_once_or_twice(self, after_s: float, tmp_path: Path) -> None:
        process = spawn(tmp_path / "data", folder=tmp_path, RAGSTONE_WORKERS="2")
        await asyncio.sleep(after_s)
        everyone = family(process.pid)

        began = time.monotonic()
        for _ in range(2):
            process.send_signal(signal.SIGTERM)
            await asyncio.sleep(0.05)
        _, said = await asyncio.to_thread(process.communicate, timeout=40)

        assert process.returncode in (0, -signal.SIGTERM), said
        assert time.monotonic() - began < ENDS_WITHIN_S
        assert await all_gone(everyone, DIES_WITHIN_S)
