"""Looking at documents, re-indexing and deleting them, and fetching them back."""

import uuid
from typing import Any
from urllib.parse import quote

import pytest
import pytest_asyncio

from tests.apiclient import Api
from tests.conftest import CountingEmbedder

GUIDE = """# Guide 🙂

Ein Absatz mit Umlauten: Größe, Öl. 中文句子在这里。 And a family 👨‍👩‍👧‍👦 emoji.

## Install

Run the installer first. Then write the settings file. Start the server in the end.

## Use

Ask a question. Read the answer. Follow the citation.
"""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def guide(api: Api) -> dict[str, Any]:
    """A document that is only looked at, shared by the module."""
    return await api.ready(GUIDE.encode(), "guide.md", collection=await api.new_collection())


@pytest_asyncio.fixture(loop_scope="session")
async def doomed(api: Api, collection: str) -> dict[str, Any]:
    """A document of one test alone, with bytes that no other has."""
    text = f"# Guide of {collection}\n\nRun the installer first.\n"
    return await api.ready(text.encode(), "guide.md", collection=collection)


class TestReading:
    async def test_the_original_comes_back_byte_for_byte(self, api: Api, guide: dict[str, Any]) -> None:
        response = await api.call("GET", f"/documents/{guide['id']}/content")

        assert response.content == GUIDE.encode()
        assert response.headers["content-length"] == str(guide["bytes"])

    async def test_the_text_is_utf8_and_as_long_as_the_document_says(
        self, api: Api, guide: dict[str, Any]
    ) -> None:
        response = await api.call("GET", f"/documents/{guide['id']}/text")

        assert response.headers["content-type"] == "text/plain; charset=utf-8"
        assert len(response.content.decode()) == guide["characters"]
        assert "中文句子在这里。" in response.text

    async def test_chunks_are_slices_of_the_text_under_their_headings(
        self, api: Api, guide: dict[str, Any]
    ) -> None:
        text = await api.text(guide["id"])

        chunks = (await api.get(f"/documents/{guide['id']}/chunks"))["items"]

        assert [chunk["index"] for chunk in chunks] == list(range(guide["chunks"]))
        assert all(chunk["text"] == text[chunk["start"] : chunk["end"]] for chunk in chunks)
        assert all(chunk["heading"][0] == "Guide 🙂" for chunk in chunks)
        assert set(chunks[0]["location"]) == {"page", "page_end", "sheet", "slide"}

    async def test_chunks_come_in_pages(self, api: Api, guide: dict[str, Any]) -> None:
        path = f"/documents/{guide['id']}/chunks"
        whole = (await api.get(path))["items"]
        pages, cursor = [], ""
        while cursor is not None:
            page = await api.get(path, limit=1, **({"cursor": cursor} if cursor else {}))
            pages += page["items"]
            cursor = page["next_cursor"]

        assert pages == whole

    @pytest.mark.parametrize("cursor", ["-1", "x", "1.5", "9" * 400, "٣", "[]", " 1"])
    async def test_a_forged_chunk_cursor_is_refused(
        self, api: Api, guide: dict[str, Any], cursor: str
    ) -> None:
        error = await api.refused("GET", f"/documents/{guide['id']}/chunks", 422, params={"cursor": cursor})

        assert error["code"] == "invalid_cursor"

    @pytest.mark.parametrize("part", ["", "/content", "/text", "/chunks"])
    @pytest.mark.parametrize(
        "document_id", ["nobody", "00000000-0000-4000-8000-000000000000", "%F0%9F%99%82", "..."]
    )
    async def test_a_missing_document_is_404(self, api: Api, document_id: str, part: str) -> None:
        error = await api.refused("GET", f"/documents/{document_id}{part}", 404)

        assert error["code"] == "document_not_found"

    async def test_a_job_that_is_missing_is_404(self, api: Api) -> None:
        assert (await api.refused("GET", "/jobs/nobody", 404))["code"] == "job_not_found"


class TestReindex:
    async def test_the_stored_bytes_become_a_new_version(
        self, api: Api, collection: str, doomed: dict[str, Any], embedder: CountingEmbedder
    ) -> None:
        before = len(embedder.embedded)

        document = await api.settled(await api.post(f"/documents/{doomed['id']}/reindex", None, 202))

        assert (document["id"], document["version"], document["status"]) == (doomed["id"], 2, "ready")
        assert len(embedder.embedded) - before == document["chunks"]
        assert {found["version"] for found in await api.search("installer", collection=collection)} == {2}

    async def test_a_failed_document_may_be_tried_again(self, api: Api, collection: str) -> None:
        failed = await api.settled(await api.upload(b" ", collection=collection))

        reply = await api.post(f"/documents/{failed['id']}/reindex", None, 202)

        assert reply["job"]["kind"] == "reindex"
        assert (await api.settled(reply))["status"] == "failed"

    async def test_a_missing_document_is_404(self, api: Api) -> None:
        await api.refused("POST", "/documents/nobody/reindex", 404)


