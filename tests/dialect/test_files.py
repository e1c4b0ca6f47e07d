"""Files and vector stores: the same documents and collections, seen by OpenAI's SDK and by the native API."""

import asyncio
from typing import Any

import openai
import pytest
from openai.types import FileObject, VectorStore, VectorStoreSearchResponse
from openai.types.vector_stores import VectorStoreFile, VectorStoreFileBatch

from ragstone.testing.upstream import Fault, ScriptedUpstream
from tests.live import Live

pytestmark = pytest.mark.asyncio(loop_scope="session")

SEARCH = "/v1/vector_stores/default/search"
NOTES = b"# Lanterns\n\nLanterns are lit at dusk. They are put out at dawn."


def named(name: str, content: bytes = NOTES) -> Any:
    """A file as the SDK takes it."""
    return (name, content)


async def new_store(sdk: openai.AsyncOpenAI, name: str = "Lantern handbook") -> VectorStore:
    return await sdk.vector_stores.create(name=name)


async def documents(live: Live, collection: str) -> list[dict[str, Any]]:
    """As the native API lists them."""
    items: list[dict[str, Any]] = (await live.api.get("/documents", 200, collection=collection))["items"]
    return items


class TestFiles:
    async def test_a_file_is_a_document_of_the_default_collection(
        self, sdk: openai.AsyncOpenAI, live: Live
    ) -> None:
        file = await sdk.files.create(file=named("one.md"), purpose="user_data")

        document = await live.api.get(f"/documents/{file.id}")
        assert (document["collection"], document["filename"]) == ("default", "one.md")
        assert (file.filename, file.bytes, file.purpose) == ("one.md", len(NOTES), "user_data")
        assert (await sdk.files.content(file.id)).content == NOTES

    async def test_a_document_is_a_file(self, sdk: openai.AsyncOpenAI, live: Live) -> None:
        name = await live.api.new_collection()
        document = await live.api.ready(b"Uploaded natively.", "native.txt", collection=name)

        file = await sdk.files.retrieve(document["id"])

        assert (file.filename, file.status, file.purpose) == ("native.txt", "processed", "assistants")
        assert document["id"] in [each.id async for each in sdk.files.list()]
        (attached,) = [each.id async for each in sdk.vector_stores.files.list(name)]
        assert attached == document["id"]

    async def test_an_upload_that_is_repeated_makes_nothing_twice(self, sdk: openai.AsyncOpenAI) -> None:
        """As the SDK repeats it, without an Idempotency-Key."""
        uploads = [sdk.files.create(file=named("twice.md"), purpose="assistants") for _ in range(8)]

        assert len({file.id for file in await asyncio.gather(*uploads)}) == 1

    async def test_other_bytes_under_the_same_name_are_another_file(self, sdk: openai.AsyncOpenAI) -> None:
        first = await sdk.files.create(file=named("same.md", b"One."), purpose="assistants")
        second = await sdk.files.create(file=named("same.md", b"Two."), purpose="assistants")

        assert first.id != second.id
        assert (await sdk.files.content(first.id)).content == b"One."

    async def test_it_expires_when_it_was_said_to(self, sdk: openai.AsyncOpenAI, live: Live) -> None:
        file = await sdk.files.create(
            file=named("soon.md", b"Soon gone."),
            purpose="assistants",
            expires_after={"anchor": "created_at", "seconds": 3_600},
        )

        store = await new_store(sdk)
        await sdk.vector_stores.files.create_and_poll(file.id, vector_store_id=store.id)
        (copy,) = await documents(live, store.id)

        expires_at = (await live.api.get(f"/documents/{file.id}"))["expires_at"]
        assert file.expires_at is not None
        assert file.created_at + 3_599 <= file.expires_at <= file.created_at + 3_602
        assert copy["expires_at"] == expires_at is not None

    async def test_uploading_it_again_says_anew_when_it_expires(
        self, sdk: openai.AsyncOpenAI, live: Live
    ) -> None:
        first = await sdk.files.create(file=named("kept.md", b"To be kept."), purpose="user_data")
        timed = await sdk.files.create(
            file=named("kept.md", b"To be kept."),
            purpose="user_data",
            expires_after={"anchor": "created_at", "seconds": 3_600},
        )
        kept = await sdk.files.create(file=named("kept.md", b"To be kept."), purpose="user_data")

        store = await new_store(sdk)
        await sdk.vector_stores.files.create(store.id, file_id=first.id)
        again = await sdk.files.create(
            file=named("kept.md", b"To be kept."),
            purpose="user_data",
            expires_after={"anchor": "created_at", "seconds": 7_200},
        )
        (copy,) = await documents(live, store.id)

        original = await live.api.get(f"/documents/{again.id}")
        assert copy["expires_at"] == original["expires_at"] is not None
        assert first.id == timed.id == kept.id
        assert timed.expires_at is not None
        assert kept.expires_at is None

    async def test_what_is_listed_may_be_deleted_on_the_way(
        self, sdk: openai.AsyncOpenAI, live: Live
    ) -> None:
        """As clean-up scripts do it."""
        store = await new_store(sdk)
        await sdk.vector_stores.file_batches.upload_and_poll(
            store.id, files=[named(f"clean-{n}.md", b"Clean up %d." % n) for n in range(5)]
        )

        async for file in sdk.vector_stores.files.list(store.id, limit=2):
            await sdk.vector_stores.files.delete(file.id, vector_store_id=store.id)

        assert await documents(live, store.id) == []

    async def test_a_purpose_that_cannot_be_served_is_refused(self, sdk: openai.AsyncOpenAI) -> None:
        with pytest.raises(openai.BadRequestError) as refusal:
            await sdk.files.create(file=named("train.jsonl", b"{}"), purpose="fine-tune")

        assert (refusal.value.code, refusal.value.param) == ("unsupported_parameter", "purpose")

    async def test_lists_are_paged_by_the_sdk_itself(self, sdk: openai.AsyncOpenAI) -> None:
        made = [
            (await sdk.files.create(file=named(f"page-{n}.md", b"%d" % n), purpose="user_data")).id
            for n in range(5)
        ]

        newest = [file.id async for file in sdk.files.list(limit=2, purpose="user_data")]
        oldest = [file.id async for file in sdk.files.list(limit=3, order="asc", purpose="user_data")]

        assert newest[:5] == made[::-1]
        assert oldest == newest[::-1]

    async def test_every_field_is_of_its_published_type(self, live: Live, sdk: openai.AsyncOpenAI) -> None:
        file = await sdk.files.create(file=named("typed.md"), purpose="assistants")

        FileObject.model_validate(await live.api.get(f"/v1/files/{file.id}"), strict=True)

    async def test_a_deleted_file_is_gone_from_everywhere(self, sdk: openai.AsyncOpenAI, live: Live) -> None:
        store = await new_store(sdk)
        attached = await sdk.vector_stores.files.upload_and_poll(
            vector_store_id=store.id, file=named("everywhere.md", b"Everywhere at once.")
        )

        await sdk.files.delete(attached.id)

        with pytest.raises(openai.NotFoundError):
            await sdk.files.retrieve(attached.id)
        assert await documents(live, store.id) == []
        assert (await sdk.vector_stores.search(store.id, query="everywhere")).data == []

    async def test_a_form_without_a_file_is_not_valid(self, live: Live) -> None:
        error = await live.api.refused(
            "POST", "/v1/files", 422, files={"other": ("x", b"x")}, data={"purpose": "assistants"}
        )

        assert error["type"] == "invalid_request_error"


