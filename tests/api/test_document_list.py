"""`GET /documents`: order, pages, and filters that mean the same here and in a search."""

import json
from typing import Any

import pytest
import pytest_asyncio
from fastapi import FastAPI

from ragstone.core.filters import matches, parse_filter
from tests.apiclient import Api
from tests.asgi import call


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def collection(api: Api) -> str:
    """Shared by the module."""
    return await api.new_collection()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def library(api: Api, collection: str) -> list[dict[str, Any]]:
    """Five documents, oldest first."""
    metadata = [{"n": 1, "tag": ["a", "b"]}, {"n": 2.5}, {"n": "1"}, {"n": None}, {"a.b": 'q"x', "n": True}]
    uploads = [
        await api.upload_text(
            f"Text number {at}.", collection=collection, source=f"s{at}", title=f"T{9 - at}", metadata=said
        )
        for at, said in enumerate(metadata)
    ]
    return [await api.settled(upload) for upload in uploads]


async def ids(api: Api, collection: str, **params: Any) -> list[str]:
    return [item["id"] for item in (await api.get("/documents", collection=collection, **params))["items"]]


async def test_newest_first_unless_sorted_otherwise(
    api: Api, collection: str, library: list[dict[str, Any]]
) -> None:
    oldest_first = [document["id"] for document in library]

    assert await ids(api, collection) == oldest_first[::-1]
    assert await ids(api, collection, sort="created_at") == oldest_first
    assert await ids(api, collection, sort="title") == oldest_first[::-1]


@pytest.mark.parametrize("sort", ["created_at", "-created_at", "title"])
async def test_pages_are_the_parts_of_one_list(
    api: Api, collection: str, library: list[dict[str, Any]], sort: str
) -> None:
    whole = await ids(api, collection, sort=sort)
    pages: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        given = {"cursor": cursor} if cursor else {}
        page = await api.get("/documents", collection=collection, sort=sort, limit=2, **given)
        pages += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]

    assert pages == whole


async def test_a_page_does_not_shift_when_documents_arrive(api: Api) -> None:
    own = await api.new_collection()
    mine = [(await api.upload_text(f"Number {at}.", collection=own))["document"]["id"] for at in range(4)]
    first = await api.get("/documents", collection=own, limit=2)
    await api.upload_text("A late one.", collection=own)

    second = await api.get("/documents", collection=own, limit=2, cursor=first["next_cursor"])

    assert [item["id"] for item in first["items"] + second["items"]] == mine[::-1]


async def test_by_status(api: Api) -> None:
    own = await api.new_collection()
    failed = await api.settled(await api.upload(b" ", collection=own))
    ready = await api.ready_text("Cats sleep.", collection=own)

    assert await ids(api, own, status="failed") == [failed["id"]]
    assert await ids(api, own, status="ready") == [ready["id"]]
    assert await ids(api, own, status="queued") == []


async def test_by_part_of_the_title_in_any_case(
    api: Api, collection: str, library: list[dict[str, Any]]
) -> None:
    assert await ids(api, collection, title="t8") == [library[1]["id"]]
    assert await ids(api, collection, title="%") == []
    assert await ids(api, collection, title="_8") == []


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
    api: Api, collection: str, library: list[dict[str, Any]], condition: dict[str, Any]
) -> None:
    parsed = parse_filter(condition)
    expected = {document["id"] for document in library if matches(parsed, fields_of(document))}

    listed = await ids(api, collection, filter=json.dumps(condition))
    found = await api.search("text number", collection=collection, filter=condition, top_k=100)

    assert set(listed) == expected
    assert {source["document_id"] for source in found} == expected


@pytest.mark.parametrize("strangers", [[], [3, True, 0.5], ["a\0b", "nowhere"]])
async def test_a_filter_that_lists_sources_finds_those_and_no_others(api: Api, strangers: list[Any]) -> None:
    collection = await api.new_collection()
    for source in ("one", "two", "three"):
        await api.upload_text("Some text.", source=source, collection=collection)
    where = {"field": "source", "in": ["one", "three", *strangers]}

    page = await api.get("/documents", collection=collection, filter=json.dumps(where))

    assert {document["source"] for document in page["items"]} == {"one", "three"}


async def test_a_filter_by_document_id(api: Api, collection: str, library: list[dict[str, Any]]) -> None:
    condition = {"field": "document_id", "eq": library[2]["id"]}

    assert await ids(api, collection, filter=json.dumps(condition)) == [library[2]["id"]]
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
        {"title": "x" * 1_025},
    ],
)
async def test_bad_parameters_are_422(api: Api, params: dict[str, Any]) -> None:
    await api.refused("GET", "/documents", 422, params=params)


@pytest.mark.parametrize("path", ["/documents", "/collections"])
@pytest.mark.parametrize(
    "cursor",
    ["x", "AAAA", "eyJhIjoxfQ", "e30=", "bnVsbA", "WzEsMl0", "%F0%9F%99%82", "9" * 2_000, "' OR 1=1"],
)
async def test_a_forged_cursor_is_refused(api: Api, path: str, cursor: str) -> None:
    error = await api.refused("GET", path, 422, params={"cursor": cursor})

    assert error["code"] == "invalid_cursor"


async def test_a_cursor_of_another_order_is_refused(
    api: Api, collection: str, library: list[dict[str, Any]]
) -> None:
    page = await api.get("/documents", collection=collection, sort="title", limit=2)
    params = {"collection": collection, "sort": "created_at", "cursor": page["next_cursor"]}

    await api.refused("GET", "/documents", 422, params=params)


async def test_an_unknown_collection_is_404(api: Api) -> None:
    error = await api.refused("GET", "/documents", 404, params={"collection": "nowhere"})

    assert error["code"] == "collection_not_found"


async def test_a_filter_of_many_characters_is_422(app: FastAPI, api: Api) -> None:
    reply = await call(app, path="/documents?filter=" + "x" * 70_000)

    assert (reply.status, reply.code) == (422, "invalid_filter")


def fields_of(document: dict[str, Any]) -> dict[str, Any]:
    """The document as the filter grammar sees it; all were created after 2020."""
    named = {name: document[name] for name in ("source", "title", "filename", "media_type")}
    metadata = {f"metadata.{key}": value for key, value in document["metadata"].items()}
    return {**named, **metadata, "document_id": document["id"], "created_at": 1_900_000_000_000_000}
