"""A real server with the packaged encoder: its life, its log, and how it bears hostile requests."""

import asyncio
import gzip
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import httpx2
import pytest
from typer.testing import CliRunner

from ragstone.cli import commands
from ragstone.client import AsyncRagstone, Ragstone
from tests.apiclient import Api
from tests.e2e.sockets import RawReply, chunked, exchange, feel_pulse
from tests.servers import Server, clean_environment

MIB = 1024 * 1024
STALL_S = 0.5
"""The promise is 100 ms; wall time on a shared machine is noisy, so a stall is what is looked for."""


@pytest.fixture
async def live(server: Server) -> AsyncIterator[Api]:
    """A client of the real server."""
    async with httpx2.AsyncClient(base_url=server.url, timeout=60.0, trust_env=False) as http:
        yield Api(http, poll_s=0.05)


@pytest.fixture
async def client(server: Server) -> AsyncIterator[AsyncRagstone]:
    """The client that users have."""
    async with AsyncRagstone(server.url) as opened:
        yield opened


class TestAnswers:
    async def test_an_uploaded_page_answers_a_question_in_its_own_words(
        self, client: AsyncRagstone, live: Api
    ) -> None:
        collection = await live.new_collection()
        page = (
            "# Refunds\n\nRefunds are paid within 14 days after the return arrives 🙂.\n\n"
            "# Shipping\n\nParcels leave our warehouse in Hamburg every morning.\n"
        )
        uploaded = await client.upload(page.encode(), filename="policy.md", collection=collection, wait=True)

        answer = await client.query("How long do refunds take?", collection=collection)
        text = await client.documents.text(uploaded.document.id)

        assert "14 days" in answer.answer
        assert answer.grounded == "full"
        for citation in answer.citations:
            assert citation.source.quote == text[citation.source.start : citation.source.end]

    async def test_a_question_about_something_else_is_not_answered(
        self, client: AsyncRagstone, live: Api
    ) -> None:
        collection = await live.new_collection()
        text = "Parcels leave our warehouse in Hamburg every morning."
        await client.upload_text(text, collection=collection, wait=True)

        answer = await client.query("Who painted the ceiling of the Sistine Chapel?", collection=collection)

        assert (answer.abstained, answer.citations) == (True, [])


class TestLog:
    async def test_every_line_is_json_and_each_request_one_line_with_its_id(
        self, live: Api, server: Server
    ) -> None:
        collection = await live.new_collection()
        canary = "canary-in-a-question-8841"
        await live.ready_text(f"All about {canary}.", collection=collection, title=canary)
        response = await live.call(
            "POST",
            "/query",
            json={"query": canary, "collection": collection},
            headers={"X-Request-ID": "e2e-1"},
        )
        await live.call("GET", f"/documents/{canary}?filter={canary}")

        lines = [json.loads(line) for line in server.lines if not line.startswith("Ragstone listens")]
        (line,) = [line for line in lines if line.get("request_id") == "e2e-1"]
        assert (line["route"], line["status"]) == ("/query", 200)
        metadata = response.json()["metadata"]
        stages = {name for name in line if name.endswith("_ms") and name != "total_ms"}
        assert all(line[name] == metadata[name] for name in stages)
        assert not [line for line in server.lines if canary in line]


