"""Changing documents: replaced content, patches, versions, duplicate rules, idempotency keys, expiry."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.apiclient import Api
from tests.conftest import CountingEmbedder
from tests.waiting import until

OLD, NEW = "Refunds are paid within 14 days.", "Refunds are paid within 30 days."


async def put(
    api: Api, document_id: str, content: bytes, name: str = "new.txt", **fields: Any
) -> dict[str, Any]:
    response = await api.call(
        "PUT", f"/documents/{document_id}", files={"file": (name, content)}, data=fields
    )
    assert response.status_code in (200, 202), response.text
    reply: dict[str, Any] = response.json()
    if reply["job"] is not None:
        await api.finished(reply["job"]["id"])
    return reply


async def patched(api: Api, document_id: str, body: Any, status: int = 200) -> dict[str, Any]:
    response = await api.call("PATCH", f"/documents/{document_id}", json=body)
    assert response.status_code == status, response.text
    reply: dict[str, Any] = response.json()
    return reply


async def found(api: Api, collection: str, query: str = "refunds", **body: Any) -> list[str]:
    reply = await api.post("/search", {"query": query, "collection": collection, **body})
    return [source["text"] for source in reply["results"]]


class TestPut:
    async def test_new_bytes_are_a_new_version_of_the_same_document(self, api: Api, collection: str) -> None:
        document = await api.ready(OLD.encode(), "policy.txt", collection=collection)

        reply = await put(api, document["id"], NEW.encode(), title="Refunds")

        after = await api.get(f"/documents/{document['id']}")
        assert (reply["document"]["id"], after["version"], after["title"]) == (document["id"], 2, "Refunds")
        assert (after["source"], after["filename"]) == ("policy.txt", "new.txt")
        assert await found(api, collection) == [NEW]

    async def test_text_in_json_works_as_well(self, api: Api, collection: str) -> None:
        document = await api.ready(OLD.encode(), "policy.txt", collection=collection)

        response = await api.call("PUT", f"/documents/{document['id']}", json={"text": NEW})

        assert response.status_code == 202
        await api.finished(response.json()["job"]["id"])
        assert await api.text(document["id"]) == NEW

    async def test_the_same_bytes_change_nothing(self, api: Api, collection: str) -> None:
        document = await api.ready(OLD.encode(), "policy.txt", collection=collection)

        reply = await put(api, document["id"], OLD.encode(), "policy.txt")

        assert (reply["job"], reply["document"]["version"]) == (None, 1)

    @pytest.mark.parametrize(
        ("request_", "status", "code"),
        [
            ({"files": [("file", ("a.txt", b"a")), ("file", ("b.txt", b"b"))]}, 422, "invalid_request"),
            ({"files": {"files": ("a.txt", b"a")}}, 422, "invalid_request"),
            ({"files": {"file": ("a.txt", b"a")}, "data": {"source": "b"}}, 422, "invalid_request"),
            ({"json": {"text": "  "}}, 422, "invalid_request"),
            ({"json": {"text": "a", "collection": "b"}}, 422, "invalid_request"),
            ({"content": b"a", "headers": {"Content-Type": "text/plain"}}, 415, "unsupported_media_type"),
            ({"files": {"file": ("a.exe", b"MZ\x90\x00" + bytes(64))}}, 415, "unsupported_media_type"),
        ],
    )
    async def test_other_bodies_are_refused(
        self, api: Api, collection: str, request_: Any, status: int, code: str
    ) -> None:
        document = await api.ready(OLD.encode(), "policy.txt", collection=collection)

        error = await api.refused("PUT", f"/documents/{document['id']}", status, **request_)

        assert error["code"] == code
        assert (await api.get(f"/documents/{document['id']}"))["version"] == 1

    async def test_an_unknown_document_is_not_made(self, api: Api) -> None:
        error = await api.refused("PUT", "/documents/unknown", 404, json={"text": OLD})

        assert error["code"] == "document_not_found"


class TestPatch:
    async def test_words_change_and_filters_see_it_while_nothing_is_embedded(
        self, api: Api, collection: str, embedder: CountingEmbedder
    ) -> None:
        document = await api.ready(OLD.encode(), "policy.txt", collection=collection, metadata='{"a": 1}')
        before = len(embedder.embedded)

        after = await patched(api, document["id"], {"title": "Money", "metadata": {"a": None, "team": "x"}})

        assert (after["title"], after["metadata"], after["version"]) == ("Money", {"team": "x"}, 1)
        where = {"field": "metadata.team", "eq": "x"}
        assert await found(api, collection, filter=where) == [OLD]
        assert await found(api, collection, filter={"field": "metadata.a", "exists": True}) == []
        assert await found(api, collection, filter={"field": "title", "eq": "Money"}) == [OLD]
        assert len(embedder.embedded) == before

    async def test_merge_patch_has_a_type_of_its_own(self, api: Api, collection: str) -> None:
        document = await api.ready(OLD.encode(), "policy.txt", collection=collection)

        response = await api.call(
            "PATCH",
            f"/documents/{document['id']}",
            content=b'{"title": "Money"}',
            headers={"Content-Type": "application/merge-patch+json"},
        )

        assert response.json()["title"] == "Money"

    @pytest.mark.parametrize(
        "body",
        [
            {"title": None},
            {"title": ""},
            {"title": "\0"},
            {"metadata": {"a": {"b": 1}}},
            {"metadata": []},
            {"expires_at": "2020-01-01T00:00:00Z"},
            {"expires_at": "2999-01-01T00:00:00"},
            {"expires_at": "tomorrow"},
            {"expires_at": 1},
            {"version": 2},
            [],
        ],
    )
    async def test_what_is_no_patch_is_refused(self, api: Api, collection: str, body: Any) -> None:
        document = await api.ready(OLD.encode(), "policy.txt", collection=collection)

        await patched(api, document["id"], body, 422)

    async def test_a_document_expires_at_its_time(self, api: Api, collection: str) -> None:
        document = await api.ready(OLD.encode(), "policy.txt", collection=collection)
        soon = datetime.now(UTC) + timedelta(milliseconds=300)

        after = await patched(api, document["id"], {"expires_at": soon.isoformat()})

        assert after["expires_at"].endswith("Z")
        await asyncio.sleep(0.35)
        await api.refused("GET", f"/documents/{document['id']}", 404)
        assert await found(api, collection) == []

    async def test_an_expiry_can_be_lifted(self, api: Api, collection: str) -> None:
        document = await api.ready(OLD.encode(), "policy.txt", collection=collection)
        await patched(api, document["id"], {"expires_at": "2999-01-01T00:00:00Z"})

        after = await patched(api, document["id"], {"expires_at": None})

        assert after["expires_at"] is None


class TestVersions:
    async def test_versions_are_listed_fetched_and_restored(self, api: Api, collection: str) -> None:
        document = await api.ready(OLD.encode(), "policy.txt", collection=collection)
        path = f"/documents/{document['id']}"
        await put(api, document["id"], NEW.encode())

        listed = (await api.get(f"{path}/versions"))["items"]
        assert [(item["version"], item["state"]) for item in listed] == [(2, "visible"), (1, "superseded")]
        assert (await api.call("GET", f"{path}/content?version=1")).text == OLD
        assert (await api.call("GET", f"{path}/text?version=1")).text == OLD

        restored = await api.post(f"{path}/versions/1/restore", None, 202)
        await api.finished(restored["job"]["id"])
        assert await found(api, collection) == [OLD]
        assert (await api.get(path))["version"] == 3

    async def test_what_is_not_there_is_not_found(self, api: Api, collection: str) -> None:
        document = await api.ready(OLD.encode(), "policy.txt", collection=collection)
        path = f"/documents/{document['id']}"

        for method, tail in (
            ("POST", "/versions/7/restore"),
            ("GET", "/content?version=7"),
            ("GET", "/text?version=7"),
        ):
            assert (await api.refused(method, f"{path}{tail}", 404))["code"] == "version_not_found"
        await api.refused("POST", f"{path}/versions/0/restore", 422)

    async def test_only_changed_chunks_are_embedded_and_the_job_says_so(
        self, api: Api, collection: str, embedder: CountingEmbedder
    ) -> None:
        sections = [f"## Part {n}\n\nThis is part {n} of a guide that is long enough.\n" for n in range(8)]
        document = await api.ready("\n".join(sections).encode(), "guide.md", collection=collection)
        before = len(embedder.embedded)
        sections[3] = sections[3].replace("long", "short")

        reply = await put(api, document["id"], "\n".join(sections).encode(), "guide.md")

        after = await api.get(f"/documents/{document['id']}")
        job = await api.get(f"/jobs/{reply['job']['id']}")
        assert job["chunks_reused"] == after["chunks"] - (len(embedder.embedded) - before)
        assert job["chunks_reused"] >= after["chunks"] - 1


class TestDuplicates:
    async def test_replace_leaves_no_older_version(self, api: Api, collection: str) -> None:
        document = await api.ready(OLD.encode(), "policy.txt", collection=collection)

        await api.ready(NEW.encode(), "policy.txt", collection=collection, on_duplicate="replace")

        async def only_the_newest() -> bool:
            items = (await api.get(f"/documents/{document['id']}/versions"))["items"]
            return [item["version"] for item in items] == [2]

        await until(only_the_newest)

    async def test_error_refuses_other_bytes(self, api: Api, collection: str) -> None:
        await api.ready(OLD.encode(), "policy.txt", collection=collection)

        error = await api.refused(
            "POST",
            "/documents",
            409,
            files={"file": ("policy.txt", NEW.encode())},
            data={"collection": collection, "on_duplicate": "error"},
        )

        assert error["code"] == "document_exists"
        assert await found(api, collection) == [OLD]


class TestIdempotencyKeys:
    async def send(self, api: Api, key: str, text: str, collection: str) -> Any:
        return await api.call(
            "POST",
            "/documents",
            json={"text": text, "collection": collection},
            headers={"Idempotency-Key": key},
        )

    async def test_twenty_at_once_are_one_document_and_one_embedding(
        self, api: Api, collection: str, embedder: CountingEmbedder
    ) -> None:
        before, text = len(embedder.embedded), f"Nobody else says {collection}."

        replies = await asyncio.gather(*(self.send(api, collection, text, collection) for _ in range(20)))

        assert {reply.status_code for reply in replies} == {202}
        (document_id,) = {reply.json()["document"]["id"] for reply in replies}
        (job_id,) = {reply.json()["job"]["id"] for reply in replies}
        await api.finished(job_id)
        listed = (await api.get("/documents", collection=collection))["items"]
        assert [item["id"] for item in listed] == [document_id]
        assert len(embedder.embedded) == before + 1

    async def test_the_same_key_with_another_body_is_a_conflict(self, api: Api, collection: str) -> None:
        await self.send(api, collection, OLD, collection)

        reply = await self.send(api, collection, NEW, collection)

        assert (reply.status_code, reply.json()["error"]["code"]) == (409, "idempotency_mismatch")

    async def test_each_file_of_many_has_its_part_of_the_key(self, api: Api, collection: str) -> None:
        files = [("files", (f"{n}.txt", f"Text {n}.".encode())) for n in range(3)]
        request: dict[str, Any] = {
            "files": files,
            "data": {"collection": collection},
            "headers": {"Idempotency-Key": collection},
        }

        first, again = [(await api.call("POST", "/documents", **request)).json() for _ in range(2)]

        ids = [item["document"]["id"] for item in first["items"]]
        assert len(set(ids)) == 3
        assert [item["document"]["id"] for item in again["items"]] == ids

    @pytest.mark.parametrize("key", ["", "a b", "x" * 256, "é"])
    async def test_a_key_is_1_to_255_visible_ascii_characters(
        self, api: Api, collection: str, key: str
    ) -> None:
        response = await api.call(
            "POST",
            "/documents",
            json={"text": OLD, "collection": collection},
            headers={"Idempotency-Key": key.encode("latin-1")},
        )

        assert response.status_code == 422


class TestBulkDelete:
    async def test_a_dry_run_counts_and_the_real_one_deletes(self, api: Api, collection: str) -> None:
        for n in range(3):
            team = '{"team": "%s"}' % ("a" if n else "b")
            await api.ready(f"{OLD} {n}".encode(), f"{n}.txt", collection=collection, metadata=team)
        where = '{"field": "metadata.team", "eq": "a"}'

        counted = await api.delete("/documents", collection=collection, filter=where, dry_run="true")
        deleted = await api.delete("/documents", 202, collection=collection, filter=where)

        assert (counted["documents"], counted["dry_run"], counted["job"]) == (2, True, None)
        assert deleted["documents"] == 2
        assert len(await found(api, collection)) == 1
        job = await api.finished(deleted["job"]["id"])
        assert (job["state"], job["document_id"], job["progress"]) == (
            "succeeded",
            None,
            {"done": 2, "total": 2, "unit": "documents"},
        )

    async def test_without_a_filter_nothing_is_deleted(self, api: Api, collection: str) -> None:
        await api.ready(OLD.encode(), "policy.txt", collection=collection)

        for params in ({}, {"filter": ""}, {"filter": "{}"}, {"filter": "null"}):
            await api.refused("DELETE", "/documents", 422, params={"collection": collection, **params})

        assert len(await found(api, collection)) == 1

    @pytest.mark.parametrize("misspelt", ["dryrun", "dry-run", "Dry_Run", "limit"])
    async def test_a_misspelt_parameter_deletes_nothing(
        self, api: Api, collection: str, misspelt: str
    ) -> None:
        await api.ready(OLD.encode(), "policy.txt", collection=collection)
        params = {
            "collection": collection,
            "filter": '{"field": "filename", "exists": true}',
            misspelt: "true",
        }

        error = await api.refused("DELETE", "/documents", 422, params=params)

        assert error["details"][0]["loc"] == ["query", misspelt]
        assert len(await found(api, collection)) == 1

    async def test_where_nothing_passes_there_is_no_job(self, api: Api, collection: str) -> None:
        where = '{"field": "title", "eq": "nothing"}'

        reply = await api.delete("/documents", collection=collection, filter=where)

        assert reply == {"documents": 0, "dry_run": False, "job": None}
