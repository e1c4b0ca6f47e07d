"""A server with a scripted model, and OpenAI's own SDK as its client."""

from collections.abc import AsyncIterator, Awaitable, Callable

import openai
import pytest
import pytest_asyncio

from ragstone.config.settings import load_settings
from ragstone.services import switching
from ragstone.testing.embedders import HashingEmbedder
from ragstone.testing.upstream import ScriptedUpstream
from tests.live import Live, live_server

POLICY = """# Refunds 🙂

Refunds are paid within fourteen days of the return. Größere Beträge dauern länger.

# Parcels

Parcels leave Hamburg every morning. The parcel service collects them at nine.
"""


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Live, ScriptedUpstream]]:
    """A server with one document in `default`, and its model."""
    folder = tmp_path_factory.mktemp("dialect")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(switching, "FLUSH_EVERY_S", 0.0)
        async with ScriptedUpstream() as upstream:
            settings = load_settings(
                data_dir=folder / "data",
                openai_base_url=upstream.base_url,
                openai_model="scripted",
                retry_min_wait=0.01,
                retry_max_wait=0.05,
            )
            async with live_server(settings, HashingEmbedder(dimension=64)) as live:
                await live.api.ready(POLICY.encode(), "policy.md")
                yield live, upstream


@pytest.fixture
def live(running: tuple[Live, ScriptedUpstream]) -> Live:
    """As if nothing had failed before."""
    live, upstream = running
    upstream.clear()
    upstream.requests.clear()
    live.forget_failures()
    return live


@pytest.fixture
def upstream(live: Live, running: tuple[Live, ScriptedUpstream]) -> ScriptedUpstream:
    """Without faults and with no request seen."""
    return running[1]


@pytest_asyncio.fixture(loop_scope="session")
async def sdk(live: Live) -> AsyncIterator[openai.AsyncOpenAI]:
    """The official client, as its users make it; without retries, so that a test sees what was answered."""
    async with openai.AsyncOpenAI(base_url=f"{live.url}/v1", api_key="any", max_retries=0) as client:
        yield client


def upstream_is_idle(upstream: ScriptedUpstream) -> Callable[[], Awaitable[bool]]:
    """Whether nobody waits for the model any more."""

    async def holds() -> bool:
        return upstream.open_requests == 0

    return holds
