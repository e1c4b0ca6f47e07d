"""Many at once: what was acknowledged last is what holds, and nobody ever sees a half."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest

from ragstone.bootstrap import Container
from tests.apiclient import Api
from tests.conftest import CountingEmbedder
from tests.waiting import until


async def all_agree(container: Container) -> None:
    """When all work has ended, points equal the manifest."""

    async def is_at_rest() -> bool:
        counts = await container.manifest.counts()
        return not any(counts.get(name) for name in ("jobs_queued", "jobs_running", "purges_pending"))

    await until(is_at_rest, every_s=0.05)
    assert (await container.consistency.check()).is_consistent


class TestSameBytesAtOnce:
    async def test_with_a_name_they_are_one_document_embedded_once(
        self, api: Api, collection: str, embedder: CountingEmbedder, container: Container
    ) -> None:
        content = f"A text about {collection} that arrives twenty times.".encode()

        replies = await asyncio.gather(
            *(
                api.call(
                    "POST", "/documents", files={"file": ("a.txt", content)}, data={"collection": collection}
                )
                for _ in range(20)
            )
        )

        assert {reply.status_code for reply in replies} <= {200, 202}
        assert [reply.status_code for reply in replies].count(202) == 1
        (document_id,) = {reply.json()["document"]["id"] for reply in replies}
        (accepted,) = [reply.json() for reply in replies if reply.status_code == 202]
        document = await api.settled(accepted)
        assert (document["id"], document["version"], document["status"]) == (document_id, 1, "ready")
        assert embedder.times_embedded(collection) == 1
        assert len(await api.search(collection, collection=collection)) == 1
        await all_agree(container)

    async def test_without_a_source_they_are_twenty_documents(
        self, api: Api, collection: str, container: Container
    ) -> None:
        text = f"A text about {collection} that arrives twenty times."

        uploads = await asyncio.gather(*(api.upload_text(text, collection=collection) for _ in range(20)))
        documents = await asyncio.gather(*(api.settled(upload) for upload in uploads))

        assert len({document["id"] for document in documents}) == 20
        assert all(document["status"] == "ready" for document in documents)
        assert len(await api.search(collection, collection=collection, top_k=50)) == 20
        await all_agree(container)

    async def test_creating_a_collection_at_once_succeeds_once(self, api: Api) -> None:
        replies = await asyncio.gather(
            *(api.call("POST", "/collections", json={"name": "raced"}) for _ in range(10))
        )

        assert sorted(reply.status_code for reply in replies) == [201] + [409] * 9

    async def test_deleting_at_once_succeeds_once(self, api: Api, collection: str) -> None:
        document = await api.ready_text("Cats sleep.", collection=collection)

        replies = await asyncio.gather(
            *(api.call("DELETE", f"/documents/{document['id']}") for _ in range(10))
        )

        assert sorted(reply.status_code for reply in replies) == [200] + [404] * 9


class TestRaces:
    async def test_a_delete_during_indexing_leaves_nothing(
        self, api: Api, collection: str, container: Container
    ) -> None:
        text = "\n\n".join(f"Paragraph {number} is about cats." for number in range(300))
        for delay_s in (0.0, 0.02, 0.05, 0.1, 0.2):
            upload = await api.upload_text(text, collection=collection, source="a")
            await asyncio.sleep(delay_s)
            receipt = await api.delete(f"/documents/{upload['document']['id']}")
            assert receipt["verified_absent"]
            assert await api.search("cats", collection=collection) == []
        await all_agree(container)

    async def test_a_delete_and_an_upload_at_once_leave_the_new_document(
        self, api: Api, collection: str, container: Container
    ) -> None:
        old = await api.ready(b"The same bytes about cats.", "a.txt", collection=collection)

        _, upload = await asyncio.gather(
            api.delete(f"/documents/{old['id']}"),
            _after(0.0, lambda: api.call("POST", "/documents", files={"file": ("a.txt", b"The same bytes about cats.")},
                                         data={"collection": collection})),
        )  # fmt: skip

        if upload.status_code == 202:
            document = await api.settled(upload.json())
            assert (document["status"], document["id"] != old["id"]) == ("ready", True)
            assert await api.text(document["id"]) == "The same bytes about cats."
            assert len(await api.search("cats", collection=collection)) == 1
        else:  # it came before the delete, and found the old document
            assert upload.json()["document"]["id"] == old["id"]
            assert await api.search("cats", collection=collection) == []
        await all_agree(container)

    async def test_two_updates_at_once_both_end_and_the_newest_version_holds(
        self, api: Api, collection: str, container: Container
    ) -> None:
        await api.ready(b"Version nought about cats.", "a.txt", collection=collection)

        uploads = await asyncio.gather(
            *(
                api.upload(f"Version {word} about cats.".encode(), "a.txt", collection=collection)
                for word in ("one", "two")
            )
        )
        jobs = [await api.finished(upload["job"]["id"]) for upload in uploads]

        newest = max(uploads, key=lambda upload: upload["job"]["version"])
        (found,) = await api.search("cats", collection=collection)
        assert found["version"] == newest["job"]["version"]
        assert sorted(job["state"] for job in jobs) in (
            ["cancelled", "succeeded"],
            ["succeeded", "succeeded"],
        )
        await all_agree(container)

    async def test_reindex_and_delete_at_once(self, api: Api, collection: str, container: Container) -> None:
        document = await api.ready_text("All about cats.", collection=collection)

        reindex, deleted = await asyncio.gather(
            api.call("POST", f"/documents/{document['id']}/reindex"),
            api.call("DELETE", f"/documents/{document['id']}"),
        )

        assert (reindex.status_code in (202, 404), deleted.status_code) == (True, 200)
        assert await api.search("cats", collection=collection) == []
        await all_agree(container)


async def _after(delay_s: float, call: Callable[[], Awaitable[Any]]) -> Any:
    await asyncio.sleep(delay_s)
    return await call()


class TestUpdates:
    async def test_questions_during_updates_see_one_whole_version_and_never_none(
        self, api: Api, collection: str, container: Container
    ) -> None:
        """Each version names itself in each of its chunks; at every moment all that is found names the same one."""

        def version(number: int) -> bytes:
            return "\n\n".join(
                f"# Part {part}\n\nEdition{number} of part {part} about cats." for part in range(8)
            ).encode()

        await api.ready(version(0), "a.md", collection=collection)
        seen: list[set[int]] = []
        done = asyncio.Event()

        async def look() -> None:
            while not done.is_set():
                found = await api.search("part about cats", collection=collection, top_k=50)
                seen.append(
                    {
                        int(hit["text"].split("Edition")[1].split()[0])
                        for hit in found
                        if "Edition" in hit["text"]
                    }
                )
                assert {hit["version"] for hit in found} == {found[0]["version"]}

        async def update() -> None:
            for number in range(1, 11):
                document = await api.ready(version(number), "a.md", collection=collection)
                after = await api.search("part about cats", collection=collection, top_k=50)
                assert {hit["version"] for hit in after} == {document["version"]}
            done.set()

        await asyncio.gather(update(), look(), look())

        assert all(len(editions) == 1 for editions in seen)
        assert len(seen) > 10
        await all_agree(container)


@dataclass
class Oracle:
    """What acknowledgements alone say of one source: the last one wins."""

    api: Api
    collection: str
    source: str
    chance: random.Random
    document_id: str | None = None
    expected: str | None = None
    step: int = 0

    async def act(self) -> None:
        """One operation, and what its acknowledgement promises."""
        self.step += 1
        kind = self.chance.choice(("upload", "upload", "upload", "delete", "reindex", "wait", "same"))
        if kind in ("upload", "same") or self.document_id is None:
            await self._upload(same=kind == "same")
        elif kind == "delete":
            assert (await self.api.delete(f"/documents/{self.document_id}"))["verified_absent"]
            self.document_id = self.expected = None
        elif kind == "reindex":
            response = await self.api.call("POST", f"/documents/{self.document_id}/reindex")
            assert response.status_code in (202, 409)
        else:
            await asyncio.sleep(self.chance.uniform(0, 0.1))

    async def _upload(self, *, same: bool) -> None:
        text = (
            self.expected
            if same and self.expected
            else f"{self.source} says step{self.step} of many about cats"
        )
        response = await self.api.call(
            "POST", "/documents", json={"text": text, "source": self.source, "collection": self.collection}
        )
        assert response.status_code in (200, 202), response.text
        reply = response.json()
        assert self.document_id in (None, reply["document"]["id"])
        self.document_id, self.expected = reply["document"]["id"], text


@pytest.mark.slow
async def test_a_hundred_interleavings_end_as_the_last_acknowledgement_says(
    api: Api, container: Container
) -> None:
    """A hundred seeds, each with a source of its own and eight operations on it, all at once."""
    collection = await api.new_collection()
    oracles = [Oracle(api, collection, f"s{seed}", random.Random(seed)) for seed in range(100)]
    gate = asyncio.Semaphore(20)

    async def play(oracle: Oracle) -> None:
        async with gate:
            for _ in range(8):
                await oracle.act()

    await asyncio.gather(*(play(oracle) for oracle in oracles))
    await all_agree(container)

    living = {oracle.document_id: oracle.expected for oracle in oracles if oracle.document_id is not None}
    await _compare_list(api, collection, living)
    await _compare_searches(api, collection, oracles)


async def _compare_list(api: Api, collection: str, living: dict[str, str | None]) -> None:
    listed: dict[str, str] = {}
    cursor: str | None = ""
    while cursor is not None:
        page = await api.get(
            "/documents", collection=collection, limit=200, **({"cursor": cursor} if cursor else {})
        )
        for document in page["items"]:
            assert (document["status"], document["pending"]) == ("ready", None)
            listed[document["id"]] = await api.text(document["id"])
        cursor = page["next_cursor"]
    assert listed == living


async def _compare_searches(api: Api, collection: str, oracles: list[Oracle]) -> None:
    """No ghost of any source, in the dense leg or the lexical one."""
    for oracle in oracles[::5]:
        mine = {"field": "source", "eq": oracle.source}
        for mode in ("dense", "sparse"):
            found = await api.search("about cats", collection=collection, filter=mine, mode=mode, top_k=100)
            assert [hit["text"] for hit in found] == ([oracle.expected] if oracle.expected else [])
