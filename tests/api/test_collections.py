"""Collections."""

import pytest

from tests.apiclient import Api


async def test_a_new_collection_is_empty_and_listed(api: Api) -> None:
    name = await api.new_collection()

    found = await api.get(f"/collections/{name}")

    assert (found["name"], found["description"], found["documents"]) == (name, "", 0)
    assert found["created_at"].endswith("Z")


async def test_it_keeps_its_description(api: Api) -> None:
    created = await api.post("/collections", {"name": "described-1", "description": "Größe 🙂"}, 201)

    assert created["description"] == "Größe 🙂"


async def test_default_always_exists(api: Api) -> None:
    assert (await api.get("/collections/default"))["name"] == "default"


async def test_a_name_is_taken_once(api: Api, collection: str) -> None:
    error = await api.refused("POST", "/collections", 409, json={"name": collection})

    assert error["code"] == "collection_exists"


@pytest.mark.parametrize("name", ["", "A", "a b", "../x", "-a", "a" * 64, "ä", "a\x00b", 5, None, "a\n"])
async def test_a_name_is_a_slug(api: Api, name: object) -> None:
    await api.refused("POST", "/collections", 422, json={"name": name})


async def test_they_are_listed_by_name_in_pages(api: Api) -> None:
    for _ in range(3):
        await api.new_collection()
    names: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = await api.get("/collections", limit=2, **({"cursor": cursor} if cursor else {}))
        names += [item["name"] for item in page["items"]]
        cursor = page["next_cursor"]

    assert names == sorted(set(names))
    assert len(names) >= 4


async def test_documents_are_counted(api: Api, collection: str) -> None:
    await api.ready_text("One.", collection=collection)
    document = await api.ready_text("Two.", collection=collection)
    await api.delete(f"/documents/{document['id']}")

    assert (await api.get(f"/collections/{collection}"))["documents"] == 1


class TestDelete:
    async def test_an_empty_one_goes(self, api: Api, collection: str) -> None:
        assert await api.delete(f"/collections/{collection}") == {"name": collection, "documents_deleted": 0}

        await api.refused("GET", f"/collections/{collection}", 404)

    async def test_one_with_documents_goes_only_with_cascade(self, api: Api, collection: str) -> None:
        document = await api.ready_text("Cats sleep.", collection=collection)

        error = await api.refused("DELETE", f"/collections/{collection}", 409)
        assert error["code"] == "collection_not_empty"
        assert (await api.get(f"/documents/{document['id']}"))["status"] == "ready"

        receipt = await api.delete(f"/collections/{collection}", cascade=True)
        assert receipt["documents_deleted"] == 1
        await api.refused("GET", f"/documents/{document['id']}", 404)
        await api.refused("POST", "/search", 404, json={"query": "cats", "collection": collection})

    async def test_its_name_can_be_taken_again_and_nothing_comes_back(
        self, api: Api, collection: str
    ) -> None:
        await api.ready_text("Cats sleep.", collection=collection, source="a")
        await api.delete(f"/collections/{collection}", cascade=True)

        await api.post("/collections", {"name": collection}, 201)

        assert (await api.get("/documents", collection=collection))["items"] == []
        assert await api.search("cats", collection=collection) == []

    async def test_default_stays(self, api: Api) -> None:
        error = await api.refused("DELETE", "/collections/default", 409, params={"cascade": True})

        assert error["code"] == "conflict"

    async def test_a_missing_one_is_404(self, api: Api) -> None:
        error = await api.refused("DELETE", "/collections/nowhere", 404)

        assert error["code"] == "collection_not_found"
