"""`POST /documents`: what is accepted, as which document, and what an acknowledgement holds."""

import json
from typing import Any

import pytest

from tests.apiclient import Api
from tests.conftest import CountingEmbedder

MARKDOWN = b"# Refunds\n\nRefunds are paid within 14 days of the return.\n"
SOUND = b"RIFF\x24\x08\x00\x00WAVEfmt "


class TestAcknowledgement:
    async def test_a_file_is_acknowledged_with_its_document_and_job(self, api: Api, collection: str) -> None:
        reply = await api.upload(MARKDOWN, "refunds.md", collection=collection)

        document, job = reply["document"], reply["job"]
        assert document["filename"] == document["source"] == "refunds.md"
        assert document["media_type"] == "text/markdown"
        assert (document["bytes"], document["version"]) == (len(MARKDOWN), 1)
        assert document["status"] in {"queued", "processing"}
        assert (job["document_id"], job["version"], job["kind"]) == (document["id"], 1, "ingest")

    async def test_its_job_ends_and_the_document_is_ready(self, api: Api, collection: str) -> None:
        reply = await api.upload(MARKDOWN, "refunds.md", collection=collection)

        document = await api.settled(reply)
        job = await api.get(f"/jobs/{reply['job']['id']}")

        assert (document["status"], document["error"], document["pending"]) == ("ready", None, None)
        assert document["chunks"] >= 1
        assert document["characters"] == len(await api.text(document["id"]))
        assert (job["state"], job["stage"], job["error"]) == ("succeeded", "index", None)
        assert job["progress"]["done"] == job["progress"]["total"] == document["chunks"]
        assert set(job["stage_ms"]) == {"parse_ms", "chunk_ms", "embed_ms", "index_ms"}

    async def test_title_and_metadata_are_kept(self, api: Api, collection: str) -> None:
        metadata = {"team": "support", "tags": ["a", "b"], "dotted.key": 1.5, "Ünïcode 🙂": None}

        document = await api.ready(
            MARKDOWN, "refunds.md", collection=collection, title="Our refunds", metadata=json.dumps(metadata)
        )

        assert document["title"] == "Our refunds"
        assert document["metadata"] == metadata

    async def test_the_title_is_taken_from_the_document_where_none_is_given(
        self, api: Api, collection: str
    ) -> None:
        assert (await api.ready(MARKDOWN, "refunds.md", collection=collection))["title"] == "Refunds"
        assert (await api.ready(b"no heading", "plain.txt", collection=collection))["title"] == "plain.txt"

    async def test_a_text_in_json_needs_no_name(self, api: Api, collection: str) -> None:
        document = await api.ready_text("Cats sleep.", collection=collection)

        assert (document["source"], document["filename"], document["title"]) == (None, None, "Untitled")
        assert document["media_type"] == "text/plain"
        assert await api.text(document["id"]) == "Cats sleep."

    async def test_a_guessed_encoding_is_recorded(self, api: Api, collection: str) -> None:
        content = "Die Größe der Straße überrascht Käufer, öfter als möglich.".encode("cp1252")

        document = await api.ready(content, "alt.txt", collection=collection)

        assert document["encoding"]
        assert "Größe der Straße" in await api.text(document["id"])

    async def test_times_are_rfc3339_utc(self, api: Api, collection: str) -> None:
        document = await api.ready_text("Cats sleep.", collection=collection)

        assert document["created_at"].endswith("Z")
        assert document["created_at"] <= document["updated_at"]
        assert document["expires_at"] is None

    async def test_an_empty_title_or_source_counts_as_none(self, api: Api, collection: str) -> None:
        document = await api.ready(MARKDOWN, "a.md", collection=collection, title="", source="")

        assert (document["title"], document["source"]) == ("Refunds", "a.md")


