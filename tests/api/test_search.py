"""`POST /search`: passages, their scores and their order."""

from typing import Any

import pytest
import pytest_asyncio

from tests.apiclient import Api

Library = dict[str, dict[str, Any]]

TEXTS = {
    "cats": "Cats sleep most of the day.",
    "dogs": "Dogs bark at night.",
    "birds": "Birds sing in the morning.",
    "cats-and-dogs": "Cats and dogs share the house.",
}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def collection(api: Api) -> str:
    """A collection with the texts, shared by the module."""
    return await api.new_collection()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def library(api: Api, collection: str) -> Library:
    uploads = {
        source: await api.upload_text(
            text, collection=collection, source=source, metadata={"kind": source[:4]}
        )
        for source, text in TEXTS.items()
    }
    return {source: await api.settled(upload) for source, upload in uploads.items()}


async def test_the_best_passage_comes_first_with_all_its_facts(
    api: Api, collection: str, library: Library
) -> None:
    found = (await api.search("birds sing in the morning", collection=collection))[0]

    document = library["birds"]
    assert found["text"] == TEXTS["birds"]
    assert (found["n"], found["document_id"], found["version"]) == (1, document["id"], 1)
    assert (found["start"], found["end"]) == (0, len(TEXTS["birds"]))
    assert (found["title"], found["metadata"]) == (document["title"], {"kind": "bird"})
    assert set(found["location"]) == {"page", "page_end", "sheet", "slide"}
    assert "sentences" not in found


@pytest.mark.parametrize(
    ("mode", "legs"), [("hybrid", {"dense", "sparse"}), ("dense", {"dense"}), ("sparse", {"sparse"})]
)
async def test_each_mode_reports_the_scores_of_its_legs(
    api: Api, collection: str, library: Library, mode: str, legs: set[str]
) -> None:
    found = await api.search("cats sleep", collection=collection, mode=mode)

    assert found[0]["text"] == TEXTS["cats"]
    shown = [{leg for leg, score in hit["scores"].items() if score is not None} for hit in found]
    assert all(each & {"dense", "sparse"} == legs for each in shown)
    assert all((each == legs) == (mode != "hybrid") for each in shown)
    assert [hit["score"] for hit in found] == sorted((hit["score"] for hit in found), reverse=True)


async def test_the_score_is_what_its_terms_say(api: Api, collection: str, library: Library) -> None:
    found = await api.search("cats sleep", collection=collection)

    best = max(hit["scores"]["sparse"] for hit in found)
    for hit in found:
        terms = hit["scores"]
        expected = 0.4 * terms["dense"] + 0.6 * terms["dense_sentence"] + 0.35 * terms["sparse"] / best
        expected += 0.25 * terms["sparse_sentence"] + 0.15 * terms["proximity"] + 0.2 * terms["feedback"]
        assert hit["score"] == pytest.approx(max(0.0, expected) / 1.95, abs=1e-4)
        assert terms["legibility"] == 1.0


async def test_the_legs_of_a_hybrid_search_say_what_each_says_alone(
    api: Api, collection: str, library: Library
) -> None:
    both = {hit["chunk_id"]: hit["scores"] for hit in await api.search("cats sleep", collection=collection)}

    for leg in ("dense", "sparse"):
        for hit in await api.search("cats sleep", collection=collection, mode=leg):
            assert both[hit["chunk_id"]][leg] == pytest.approx(hit["score"], abs=1e-4)


async def test_equal_scores_are_ordered_by_id(api: Api) -> None:
    jars = await api.new_collection()
    await api.all_ready(jars, {str(number): "A jar of marmalade." for number in range(6)})

    for mode in ("hybrid", "dense", "sparse"):
        ids = [hit["chunk_id"] for hit in await api.search("marmalade", collection=jars, mode=mode, top_k=10)]
        assert ids == sorted(ids)
        assert len(ids) == 6


