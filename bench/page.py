"""The web page: its weight, the time until it can be used, and the longest time it holds the browser's main thread.

Run it with `uv run --group browser python -m bench.page`. The server is real. The list of 10,000 documents and the text of
5 MB are made up where the browser asks for them: what is measured is the page, not the store.
"""

import asyncio
import json
import shutil
import statistics
import tempfile
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from playwright.async_api import Browser, Page, Route, async_playwright

from bench import server

RUNS = 9
DOCUMENTS = 10_000
TEXT_CHARACTERS = 5_000_000
STALL_MS = 50  # from here on a browser calls a task long

WATCH = """
window.longest = 0;
new PerformanceObserver((list) => list.getEntries().forEach(
  (task) => { window.longest = Math.max(window.longest, task.duration); })).observe({ type: "longtask", buffered: true });
"""
TIMES = """() => {
  const [navigation] = performance.getEntriesByType("navigation");
  const [paint] = performance.getEntriesByName("first-contentful-paint");
  return [paint.startTime, navigation.domContentLoadedEventEnd];
}"""
SCROLL = """async () => {
  const list = document.querySelector("#document-list");
  const began = performance.now();
  let rows = 0;
  for (let at = -1; at !== list.scrollTop || list.querySelector("[aria-setsize='-1']");) {
    at = list.scrollTop;
    list.scrollBy(0, 2_000);
    await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
    rows = Math.max(rows, document.querySelectorAll(".document").length);
  }
  return [performance.now() - began, rows, list.querySelector(".document:last-child").ariaPosInSet];
}"""


async def main() -> None:
    """Measure and print."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with tempfile.TemporaryDirectory(prefix="ragstone-bench-page-") as folder:
        async with server.ready_ragstone(Path(folder)) as running, async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            url = f"http://127.0.0.1:{running.port}/"
            print(f"| page of {_weight():,} bytes in {len(_files())} files | |\n|---|---:|")
            await _measure_start(browser, url)
            await _measure_list(browser, url)
            await _measure_passage(browser, url)
            await browser.close()


def _files() -> list[int]:
    folder = resources.files("ragstone.api") / "page"
    return [len(file.read_bytes()) for file in folder.iterdir()]


def _weight() -> int:
    return sum(_files())


def _row(name: str, value: str) -> None:
    print(f"| {name} | {value} |", flush=True)


async def _measure_start(browser: Browser, url: str) -> None:
    times = []
    for _ in range(RUNS):
        page = await _opened(browser, url)
        times.append(await page.evaluate(TIMES))
        await page.context.close()
    paint, usable = (statistics.median(column) for column in zip(*times, strict=True))
    _row(f"first paint, median of {RUNS} with an empty cache", f"{paint:.0f} ms")
    _row("usable (all scripts have run)", f"{usable:.0f} ms")


async def _measure_list(browser: Browser, url: str) -> None:
    page = await _opened(browser, url, {"**/documents?*": _list_page})
    await page.wait_for_selector(".document")
    await page.evaluate("window.longest = 0")
    took, rows, last = await page.evaluate(SCROLL)
    assert int(last) == DOCUMENTS, last
    _row(f"{DOCUMENTS:,} documents scrolled through", f"{took / 1000:.1f} s")
    _row("rows in the page at most", str(rows))
    _row("longest stall meanwhile", _stall(await page.evaluate("longest")))
    await page.context.close()


async def _measure_passage(browser: Browser, url: str) -> None:
    text = ("Not a word of this is ever read. \U0001f388\n" * (TEXT_CHARACTERS // 35))[:TEXT_CHARACTERS]
    answers: dict[str, Callable[[Route], object]] = {
        "**/documents/d9": lambda route: route.fulfill(json=_document(9)),
        "**/documents/d9/text*": lambda route: route.fulfill(
            body=text, content_type="text/plain; charset=utf-8"
        ),
    }
    middle = TEXT_CHARACTERS // 2
    page = await _opened(browser, f"{url}#document=d9&version=9&start={middle}&end={middle + 80}", answers)
    await page.wait_for_selector("#passage mark")
    shown = await page.evaluate("document.querySelector('#passage .text').textContent.length")
    assert shown < TEXT_CHARACTERS / 100, shown
    _row(
        f"longest stall while a passage of {TEXT_CHARACTERS / 1e6:.0f} MB is opened",
        _stall(await page.evaluate("longest")),
    )
    await page.context.close()


async def _opened(
    browser: Browser, url: str, answers: dict[str, Callable[[Route], object]] | None = None
) -> Page:
    context = await browser.new_context(viewport={"width": 1280, "height": 800})
    page = await context.new_page()
    await page.add_init_script(WATCH)
    for pattern, answer in (answers or {}).items():
        await page.route(pattern, answer)
    await page.goto(url)
    await page.wait_for_selector("#health[data-status=healthy]", state="attached")
    return page


def _stall(longest_ms: float) -> str:
    return f"{longest_ms:.0f} ms" if longest_ms else f"none over {STALL_MS} ms"


async def _list_page(route: Route) -> None:
    asked = parse_qs(urlsplit(route.request.url).query)
    first, limit = int(asked.get("cursor", ["0"])[0]), int(asked["limit"][0])
    after = first + limit
    page = {
        "items": [_document(n) for n in range(first, min(after, DOCUMENTS))],
        "next_cursor": str(after) if after < DOCUMENTS else None,
    }
    await route.fulfill(body=json.dumps(page), content_type="application/json")


def _document(n: int) -> dict[str, object]:
    about = {
        "title": f"Minutes of meeting {n}",
        "filename": f"minutes-{n}.pdf",
        "media_type": "application/pdf",
    }
    known = {
        "collection": "default",
        "status": "ready",
        "version": 1,
        "bytes": 1_000 + n,
        "chunks": 1 + n % 50,
    }
    nothing = dict.fromkeys(("parent_id", "source", "pages", "error", "pending"))
    return {"id": f"d{n}", "children": [], **about, **known, **nothing}


if __name__ == "__main__":
    asyncio.run(main())
