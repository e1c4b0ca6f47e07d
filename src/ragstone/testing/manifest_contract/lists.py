"""Promises about lists of documents: order, pages, filters, cursors."""

import base64
import json
from typing import Any

from ragstone.core.errors import DocumentNotFound, InvalidCursor, InvalidRequest
from ragstone.core.filters import parse_filter
from ragstone.core.models import Document, DocumentStatus, Page, Scope
from ragstone.core.ports import Manifest
from ragstone.testing.manifest_contract.scenes import (
    FAILURE,
    SCOPE,
    TENANT,
    claim,
    make_ready,
    purge_all,
    upload,
)
from ragstone.testing.refusal import refusal


async def one_page(manifest: Manifest, **choice: Any) -> Page[Document]:
    """A page, by default the first of all documents."""
    known: dict[str, Any] = {
        "status": None,
        "title": None,
        "parent_id": None,
        "where": None,
        "sort": "created_at",
        "limit": 200,
        "cursor": None,
    }
    scope = choice.pop("scope", SCOPE)
    return await manifest.list_documents(scope, **(known | choice))


async def all_documents(manifest: Manifest, **choice: Any) -> list[Document]:
    """All pages together."""
    found: list[Document] = []
    cursor: str | None = None
    while True:
        page = await one_page(manifest, cursor=cursor, **choice)
        found += page.items
        cursor = page.next_cursor
        if cursor is None:
            return found


