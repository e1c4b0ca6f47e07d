"""Streams as iterators of typed events, each for the length of a `with` block."""

from types import TracebackType
from typing import Generic, Self, TypeVar

from ragstone.api.schemas.documents import JobEvent
from ragstone.api.schemas.query import AnswerReply
from ragstone.client.call import Call
from ragstone.client.connection import AsyncConnection, Connection
from ragstone.client.events import AsyncEvents, Events
from ragstone.client.readers import AnswerEvent, AnswerReader, JobReader, Reader

E = TypeVar("E")

NOT_ENTERED = "use a stream in a `with` block: with client.stream(…) as events"


class EventStream(Generic[E]):
    """Entering the block sends the request and waits for the first event; leaving it early makes the server stop. Raises
    CallFailed, also for an `error` event and for a stream that ends without its last event."""

    def __init__(self, connection: Connection, call: Call[object], reader: Reader[E]):
        self._connection = connection
        self._call = call
        self._reader = reader
        self._events: Events | None = None

    def __enter__(self) -> Self:
        self._events = self._connection.open(self._call)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> E:
        if self._events is None:
            raise RuntimeError(NOT_ENTERED)
        while (event := self._events.next()) is not None:
            if (known := self._reader.read(event.event, event.data)) is not None:
                return known
        if not self._reader.is_complete:
            raise self._events.broken_off()
        raise StopIteration

    def close(self) -> None:
        """Idempotent."""
        if self._events is not None:
            self._events.close()


class AnswerStream(EventStream[AnswerEvent]):
    """An answer while it is written."""

    _reader: AnswerReader

    def __init__(self, connection: Connection, call: Call[AnswerReply]):
        super().__init__(connection, call, AnswerReader())

    @property
    def text(self) -> str:
        """What was written so far."""
        return self._reader.text

    @property
    def answer(self) -> AnswerReply:
        """What `query` would have answered. Raises RuntimeError before the last event was read."""
        return self._reader.answer

    def read(self) -> AnswerReply:
        """Read what is left, and return the answer."""
        for _ in self:
            pass
        return self.answer


class JobStream(EventStream[JobEvent]):
    """A job at each change, until it has ended."""

    def __init__(self, connection: Connection, call: Call[None]):
        super().__init__(connection, call, JobReader())


class AsyncEventStream(Generic[E]):
    """As EventStream, with `async with` and `async for`."""

    def __init__(self, connection: AsyncConnection, call: Call[object], reader: Reader[E]):
        self._connection = connection
        self._call = call
        self._reader = reader
        self._events: AsyncEvents | None = None

    async def __aenter__(self) -> Self:
        self._events = await self._connection.open(self._call)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> E:
        if self._events is None:
            raise RuntimeError(f"async {NOT_ENTERED}")
        while (event := await self._events.next()) is not None:
            if (known := self._reader.read(event.event, event.data)) is not None:
                return known
        if not self._reader.is_complete:
            raise self._events.broken_off()
        raise StopAsyncIteration

    async def close(self) -> None:
        """Idempotent."""
        if self._events is not None:
            await self._events.close()


class AsyncAnswerStream(AsyncEventStream[AnswerEvent]):
    """As AnswerStream."""

    _reader: AnswerReader

    def __init__(self, connection: AsyncConnection, call: Call[AnswerReply]):
        super().__init__(connection, call, AnswerReader())

    @property
    def text(self) -> str:
        """What was written so far."""
        return self._reader.text

    @property
    def answer(self) -> AnswerReply:
        """What `query` would have answered. Raises RuntimeError before the last event was read."""
        return self._reader.answer

    async def read(self) -> AnswerReply:
        """Read what is left, and return the answer."""
        async for _ in self:
            pass
        return self.answer


class AsyncJobStream(AsyncEventStream[JobEvent]):
    """As JobStream."""

    def __init__(self, connection: AsyncConnection, call: Call[None]):
        super().__init__(connection, call, JobReader())
