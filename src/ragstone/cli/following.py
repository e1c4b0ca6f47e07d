"""Following documents in work: one request a moment, however many they are."""

import asyncio
import json
from collections.abc import Iterable, Sequence
from itertools import islice
from urllib.parse import quote

from ragstone.client import AsyncRagstone, DocumentReply

TICK_S = 0.25
AT_A_TIME = 50  # the oldest, which the server works on first
LONGEST_LIST = 200  # documents that one reply may hold
LONGEST_QUERY = 8_000  # characters of a URL that everything on the way takes
WORKING = ("queued", "processing")


class Follower:
    """Tells when documents are settled. Its requests run as a task of `tasks` while somebody waits."""

    def __init__(self, client: AsyncRagstone, collection: str, tasks: asyncio.TaskGroup):
        self._client = client
        self._collection = collection
        self._tasks = tasks
        self._waiting: dict[str, asyncio.Future[DocumentReply | None]] = {}
        self._asking: asyncio.Task[None] | None = None

    async def settled(self, document_id: str) -> DocumentReply | None:
        """The document once nothing of it is in work; None if it was deleted."""
        waiter: asyncio.Future[DocumentReply | None] = asyncio.get_running_loop().create_future()
        self._waiting[document_id] = waiter
        if self._asking is None or self._asking.done():
            self._asking = self._tasks.create_task(self._ask_until_settled())
        return await waiter

    async def _ask_until_settled(self) -> None:
        while self._waiting:
            await asyncio.sleep(TICK_S)
            while self._waiting and await self._ask():
                pass  # all of them were settled, so the next may be too

    async def _ask(self) -> bool:
        """Ask for the oldest; whether all of them are settled."""
        asked = list(islice(self._waiting, AT_A_TIME))
        found = {item.id: item for item in await listed(self._client, self._collection, "document_id", asked)}
        settled = [name for name in asked if name not in found or is_settled(found[name])]
        for name in settled:
            self._waiting.pop(name).set_result(found.get(name))
        if not settled:  # they may wait for a retry: look at others next time
            for name in asked:
                self._waiting[name] = self._waiting.pop(name)
        return len(settled) == len(asked)


def is_settled(document: DocumentReply) -> bool:
    """Whether its newest version has come to its end."""
    newest = document.pending or document
    return newest.status not in WORKING


async def listed(
    client: AsyncRagstone, collection: str, field: str, values: Sequence[str]
) -> Sequence[DocumentReply]:
    """Documents that have one of these values, at most LONGEST_LIST. Raises CallFailed."""
    where = {"field": field, "in": values}
    found = client.documents.list(collection=collection, filter=where, page_size=len(values))
    return (await found.page()).items


def batches(values: Iterable[str]) -> Iterable[list[str]]:
    """Lists of values, each short enough for one request."""
    batch, length = list[str](), 0
    for value in values:
        added = len(quote(json.dumps(value, ensure_ascii=False))) + 3
        if batch and (len(batch) == LONGEST_LIST or length + added > LONGEST_QUERY):
            yield batch
            batch, length = [], 0
        batch.append(value)
        length += added
    if batch:
        yield batch
