"""From an empty server to a cited answer, and what is done with documents and collections on the way."""

from typing import TYPE_CHECKING

import pytest

from tests.live import Live
from tests.page.conftest import Serve
from tests.page.visits import Visit, Visiting
from tests.pdf_writer import Text, write_pdf

if TYPE_CHECKING:
    from playwright.async_api import Route

pytestmark = pytest.mark.asyncio(loop_scope="session")

CLAIM = "Refunds are paid within fourteen days of the return."
QUESTION = "Are refunds paid within fourteen days of the return?"
PDF = write_pdf([[Text("General terms of the shop are on the next page.")], [Text(CLAIM)]])

DROP = """([files]) => {
  const transfer = new DataTransfer();
  for (const [name, text] of files) transfer.items.add(new File([text], name));
  for (const type of ["dragover", "drop"]) {
    document.body.dispatchEvent(new DragEvent(type, { bubbles: true, cancelable: true, dataTransfer: transfer }));
  }
}"""


async def test_a_newcomer_comes_to_a_cited_answer_from_a_pdf(serve: Serve, visit: Visiting) -> None:
    page = await visit(await serve())
    assert "Add a document" in await page.text("#welcome")

    async with page.page.expect_file_chooser() as chooser:
        await page.find("#drop >> text=Choose files").click()
    await (await chooser.value).set_files({"name": "terms.pdf", "mimeType": "", "buffer": PDF})
    await page.find(".upload.ready").wait_for()
    await page.find("text=Ask a question").first.click()
    turn = await page.ask(QUESTION)
    await turn.locator(".answer-text a.mark").first.click()

    assert await page.text("#passage mark") == CLAIM
    assert (await page.text("#passage-title"), await page.text("#passage-place")) == (
        "terms.pdf",
        "pages 1–2",
    )
    assert await page.find("#passage mark").evaluate("mark => mark === document.activeElement")


async def test_of_dropped_files_each_is_told_of_and_one_that_fails_says_why(
    live: Live, visit: Visiting
) -> None:
    page = await visit(live, await live.api.new_collection())
    files = [["one.txt", CLAIM], ["two.md", f"# Terms\n\n{CLAIM} Always."], ["empty.txt", ""]]

    await page.page.evaluate(DROP, [files])
    await page.until("document.querySelectorAll('.upload.ready, .upload.failed').length === 3")

    assert await page.text("#uploads-title") == "Uploads: 2 ready, 1 failed"
    assert "the document holds no text (no_text)" in await page.text(".upload.failed")
    await page.until("document.querySelectorAll('.chip.ready').length === 2")
    assert "no_text" in await page.text(".document[data-status=failed] .facts")


async def test_an_upload_waits_where_the_server_has_no_room(live: Live, visit: Visiting) -> None:
    page = await visit(live, await live.api.new_collection())
    full = '{"error": {"code": "queue_full", "message": "full", "retryable": true, "details": []}}'
    keys: list[str] = []

    async def refuse_once(route: "Route") -> None:
        keys.append(route.request.headers["idempotency-key"])
        if len(keys) == 1:
            await route.fulfill(status=429, body=full, headers={"Retry-After": "1"})
        else:
            await route.continue_()

    await page.page.route("**/documents", refuse_once)
    await page.upload(("later.txt", CLAIM.encode()))

    await page.find("text=no room just now; trying again in 1 s").wait_for()
    await page.find(".upload.ready").wait_for()
    assert len(keys) == 2
    assert keys[0] == keys[1]


class TestDeleting:
    async def test_a_deleted_document_leaves_its_receipt(self, live: Live, visit: Visiting) -> None:
        collection = await live.api.new_collection()
        document = await live.api.ready_text(f"{CLAIM} Always.", title="Terms", collection=collection)
        page = await visit(live, collection)

        await page.page.get_by_role("button", name="Delete Terms").click()
        await page.find("#asking button.danger").click()
        await page.find("#asking .notice.good").wait_for()

        receipt = await page.text("#asking .notice.good")
        assert "1 version, 1 point, 1 stored file" in receipt
        assert "Verified absent" in receipt
        await live.api.refused("GET", f"/documents/{document['id']}", 404)
        await page.until("document.querySelectorAll('.document').length === 0")

    async def test_nothing_is_deleted_by_who_cancels(self, live: Live, visit: Visiting) -> None:
        collection = await live.api.new_collection()
        document = await live.api.ready_text(CLAIM, title="Terms", collection=collection)
        page = await visit(live, collection)

        await page.page.get_by_role("button", name="Delete Terms").click()
        await page.find("#asking >> text=Cancel").click()

        assert (await live.api.get(f"/documents/{document['id']}"))["status"] == "ready"


