"""Lists that are read page by page."""

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Generic, Protocol, TypeVar

from ragstone.client.call import Call
from ragstone.client.connection import AsyncConnection, Connection

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Page(Protocol[T_co]):
    """A part of a list; `next_cursor` leads to the next one."""

    @property
    def items(self) -> Sequence[T_co]:
        """In the order of the list."""

    @property
    def next_cursor(self) -> str | None:
        """None on the last page."""


class Listing(Generic[T]):
    """A list that is read page by page, while it is iterated. Nothing is asked for before that."""

    def __init__(self, connection: Connection, call: Call[Page[T]]):
        self._connection = connection
        self._call = call

    def __iter__(self) -> Iterator[T]:
        for page in self.pages():
            yield from page.items

    def page(self) -> Page[T]:
        """The first page, or the one that `cursor` leads to."""
        return self._connection.send(self._call)

    def pages(self) -> Iterator[Page[T]]:
        """All of them, from there."""
        call = self._call
        while True:
            page = self._connection.send(call)
            yield page
            if page.next_cursor is None:
                return
            call = call.of_page(page.next_cursor)


class AsyncListing(Generic[T]):
    """As Listing, with `async for`."""

    def __init__(self, connection: AsyncConnection, call: Call[Page[T]]):
        self._connection = connection
        self._call = call

    async def __aiter__(self) -> AsyncIterator[T]:
        async for page in self.pages():
            for item in page.items:
                yield item

    async def page(self) -> Page[T]:
        """The first page, or the one that `cursor` leads to."""
        return await self._connection.send(self._call)

    async def pages(self) -> AsyncIterator[Page[T]]:
        """All of them, from there."""
        call = self._call
        while True:
            page = await self._connection.send(call)
            yield page
            if page.next_cursor is None:
                return
            call = call.of_page(page.next_cursor)
