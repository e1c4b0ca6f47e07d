"""A client that leaves cancels what is done for it."""

import asyncio
from typing import Any

import pytest
from fastapi import Request

from ragstone.api.disconnect import while_connected
from ragstone.core.errors import ClientGone


class Connection:
    """A request whose body was read; its client may leave."""

    def __init__(self) -> None:
        self.gone = asyncio.Event()
        self.pending = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive(self) -> Any:
        """The next message."""
        if self.pending:
            return self.pending.pop()
        await self.gone.wait()
        return {"type": "http.disconnect"}

    def request(self) -> Request:
        """As a route is given it."""
        return Request({"type": "http", "headers": []}, self.receive)


class Work:
    """Takes until it is let go; notes its cancellation."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.was_cancelled = False

    async def __call__(self) -> str:
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.was_cancelled = True
            raise
        return "done"


async def test_the_result_is_handed_back_and_nothing_is_left_running() -> None:
    work = Work()
    work.gate.set()

    assert await while_connected(Connection().request(), work()) == "done"

    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_client_that_leaves_cancels_the_work() -> None:
    connection, work = Connection(), Work()
    asyncio.get_running_loop().call_later(0.01, connection.gone.set)

    with pytest.raises(ClientGone):
        await while_connected(connection.request(), work())

    assert work.was_cancelled
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_failure_of_the_work_is_the_failure_of_the_request() -> None:
    async def fails() -> None:
        raise LookupError("gone")

    with pytest.raises(LookupError, match="gone"):
        await while_connected(Connection().request(), fails())


async def test_a_cancelled_request_cancels_the_work() -> None:
    work = Work()
    request = asyncio.create_task(while_connected(Connection().request(), work()))
    await asyncio.sleep(0.01)

    request.cancel()
    await asyncio.gather(request, return_exceptions=True)

    assert work.was_cancelled
