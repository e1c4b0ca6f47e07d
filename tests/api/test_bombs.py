"""A document that grows without end must not be felt by anybody else."""

import asyncio

from tests.apiclient import Api
from tests.containers import zipped


async def test_liveness_is_answered_while_a_bomb_is_read(api: Api, collection: str) -> None:
    bomb = zipped({f"{n}.zip": zipped({"a": bytes(4 * 2**20)}) for n in range(60)})
    reply = await api.upload(bomb, "bomb.zip", collection=collection)
    document_id = reply["document"]["id"]
    answers = 0
    while (document := (await api.call("GET", f"/documents/{document_id}")).json())["status"] != "failed":
        async with asyncio.timeout(1):
            live = await api.call("GET", "/health/live")
        answers += live.status_code == 200
        await asyncio.sleep(0.01)
    assert answers > 0
    assert document["error"]["code"] == "unsafe_archive"