class TestStores:
    async def test_a_store_is_a_collection(self, sdk: openai.AsyncOpenAI, live: Live) -> None:
        store = await sdk.vector_stores.create(
            name="Support FAQ 🙂", description="Questions", metadata={"team": "a"}
        )

        collection = await live.api.get(f"/collections/{store.id}")
        assert (store.id, store.name, store.metadata) == ("support-faq", "Support FAQ 🙂", {"team": "a"})
        assert (collection["title"], collection["description"]) == ("Support FAQ 🙂", "Questions")
        assert collection["metadata"] == {"team": "a"}
        assert f"ragstone/{store.id}" in [model.id async for model in sdk.models.list()]

    async def test_two_of_the_same_name_are_two(self, sdk: openai.AsyncOpenAI) -> None:
        first, second = await new_store(sdk, "Twins"), await new_store(sdk, "Twins")

        assert (first.id, second.id) == ("twins", "twins-2")
        assert (await sdk.vector_stores.create()).id.startswith("vs_")
        assert (await new_store(sdk, "灯籠")).id.startswith("vs_")

    async def test_a_change_keeps_the_id(self, sdk: openai.AsyncOpenAI) -> None:
        store = await new_store(sdk, "Before")

        changed = await sdk.vector_stores.update(store.id, name="After", metadata={"x": "y"})

        assert (changed.id, changed.name, changed.metadata) == ("before", "After", {"x": "y"})
        assert await sdk.vector_stores.retrieve(store.id) == changed

    async def test_they_are_listed_by_age_both_ways(self, sdk: openai.AsyncOpenAI) -> None:
        made = [(await new_store(sdk, f"Listed {n}")).id for n in range(3)]

        newest = [store.id async for store in sdk.vector_stores.list(limit=2)]
        before = await sdk.vector_stores.list(before=made[0], limit=2)

        assert newest[:3] == made[::-1]
        assert [store.id for store in before.data] == [made[2], made[1]]

    async def test_deleting_one_leaves_its_files(self, sdk: openai.AsyncOpenAI, live: Live) -> None:
        store = await new_store(sdk)
        file = await sdk.vector_stores.files.upload_and_poll(
            vector_store_id=store.id, file=named("stays.md", b"This stays.")
        )

        assert (await sdk.vector_stores.delete(store.id)).deleted

        assert (await sdk.files.retrieve(file.id)).filename == "stays.md"
        await live.api.refused("GET", f"/collections/{store.id}", 404)

    async def test_one_whose_documents_are_nowhere_else_is_not_deleted(
        self, sdk: openai.AsyncOpenAI, live: Live
    ) -> None:
        name = await live.api.new_collection()
        document = await live.api.ready(b"Only here.", "only.txt", collection=name)

        for refused in (
            sdk.vector_stores.delete(name),
            sdk.vector_stores.files.delete(document["id"], vector_store_id=name),
        ):
            with pytest.raises(openai.ConflictError) as refusal:
                await refused
            assert refusal.value.code == "home_of_file"

    async def test_what_is_not_supported_is_refused(self, sdk: openai.AsyncOpenAI) -> None:
        with pytest.raises(openai.BadRequestError, match="expires_after"):
            await sdk.vector_stores.create(expires_after={"anchor": "last_active_at", "days": 1})


