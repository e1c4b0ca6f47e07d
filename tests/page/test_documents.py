"""The list of documents, however long it is."""

import pytest
import pytest_asyncio

from ragstone.queues.in_process import InProcessQueue
from tests.live import Live
from tests.page.conftest import Serve
from tests.page.visits import Visiting

pytestmark = pytest.mark.asyncio(loop_scope="session")

MANY = 1_000
AT_ONCE = 100  # files of one upload
ROWS = 60
"""More are never in the page."""


SCROLL_THROUGH = """async () => {
  const list = document.querySelector("#document-list");
  const seen = new Set();
  let most = 0;
  for (let at = -1; at !== list.scrollTop || list.querySelector("[aria-setsize='-1']");) {
    at = list.scrollTop;
    const titles = [...list.querySelectorAll(".title")].map((title) => title.textContent);
    titles.forEach((title) => seen.add(title));
    most = Math.max(most, titles.length);
    list.scrollBy(0, list.clientHeight + 10 * 60); // rows out of sight are in the page too, eight on each side
    await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  }
  return [[...seen], most];
}"""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def many(serve: Serve) -> Live:
    """A server with a thousand documents, all of them still waiting."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(InProcessQueue, "start", lambda queue: None)
        live = await serve()
    for first in range(0, MANY, AT_ONCE):
        parts = [
            ("files", (f"note-{n:04}.txt", f"Note {n}.".encode())) for n in range(first, first + AT_ONCE)
        ]
        assert (await live.http.post("/documents", files=parts)).status_code == 202
    return live


async def test_a_thousand_documents_are_scrolled_through_with_few_rows_in_the_page(
    many: Live, visit: Visiting
) -> None:
    page = await visit(many)

    seen, most_rows = await page.page.evaluate(SCROLL_THROUGH)

    assert set(seen) == {f"note-{n:04}.txt" for n in range(MANY)}
    assert most_rows <= ROWS
    await page.until(f"document.querySelector('.document:last-child').ariaSetSize === '{MANY}'")
    assert await page.text("#document-count") == "1,000 documents"


async def test_the_list_is_filtered_by_title_and_by_state(many: Live, visit: Visiting) -> None:
    page = await visit(many)

    await page.find("#title-filter").fill("note-077")
    await page.until("document.querySelectorAll('.document').length === 10")
    await page.find("#status-filter").select_option("failed")
    await page.find("text=No document passes this filter.").wait_for()
    await page.find("#title-filter").fill("")
    await page.find("#status-filter").select_option("")

    await page.until("document.querySelectorAll('.document').length > 10")


async def test_rows_keep_the_focus_while_the_list_is_walked_by_keyboard(many: Live, visit: Visiting) -> None:
    page = await visit(many)
    await page.find(".document a").first.focus()

    for _ in range(60):
        await page.page.keyboard.press("Tab")

    focused = "document.activeElement.closest('.document')?.ariaPosInSet"
    assert await page.page.evaluate(focused) == "31"


async def test_what_others_upload_and_what_becomes_of_it_is_shown(live: Live, visit: Visiting) -> None:
    collection = await live.api.new_collection()
    upload = await live.api.upload_text("A text of others.", title="Theirs", collection=collection)
    page = await visit(live, collection)

    await live.api.settled(upload)

    await page.find(".document[data-status=ready] >> text=Theirs").wait_for()
