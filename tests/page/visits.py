"""The page as a test uses it: it acts as a user does and looks at what is shown."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from tests.live import Live

if TYPE_CHECKING:
    from playwright.async_api import Browser, ConsoleMessage, Dialog, Locator, Page, Request

REFUSED_CALL = "Failed to load resource"  # how a browser notes every reply of 400 and more
WATCH = """
document.addEventListener("securitypolicyviolation", (event) => {
  console.error(`policy: ${event.blockedURI}`);
  window.breaches = (window.breaches ?? 0) + 1;
});
"""


class Visit:
    """One open page. `troubles` are requests to elsewhere, errors, dialogs and breaches of the policy."""

    def __init__(self, page: "Page", live: Live):
        self.page = page
        self.live = live
        self.troubles: list[str] = []
        page.on("request", self._note_request)
        page.on("console", self._note_console)
        page.on("pageerror", lambda error: self.troubles.append(f"error: {error}"))
        page.on("dialog", self._note_dialog)
        page.set_default_timeout(20_000)

    async def open(self, collection: str | None = None, path: str = "/") -> None:
        """Load the page, with this collection chosen."""
        await self.page.add_init_script(WATCH)
        if collection is not None:
            await self.page.add_init_script(
                f"sessionStorage.getItem('ragstone.collection') ?? sessionStorage.setItem('ragstone.collection', '{collection}')"
            )
        await self.page.goto(f"{self.live.url}{path}")
        await self.find("#health[data-status]").wait_for(state="attached")

    def find(self, selector: str) -> "Locator":
        """What the selector finds; calls of it wait."""
        return self.page.locator(selector)

    async def text(self, selector: str) -> str:
        """What a reader sees there."""
        return await self.find(selector).inner_text()

    async def upload(self, *files: tuple[str, bytes]) -> None:
        """Choose these files."""
        chosen: Sequence[Any] = [
            {"name": name, "mimeType": "application/octet-stream", "buffer": content}
            for name, content in files
        ]
        await self.page.set_input_files("#files", chosen)

    async def begin(self, question: str) -> None:
        """Ask, and do not wait."""
        await self.find("#question").fill(question)
        await self.find("#question").press("Enter")

    async def ask(self, question: str) -> "Locator":
        """Ask; the turn once it has ended."""
        turns = await self.find(".turn").count()
        await self.begin(question)
        turn = self.find(f".turn:nth-child({turns + 1})")
        await self.find(f".turn:nth-child({turns + 1})[data-state]").wait_for()
        return turn

    async def until(self, condition: str, within_s: float = 20.0) -> None:
        """Wait until an expression of the page holds."""
        end = time.monotonic() + within_s
        while not await self.page.evaluate(condition):
            assert time.monotonic() < end, f"never: {condition}"
            await asyncio.sleep(0.02)

    @asynccontextmanager
    async def requests_to(self, path: str) -> AsyncIterator[list[Any]]:
        """The bodies of those that are made in the block."""
        seen: list[Any] = []

        def note(request: "Request") -> None:
            if request.url == f"{self.live.url}{path}":
                seen.append(request.post_data_json)

        self.page.on("request", note)
        yield seen
        self.page.remove_listener("request", note)

    def _note_request(self, request: "Request") -> None:
        if not request.url.startswith((f"{self.live.url}/", "blob:")):
            self.troubles.append(f"request: {request.url}")

    def _note_console(self, message: "ConsoleMessage") -> None:
        if message.type in ("error", "warning") and REFUSED_CALL not in message.text:
            self.troubles.append(f"console: {message.text}")

    async def _note_dialog(self, dialog: "Dialog") -> None:
        self.troubles.append(f"dialog: {dialog.message}")
        await dialog.dismiss()


Visiting = Callable[..., Awaitable[Visit]]


@asynccontextmanager
async def visits(browser: "Browser") -> AsyncIterator[Visiting]:
    """A way to open pages, `(live, collection=None, **options of the browser's context)`, which are closed in the end;
    none may have had trouble."""
    opened: list[Visit] = []

    async def open_page(live: Live, collection: str | None = None, **options: Any) -> Visit:
        context = await browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **options})
        visit = Visit(await context.new_page(), live)
        opened.append(visit)
        await visit.open(collection)
        return visit

    yield open_page
    for visit in opened:
        await visit.page.context.close()
    assert [trouble for visit in opened for trouble in visit.troubles] == []
