"""One server for each module of fault tests, fresh in every test."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.faults.scenes import Scene, open_scene


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def opened(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Scene]:
    """A server with the settings that the module names in SETTINGS."""
    settings = getattr(request.module, "SETTINGS", {})
    async with open_scene(tmp_path_factory.mktemp("faults"), **settings) as scene:
        yield scene


@pytest.fixture
def scene(opened: Scene) -> Scene:
    """As if nothing had failed before."""
    opened.forget()
    return opened