class TestDelete:
    async def test_the_receipt_tells_what_went_and_that_it_was_read_back(
        self, api: Api, doomed: dict[str, Any]
    ) -> None:
        receipt = await api.delete(f"/documents/{doomed['id']}")

        assert receipt == {
            "document_id": doomed["id"],
            "versions": 1,
            "points_deleted": doomed["chunks"],
            "blobs_deleted": 2,
            "verified_absent": True,
            "job": None,
        }

    async def test_it_is_gone_from_everywhere_at_once(
        self, api: Api, collection: str, doomed: dict[str, Any]
    ) -> None:
        await api.delete(f"/documents/{doomed['id']}")

        for part in ("", "/content", "/text", "/chunks"):
            await api.refused("GET", f"/documents/{doomed['id']}{part}", 404)
        await api.refused("POST", f"/documents/{doomed['id']}/reindex", 404)
        assert (await api.get("/documents", collection=collection))["items"] == []
        assert (await api.get(f"/collections/{collection}"))["documents"] == 0
        assert await api.search("installer", collection=collection) == []
        answer = await api.query("installer", collection=collection)
        assert (answer["reason"], answer["sources"], answer["citations"]) == ("no_results", [], [])

    async def test_a_second_delete_is_404(self, api: Api, doomed: dict[str, Any]) -> None:
        await api.delete(f"/documents/{doomed['id']}")

        assert (await api.refused("DELETE", f"/documents/{doomed['id']}", 404))[
            "code"
        ] == "document_not_found"

    async def test_a_document_can_be_deleted_while_it_is_queued_or_in_work(
        self, api: Api, collection: str
    ) -> None:
        text = "\n\n".join(f"Paragraph {number} is about cats." for number in range(500))
        uploads = [await api.upload_text(text, collection=collection, source=str(at)) for at in range(6)]

        receipts = [await api.delete(f"/documents/{upload['document']['id']}") for upload in uploads]

        assert all(receipt["verified_absent"] for receipt in receipts)
        for upload in uploads:
            assert (await api.get(f"/jobs/{upload['job']['id']}"))["state"] in {"cancelled", "succeeded"}
        assert await api.search("cats", collection=collection) == []

    async def test_a_failed_document_can_be_deleted(self, api: Api, collection: str) -> None:
        failed = await api.settled(await api.upload(b" ", collection=collection))

        receipt = await api.delete(f"/documents/{failed['id']}")

        assert (receipt["verified_absent"], receipt["points_deleted"]) == (True, 0)

    async def test_after_a_delete_the_same_source_is_a_new_document(
        self, api: Api, collection: str, doomed: dict[str, Any]
    ) -> None:
        await api.delete(f"/documents/{doomed['id']}")

        again = await api.ready(b"Run the installer first.", "guide.md", collection=collection)

        assert again["id"] != doomed["id"]
        assert again["version"] == 1

    async def test_a_missing_document_is_404(self, api: Api) -> None:
        await api.refused("DELETE", f"/documents/{uuid.uuid4()}", 404)


class TestDownloads:
    """What was uploaded must never run in the browser of whoever fetches it back."""

    HTML = b"<!doctype html><html><body onload=alert(1)><script>alert(document.domain)</script><p>Hi there.</p></body>"

    @pytest.mark.parametrize("filename", ["x.html", "x.svg", '"><script>alert(1)</script>.html', "x.txt"])
    async def test_the_original_is_an_inert_attachment(
        self, api: Api, collection: str, filename: str
    ) -> None:
        document = await api.ready(self.HTML, filename, collection=collection)

        response = await api.call("GET", f"/documents/{document['id']}/content")

        assert response.content == self.HTML
        assert response.headers["content-type"] == "application/octet-stream"
        assert response.headers["x-content-type-options"] == "nosniff"
        assert "sandbox" in response.headers["content-security-policy"]
        disposition = response.headers["content-disposition"]
        assert disposition == f"attachment; filename*=UTF-8''{quote(document['filename'], safe='')}"
        assert "<" not in disposition

    async def test_the_text_is_plain_and_not_sniffed(self, api: Api, collection: str) -> None:
        document = await api.ready(b"&lt;script&gt;alert(1)&lt;/script&gt;", "x.txt", collection=collection)

        response = await api.call("GET", f"/documents/{document['id']}/text")

        assert response.headers["content-type"].startswith("text/plain")
        assert response.headers["x-content-type-options"] == "nosniff"

    async def test_markup_in_names_and_metadata_is_data_in_json(self, api: Api, collection: str) -> None:
        evil = "<script>alert(1)</script><img src=x onerror=alert(1)> [x](javascript:alert(1))"

        document = await api.ready_text("Hi.", collection=collection, title=evil, metadata={"note": evil})
        response = await api.call("GET", f"/documents/{document['id']}")

        assert (document["title"], document["metadata"]["note"]) == (evil, evil)
        assert response.headers["content-type"] == "application/json"

    async def test_a_text_is_downloaded_under_a_name_of_its_own(self, api: Api, collection: str) -> None:
        document = await api.ready_text("Hi there.", collection=collection)

        response = await api.call("GET", f"/documents/{document['id']}/content")

        assert response.headers["content-disposition"] == f"attachment; filename*=UTF-8''{document['id']}.txt"

    async def test_a_part_of_the_original_may_be_asked_for(self, api: Api, guide: dict[str, Any]) -> None:
        headers = {"Range": "bytes=2-6"}

        response = await api.call("GET", f"/documents/{guide['id']}/content", headers=headers)

        assert (response.status_code, response.content) == (206, GUIDE.encode()[2:7])

    async def test_an_impossible_part_is_refused(self, api: Api, guide: dict[str, Any]) -> None:
        """As RFC 9110 has it: 416 without a body, or the whole where the range makes no sense."""
        for wanted in ("bytes=999999-", "bytes=5-1", "lines=1-2", "bytes=" + ",".join(["0-0"] * 10_000)):
            response = await api.http.get(f"/documents/{guide['id']}/content", headers={"Range": wanted})
            assert response.status_code in (200, 206, 400, 416)
            assert len(response.content) <= len(GUIDE.encode())
