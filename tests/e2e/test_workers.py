"""Two workers on one data directory: what one says, the other knows."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from typer.testing import CliRunner

from ragstone.cli import commands
from ragstone.client import AsyncRagstone
from tests.apiclient import Api, Json
from tests.mcpclient import ERAS, call
from tests.workers import Workers, connected, engine_pids, has_both

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.asyncio(loop_scope="module"),
]

DOCUMENTS = 100
AT_ONCE = 10
VERSIONS = 6
PARAGRAPHS = 24


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Workers]:
    """Ended in order."""
    folder = tmp_path_factory.mktemp("workers")
    running = await asyncio.to_thread(Workers, folder / "data", folder=folder)
    await has_both(running.url)
    yield running
    assert await asyncio.to_thread(running.stop) == 0, "".join(running.lines[-50:])


@pytest_asyncio.fixture(loop_scope="module")
async def leader(server: Workers) -> AsyncIterator[Api]:
    async with connected(server.url, 1) as api:
        yield api


@pytest_asyncio.fixture(loop_scope="module")
async def assistant(server: Workers) -> AsyncIterator[Api]:
    async with connected(server.url, 2) as api:
        yield api


async def found_by(api: Api, query: str, collection: str) -> list[Json]:
    body = {"query": query, "collection": collection, "mode": "sparse", "top_k": 50}
    results: list[Json] = (await api.post("/search", body))["results"]
    return results


async def listed_by(api: Api, collection: str) -> set[str]:
    page = await api.get("/documents", collection=collection, limit=200)
    return {item["id"] for item in page["items"]}


class TestReadYourWrites:
    async def test_what_is_ready_on_one_worker_is_found_on_the_other(
        self, leader: Api, assistant: Api
    ) -> None:
        collection = await leader.new_collection()
        room = asyncio.Semaphore(AT_ONCE)

        async def live(number: int) -> bool:
            here, there = (leader, assistant) if number % 2 else (assistant, leader)
            async with room:
                upload = await here.upload_text(f"All about subject{number}.", collection=collection)
                assert (await here.settled(upload))["status"] == "ready"
                (hit,) = await found_by(there, f"subject{number}", collection)
            return bool(hit["document_id"] == upload["document"]["id"])

        found = await asyncio.gather(*(live(number) for number in range(DOCUMENTS)))

        consistency = await assistant.get("/admin/consistency")
        assert found == [True] * DOCUMENTS
        assert await listed_by(leader, collection) == await listed_by(assistant, collection)
        assert len(await listed_by(leader, collection)) == DOCUMENTS
        assert (await assistant.get(f"/collections/{collection}"))["documents"] == DOCUMENTS
        assert consistency["is_consistent"] is True
        assert consistency["points"] >= DOCUMENTS

    async def test_what_is_deleted_on_one_worker_is_gone_on_the_other(
        self, leader: Api, assistant: Api
    ) -> None:
        collection = await leader.new_collection()
        documents = [
            await leader.ready_text(f"A doomed text {number}.", collection=collection) for number in range(6)
        ]

        for number, document in enumerate(documents):
            here, there = (leader, assistant) if number % 2 else (assistant, leader)
            receipt = await here.delete(f"/documents/{document['id']}")
            hits = await found_by(there, "doomed", collection)

            assert receipt["verified_absent"] is True
            assert document["id"] not in {hit["document_id"] for hit in hits}
            assert document["id"] not in await listed_by(there, collection)
            await there.refused("GET", f"/documents/{document['id']}", 404)

    async def test_a_patch_on_one_worker_is_filtered_by_on_the_other(
        self, leader: Api, assistant: Api
    ) -> None:
        collection = await leader.new_collection()
        document = await leader.ready_text("A text to be patched.", collection=collection)

        reply = await assistant.call("PATCH", f"/documents/{document['id']}", json={"metadata": {"n": 1}})
        where = {"field": "metadata.n", "eq": 1}
        body = {"query": "patched", "collection": collection, "filter": where}
        found = (await leader.post("/search", body))["results"]

        assert reply.status_code == 200
        assert [hit["document_id"] for hit in found] == [document["id"]]

    async def test_a_retried_upload_is_one_document_whichever_workers_it_meets(
        self, leader: Api, assistant: Api
    ) -> None:
        clients = [AsyncRagstone(str(api.http.base_url), http=api.http) for api in (leader, assistant)]

        replies = await asyncio.gather(
            *(
                client.upload_text("Sent more than once.", idempotency_key="key-across-workers")
                for client in clients * 4
            )
        )

        assert len({reply.document.id for reply in replies}) == 1

    async def test_a_job_is_followed_on_one_worker_and_cancelled_on_the_other(
        self, leader: Api, assistant: Api
    ) -> None:
        collection = await leader.new_collection()
        text = "\n\n".join(f"Paragraph {number} of a long text." for number in range(4000))
        job = (await leader.upload_text(text, collection=collection))["job"]

        cancelled = await assistant.post(f"/jobs/{job['id']}/cancel", {})
        events = await assistant.call("GET", f"/jobs/{job['id']}/events")

        assert cancelled["state"] == "cancelled"
        assert "event: done" in events.text
        assert (await leader.get(f"/jobs/{job['id']}"))["state"] == "cancelled"


def version_text(version: int) -> str:
    """Of about a chunk a paragraph; each says of which version it is."""
    return "\n\n".join(
        f"Paragraph {number} of version{version} speaks of markers. " + "It goes on for a while. " * 20
        for number in range(PARAGRAPHS)
    )


async def test_an_update_under_load_is_never_seen_in_parts_on_any_worker(leader: Api, assistant: Api) -> None:
    collection = await leader.new_collection()
    await leader.ready_text(version_text(0), collection=collection, source="changing")
    is_done, looks = asyncio.Event(), 0

    async def ask(api: Api) -> None:
        nonlocal looks
        while not is_done.is_set():
            hits = await found_by(api, "markers", collection)
            assert hits, "never none"
            assert len({hit["version"] for hit in hits}) == 1, "never a mixture"
            looks += 1

    asking = [asyncio.create_task(ask(api)) for api in (leader, assistant)]
    for version in range(1, VERSIONS):
        here, there = (leader, assistant) if version % 2 else (assistant, leader)
        upload = await here.upload_text(version_text(version), collection=collection, source="changing")
        assert (await here.finished(upload["job"]["id"]))["state"] == "succeeded"
        hits = await found_by(there, f"version{version} markers", collection)
        assert {hit["version"] for hit in hits} == {version + 1}
    is_done.set()
    await asyncio.gather(*asking)

    assert looks > VERSIONS


class TestOneServer:
    async def test_one_engine_serves_all_workers(self, server: Workers) -> None:
        assert len(engine_pids(server.process.pid)) == 1

    async def test_each_worker_tells_its_own_health(self, leader: Api, assistant: Api) -> None:
        for api in (leader, assistant):
            health = await api.get("/health")
            assert health["status"] == "healthy"
            assert all(part["healthy"] for part in health["components"].values())
            await api.get("/health/ready")

    async def test_each_request_is_logged_once_with_the_worker_that_answered(
        self, server: Workers, assistant: Api
    ) -> None:
        for method, path, request_id in (
            ("GET", "/documents", "here"),
            ("POST", "/collections", "passed-on"),
        ):
            await assistant.call(method, path, json={"name": "logged"}, headers={"X-Request-ID": request_id})
        await asyncio.sleep(0.1)

        lines = [json.loads(line) for line in server.lines if line.startswith("{")]
        written = [line for line in lines if line.get("request_id") in ("here", "passed-on")]
        assert [(line["request_id"], line["worker"]) for line in written] == [("here", 2), ("passed-on", 1)]

    async def test_what_one_worker_refuses_the_others_refuse_alike(self, leader: Api, assistant: Api) -> None:
        bad: list[tuple[str, str, dict[str, Any]]] = [
            ("POST", "/documents", {"content": b"{", "headers": {"content-type": "application/json"}}),
            ("POST", "/documents", {"json": {"text": "x"}, "headers": {"host": "evil.example"}}),
            ("POST", "/documents", {"json": {"text": "x"}, "headers": {"origin": "https://evil.example"}}),
            ("DELETE", "/documents/unknown", {}),
            ("PUT", "/query", {}),
            ("POST", "/nowhere%2F%C3%BC?a=%20b", {}),
            ("POST", "/collections", {"content": b"x" * 2_000_000}),
        ]
        for method, path, request in bad:
            replies = [await api.call(method, path, **request) for api in (leader, assistant)]
            first, second = [(reply.status_code, reply.json()["error"]["code"]) for reply in replies]
            assert first == second

    async def test_the_commands_find_the_server(self, server: Workers, tmp_path: Path) -> None:
        (tmp_path / "owls.txt").write_text("Owls hunt at night.")
        told = ["--data-dir", str(server.data_dir)]
        runner = CliRunner()

        ingested = await asyncio.to_thread(runner.invoke, commands.app, ["ingest", str(tmp_path), *told])
        asked = await asyncio.to_thread(runner.invoke, commands.app, ["ask", "When do owls hunt?", *told])
        checked = await asyncio.to_thread(runner.invoke, commands.app, ["doctor", *told])

        assert (ingested.exit_code, asked.exit_code, checked.exit_code) == (0, 0, 0)
        assert "Owls hunt at night" in asked.output
        assert f"process {server.process.pid}" in checked.output.replace("\n", "")

    async def test_a_backup_is_whole_whichever_worker_is_asked(self, assistant: Api, tmp_path: Path) -> None:
        made = await assistant.post("/admin/backups", {"directory": str(tmp_path / "backup")}, 201)

        assert made["documents"] == (await assistant.get("/admin/consistency"))["documents"]
        assert made["missing_blobs"] == []


class TestMcp:
    """Whoever names what he calls is answered where he asks; a handshake's client, who may cancel it, by the leader."""

    async def counted(self, api: Api) -> float:
        series = 'ragstone_requests_total{method="POST",route="/mcp",status="200"'
        lines = (await api.http.get("/metrics")).text.splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith(series))

    @pytest.mark.parametrize(("era", "by"), [(ERAS[0], "assistant"), (ERAS[1], "leader")])
    async def test_a_tool_that_reads_gives_the_same_from_both(
        self, leader: Api, assistant: Api, era: str, by: str
    ) -> None:
        workers = {"leader": leader, "assistant": assistant}
        collection = await leader.new_collection()
        await leader.ready_text("All about penguins.", collection=collection)
        before = {name: await self.counted(api) for name, api in workers.items()}

        found = await call(assistant.http, "search", {"query": "penguins", "collection": collection}, era=era)

        assert [hit["text"] for hit in found["structuredContent"]["results"]] == ["All about penguins."]
        assert {name: await self.counted(api) - before[name] for name, api in workers.items()} == {
            **dict.fromkeys(workers, 0),
            by: 1,
        }