class ListPromises:
    """What lists promise."""

    async def test_documents_come_in_the_order_asked_for(self, manifest: Manifest) -> None:
        """Whole, and each once, whatever the size of a page; titles without regard to case."""
        for n, title in enumerate(("banana", "Apple", "cherry", "apple", "Éclair")):
            await upload(manifest, f"{n}", title=title)
        for limit in (1, 2, 5, 200):
            by_time = await all_documents(manifest, limit=limit)
            assert [document.source for document in by_time] == ["0", "1", "2", "3", "4"]
            assert await all_documents(manifest, limit=limit, sort="-created_at") == by_time[::-1]
            by_title = await all_documents(manifest, limit=limit, sort="title")
            titles = [document.title for document in by_title]
            assert sorted(titles[:2]) == ["Apple", "apple"]
            assert titles[2:] == ["banana", "cherry", "Éclair"]

    async def test_the_last_page_says_so(self, manifest: Manifest) -> None:
        """Also when it is full."""
        for n in range(4):
            await upload(manifest, f"{n}")
        first = await one_page(manifest, limit=2)
        second = await one_page(manifest, limit=2, cursor=first.next_cursor)
        assert (len(first.items), len(second.items), second.next_cursor) == (2, 2, None)

    async def test_pages_stay_whole_while_documents_come_and_go(self, manifest: Manifest) -> None:
        """What was there all the time is seen exactly once."""
        ids = [(await upload(manifest, f"{n}")).document.id for n in range(6)]
        first = await one_page(manifest, limit=3)
        await manifest.delete_document(TENANT, ids[1])
        await manifest.delete_document(TENANT, ids[2])
        await upload(manifest, "late")
        rest = await all_documents(manifest, limit=2)
        second = await one_page(manifest, cursor=first.next_cursor)
        assert [document.id for document in second.items][:3] == ids[3:]
        assert len(rest) == 5

    async def test_status_selects_what_documents_show(self, manifest: Manifest) -> None:
        """A document that was ready once stays so."""
        await make_ready(manifest, "ready")
        await make_ready(manifest, "updated")
        await upload(manifest, "updated", "newer")
        await upload(manifest, "broken")
        updated, broken = await manifest.claim_tasks(2)
        await manifest.fail_task(updated.job.id, FAILURE)
        await manifest.fail_task(broken.job.id, FAILURE)
        await upload(manifest, "running")
        await claim(manifest)
        await upload(manifest, "queued")
        found = {
            status: [document.source for document in await all_documents(manifest, status=status)]
            for status in DocumentStatus
        }
        assert found == {
            DocumentStatus.READY: ["ready", "updated"],
            DocumentStatus.FAILED: ["broken"],
            DocumentStatus.PROCESSING: ["running"],
            DocumentStatus.QUEUED: ["queued"],
        }

    async def test_title_is_a_literal_substring_in_any_case(self, manifest: Manifest) -> None:
        """In any script, without wildcards, at any length."""
        for n, title in enumerate(("100% sure", "under_score", "ÜBERSICHT", "Straße", "Ωμέγα")):
            await upload(manifest, f"{n}", title=title)

        async def sources(title: str) -> list[str | None]:
            return [document.source for document in await all_documents(manifest, title=title)]

        assert await sources("%") == ["0"]
        assert await sources("r_s") == ["1"]
        assert await sources("übersicht") == ["2"]
        assert await sources("STRASSE") == ["3"]
        assert await sources("ωΜΈΓΑ") == ["4"]
        assert await sources("\\") == []
        assert await sources("x" * 100_000) == []
        assert len(await sources("")) == 5

    async def test_a_filter_selects_by_fields_and_metadata(self, manifest: Manifest) -> None:
        """With its own meaning of types, and pages that are full."""
        for n in range(20):
            await upload(manifest, f"{n}", metadata={"n": n, "text": str(n), "even": n % 2 == 0})
        even = parse_filter({"field": "metadata.even", "eq": True})
        page = await one_page(manifest, where=even, limit=4)
        assert [document.metadata["n"] for document in page.items] == [0, 2, 4, 6]
        rest = await one_page(manifest, where=even, cursor=page.next_cursor)
        assert [document.metadata["n"] for document in rest.items] == [8, 10, 12, 14, 16, 18]
        assert await all_documents(manifest, where=parse_filter({"field": "metadata.text", "eq": 3})) == []

    async def test_a_filter_knows_every_field(self, manifest: Manifest) -> None:
        """Times are compared exactly."""
        first = (await upload(manifest, "one", filename="one.txt")).document
        second = (await upload(manifest, "two", title="Second", media_type="text/html")).document
        later = {"field": "created_at", "gt": first.created_at.isoformat()}
        for raw in (
            {"field": "document_id", "eq": second.id},
            {"field": "source", "eq": "two"},
            {"field": "title", "eq": "Second"},
            {"field": "filename", "eq": "two"},
            {"field": "media_type", "ne": "text/plain"},
            later,
        ):
            assert [document.id for document in await all_documents(manifest, where=parse_filter(raw))] == [
                second.id
            ]

    async def test_a_list_shows_its_scope_alone(self, manifest: Manifest) -> None:
        """Other collections and tenants have their own."""
        await upload(manifest)
        for scope in (Scope(TENANT, "other"), Scope("someone")):
            assert await all_documents(manifest, scope=scope) == []

    async def test_a_cursor_of_another_list_is_refused(self, manifest: Manifest) -> None:
        """And so is whatever a client makes up."""
        for n in range(3):
            await upload(manifest, f"{n}")
        page = await one_page(manifest, limit=1)
        for sort in ("-created_at", "title"):
            await refusal(one_page(manifest, sort=sort, cursor=page.next_cursor), InvalidCursor)
        for forged in forged_cursors():
            for sort in ("created_at", "title"):
                await refusal(one_page(manifest, sort=sort, cursor=forged), InvalidCursor)

    async def test_a_cursor_may_name_any_moment(self, manifest: Manifest) -> None:
        """A well-formed key that no document has is a place in the list like any other."""
        await upload(manifest)
        for micros in (-(2**63), 0, 2**62, 2**63 - 1):
            cursor = encoded(["documents created_at", micros, "x"])
            assert len((await one_page(manifest, cursor=cursor)).items) == (micros <= 0)

    async def test_an_unknown_sort_is_refused(self, manifest: Manifest) -> None:
        """By name."""
        error = await refusal(one_page(manifest, sort="size"), InvalidRequest)
        assert "size" in error.message

    async def test_documents_of_a_collection_are_walked_by_age(self, manifest: Manifest) -> None:
        """Behind a document that is named, either way round, also when it was deleted meanwhile."""
        first, second, third = [(await upload(manifest, name)).document for name in "123"]

        async def walk(beside: str | None, *, is_descending: bool = True) -> tuple[list[str], bool]:
            found, has_more = await manifest.documents_beside(
                SCOPE, beside=beside, is_descending=is_descending, limit=2
            )
            return [document.id for document in found], has_more

        assert await walk(None) == ([third.id, second.id], True)
        assert await walk(second.id) == ([first.id], False)
        assert await walk(first.id, is_descending=False) == ([second.id, third.id], False)
        await manifest.delete_document(TENANT, second.id)
        assert await walk(second.id) == ([first.id], False)
        await purge_all(manifest)
        assert await walk(second.id) == ([first.id], False)
        await refusal(walk("unknown"), DocumentNotFound)

    async def test_names_are_those_of_the_visible_versions(self, manifest: Manifest) -> None:
        """Of one collection; unknown and deleted documents have none."""
        named, gone = await make_ready(manifest, "named"), await make_ready(manifest, "gone")
        await manifest.delete_document(TENANT, gone.id)
        wanted = [named.id, gone.id, "unknown"]
        assert await manifest.document_names(SCOPE, wanted) == [
            (named.id, 1, None, named.filename),
        ]
        assert await manifest.document_names(Scope(TENANT, "other"), wanted) == []


def encoded(value: object) -> str:
    """As cursors are."""
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode()


def forged_cursors() -> list[str]:
    """Strings that no list issued."""
    names = ["documents created_at", "documents title"]
    keys: list[list[object]] = [
        [],
        [1],
        [1.5, "x"],
        [True, "x"],
        [None, "x"],
        ["x", 1],
        [1, "x", "y"],
        [2**70, "x"],
    ]
    keys += [["\ud800", "x"], ["x", "\ud800"], [{}, []], [1, "\ud800"]]
    made_up = [encoded([name, *key]) for name in names for key in keys]
    garbage = [
        "",
        "=",
        "====",
        "x",
        "é",
        "\ud800",
        "\x00",
        "a" * 100_000,
        encoded("text"),
        encoded({}),
        encoded(1),
    ]
    return [*made_up, *garbage, encoded([]), base64.urlsafe_b64encode(b"[" * 5_000).decode()]
