"""Looking at documents, listing them, re-indexing and deleting them."""

import json
import uuid
from typing import Any
from urllib.parse import quote

import pytest
import pytest_asyncio

from ragstone.core.filters import matches, parse_filter
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
        assert any("Install" in chunk["heading"] for chunk in chunks)
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
    async def test_a_forged_chunk_cursor_is_refused(self, api: Api, guide: dict[str, Any], cursor: str) -> None:
        error = await api.refused("GET", f"/documents/{guide['id']}/chunks", 422, params={"cursor": cursor})

        assert error["code"] == "invalid_cursor"

    @pytest.mark.parametrize("part", ["", "/content", "/text", "/chunks"])
    @pytest.mark.parametrize("document_id", ["nobody", "00000000-0000-4000-8000-000000000000", "%F0%9F%99%82", "..."])
    async def test_a_missing_document_is_404(self, api: Api, document_id: str, part: str) -> None:
        error = await api.refused("GET", f"/documents/{document_id}{part}", 404)

        assert error["code"] == "document_not_found"

    async def test_a_job_that_is_missing_is_404(self, api: Api) -> None:
        assert (await api.refused("GET", "/jobs/nobody", 404))["code"] == "job_not_found"


class TestList:
    @pytest_asyncio.fixture(scope="class", loop_scope="session")
    async def collection(self, api: Api) -> str:
        """Shared by the class."""
        return await api.new_collection()

    @pytest_asyncio.fixture(scope="class", loop_scope="session")
    async def library(self, api: Api, collection: str) -> list[dict[str, Any]]:
        """Five documents, oldest first."""
        metadata = [{"n": 1, "tag": ["a", "b"]}, {"n": 2.5}, {"n": "1"}, {"n": None}, {"a.b": 'q"x', "n": True}]
        uploads = [
            await api.upload_text(
                f"Text number {at}.", collection=collection, source=f"s{at}", title=f"T{9 - at}", metadata=said
            )
            for at, said in enumerate(metadata)
        ]
        return [await api.settled(upload) for upload in uploads]

    async def ids(self, api: Api, collection: str, **params: Any) -> list[str]:
        return [item["id"] for item in (await api.get("/documents", collection=collection, **params))["items"]]

    async def test_newest_first_unless_sorted_otherwise(
        self, api: Api, collection: str, library: list[dict[str, Any]]
    ) -> None:
        ids = [document["id"] for document in library]

        assert await self.ids(api, collection) == ids[::-1]
        assert await self.ids(api, collection, sort="created_at") == ids
        assert await self.ids(api, collection, sort="title") == ids[::-1]

    @pytest.mark.parametrize("sort", ["created_at", "-created_at", "title"])
    async def test_pages_are_the_parts_of_one_list(
        self, api: Api, collection: str, library: list[dict[str, Any]], sort: str
    ) -> None:
        whole = await self.ids(api, collection, sort=sort)
        pages: list[str] = []
        cursor: str | None = ""
        while cursor is not None:
            given = {"cursor": cursor} if cursor else {}
            page = await api.get("/documents", collection=collection, sort=sort, limit=2, **given)
            pages += [item["id"] for item in page["items"]]
            cursor = page["next_cursor"]

        assert pages == whole

    async def test_a_page_does_not_shift_when_documents_arrive(self, api: Api) -> None:
        own = await api.new_collection()
        ids = [(await api.upload_text(f"Number {at}.", collection=own))["document"]["id"] for at in range(4)]
        first = await api.get("/documents", collection=own, limit=2)
        await api.upload_text("A late one.", collection=own)

        second = await api.get("/documents", collection=own, limit=2, cursor=first["next_cursor"])

        assert [item["id"] for item in first["items"] + second["items"]] == ids[::-1]

    async def test_by_status(self, api: Api) -> None:
        own = await api.new_collection()
        failed = await api.settled(await api.upload(b" ", collection=own))
        ready = await api.ready_text("Cats sleep.", collection=own)

        assert await self.ids(api, own, status="failed") == [failed["id"]]
        assert await self.ids(api, own, status="ready") == [ready["id"]]
        assert await self.ids(api, own, status="queued") == []

    async def test_by_part_of_the_title_in_any_case(
        self, api: Api, collection: str, library: list[dict[str, Any]]
    ) -> None:
        assert await self.ids(api, collection, title="t8") == [library[1]["id"]]
        assert await self.ids(api, collection, title="%") == []
        assert await self.ids(api, collection, title="_8") == []

    @pytest.mark.parametrize(
        "condition",
        [
            {"field": "metadata.n", "eq": 1},
            {"field": "metadata.n", "ne": 1},
            {"field": "metadata.n", "eq": "1"},
            {"field": "metadata.n", "eq": True},
            {"field": "metadata.n", "gt": 1},
            {"field": "metadata.n", "lte": 2.5},
            {"field": "metadata.n", "in": [2.5, "1", False]},
            {"field": "metadata.n", "exists": True},
            {"field": "metadata.n", "exists": False},
            {"field": "metadata.tag", "eq": "b"},
            {"field": "metadata.tag", "ne": "b"},
            {"field": "metadata.tag", "in": ["b", "c"]},
            {"field": "metadata.a.b", "eq": 'q"x'},
            {"field": 'metadata.a"]["b', "exists": False},
            {"field": "source", "eq": "s3"},
            {"field": "source", "in": ["s1", "s2", "nothing"]},
            {"field": "filename", "exists": True},
            {"field": "media_type", "eq": "text/plain"},
            {"field": "title", "ne": "T9"},
            {"field": "created_at", "gte": "2020-01-01T00:00:00Z"},
            {"field": "created_at", "lt": "2020-01-01T00:00:00+05:00"},
            {"not": {"field": "metadata.n", "gt": 1}},
            {"and": [{"field": "metadata.n", "exists": True}, {"field": "source", "ne": "s0"}]},
            {"or": [{"field": "metadata.n", "eq": 1}, {"not": {"field": "metadata.n", "exists": True}}]},
        ],
    )
    async def test_a_filter_means_the_same_in_a_list_and_in_a_search(
        self, api: Api, collection: str, library: list[dict[str, Any]], condition: dict[str, Any]
    ) -> None:
        parsed = parse_filter(condition)
        expected = {document["id"] for document in library if matches(parsed, fields_of(document))}

        listed = await self.ids(api, collection, filter=json.dumps(condition))
        found = await api.search("text number", collection=collection, filter=condition, top_k=100)

        assert set(listed) == expected
        assert {source["document_id"] for source in found} == expected

    async def test_a_filter_by_document_id(
        self, api: Api, collection: str, library: list[dict[str, Any]]
    ) -> None:
        condition = {"field": "document_id", "eq": library[2]["id"]}

        assert await self.ids(api, collection, filter=json.dumps(condition)) == [library[2]["id"]]
        (found,) = await api.search("text", collection=collection, filter=condition)
        assert found["document_id"] == library[2]["id"]

    @pytest.mark.parametrize(
        "params",
        [
            {"limit": 0},
            {"limit": 201},
            {"limit": "many"},
            {"sort": "size"},
            {"status": "done"},
            {"collection": "No"},
            {"filter": "{"},
            {"filter": "[]"},
            {"filter": '{"field": "colour", "eq": 1}'},
            {"filter": '{"field": "metadata.n", "eq": NaN}'},
            {"filter": "x" * 70_000},
            {"title": "x" * 1_025},
        ],
    )
    async def test_bad_parameters_are_422(self, api: Api, params: dict[str, Any]) -> None:
        await api.refused("GET", "/documents", 422, params=params)

    @pytest.mark.parametrize("path", ["/documents", "/collections"])
    @pytest.mark.parametrize(
        "cursor", ["x", "AAAA", "eyJhIjoxfQ", "e30=", "bnVsbA", "WzEsMl0", "%F0%9F%99%82", "9" * 2_000, "' OR 1=1"]
    )
    async def test_a_forged_cursor_is_refused(self, api: Api, path: str, cursor: str) -> None:
        error = await api.refused("GET", path, 422, params={"cursor": cursor})

        assert error["code"] == "invalid_cursor"

    async def test_a_cursor_of_another_order_is_refused(
        self, api: Api, collection: str, library: list[dict[str, Any]]
    ) -> None:
        page = await api.get("/documents", collection=collection, sort="title", limit=2)
        params = {"collection": collection, "sort": "created_at", "cursor": page["next_cursor"]}

        await api.refused("GET", "/documents", 422, params=params)

    async def test_an_unknown_collection_is_404(self, api: Api) -> None:
        error = await api.refused("GET", "/documents", 404, params={"collection": "nowhere"})

        assert error["code"] == "collection_not_found"


def fields_of(document: dict[str, Any]) -> dict[str, Any]:
    """The document as the filter grammar sees it; all were created after 2020."""
    named = {name: document[name] for name in ("source", "title", "filename", "media_type")}
    metadata = {f"metadata.{key}": value for key, value in document["metadata"].items()}
    return {**named, **metadata, "document_id": document["id"], "created_at": 1_900_000_000_000_000}


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

        assert (await api.refused("DELETE", f"/documents/{doomed['id']}", 404))["code"] == "document_not_found"

    async def test_a_document_can_be_deleted_while_it_is_queued_or_in_work(self, api: Api, collection: str) -> None:
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
    async def test_the_original_is_an_inert_attachment(self, api: Api, collection: str, filename: str) -> None:
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
        evil = '<script>alert(1)</script><img src=x onerror=alert(1)> [x](javascript:alert(1))'

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