class TestIdentity:
    async def test_the_same_bytes_again_are_nothing_to_do(self, api: Api, collection: str) -> None:
        document = await api.ready(MARKDOWN, "a.md", collection=collection)

        reply = await api.upload(MARKDOWN, "a.md", collection=collection, status=200)

        assert reply["job"] is None
        assert reply["document"] == document

    async def test_other_bytes_become_a_new_version_and_only_it_answers(
        self, api: Api, collection: str
    ) -> None:
        old = await api.ready(b"Refunds take fourteen days.", "a.txt", collection=collection)

        new = await api.ready(b"Refunds take thirty days.", "a.txt", collection=collection)

        assert (new["id"], new["version"]) == (old["id"], 2)
        assert [found["text"] for found in await api.search("refunds", collection=collection)] == [
            "Refunds take thirty days."
        ]

    async def test_going_back_to_old_bytes_is_a_new_version_too(self, api: Api, collection: str) -> None:
        for content in (b"first", b"second", b"first"):
            document = await api.ready(content, "a.txt", collection=collection)

        assert document["version"] == 3
        assert await api.text(document["id"]) == "first"

    async def test_skip_keeps_the_version_that_is_there(self, api: Api, collection: str) -> None:
        document = await api.ready(b"first", "a.txt", collection=collection)

        reply = await api.upload(b"second", "a.txt", collection=collection, on_duplicate="skip", status=200)

        assert reply == {"document": document, "job": None}

    async def test_skip_uploads_what_is_new(self, api: Api, collection: str) -> None:
        await api.ready(b"first", "a.txt", collection=collection, on_duplicate="skip")

    async def test_a_source_is_the_identity_whatever_the_file_is_called(
        self, api: Api, collection: str
    ) -> None:
        one = await api.ready(b"first", "a.txt", collection=collection, source="docs/a")
        two = await api.ready(b"second", "b.txt", collection=collection, source="docs/a")
        text = await api.ready_text("third", collection=collection, source="docs/a")

        assert one["id"] == two["id"] == text["id"]
        assert (text["version"], text["filename"]) == (3, None)

    async def test_the_same_bytes_under_another_source_are_another_document_whose_embeddings_are_reused(
        self, api: Api, collection: str, embedder: CountingEmbedder
    ) -> None:
        content = f"A sentence about {collection} that is embedded once.".encode()
        one = await api.ready(content, collection=collection, source="one")
        two = await api.ready(content, collection=collection, source="two")

        assert one["id"] != two["id"]
        assert embedder.times_embedded(collection) == 1
        assert len(await api.search(collection, collection=collection)) == 2

    async def test_only_the_changed_part_of_a_new_version_is_embedded(
        self, api: Api, collection: str, embedder: CountingEmbedder
    ) -> None:
        said = [f"Sentence {at} of {collection} goes on for a while." for at in range(120)]
        sections = [
            f"# Part {number}\n\n{' '.join(said[number * 20 : number * 20 + 20])}" for number in range(6)
        ]
        await api.ready("\n\n".join(sections).encode(), "a.md", collection=collection)
        before = embedder.times_embedded(collection)

        sections[3] += " With a change."
        document = await api.ready("\n\n".join(sections).encode(), "a.md", collection=collection)

        assert document["version"] == 2
        assert 1 <= embedder.times_embedded(collection) - before <= 3 < before

    async def test_collections_do_not_share_identities(self, api: Api, collection: str) -> None:
        other = await api.new_collection()
        one = await api.ready(b"first", "a.txt", collection=collection)
        two = await api.ready(b"first", "a.txt", collection=other)

        assert one["id"] != two["id"]

    async def test_without_a_source_each_text_is_a_document_of_its_own(
        self, api: Api, collection: str
    ) -> None:
        ids = {(await api.ready_text("The same.", collection=collection))["id"] for _ in range(3)}

        assert len(ids) == 3

    async def test_what_an_upload_leaves_out_stays_as_it_was(self, api: Api, collection: str) -> None:
        await api.ready(b"first", "a.txt", collection=collection, title="Mine", metadata='{"team": "x"}')

        document = await api.ready(b"second", "a.txt", collection=collection)

        assert (document["title"], document["metadata"]) == ("Mine", {"team": "x"})

    async def test_a_failed_version_may_be_tried_again_with_the_same_bytes(
        self, api: Api, collection: str
    ) -> None:
        failed = await api.settled(await api.upload(b" ", "a.txt", collection=collection))
        assert failed["status"] == "failed"

        again = await api.upload(b" ", "a.txt", collection=collection)

        assert (again["document"]["id"], again["document"]["version"]) == (failed["id"], 2)
        await api.finished(again["job"]["id"])


