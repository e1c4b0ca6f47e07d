"""Titles, names, metadata, texts and answers that want to be more than text; see `Visit.troubles` for what may not be."""

import pytest

from ragstone.testing.upstream import ScriptedUpstream
from tests.live import Live
from tests.page.visits import Visiting

pytestmark = pytest.mark.asyncio(loop_scope="session")

SCRIPTS = (
    "<script>window.harmed = 1; alert(1)</script>",
    '<img src=x onerror="window.harmed = 1">',
    "<img src=http://evil.example/x.png>",
    "<svg onload=window.harmed=1>",
    "[click](javascript:window.harmed=1)",
    "javascript:window.harmed=1",
    "'\"><iframe srcdoc='<script>parent.harmed=1</script>'>",
    "{{constructor.constructor('window.harmed=1')()}}",
)
HARM = " ".join(SCRIPTS)
CLAIM = "Refunds are paid within fourteen days of the return."
QUESTION = "Are refunds paid within fourteen days of the return?"
LINKS = "[...document.querySelectorAll('a[href]')].map((link) => link.getAttribute('href'))"


async def test_titles_names_and_texts_stay_text(live: Live, visit: Visiting) -> None:
    collection = await live.api.new_collection()
    content = f"# {HARM}\n\n{CLAIM} {HARM}\n".encode()
    for number, name in enumerate(SCRIPTS):
        fields = {
            "title": name,
            "metadata": f'{{"note": "{number} <img src=x onerror=alert(1)>"}}',
            "source": f"{number} {name}",
        }
        await live.api.ready(content + name.encode(), "a.md", collection=collection, **fields)
    page = await visit(live, collection)

    titles = await page.find(".document .title").all_inner_texts()
    turn = await page.ask(QUESTION)
    for fold in await turn.locator("summary").all():
        await fold.click()
    await turn.locator(".mark").first.click()
    await page.find("#passage mark").wait_for()

    assert set(titles) == set(SCRIPTS)
    assert await page.page.evaluate("window.harmed") is None
    assert await page.find("main script, main img, main iframe, main svg, #passage img").count() == 0
    assert all(href.startswith(("#", "/docs")) for href in await page.page.evaluate(LINKS))


async def test_file_names_stay_text(live: Live, visit: Visiting) -> None:
    page = await visit(live, await live.api.new_collection())

    await page.upload(
        *(
            (f"{number} {name}.txt".replace("/", "|"), b"Text %d" % number)
            for number, name in enumerate(SCRIPTS)
        )
    )
    await page.until(f"document.querySelectorAll('.upload.ready').length === {len(SCRIPTS)}")

    assert await page.page.evaluate("window.harmed") is None
    assert await page.find("#uploads img, #uploads script, #uploads svg, #document-list img").count() == 0


async def test_answers_and_questions_stay_text(
    modelled: Live, upstream: ScriptedUpstream, visit: Visiting
) -> None:
    await modelled.api.ready(CLAIM.encode(), "policy.txt")
    upstream.say = (
        f"{HARM} {CLAIM} [1] ![x](http://evil.example/?q=1) [link][1]\n\n[1]: javascript:window.harmed=1"
    )
    page = await visit(modelled)

    turn = await page.ask(QUESTION)
    await page.ask(HARM)

    assert await page.page.evaluate("window.harmed") is None
    assert await page.find(".asked").all_inner_texts() == [QUESTION, HARM]
    assert "window.harmed = 1" in await turn.locator(".answer-text").inner_text()
    assert await turn.locator("script, img, iframe, svg").count() == 0
    hrefs = await turn.locator("a").evaluate_all("all => all.map((link) => link.getAttribute('href'))")
    assert hrefs
    assert all(href.startswith("#document=") for href in hrefs)


async def test_a_name_cannot_turn_the_direction_of_what_is_read(live: Live, visit: Visiting) -> None:
    collection = await live.api.new_collection()
    await live.api.ready_text(CLAIM, title="invoice\u202efdp.exe\u2066", collection=collection)
    page = await visit(live, collection)

    assert await page.find(".document .title").all_text_contents() == ["invoice fdp.exe"]


async def test_a_forged_link_opens_nothing_but_an_error(live: Live, visit: Visiting) -> None:
    page = await visit(live)

    async with page.requests_to("/documents/..%2Fcollections") as requests:
        await page.page.goto(f"{live.url}/#document=../collections&start=1e9&end=-1&version=x")
        await page.find("#passage .notice.bad").wait_for()

    assert len(requests) == 1


async def test_nothing_may_be_made_from_text_even_by_mistake(live: Live, visit: Visiting) -> None:
    page = await visit(live)

    refused = await page.page.evaluate(
        "() => { try { document.createElement('p').innerHTML = '<b>'; return ''; } catch (error) { return error.name; } }"
    )
    await page.until("window.breaches === 1")

    assert refused == "TypeError"
    assert all("rusted" in trouble for trouble in page.troubles)
    page.troubles.clear()  # they were meant