async def test_pages_are_the_parts_of_one_list(api: Api) -> None:
    boxes = await api.new_collection()
    await api.all_ready(boxes, {str(n): f"Box {n} holds {'cats ' * (n + 1)}." for n in range(12)})

    for mode in ("hybrid", "dense", "sparse"):
        wanted = {"collection": boxes, "mode": mode}
        whole = [hit["chunk_id"] for hit in await api.search("cats in a box", top_k=12, **wanted)]
        pages = [
            await api.search("cats in a box", top_k=5, offset=offset, **wanted) for offset in (0, 5, 10, 15)
        ]

        assert [hit["chunk_id"] for page in pages for hit in page] == whole
        assert len(whole) == 12
        assert [hit["n"] for hit in pages[1]] == [1, 2, 3, 4, 5]


async def test_the_text_can_be_left_out(api: Api, collection: str, library: Library) -> None:
    found = await api.search("cats", collection=collection, include_text=False)

    assert all(hit["text"] is None for hit in found)


async def test_a_filter_narrows_both_legs_and_the_statistics_behind_them(
    api: Api, collection: str, library: Library
) -> None:
    only_cats = {"field": "metadata.kind", "eq": "cats"}

    found = await api.search("cats dogs birds", collection=collection, filter=only_cats, top_k=10)

    assert {hit["document_id"] for hit in found} == {library["cats"]["id"], library["cats-and-dogs"]["id"]}


async def test_a_collections_ranking_does_not_depend_on_another(
    api: Api, collection: str, library: Library
) -> None:
    before = await api.search("cats sleep", collection=collection)
    other = await api.new_collection()
    await api.all_ready(other, {str(number): "Cats cats cats sleep." for number in range(5)})

    assert await api.search("cats sleep", collection=collection) == before
    assert {hit["document_id"] for hit in before} <= {document["id"] for document in library.values()}


async def test_an_empty_collection_finds_nothing(api: Api) -> None:
    assert await api.search("anything", collection=await api.new_collection()) == []


async def test_an_unknown_collection_is_404(api: Api) -> None:
    for path in ("/search", "/query"):
        error = await api.refused("POST", path, 404, json={"query": "x", "collection": "nowhere"})
        assert error["code"] == "collection_not_found"


async def test_the_times_are_those_of_the_header(api: Api, collection: str, library: Library) -> None:
    response = await api.call("POST", "/search", json={"query": "cats", "collection": collection})

    told = timings(response.headers["server-timing"])
    kept = {
        name.removesuffix("_ms"): ms
        for name, ms in response.json()["metadata"].items()
        if name.endswith("_ms")
    }
    assert set(kept) == set(told) == {"embedding", "search", "total"}
    assert told == kept
    assert response.json()["metadata"]["request_id"] == response.headers["x-request-id"]


async def test_punctuation_alone_is_a_question_too(api: Api, collection: str, library: Library) -> None:
    for question in ("?!", "🙂", "\u200b.", "_"):
        for mode in ("hybrid", "dense", "sparse"):
            await api.search(question, collection=collection, mode=mode)


def timings(header: str) -> dict[str, float]:
    """Stage → milliseconds."""
    pairs = (part.strip().split(";dur=") for part in header.split(","))
    return {name: float(ms) for name, ms in pairs}


async def test_a_hit_can_come_with_what_is_around_it(api: Api) -> None:
    collection = await api.new_collection()
    paragraphs = [
        f"Paragraph {number} tells of rivers. {'Water flows downhill. ' * 30}" for number in range(6)
    ]
    document = await api.ready_text("\n\n".join(paragraphs), collection=collection)
    text = (await api.http.get(f"/documents/{document['id']}/text")).text

    (alone,) = await api.search("Paragraph 3", collection=collection, top_k=1)
    (wide,) = await api.search("Paragraph 3", collection=collection, top_k=1, context_window=1)

    assert wide["chunk_id"] == alone["chunk_id"]
    assert wide["start"] < alone["start"]
    assert wide["end"] > alone["end"]
    assert wide["text"] == text[wide["start"] : wide["end"]]


async def test_one_document_can_be_kept_from_filling_the_page(
    api: Api, collection: str, library: Library
) -> None:
    found = await api.search("a", collection=collection, top_k=100, max_chunks_per_document=1)

    documents = [hit["document_id"] for hit in found]
    assert len(documents) == len(set(documents))