class TestManyFiles:
    async def many(
        self, api: Api, files: dict[str, bytes], status: int, **fields: str
    ) -> list[dict[str, Any]]:
        parts = [("files", (name, content)) for name, content in files.items()]
        response = await api.call("POST", "/documents", files=parts, data=fields)
        assert response.status_code == status, response.text
        items: list[dict[str, Any]] = response.json()["items"]
        return items

    async def test_each_file_is_accepted_or_refused_on_its_own_in_order(
        self, api: Api, collection: str
    ) -> None:
        files = {"a.txt": b"Cats sleep.", "b.pdf": SOUND, "c.txt": b"Dogs bark."}

        items = await self.many(api, files, 202, collection=collection)

        assert [item["filename"] for item in items] == ["a.txt", "b.pdf", "c.txt"]
        assert [item["error"] and item["error"]["code"] for item in items] == [
            None,
            "unsupported_media_type",
            None,
        ]
        assert items[1]["document"] is items[1]["job"] is None
        for item in (items[0], items[2]):
            assert (await api.settled(item))["status"] == "ready"
        assert len((await api.get("/documents", collection=collection))["items"]) == 2

    async def test_where_none_is_accepted_the_first_error_decides_the_status(
        self, api: Api, collection: str
    ) -> None:
        items = await self.many(api, {"a.wav": SOUND, "b.wav": SOUND}, 415, collection=collection)

        assert [item["error"]["code"] for item in items] == ["unsupported_media_type"] * 2

    async def test_where_all_are_known_there_is_nothing_to_do(self, api: Api, collection: str) -> None:
        files = {"a.txt": b"Cats sleep.", "b.txt": b"Dogs bark."}
        for item in await self.many(api, files, 202, collection=collection):
            await api.settled(item)

        items = await self.many(api, files, 200, collection=collection)

        assert all(item["job"] is None and item["document"] for item in items)

    async def test_one_of_many_is_answered_as_many(self, api: Api, collection: str) -> None:
        (item,) = await self.many(api, {"a.txt": b"Cats sleep."}, 202, collection=collection)

        assert item["document"]["filename"] == "a.txt"

    async def test_an_unknown_collection_is_each_files_error(self, api: Api) -> None:
        items = await self.many(api, {"a.txt": b"x"}, 404, collection="nowhere")

        assert items[0]["error"]["code"] == "collection_not_found"

    @pytest.mark.parametrize("field", ["title", "source"])
    async def test_a_title_or_source_belongs_to_one_file(self, api: Api, field: str) -> None:
        parts = [("files", ("a.txt", b"x")), ("files", ("b.txt", b"y"))]

        error = await api.refused("POST", "/documents", 422, files=parts, data={field: "same for all"})

        assert "one file" in error["message"]

    async def test_at_most_a_hundred(self, api: Api) -> None:
        parts = [("files", (f"{number}.txt", b"x")) for number in range(101)]

        await api.refused("POST", "/documents", 422, files=parts)


class TestRefusals:
    async def test_an_unsupported_type_is_refused_naming_the_supported_ones(self, api: Api) -> None:
        error = await api.refused("POST", "/documents", 415, files={"file": ("a.wav", SOUND)})

        assert error["code"] == "unsupported_media_type"
        assert "text/markdown" in error["message"] or ".md" in error["message"]

    async def test_a_document_without_text_fails_as_no_text(self, api: Api, collection: str) -> None:
        for content in (b"", b" \n\t ", b"<html><body><script>x()</script></body></html>"):
            document = await api.settled(await api.upload(content, "a.html", collection=collection))
            assert (document["status"], document["error"]["code"]) == ("failed", "no_text")
            assert document["chunks"] == 0

    async def test_an_unknown_collection_is_404(self, api: Api) -> None:
        error = await api.refused("POST", "/documents", 404, json={"text": "x", "collection": "nowhere"})

        assert error["code"] == "collection_not_found"

    @pytest.mark.parametrize(
        "parts",
        [
            [],
            [("file", ("a.txt", b"x")), ("file", ("b.txt", b"y"))],
            [("file", ("a.txt", b"x")), ("files", ("b.txt", b"y"))],
            [("upload", ("a.txt", b"x"))],
            [("file", ("a.txt", b"x")), ("picture", ("b.txt", b"y"))],
        ],
    )
    async def test_exactly_one_file_or_many_files_are_expected(self, api: Api, parts: list[Any]) -> None:
        parts = parts or [("title", (None, b"only a title"))]

        await api.refused("POST", "/documents", 422, files=parts)

    @pytest.mark.parametrize(
        "fields",
        [
            {"on_duplicate": "overwrite"},
            {"on_duplicate": ""},
            {"collection": "No Such Name"},
            {"metadata": "[1]"},
            {"metadata": "{"},
            {"metadata": "null", "colour": "red"},
            {"metadata": '{"a": {"b": 1}}'},
            {"metadata": '{"a": NaN}'},
            {"metadata": '{"": 1}'},
            {"metadata": '{"a": "\\ud800"}'},
            {"title": "x" * 1025},
            {"title": "nul\0"},
            {"unknown": "field"},
        ],
    )
    async def test_a_bad_field_is_422(self, api: Api, fields: dict[str, str]) -> None:
        await api.refused("POST", "/documents", 422, files={"file": ("a.txt", b"x")}, data=fields)

    @pytest.mark.parametrize(
        "body",
        [
            {},
            {"text": ""},
            {"text": " \n"},
            {"text": 5},
            {"text": "x", "metadata": {"a": {"b": 1}}},
            {"text": "x", "on_duplicate": "Error"},
            {"text": "x", "tenant_id": "other"},
            [],
            "text",
            0,
        ],
    )
    async def test_a_bad_json_body_is_422(self, api: Api, body: Any) -> None:
        await api.refused("POST", "/documents", 422, json=body)

    async def test_parameters_of_an_upload_are_never_in_the_query(self, api: Api, collection: str) -> None:
        error = await api.refused(
            "POST", "/documents", 422, params={"collection": collection}, json={"text": "x"}
        )

        assert error["details"][0]["loc"] == ["query", "collection"]
