"""A server over real sockets whose model, and embedder and reranker where they are wanted, is a scripted upstream."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx2
import pytest

from ragstone.config.settings import load_settings
from ragstone.core.retry import Dependency
from ragstone.services import switching
from ragstone.testing.embedders import HashingEmbedder
from ragstone.testing.upstream import RecordedRequest, ScriptedUpstream
from tests.apiclient import check_reply
from tests.live import Live, live_server

DIMENSION = 256
ATTEMPT_S = 60.0
POLICY = """# Refunds

Refunds are paid within fourteen days of the return. Large sums take a week longer than that.

# Parcels

Parcels leave Hamburg every morning. The parcel service collects them at nine.
"""
QUESTION = "Are refunds paid within fourteen days of the return?"
ANSWER = "Refunds are paid within fourteen days of the return."


@dataclass(frozen=True, slots=True)
class Scene:
    """A server and its upstream."""

    live: Live
    upstream: ScriptedUpstream

    async def ask(self, **body: Any) -> httpx2.Response:
        """Ask for an answer in one piece; whatever its status."""
        response = await self.live.http.post("/query", json={"query": QUESTION, **body})
        check_reply(response)
        return response

    def asked(self, route: str = "chat") -> list[RecordedRequest]:
        """The requests of this test that the upstream has seen."""
        return [request for request in self.upstream.requests if request.route == route]

    def dependency(self, name: str) -> Dependency:
        """The limits under which the upstream is called, `llm`, `embedding` or `rerank`."""
        (found,) = [each for each in self.live.container.dependencies if each.name == name]
        return found

    def limit_attempts(self, attempt_s: float) -> None:
        """As if LLM_TIMEOUT_SECONDS were so short."""
        for dependency in self.live.container.dependencies:
            dependency.policy = replace(dependency.policy, attempt_timeout_s=attempt_s)

    def forget(self) -> None:
        """As if nothing had been asked and nothing had failed."""
        self.upstream.clear()
        self.upstream.requests.clear()
        self.limit_attempts(ATTEMPT_S)
        self.live.forget_failures()


@asynccontextmanager
async def open_scene(
    folder: Path, *, embeds_remotely: bool = False, reranks: bool = False, **settings: Any
) -> AsyncIterator[Scene]:
    """Quick retries, and one document that can be asked about."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(switching, "FLUSH_EVERY_S", 0.0)
        async with ScriptedUpstream(dimension=DIMENSION) as upstream:
            configured = load_settings(
                data_dir=folder / "data",
                openai_base_url=upstream.base_url,
                openai_model="scripted",
                retry_min_wait=0.01,
                retry_max_wait=0.03,
                **(_remote_embedder(upstream) if embeds_remotely else {}),
                **({"rerank_url": upstream.root_url} if reranks else {}),
                **settings,
            )
            embedder = None if embeds_remotely else HashingEmbedder(DIMENSION)
            async with live_server(configured, embedder) as live:
                await live.api.ready(POLICY.encode(), "policy.md")
                yield Scene(live, upstream)


def _remote_embedder(upstream: ScriptedUpstream) -> dict[str, Any]:
    return {
        "embedding_provider": "openai",
        "embedding_model": "scripted-embedding",
        "embedding_dimension": DIMENSION,
        "embedding_base_url": upstream.base_url,
    }