class TestCollections:
    async def test_one_is_made_filled_and_deleted_by_its_name(self, live: Live, visit: Visiting) -> None:
        page = await visit(live)
        await page.find("#new-collection").click()
        await page.find("#field-name").fill("handbook")
        await page.find("#asking >> text=Create").click()
        await page.until("document.querySelector('#collection').value === 'handbook'")
        await page.upload(("terms.txt", CLAIM.encode()))
        await page.find(".upload.ready").wait_for()
        assert (await live.api.get("/collections/handbook"))["documents"] == 1

        await page.find("#delete-collection").click()
        assert await page.find("#asking button.danger").is_disabled()
        await page.find("#field-typed").fill("handbook")
        await page.find("#asking button.danger").click()

        await page.find("#asking >> text=handbook was deleted with 1 document").wait_for()
        await live.api.refused("GET", "/collections/handbook", 404)

    async def test_a_name_that_is_taken_is_said_to_be(self, live: Live, visit: Visiting) -> None:
        taken = await live.api.new_collection()
        page = await visit(live)
        await page.find("#new-collection").click()
        await page.find("#field-name").fill(taken)

        await page.find("#asking >> text=Create").click()

        assert "collection_exists" in await page.text("#asking .notice.bad")


class TestPassages:
    """A link names a document, a version and a span; it opens the passage with the span marked."""

    async def linked(self, live: Live, visit: Visiting, text: str, quote: str) -> Visit:
        collection = await live.api.new_collection()
        document = await live.api.ready(text.encode(), "long.md", collection=collection)
        start = (await live.api.text(document["id"])).index(quote)
        page = await visit(live)
        link = f"/#document={document['id']}&version=1&start={start}&end={start + len(quote)}"
        await page.page.goto(f"{live.url}{link}")
        await page.page.reload()
        await page.find("#passage mark").wait_for()
        return page

    async def test_offsets_are_code_points(self, live: Live, visit: Visiting) -> None:
        page = await self.linked(
            live, visit, f"# Pets 🐕‍🦺\n\n🐈 and 🐕 and 👩‍👩‍👧. {CLAIM} 🎉", "👩‍👩‍👧. " + CLAIM
        )

        assert await page.text("#passage mark") == "👩‍👩‍👧. " + CLAIM
        assert "Pets" in await page.text("#passage-place")

        await page.page.go_back()
        assert not await page.find("#passage").is_visible()

    async def test_of_a_long_text_only_what_is_near_is_shown(self, live: Live, visit: Visiting) -> None:
        filler = "".join(f"Line {number} says nothing at all. 🎈\n" for number in range(2_000))
        page = await self.linked(live, visit, f"{filler}\n{CLAIM}\n{filler}", CLAIM)

        shown = "document.querySelector('#passage .text').textContent.length"
        assert await page.page.evaluate(shown) < 7_000
        await page.find("text=More before").click()
        assert 16_000 < await page.page.evaluate(shown) < 17_000
        assert await page.text("#passage mark") == CLAIM

    async def test_a_link_to_what_was_deleted_says_so(self, live: Live, visit: Visiting) -> None:
        page = await visit(live)

        await page.page.goto(f"{live.url}/#document=no-such&version=1&start=0&end=5")

        assert "It was deleted, or the link is wrong." in await page.text("#passage .notice")

    async def test_the_original_is_saved_as_it_was(self, live: Live, visit: Visiting) -> None:
        document = await live.api.ready(PDF, "terms.pdf", collection=await live.api.new_collection())
        page = await visit(live)
        await page.page.goto(f"{live.url}/#document={document['id']}")
        await page.find("#passage .text").wait_for()

        async with page.page.expect_download() as download:
            await page.find("text=Download original").click()

        saved = await (await download.value).path()
        assert (saved.read_bytes(), (await download.value).suggested_filename) == (PDF, "terms.pdf")