class TestAttaching:
    async def test_a_file_keeps_its_id_and_is_embedded_once(
        self, sdk: openai.AsyncOpenAI, live: Live
    ) -> None:
        store = await new_store(sdk)
        content = b"Moths circle the lamp until somebody puts it out."
        file = await sdk.files.create(file=named("moths.md", content), purpose="assistants")
        await sdk.files.wait_for_processing(file.id, poll_interval=0.05)

        attached = await sdk.vector_stores.files.create_and_poll(
            file.id, vector_store_id=store.id, attributes={"team": "a", "n": 3, "ok": True}
        )

        (document,) = await documents(live, store.id)
        (job,) = (await live.api.get("/jobs", 200, document_id=document["id"]))["items"]
        assert (attached.id, attached.status) == (file.id, "completed")
        assert document["metadata"] == {"team": "a", "n": 3, "ok": True}
        assert job["chunks_reused"] == document["chunks"] > 0

    async def test_attaching_again_changes_nothing_but_attributes(
        self, sdk: openai.AsyncOpenAI, live: Live
    ) -> None:
        store = await new_store(sdk)
        file = await sdk.files.create(file=named("again.md", b"Again."), purpose="assistants")
        said: list[dict[str, str | float | bool]] = [{"a": "1", "b": "2"}, {"b": "3"}]
        for attributes in said:
            attached = await sdk.vector_stores.files.create_and_poll(
                file.id, vector_store_id=store.id, attributes=attributes
            )

        (document,) = await documents(live, store.id)
        assert (document["version"], document["metadata"]) == (1, {"b": "3"})
        assert attached.attributes == {"b": "3"}

    async def test_attributes_are_changed_as_a_whole(self, sdk: openai.AsyncOpenAI) -> None:
        store = await new_store(sdk)
        file = await sdk.vector_stores.files.upload_and_poll(
            vector_store_id=store.id, file=named("attributes.md", b"With attributes."), attributes={"a": "1"}
        )

        await sdk.vector_stores.files.update(file.id, vector_store_id=store.id, attributes={"b": 2.5})

        found = await sdk.vector_stores.files.retrieve(file.id, vector_store_id=store.id)
        assert found.attributes == {"b": 2.5}

    async def test_of_attributes_that_are_replaced_at_once_one_set_stays_whole(
        self, sdk: openai.AsyncOpenAI
    ) -> None:
        store = await new_store(sdk)
        file = await sdk.vector_stores.files.upload_and_poll(
            vector_store_id=store.id, file=named("at-once.md", b"All at once.")
        )
        sets: list[dict[str, str | float | bool]] = [
            {f"{writer}-{key}": writer for key in range(16)} for writer in range(4)
        ]

        await asyncio.gather(
            *(
                sdk.vector_stores.files.update(file.id, vector_store_id=store.id, attributes=each)
                for each in sets
            )
        )

        found = await sdk.vector_stores.files.retrieve(file.id, vector_store_id=store.id)
        assert found.attributes in sets

    async def test_a_static_size_makes_smaller_chunks(self, sdk: openai.AsyncOpenAI, live: Live) -> None:
        store = await new_store(sdk)
        text = "\n\n".join(f"Paragraph {n} tells of lamps, oil and wicks at length. " * 8 for n in range(6))
        chunks = dict[str, int]()
        for name, size in (("large", 4_096), ("small", 100)):
            strategy: Any = {"max_chunk_size_tokens": size, "chunk_overlap_tokens": 20}
            file = await sdk.vector_stores.files.upload_and_poll(
                vector_store_id=store.id,
                file=named(f"{name}.md", f"{name}\n\n{text}".encode()),
                chunking_strategy={"type": "static", "static": strategy},
            )
            assert file.chunking_strategy is not None
            assert file.chunking_strategy.type == "static"
            chunks[name] = (await live.api.get(f"/documents/{file.document_id}"))["chunks"]  # type: ignore[attr-defined]

        assert chunks["small"] > chunks["large"]

    async def test_a_file_that_cannot_be_read_says_why(self, sdk: openai.AsyncOpenAI, live: Live) -> None:
        store = await new_store(sdk)
        file = await sdk.vector_stores.files.upload_and_poll(
            vector_store_id=store.id, file=named("blank.txt", b"   \n ")
        )

        assert file.status == "failed"
        assert file.last_error is not None
        assert (file.last_error.code, file.last_error.message[:8]) == ("invalid_file", "no_text:")
        counts = (await sdk.vector_stores.retrieve(store.id)).file_counts
        assert (counts.failed, counts.total) == (1, 1)

    async def test_detaching_leaves_the_file(self, sdk: openai.AsyncOpenAI, live: Live) -> None:
        store = await new_store(sdk)
        file = await sdk.vector_stores.files.upload_and_poll(
            vector_store_id=store.id, file=named("detached.md", b"Detached.")
        )

        await sdk.vector_stores.files.delete(file.id, vector_store_id=store.id)

        assert await documents(live, store.id) == []
        assert (await sdk.files.retrieve(file.id)).filename == "detached.md"
        with pytest.raises(openai.NotFoundError):
            await sdk.vector_stores.files.retrieve(file.id, vector_store_id=store.id)

    async def test_the_text_that_was_read_can_be_seen(self, sdk: openai.AsyncOpenAI) -> None:
        store = await new_store(sdk)
        file = await sdk.vector_stores.files.upload_and_poll(
            vector_store_id=store.id, file=named("read.md", b"# Read\n\nThis was read.")
        )

        content = await sdk.vector_stores.files.content(file.id, vector_store_id=store.id)

        assert content.data[0].text == "Read\n\nThis was read."

    async def test_files_are_listed_by_state_and_paged(self, sdk: openai.AsyncOpenAI, live: Live) -> None:
        store = await new_store(sdk)
        made = [
            (
                await sdk.vector_stores.files.upload_and_poll(
                    vector_store_id=store.id, file=named(f"l{n}.md", b"List %d." % n)
                )
            ).id
            for n in range(3)
        ]
        listed = sdk.vector_stores.files

        assert [file.id async for file in listed.list(store.id, limit=1)] == made[::-1]
        assert [file.id async for file in listed.list(store.id, order="asc", limit=2)] == made
        before = await listed.list(store.id, order="asc", before=made[2], limit=1)
        assert [file.id for file in before.data] == [made[1]]
        assert [file.id async for file in listed.list(store.id, filter="failed")] == []
        reply = await live.api.get(f"/v1/vector_stores/{store.id}/files/{made[0]}")
        VectorStoreFile.model_validate(reply)

    async def test_an_unknown_file_attaches_nothing(self, sdk: openai.AsyncOpenAI, live: Live) -> None:
        store = await new_store(sdk)
        file = await sdk.files.create(file=named("known.md", b"Known."), purpose="assistants")

        with pytest.raises(openai.NotFoundError):
            await sdk.vector_stores.file_batches.create(store.id, file_ids=[file.id, "unknown"])

        assert await documents(live, store.id) == []

    async def test_a_copys_own_id_is_that_of_its_file(self, sdk: openai.AsyncOpenAI, live: Live) -> None:
        first, second = await new_store(sdk), await new_store(sdk)
        file = await sdk.vector_stores.files.upload_and_poll(
            vector_store_id=first.id, file=named("chain.md", b"A chain of copies.")
        )
        (copy,) = await documents(live, first.id)

        again = await sdk.vector_stores.files.create_and_poll(copy["id"], vector_store_id=second.id)
        await sdk.files.delete(file.id)

        assert again.id == file.id
        assert await documents(live, second.id) == []

    async def test_another_size_of_chunks_is_refused_rather_than_passed_over(
        self, sdk: openai.AsyncOpenAI
    ) -> None:
        store = await new_store(sdk)
        file = await sdk.vector_stores.files.upload_and_poll(
            vector_store_id=store.id, file=named("sized.md", b"In one size.")
        )
        static: Any = {"type": "static", "static": {"max_chunk_size_tokens": 100, "chunk_overlap_tokens": 0}}

        with pytest.raises(openai.ConflictError):
            await sdk.vector_stores.files.create(store.id, file_id=file.id, chunking_strategy=static)

    async def test_no_attach_outlives_a_delete(self, sdk: openai.AsyncOpenAI, live: Live) -> None:
        for number in range(6):
            store = await new_store(sdk)
            file = await sdk.files.create(
                file=named(f"race-{number}.md", b"Race number %d." % number), purpose="assistants"
            )
            await asyncio.gather(
                sdk.files.delete(file.id),
                sdk.vector_stores.files.create(store.id, file_id=file.id),
                return_exceptions=True,
            )

            assert await documents(live, store.id) == []