class TestOwnership:
    def run(self, server: Server, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "ragstone.cli", *arguments, "--data-dir", str(server.data_dir)],
            cwd=server.data_dir.parent,
            env=clean_environment(COLUMNS="200"),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def test_a_second_server_is_refused_with_a_sentence_that_names_the_first(self, server: Server) -> None:
        done = self.run(server, "serve", "--port", "0")

        assert done.returncode == 1
        assert (
            f"is in use by 'ragstone serve' (process {server.process.pid}, serving {server.url})"
            in done.stderr
        )
        assert done.stderr.count("\n") == 1

    def test_the_command_line_talks_to_the_server(
        self, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "zebras.txt").write_text("Zebras run across the savanna at dawn.")
        monkeypatch.chdir(server.data_dir.parent)
        where = ["--data-dir", str(server.data_dir)]

        ingested = CliRunner().invoke(commands.app, ["ingest", str(tmp_path), *where])
        found = CliRunner().invoke(commands.app, ["search", "zebras at dawn", "--json", *where])

        assert "1 of 1 files are searchable" in ingested.output
        assert json.loads(found.output)["results"][0]["text"] == "Zebras run across the savanna at dawn."

    def test_the_doctor_asks_the_server(self, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("COLUMNS", "200")

        result = CliRunner().invoke(commands.app, ["doctor", "--data-dir", str(server.data_dir)])

        assert result.exit_code == 0
        assert "vector_store" in result.output
        assert "all agree" in result.output
        assert server.url in result.output

    def test_the_doctor_repairs_through_the_server(
        self, server: Server, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("COLUMNS", "200")
        orphan = server.data_dir / "blobs" / "ab" / ("c" * 62)
        orphan.parent.mkdir(exist_ok=True)
        orphan.write_text("left behind")
        os.utime(orphan, (0, 0))
        where = ["--data-dir", str(server.data_dir)]

        before = CliRunner().invoke(commands.app, ["doctor", *where])
        after = CliRunner().invoke(commands.app, ["doctor", "--repair", *where])

        assert (before.exit_code, after.exit_code) == (1, 0)
        assert "ragstone doctor --repair" in before.output
        assert "1 files deleted" in after.output
        assert not orphan.exists()


def request_head(path: str, *headers: str) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", *headers]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


class TestHosts:
    @pytest.mark.parametrize(
        "hosts", [[], ["localhost", "localhost"], ["evil.example"], ["localhost:80@evil.example"]]
    )
    async def test_a_request_without_one_good_host_is_refused(self, server: Server, hosts: list[str]) -> None:
        lines = ["GET /health HTTP/1.1", *(f"Host: {host}" for host in hosts), "", ""]

        reply = await exchange(server.port, ["\r\n".join(lines).encode()])

        assert reply.status in (400, 403)

    async def test_an_absolute_target_does_not_hide_the_host(self, server: Server) -> None:
        raw = b"GET http://localhost/health HTTP/1.1\r\nHost: evil.example\r\n\r\n"

        assert (await exchange(server.port, [raw])).status in (400, 403)


async def bear(server: Server, pieces: Iterable[bytes], *, growth_mib: float) -> RawReply:
    """Send it; the server must stay responsive and small."""
    server.reset_peak()
    before = server.rss_mib()
    async with feel_pulse(server.url) as pulse:
        reply = await exchange(server.port, pieces)
    assert pulse.worst_s < STALL_S
    assert server.peak_mib() - before < growth_mib
    return reply


JSON_TYPE = "Content-Type: application/json"
FORM_TYPE = "Content-Type: multipart/form-data; boundary=x"


class TestBodies:
    async def test_a_20_mib_question_is_413_by_its_length(self, server: Server) -> None:
        head = request_head("/query", JSON_TYPE, f"Content-Length: {20 * MIB}")

        reply = await bear(server, [head, *[b"x" * 65_536] * 320], growth_mib=2)

        assert reply.status == 413

    async def test_a_20_mib_question_without_a_length_is_413_at_the_limit(self, server: Server) -> None:
        body = [b'{"query": "', *[b"x" * 65_536] * 320, b'"}']

        reply = await bear(
            server,
            [request_head("/query", JSON_TYPE, "Transfer-Encoding: chunked"), *chunked(body)],
            growth_mib=4,
        )

        assert (reply.status, reply.json["error"]["code"]) == (413, "payload_too_large")

    async def test_an_endless_upload_is_413_at_the_limit(self, server: Server) -> None:
        start = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\n'
        head = request_head("/documents", FORM_TYPE, "Transfer-Encoding: chunked")

        reply = await bear(server, [head, *chunked([start, *[b"x" * MIB] * 120])], growth_mib=30)

        assert reply.status == 413

    async def test_a_gzip_bomb_is_415_and_never_inflated(self, server: Server) -> None:
        bomb = gzip.compress(b" " * (64 * MIB))
        head = request_head("/query", JSON_TYPE, "Content-Encoding: gzip", f"Content-Length: {len(bomb)}")

        reply = await bear(server, [head, bomb], growth_mib=2)

        assert reply.status == 415

    @pytest.mark.parametrize(
        "body",
        [
            b"[" * 100_000,
            b'{"query": "x", "top_k": ' + b"9" * 5_000 + b"}",
            json.dumps({"query": "x", **{f"key{number}": 1 for number in range(60_000)}}).encode(),
            b'{"query": "x", "filter": ' + b'{"not":' * 100_000,
        ],
        ids=["brackets", "digits", "keys", "filter"],
    )
    async def test_absurd_json_is_refused_without_growing(self, server: Server, body: bytes) -> None:
        head = request_head("/query", JSON_TYPE, f"Content-Length: {len(body)}")

        reply = await bear(server, [head, body], growth_mib=20)

        assert reply.status in (400, 422)

    async def test_an_upload_of_a_hundred_thousand_unknown_keys_does_not_grow_it(
        self, server: Server
    ) -> None:
        body = json.dumps({"text": "x", **{f"key{number}": 1 for number in range(100_000)}}).encode()
        head = request_head("/documents", JSON_TYPE, f"Content-Length: {len(body)}")

        assert (await bear(server, [head, body], growth_mib=30)).status == 422


class TestForms:
    async def send(self, server: Server, body: Iterable[bytes], *, growth_mib: float = 30) -> RawReply:
        head = request_head("/documents", FORM_TYPE, "Transfer-Encoding: chunked")
        return await bear(server, [head, *chunked(body)], growth_mib=growth_mib)

    @pytest.mark.parametrize("disposition", ['name="title"', 'name="files"; filename="a.txt"'])
    async def test_ten_thousand_parts(self, server: Server, disposition: str) -> None:
        part = f"--x\r\nContent-Disposition: form-data; {disposition}\r\n\r\nx\r\n".encode()

        assert (await self.send(server, [part * 100] * 100)).status == 400

    async def test_an_8_mib_part_header(self, server: Server) -> None:
        body = [
            b'--x\r\nContent-Disposition: form-data; name="file"\r\nX-Junk: ',
            *[b"y" * 65_536] * 128,
            b"\r\n\r\nx",
        ]

        assert (await self.send(server, body)).status in (400, 413)

    async def test_10_mib_of_line_breaks_before_the_first_boundary(self, server: Server) -> None:
        start = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\n \r\n--x--\r\n'

        reply = await self.send(server, [*[b"\r\n" * 32_768] * 160, start])

        assert reply.status in (202, 400)

    async def test_100_mib_of_text_field(self, server: Server) -> None:
        start = b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\n'

        assert (await self.send(server, [start, *[b"y" * MIB] * 99, b"\r\n--x--\r\n"])).status in (
            400,
            413,
            422,
        )


class TestMarkup:
    async def test_two_hundred_thousand_nested_tags_end_without_a_stall(
        self, live: Api, server: Server
    ) -> None:
        """The parser's child does the work; the server itself stays small and quick."""
        page = b"<html><body>" + b"<div>" * 200_000 + b"The needle text." + b"</div>" * 200_000

        await self.bear_page(live, server, page)

    async def test_a_page_of_50_mib_on_one_line_ends_without_a_stall(self, live: Api, server: Server) -> None:
        page = b"<html><body>The needle text." + b'<b title="padding padding padding"></b>' * (50 * MIB // 39)

        await self.bear_page(live, server, page)

    async def bear_page(self, live: Api, server: Server, page: bytes) -> None:
        server.reset_peak()
        before = server.rss_mib()
        async with feel_pulse(server.url) as pulse:
            document = await live.settled(await live.upload(page, "page.html"))
        assert document["status"] in {"ready", "failed"}
        if document["status"] == "failed":
            assert document["error"]["code"] in {"parse_limit", "parse_failed"}
        else:
            assert "The needle text." in await live.text(document["id"])
        assert pulse.worst_s < STALL_S
        assert server.peak_mib() - before < 60
        await live.delete(f"/documents/{document['id']}")

    async def test_scripts_styles_comments_and_hidden_text_are_not_indexed(self, live: Api) -> None:
        collection = await live.new_collection()
        page = b"""<!doctype html><html><head><title>Visible</title><style>.stylecanary{}</style>
        <script>var scriptcanary = 1;</script></head><body><p>Zebras run.</p><!-- commentcanary -->
        <div style="display:none">displaycanary</div><p hidden>hiddencanary</p>
        <script type="application/ld+json">{"jsoncanary": 1}</script><template>templatecanary</template></body></html>"""
        document = await live.ready(page, "page.html", collection=collection)

        text = await live.text(document["id"])

        assert "Zebras run." in text
        assert "canary" not in text


class TestLife:
    def test_sigterm_during_an_ingest_ends_in_order_and_the_next_start_goes_on(self, tmp_path: Path) -> None:
        text = "\n\n".join(
            f"Paragraph {number} tells of cat number {number} and its day." for number in range(60)
        )
        first = Server(tmp_path / "data", folder=tmp_path)
        with Ragstone(first.url) as client:
            uploads = [client.upload_text(text + str(at)) for at in range(4)]
        started = time.monotonic()
        assert first.stop() == 0, "".join(first.lines)
        assert time.monotonic() - started < 15
        assert not [line for line in first.lines if '"level":"error"' in line]

        second = Server(tmp_path / "data", folder=tmp_path)
        try:
            with Ragstone(second.url) as client:
                for upload in uploads:
                    assert upload.job is not None
                    client.jobs.wait(upload.job.id, timeout_s=60.0)
        finally:
            assert second.stop() == 0, "".join(second.lines)

    def test_uvicorn_starts_the_application_by_its_name(self, tmp_path: Path) -> None:
        process = subprocess.Popen(
            [sys.executable, "-m", "uvicorn", "ragstone.api.main:app", "--port", "0"],
            cwd=tmp_path,
            env=clean_environment(LOG_FORMAT="text", RAGSTONE_DATA_DIR=str(tmp_path / "here")),
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )
        assert process.stderr is not None
        with process.stderr as stderr:
            url = next(
                word for line in stderr if "running on" in line for word in line.split() if "http://" in word
            )
            assert httpx2.get(f"{url}/health/ready", trust_env=False).status_code == 200
            process.send_signal(signal.SIGTERM)
            stderr.read()
        assert process.wait(timeout=30) in (0, -signal.SIGTERM)
        assert (tmp_path / "here" / "manifest.db").exists()

    def test_a_port_that_is_taken_is_one_sentence(self, server: Server, tmp_path: Path) -> None:
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "ragstone.cli",
                "serve",
                "--port",
                str(server.port),
                "--data-dir",
                str(tmp_path / "data"),
            ],
            cwd=tmp_path,
            env=clean_environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

        assert done.returncode == 1
        (sentence,) = [line for line in done.stderr.splitlines() if line.startswith("ragstone: ")]
        assert f"port {server.port} cannot be listened on: Address already in use" in sentence
        assert "Traceback" not in done.stderr


def test_the_demo_answers_from_the_documentation_with_citations(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ragstone.cli", "demo"],
        cwd=tmp_path,
        env=clean_environment(
            COLUMNS="160", TMPDIR=str(tmp_path), HOME=str(tmp_path), XDG_CACHE_HOME=str(tmp_path)
        ),
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )

    assert done.returncode == 0, done.stderr
    answers = done.stdout.split("\n? ")[1:]
    assert len(answers) == 4
    for answer in answers[:3]:
        assert re.search(r"\[\d\]", answer)
        assert "verified" in answer
        assert "abstained" not in answer
    assert "abstained: " in answers[3]
    assert list(tmp_path.iterdir()) == []  # no library keeps an id or a cache of its own either


async def test_a_client_that_hangs_up_harms_nobody(server: Server, live: Api) -> None:
    head = request_head("/documents", FORM_TYPE, "Content-Length: 1000000")
    for _ in range(20):
        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(head + b"--x\r\nContent-Disp")
        await writer.drain()
        writer.transport.abort()

    assert await live.get("/health/live") == {"status": "alive"}
