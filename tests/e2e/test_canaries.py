"""What must never be written: keys, questions, documents and their names, whatever goes wrong."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import cycle
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.apiclient import Api
from tests.servers import Server

KEY = "sk-canary-of-the-key-4417"
PASSWORD = "canary-of-the-url-9032"
HEADER = "canary-of-a-header-2206"
QUESTION = "canaryquestion7715"
TEXT = "canarytext3308"
NAME = "canaryname6641"
UPSTREAM = "canaryupstream5150"
SECRETS = (KEY, PASSWORD, HEADER)
PERSONAL = (QUESTION, TEXT, NAME, UPSTREAM)

STATUSES = cycle((401, 200, 500))


class Echo(BaseHTTPRequestHandler):
    """A model's server that fails, and says in its failure all that it was told."""

    def do_POST(self) -> None:
        """In turns a refusal and an answer that is none."""
        self.rfile.read(int(self.headers["content-length"]))
        told = f"{UPSTREAM} {self.headers['authorization']}"
        status = next(STATUSES)
        body = json.dumps({"error": {"message": told}}).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Not to the test's output."""


@pytest.fixture
def upstream() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://user:{PASSWORD}@127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    thread.join()
    server.server_close()


async def provoke(api: Api) -> str:
    """Every kind of failure that a client can cause; returns all that was answered."""
    text = f"Refunds are paid. {TEXT}"
    seen = [await api.settled(await api.upload_text(text, title=NAME, source=NAME))]
    seen.append(await api.settled(await api.upload(f"%PDF-1.7 {TEXT}".encode(), f"{NAME}.pdf")))
    headers = {"Authorization": f"Bearer {HEADER}", "X-Api-Key": HEADER, "Cookie": HEADER}
    answers: list[httpx2.Response] = []
    for method, path, body in (
        ("POST", "/query", {"query": f"When are refunds paid? {QUESTION}"}),
        ("POST", "/query", {"query": f"When are refunds paid? {QUESTION}", "stream": True}),
        ("POST", "/query", {"query": QUESTION, "provider": "extractive", "top_k": "many"}),
        ("POST", "/search", {"query": QUESTION, "filter": {"field": QUESTION, "eq": QUESTION}}),
        ("POST", "/search", {"query": QUESTION, "collection": "none"}),
        ("GET", f"/documents/{QUESTION}?filter={QUESTION}", None),
        ("GET", f"/{QUESTION}?key={HEADER}", None),
        ("TRACE", "/health", None),
    ):
        answers.append(await api.http.request(method, path, json=body, headers=headers))
    assert any(answer.status_code >= 400 for answer in answers)
    return json.dumps(seen) + "".join(f"{answer.text} {answer.headers}" for answer in answers)


@pytest.mark.parametrize("level", ["INFO", "DEBUG"])
async def test_no_canary_is_in_the_log_and_no_key_in_an_answer(
    tmp_path: Path, upstream: str, level: str
) -> None:
    server = Server(
        tmp_path / "data",
        folder=tmp_path,
        OPENAI_BASE_URL=upstream,
        OPENAI_API_KEY=KEY,
        OPENAI_MODEL="m",
        OPENAI_MAX_RETRIES="1",
        LOG_LEVEL=level,
    )
    async with httpx2.AsyncClient(base_url=server.url, timeout=60.0, trust_env=False) as http:
        answered = await provoke(Api(http))
    assert server.stop() == 0

    log = "".join(server.lines)
    hidden = SECRETS if level == "DEBUG" else (*SECRETS, *PERSONAL)
    assert [canary for canary in hidden if canary in log] == []
    assert [canary for canary in (KEY, PASSWORD, UPSTREAM) if canary in answered] == []
    lines = [json.loads(line) for line in server.lines]
    assert all({"time", "level", "event", "logger"} <= set(line) for line in lines)


async def test_the_lines_of_a_job_lead_back_to_its_request(tmp_path: Path) -> None:
    server = Server(tmp_path / "data", folder=tmp_path)
    async with httpx2.AsyncClient(base_url=server.url, timeout=60.0, trust_env=False) as http:
        api, jobs = Api(http), {}
        for request_id, name, content in (
            ("up-1", "good.txt", b"Refunds are paid."),
            ("up-2", "bad.pdf", b"%PDF-1.7"),
        ):
            headers = {"X-Request-ID": request_id}
            upload = await api.call("POST", "/documents", files={"file": (name, content)}, headers=headers)
            jobs[upload.json()["job"]["id"]] = request_id
        for job in jobs:
            await api.finished(job)
    assert server.stop() == 0

    lines = [json.loads(line) for line in server.lines]
    assert {line["job_id"]: line["request_id"] for line in lines if "job_id" in line} == jobs