class TestBatches:
    async def test_many_files_are_attached_and_counted(self, sdk: openai.AsyncOpenAI, live: Live) -> None:
        store = await new_store(sdk)

        batch = await sdk.vector_stores.file_batches.upload_and_poll(
            store.id, files=[named(f"b{n}.md", b"Batch %d." % n) for n in range(4)]
        )

        counts = batch.file_counts
        assert (batch.status, counts.completed, counts.total) == ("completed", 4, 4)
        listed = sdk.vector_stores.file_batches.list_files(batch.id, vector_store_id=store.id)
        assert len([file async for file in listed]) == 4
        reply = await live.api.get(f"/v1/vector_stores/{store.id}/file_batches/{batch.id}")
        VectorStoreFileBatch.model_validate(reply, strict=True)

    async def test_each_file_may_have_words_of_its_own(self, sdk: openai.AsyncOpenAI, live: Live) -> None:
        store = await new_store(sdk)
        file = await sdk.files.create(file=named("own.md", b"Own words."), purpose="assistants")

        await sdk.vector_stores.file_batches.create_and_poll(
            store.id, files=[{"file_id": file.id, "attributes": {"own": "yes"}}]
        )

        (document,) = await documents(live, store.id)
        assert document["metadata"] == {"own": "yes"}

    async def test_its_files_are_paged_both_ways(self, sdk: openai.AsyncOpenAI) -> None:
        store = await new_store(sdk)
        batch = await sdk.vector_stores.file_batches.upload_and_poll(
            store.id, files=[named(f"p{n}.md", b"Page %d." % n) for n in range(5)], max_concurrency=1
        )
        listed = sdk.vector_stores.file_batches.list_files

        oldest = [each.id async for each in listed(batch.id, vector_store_id=store.id, order="asc", limit=2)]
        before = await listed(batch.id, vector_store_id=store.id, order="asc", before=oldest[3], limit=2)

        assert len(oldest) == len(set(oldest)) == 5
        assert [each.id for each in before.data] == oldest[1:3]
        with pytest.raises(openai.NotFoundError):
            await listed(batch.id, vector_store_id=store.id, after="unknown")

    async def test_what_is_ready_stays_when_a_batch_is_cancelled(self, sdk: openai.AsyncOpenAI) -> None:
        store = await new_store(sdk)
        batch = await sdk.vector_stores.file_batches.upload_and_poll(
            store.id, files=[named("done.md", b"Done already.")]
        )

        cancelled = await sdk.vector_stores.file_batches.cancel(batch.id, vector_store_id=store.id)

        assert (cancelled.status, cancelled.file_counts.completed) == ("completed", 1)

    async def test_a_batch_is_known_to_its_own_store_only(self, sdk: openai.AsyncOpenAI) -> None:
        store, other = await new_store(sdk), await new_store(sdk)
        batch = await sdk.vector_stores.file_batches.upload_and_poll(store.id, files=[named("x.md")])

        with pytest.raises(openai.NotFoundError):
            await sdk.vector_stores.file_batches.retrieve(batch.id, vector_store_id=other.id)


