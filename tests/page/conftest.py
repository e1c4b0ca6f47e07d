"""Chromium, and servers whose page it visits. Without the group `browser`, or without a browser, these tests skip."""

import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from ragstone.config.settings import load_settings
from ragstone.services import switching
from ragstone.testing.embedders import HashingEmbedder
from ragstone.testing.upstream import ScriptedUpstream
from tests.live import Live, live_server
from tests.page.visits import Visiting, visits

if TYPE_CHECKING:
    from playwright.async_api import Browser

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
Serve = Callable[..., Awaitable[Live]]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator["Browser"]:
    """One for all tests."""
    api = pytest.importorskip(
        "playwright.async_api", reason="playwright is in the group browser: uv sync --group browser"
    )
    if CHROMIUM is None:
        pytest.skip("there is no Chromium on this machine")
    async with api.async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        await browser.close()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def serve(browser: "Browser", tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Serve]:
    """Starts servers, by their settings, that live as long as the module's tests."""
    async with AsyncExitStack() as stack:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(switching, "FLUSH_EVERY_S", 0.02)

            async def start(**settings: Any) -> Live:
                data_dir: Path = tmp_path_factory.mktemp("page") / "data"
                opened = live_server(
                    load_settings(data_dir=data_dir, **settings), HashingEmbedder(dimension=256)
                )
                return await stack.enter_async_context(opened)

            yield start


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def live(serve: Serve) -> Live:
    """A server without a model. Tests take a collection of their own."""
    return await serve()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def upstream() -> AsyncIterator[ScriptedUpstream]:
    """The model of `modelled`."""
    async with ScriptedUpstream() as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def modelled(serve: Serve, upstream: ScriptedUpstream) -> Live:
    """A server whose model is scripted, and asked but once."""
    return await serve(openai_base_url=upstream.base_url, openai_model="scripted", openai_max_retries=1)


@pytest_asyncio.fixture(loop_scope="session")
async def visit(browser: "Browser") -> AsyncIterator[Visiting]:
    """Opens a server's page; in the end nothing may have run or been loaded that is not the page's own."""
    async with visits(browser) as open_page:
        yield open_page
