"""`ragstone serve` as a process of its own beside a failing model: its memory, and all it writes and says."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
import pytest_asyncio

from ragstone.testing.upstream import Fault, ScriptedUpstream
from tests.apiclient import Api
from tests.faults.scenes import ANSWER, DIMENSION, POLICY, QUESTION
from tests.servers import Server

pytestmark = pytest.mark.slow

MOST_GROWTH_MIB = 20
KEY, SAID, USER, PASSWORD = "canary-key-51", "canary-said-52", "canary-user-53", "canary-password-54"
ASKED, WRITTEN = "canaryasked55", "canarywritten56"
SECRETS = (KEY, SAID, USER, PASSWORD)
QUESTION_ASKED = f"{QUESTION} {ASKED}"
CODES = (
    *("upstream_refused", "upstream_unavailable", "upstream_rate_limited", "upstream_garbled"),
    *("upstream_interrupted", "invalid_request", "malformed_body"),
)
FAILURES = (  # those that open a breaker last
    *(Fault("status", code=code, text=SAID, times=0) for code in (401, 422)),
    *(Fault(kind, after=3, text=SAID) for kind in ("error_event", "malformed", "reset_mid")),
    Fault("html200", text=SAID),
    *(Fault("status", code=code, text=SAID, times=0) for code in (429, 500)),
    Fault("error_event", text=SAID, times=0),
    Fault("nan", route="embeddings"),
    *(Fault("status", code=code, text=SAID, times=0, route="embeddings") for code in (401, 500)),
)
LARGE = (
    *(Fault("huge", route="chat"), Fault("huge", route="chat", after=3), Fault("huge", route="embeddings")),
    *(Fault("huge_token"), Fault("repeat")),
)
FORMS: tuple[dict[str, bool], ...] = (
    {},
    {"stream": True},
    {"strict": True},
    {"stream": True, "strict": True},
)
INVALID: tuple[dict[str, Any], ...] = (
    {"json": {"query": QUESTION_ASKED, "top_k": "5"}},
    {"json": {"query": QUESTION_ASKED, "nonsense": ASKED}},
    {"content": f'{{"query": "{QUESTION_ASKED}'.encode(), "headers": {"content-type": "application/json"}},
)


@asynccontextmanager
async def serving(folder: Path, upstream: ScriptedUpstream, **environment: str) -> AsyncIterator[Server]:
    """The process, with the upstream as its model and its embedder; ended in order."""
    configured = {
        "OPENAI_BASE_URL": upstream.base_url,
        "OPENAI_MODEL": "scripted",
        "RAGSTONE_EMBEDDING_PROVIDER": "openai",
        "RAGSTONE_EMBEDDING_MODEL": "scripted-embedding",
        "RAGSTONE_EMBEDDING_DIMENSION": str(DIMENSION),
        "RAGSTONE_EMBEDDING_BASE_URL": upstream.base_url,
        "RETRY_MIN_WAIT_SECONDS": "0.01",
        "RETRY_MAX_WAIT_SECONDS": "0.03",
        **environment,
    }
    server = await asyncio.to_thread(lambda: Server(folder / "data", folder=folder, **configured))
    try:
        yield server
    finally:
        assert await asyncio.to_thread(server.stop) == 0, "".join(server.lines[-50:])


@dataclass(frozen=True, slots=True)
class Told:
    """All that a server wrote and said while its model failed in every way, and by how much it grew each time."""

    log: list[str]
    replies: list[str]
    grown_mib: dict[str, float]

    def lines_with(self, text: str) -> list[str]:
        """Where the log has it."""
        return [line[:200] for line in self.log if text in line]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    """One server's life, its log at its most talkative."""
    folder = tmp_path_factory.mktemp("serving")
    async with ScriptedUpstream(dimension=DIMENSION) as upstream:
        root = urlsplit(upstream.base_url).netloc
        secrets = {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": f"http://{USER}:{PASSWORD}@{root}/v1"}
        async with (
            serving(folder, upstream, **secrets, LOG_LEVEL="DEBUG") as server,
            httpx2.AsyncClient(base_url=server.url, timeout=30, trust_env=False) as http,
        ):
            upstream.script(Fault("wrong_dim", route="embeddings"))
            await Api(http).ready(f"{POLICY}\n{WRITTEN}\n".encode(), "policy.md")
            grown_mib = await _grow(server, http, upstream)
            replies = await _provoke(http, upstream)
    return Told(server.lines, replies, grown_mib)


async def _grow(server: Server, http: httpx2.AsyncClient, upstream: ScriptedUpstream) -> dict[str, float]:
    grown_mib: dict[str, float] = {}
    for is_streamed in (False, True):
        body = {"query": QUESTION, "stream": is_streamed}
        await http.post("/query", json=body)
        for fault in LARGE:
            upstream.script(fault)
            server.reset_peak()
            before_mib = server.rss_mib()
            await http.post("/query", json=body)
            grown_mib[f"{fault}, {is_streamed}"] = server.peak_mib() - before_mib
            await upstream.wait_until_idle(1.0)
    return grown_mib


async def _provoke(http: httpx2.AsyncClient, upstream: ScriptedUpstream) -> list[str]:
    """Every failure in every form of the question; the replies."""
    replies: list[str] = []
    for fault, form in product((None, *FAILURES), FORMS):
        if fault is not None:
            upstream.script(fault)
        replies.append((await http.post("/query", json={"query": QUESTION_ASKED, **form})).text)
        upstream.clear()
    replies += [(await http.post("/query", **request)).text for request in INVALID]
    await upstream.stop()
    replies.append((await http.post("/query", json={"query": QUESTION_ASKED, "strict": True})).text)
    return replies


def test_no_answer_of_the_model_makes_the_server_grow(told: Told) -> None:
    """D12."""
    assert len(told.grown_mib) == 2 * len(LARGE)
    assert max(told.grown_mib.values()) < MOST_GROWTH_MIB, told.grown_mib


class TestSecrets:
    """G5: whatever fails, log and replies keep what the server was trusted with."""

    def test_every_failure_was_met(self, told: Told) -> None:
        met = {code for code in CODES if any(f'"{code}"' in reply for reply in told.replies)}

        assert met == set(CODES)
        assert any('"level":"debug"' in line for line in told.log)
        assert any(ANSWER in reply for reply in told.replies)

    @pytest.mark.parametrize("secret", SECRETS)
    def test_no_secret_is_logged_or_said(self, told: Told, secret: str) -> None:
        assert told.lines_with(secret) == []
        assert [reply for reply in told.replies if secret in reply] == []

    @pytest.mark.parametrize("text", [ASKED, WRITTEN], ids=["question", "document"])
    def test_no_text_is_logged(self, told: Told, text: str) -> None:
        assert told.lines_with(text) == []

    def test_a_question_that_is_refused_is_not_repeated(self, told: Told) -> None:
        refused = [reply for reply in told.replies if '"error":' in reply and "event: " not in reply]

        assert refused
        assert [reply for reply in refused if ASKED in reply] == []
