"""`/admin/consistency`: the comparison of manifest, originals and points, and their repair."""

from typing import Any

from ragstone.core.models import DEFAULT_TENANT, Scope
from tests.apiclient import Api
from tests.waiting import until

COMPARED = ("incomplete_versions", "orphan_versions", "missing_originals", "missing_texts", "orphan_blobs")


async def test_a_healthy_server_counts_and_names_no_difference(api: Api, collection: str) -> None:
    await api.ready_text("Zebras run.", collection=collection)

    found = await api.get("/admin/consistency")

    assert found["is_consistent"]
    assert found["documents"] >= 1
    assert found["points"] >= 1
    assert [found[name] for name in COMPARED] == [[]] * 5


async def test_lost_points_come_back_while_serving(api: Api, collection: str, container: Any) -> None:
    document = await api.ready_text("Zebras run.", collection=collection)
    key = f"{document['id']}:1"
    await container.consistency._store.delete_versions([key])

    found = await api.post("/admin/consistency", {})

    assert found["incomplete_versions"] == [key]
    assert found["last_repair"]["versions_queued"] == 1

    async def is_whole() -> bool:
        return bool((await api.get("/admin/consistency"))["is_consistent"])

    await until(is_whole)
    assert [hit["text"] for hit in await api.search("zebras", collection=collection)] == ["Zebras run."]
    assert (await container.manifest.get_version(DEFAULT_TENANT, document["id"])).version == 2
    assert await container.consistency._store.count(Scope(DEFAULT_TENANT, collection)) == 1
