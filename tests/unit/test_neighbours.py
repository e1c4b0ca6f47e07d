"""Hits with the chunks around them: one passage, word for word the document's."""

from dataclasses import replace
from typing import Any

import pytest

from ragstone.core.models import Location, Point, Scope, Source
from ragstone.pipelines.feature_cache import FeatureCache
from ragstone.pipelines.features import pack_features
from ragstone.pipelines.neighbours import widen
from ragstone.pipelines.payload import point_id
from tests.memory_store import MemoryStore
from tests.words import WordEncoder, direction, source

TEXTS = ("Alpha is first.", "Beta is second.", "Gamma is third.", "Delta is fourth.", "Epsilon is fifth.")


async def filled(gaps: tuple[str | None, ...] = (None, " ", "\n\n", " ", "\n")) -> tuple[MemoryStore, str]:
    """A document of five chunks, and its text."""
    store, whole = MemoryStore(), ""
    for index, (text, gap) in enumerate(zip(TEXTS, gaps, strict=True)):
        whole += (gap if gap is not None else "" if not index else "~") + text
        terms = WordEncoder().terms(text)
        payload: dict[str, Any] = {
            "tenant_id": "default",
            "collection": "default",
            "document_id": "d",
            "document_version": "d:1",
            "index": index,
            "gap": gap,
            "start": len(whole) - len(text),
            "end": len(whole),
            "text": text,
            "location": {"page": index + 1, "page_end": None, "sheet": None, "slide": None},
            "sentences": [[len(whole) - len(text), len(whole)]],
            "features": pack_features([terms], [len(text)], direction(text)[None, :]),
            "metadata": {},
        }
        vector = direction(text)
        await store.upsert(
            Scope(), [Point(point_id("d", 1, index), vector, WordEncoder().encode_document([terms]), payload)]
        )
    return store, whole


def hit(index: int, whole: str) -> Source:
    start = whole.index(TEXTS[index])
    return replace(
        source(TEXTS[index], start=start),
        document_id="d",
        chunk_id=point_id("d", 1, index),
        index=index,
        location=Location(page=index + 1),
    )


@pytest.mark.parametrize(
    ("index", "around", "first", "last"), [(2, 1, 1, 3), (0, 1, 0, 1), (4, 2, 2, 4), (2, 9, 0, 4)]
)
async def test_a_hit_is_one_passage_with_what_is_around_it(
    index: int, around: int, first: int, last: int
) -> None:
    store, whole = await filled()

    (found,) = await widen(store, FeatureCache(store), Scope(), [hit(index, whole)], around=around)

    assert found.text == whole[found.start : found.end]
    assert found.text.startswith(TEXTS[first])
    assert found.text.endswith(TEXTS[last])
    assert found.location == Location(page=first + 1, page_end=last + 1)
    assert [whole[each.start : each.end] for each in found.sentences] == list(TEXTS[first : last + 1])
    assert found.chunk_id == point_id("d", 1, index)


async def test_nothing_is_said_twice() -> None:
    store, whole = await filled()

    found = await widen(store, FeatureCache(store), Scope(), [hit(3, whole), hit(1, whole)], around=2)

    assert sum(len(each.sentences) for each in found) == len(TEXTS)
    assert [each.text for each in found] == [whole[each.start : each.end] for each in found]
    assert found[0].text.startswith(TEXTS[2])


async def test_a_gap_that_is_more_than_white_space_is_not_bridged() -> None:
    store, whole = await filled((None, " ", None, " ", " "))

    (before,) = await widen(store, FeatureCache(store), Scope(), [hit(1, whole)], around=1)
    (behind,) = await widen(store, FeatureCache(store), Scope(), [hit(2, whole)], around=1)

    assert before.text == f"{TEXTS[0]} {TEXTS[1]}"
    assert behind.text == f"{TEXTS[2]} {TEXTS[3]}"


@pytest.mark.parametrize(("name", "value"), [("sheet", "Other"), ("slide", 3)])
async def test_another_sheet_or_slide_is_another_place(name: str, value: Any) -> None:
    store, whole = await filled()
    beyond = store.points[point_id("d", 1, 2)]
    moved = {**beyond.payload, "location": {**beyond.payload["location"], name: value}}
    store.points[beyond.id] = replace(beyond, payload=moved)

    (found,) = await widen(store, FeatureCache(store), Scope(), [hit(1, whole)], around=3)

    assert found.text == f"{TEXTS[0]} {TEXTS[1]}"


async def test_each_part_knows_where_it_stands() -> None:
    store, whole = await filled()

    (found,) = await widen(store, FeatureCache(store), Scope(), [hit(2, whole)], around=1)

    assert [whole[part.start : part.end] for part in found.parts] == list(TEXTS[1:4])
    assert [part.location.page for part in found.parts] == [2, 3, 4]
    assert [part.chunk_id for part in found.parts] == [point_id("d", 1, index) for index in (1, 2, 3)]


async def test_a_hit_that_has_just_gone_stays_as_it_was_found() -> None:
    store, whole = await filled()
    store.points.clear()

    (found,) = await widen(store, FeatureCache(store), Scope(), [hit(1, whole)], around=1)

    assert (found.text, len(found.sentences)) == (TEXTS[1], 1)


async def test_sentences_stay_out_where_nobody_weighs_them() -> None:
    store, whole = await filled()

    (found,) = await widen(
        store, FeatureCache(store), Scope(), [replace(hit(2, whole), sentences=())], around=1
    )

    assert (found.sentences, found.text) == ((), whole[found.start : found.end])
