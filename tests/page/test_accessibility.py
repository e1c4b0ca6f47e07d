"""What axe finds (nothing), and that all of it works by keyboard and on a small screen."""

from typing import Any

import pytest

from ragstone.testing.upstream import ScriptedUpstream
from tests.live import Live
from tests.page.visits import Visit, Visiting

pytestmark = pytest.mark.asyncio(loop_scope="session")

axe = pytest.importorskip(
    "axe_playwright_python.async_playwright", reason="axe is in the group browser: uv sync --group browser"
)
CLAIM = "Refunds are paid within fourteen days of the return."
QUESTION = "Are refunds paid within fourteen days of the return?"
OVERFLOWING = """[...document.querySelectorAll("main *")].filter(
  (one) => one.getBoundingClientRect().right > innerWidth + 1).length"""
WAYS = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "on a phone": {"color_scheme": "light", "viewport": {"width": 360, "height": 740}},
}


async def assert_nothing_found(page: Visit) -> None:
    found = await axe.Axe().run(page.page)
    assert found.violations_count == 0, found.generate_report()


@pytest.mark.parametrize("options", WAYS.values(), ids=WAYS)
async def test_axe_finds_nothing_from_the_empty_page_to_a_passage(
    modelled: Live, upstream: ScriptedUpstream, visit: Visiting, options: dict[str, Any]
) -> None:
    page = await visit(modelled, await modelled.api.new_collection(), **options)
    await assert_nothing_found(page)

    await page.upload(("policy.md", f"# Terms\n\n{CLAIM}".encode()), ("empty.txt", b""))
    await page.until("document.querySelectorAll('.chip.ready, .chip.failed').length === 2")
    await assert_nothing_found(page)

    upstream.say = f"{CLAIM} [1] Refunds are paid within 99 years. [1] The moon is made of cheese."
    await page.find("#ask-now").click()
    turn = await page.ask(QUESTION)
    for fold in await turn.locator("summary").all():
        await fold.click()
    await page.ask("Which metal melts at the lowest temperature?")
    await assert_nothing_found(page)

    await turn.locator(".answer-text .mark").first.click()
    await page.find("#passage mark").wait_for()
    await assert_nothing_found(page)

    await page.page.keyboard.press("Escape")
    await page.find("#delete-collection").click()
    await assert_nothing_found(page)


async def test_a_question_is_asked_and_its_citation_checked_by_keyboard_alone(
    live: Live, visit: Visiting
) -> None:
    collection = await live.api.new_collection()
    await live.api.ready_text(CLAIM, title="Terms", collection=collection)
    page = await visit(live, collection)
    keyboard = page.page.keyboard

    await keyboard.press("Tab")
    assert await page.page.evaluate("document.activeElement.textContent") == "Skip to the question"
    await keyboard.press("Enter")
    await keyboard.type(QUESTION)
    await keyboard.press("Enter")
    await page.find(".turn[data-state=complete]").wait_for()
    for _ in range(20):
        await keyboard.press("Shift+Tab")
        if await page.page.evaluate("document.activeElement.matches('.answer-text .mark')"):
            break
    await keyboard.press("Enter")
    assert await page.text("#passage mark") == CLAIM
    await keyboard.press("Escape")

    assert not await page.find("#passage").is_visible()
    assert await page.page.evaluate("document.activeElement.matches('.answer-text .mark')")


async def test_nothing_is_wider_than_the_screen(live: Live, visit: Visiting) -> None:
    collection = await live.api.new_collection()
    await live.api.ready_text(CLAIM, title="T" * 300, collection=collection)
    page = await visit(live, collection)
    await page.ask(f"{QUESTION} {'x' * 300}")

    for width in (320, 360, 768, 1280):
        await page.page.set_viewport_size({"width": width, "height": 740})
        assert await page.page.evaluate("document.scrollingElement.scrollWidth") <= width
        assert await page.page.evaluate(OVERFLOWING) == 0