class TestSearch:
    async def test_it_finds_what_the_native_search_finds(self, sdk: openai.AsyncOpenAI, live: Live) -> None:
        page = await sdk.vector_stores.search("default", query="When do parcels leave Hamburg?")

        found = (await live.api.post("/search", {"query": "When do parcels leave Hamburg?", "top_k": 10}))[
            "results"
        ]
        assert [each.ragstone for each in page.data] == found  # type: ignore[attr-defined]
        assert page.data[0].filename == "policy.md"
        assert page.data[0].content[0].text == found[0]["text"]
        reply = await live.api.post("/v1/vector_stores/default/search", {"query": "parcels"})
        VectorStoreSearchResponse.model_validate(reply["data"][0], strict=True)

    @pytest.mark.parametrize(
        ("filters", "found"),
        [
            ({"type": "eq", "key": "team", "value": "a"}, {"a.md"}),
            ({"type": "ne", "key": "team", "value": "a"}, {"b.md"}),
            ({"type": "in", "key": "team", "value": ["a", "c"]}, {"a.md"}),
            ({"type": "nin", "key": "team", "value": ["a", "c"]}, {"b.md"}),
            ({"type": "gte", "key": "year", "value": 2025}, {"b.md"}),
            (
                {
                    "type": "or",
                    "filters": [
                        {"type": "lt", "key": "year", "value": 2025},
                        {"type": "and", "filters": [{"type": "eq", "key": "team", "value": "b"}]},
                    ],
                },
                {"a.md", "b.md"},
            ),
        ],
    )
    async def test_filters_mean_what_openai_says(
        self, sdk: openai.AsyncOpenAI, live: Live, filters: Any, found: set[str]
    ) -> None:
        name = "filtered"
        if "filtered" not in [store.id async for store in sdk.vector_stores.list(limit=100)]:
            await sdk.vector_stores.create(name=name)
            for team, year in (("a", 2024), ("b", 2025)):
                await sdk.vector_stores.files.upload_and_poll(
                    vector_store_id=name,
                    file=named(f"{team}.md", f"A lantern of the team {team}.".encode()),
                    attributes={"team": team, "year": year},
                )

        page = await sdk.vector_stores.search(name, query="lantern", filters=filters)

        assert {each.filename for each in page.data} == found

    @pytest.mark.parametrize(
        "filters",
        [
            {"type": "exists", "key": "a", "value": True},
            {"type": "eq", "key": "a"},
            {"type": "eq", "key": "a", "value": {"b": 1}},
            {"field": "metadata.a", "eq": 1},
            {"type": "and", "filters": []},
        ],
    )
    async def test_what_is_no_filter_is_refused(self, sdk: openai.AsyncOpenAI, filters: Any) -> None:
        with pytest.raises(openai.UnprocessableEntityError) as refusal:
            await sdk.vector_stores.search("default", query="x", filters=filters)

        assert refusal.value.code == "invalid_filter"

    async def test_a_threshold_leaves_out_what_scores_less(self, sdk: openai.AsyncOpenAI) -> None:
        every = (await sdk.vector_stores.search("default", query="refunds parcels lanterns")).data
        best = max(each.score for each in every)

        few = await sdk.vector_stores.search(
            "default", query="refunds parcels lanterns", ranking_options={"score_threshold": best}
        )

        assert [each.score for each in few.data] == [best]
        assert len(every) > 1

    async def test_without_a_ranker_the_scores_of_the_legs_decide(self, sdk: openai.AsyncOpenAI) -> None:
        ranked = await sdk.vector_stores.search("default", query="When do parcels leave?")
        fused = await sdk.vector_stores.search(
            "default", query="When do parcels leave?", ranking_options={"ranker": "none"}
        )

        assert "proximity" in ranked.data[0].ragstone["scores"]  # type: ignore[attr-defined]
        assert "proximity" not in fused.data[0].ragstone["scores"]  # type: ignore[attr-defined]

    async def test_a_question_is_rewritten_by_the_model_where_one_is_configured(
        self, sdk: openai.AsyncOpenAI, live: Live, upstream: ScriptedUpstream
    ) -> None:
        """`search_query` is what was searched, whether or not the model could be asked."""
        rewritten = await live.api.post(SEARCH, {"query": "When do parcels leave?", "rewrite_query": True})
        (asked,) = upstream.requests
        upstream.script(Fault("status", code=503, times=0))
        plain = await live.api.post(SEARCH, {"query": "When do parcels leave?", "rewrite_query": True})

        assert "search query" in str(asked.body)
        assert rewritten["search_query"] != ["When do parcels leave?"]
        assert plain["search_query"] == ["When do parcels leave?"]

    async def test_several_questions_are_searched_at_once(self, sdk: openai.AsyncOpenAI) -> None:
        page = await sdk.vector_stores.search("default", query=["refunds", "parcels"])

        assert page.data[0].score >= page.data[-1].score
        chunks = [each.ragstone["chunk_id"] for each in page.data]  # type: ignore[attr-defined]
        assert len(set(chunks)) == len(chunks)
