"""Methods made of the functions in `calls`: they have the function's parameters and docstring, and send what it makes.
So each route has one signature, which both clients share."""

import inspect
from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, TypeVar

from ragstone.api.schemas.documents import UploadReply
from ragstone.api.schemas.query import AnswerReply
from ragstone.client.call import Call
from ragstone.client.calls.uploads import Upload
from ragstone.client.connection import AsyncConnection, Connection
from ragstone.client.listing import AsyncListing, Listing, Page
from ragstone.client.streams import AnswerStream, AsyncAnswerStream, AsyncJobStream, JobStream
from ragstone.client.waiting import send_upload, send_upload_async

P = ParamSpec("P")
T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])

STREAM = "The answer while it is written, as typed events: use it in a `with` block. Leaving it early stops the server."


class Resource:
    """Some routes of the API."""

    def __init__(self, connection: Connection):
        self._connection = connection


class AsyncResource:
    """The same for programs that await."""

    def __init__(self, connection: AsyncConnection):
        self._connection = connection


def sends(build: Callable[P, Call[T]]) -> Callable[Concatenate[Resource, P], T]:
    """A method that returns the reply."""

    def method(self: Resource, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self._connection.send(build(*args, **kwargs))

    return _shown_as(build, method)


def awaits(
    build: Callable[P, Call[T]],
) -> Callable[Concatenate[AsyncResource, P], Coroutine[Any, Any, T]]:
    """A coroutine method that returns the reply."""

    async def method(self: AsyncResource, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._connection.send(build(*args, **kwargs))

    return _shown_as(build, method)


def lists(build: Callable[P, Call[Page[T]]]) -> Callable[Concatenate[Resource, P], Listing[T]]:
    """A method that returns an iterable of all items."""

    def method(self: Resource, /, *args: P.args, **kwargs: P.kwargs) -> Listing[T]:
        return Listing(self._connection, build(*args, **kwargs))

    return _shown_as(build, method)


def lists_async(
    build: Callable[P, Call[Page[T]]],
) -> Callable[Concatenate[AsyncResource, P], AsyncListing[T]]:
    """The same for `async for`."""

    def method(self: AsyncResource, /, *args: P.args, **kwargs: P.kwargs) -> AsyncListing[T]:
        return AsyncListing(self._connection, build(*args, **kwargs))

    return _shown_as(build, method)


def sends_upload(build: Callable[P, Upload]) -> Callable[Concatenate[Resource, P], UploadReply]:
    """A method that uploads, and waits if it is asked to."""

    def method(self: Resource, /, *args: P.args, **kwargs: P.kwargs) -> UploadReply:
        return send_upload(self._connection, build(*args, **kwargs))

    return _shown_as(build, method)


def awaits_upload(
    build: Callable[P, Upload],
) -> Callable[Concatenate[AsyncResource, P], Coroutine[Any, Any, UploadReply]]:
    """The same as a coroutine method."""

    async def method(self: AsyncResource, /, *args: P.args, **kwargs: P.kwargs) -> UploadReply:
        return await send_upload_async(self._connection, build(*args, **kwargs))

    return _shown_as(build, method)


def streams(build: Callable[P, Call[AnswerReply]]) -> Callable[Concatenate[Resource, P], AnswerStream]:
    """A method that returns an answer as it is written."""

    def method(self: Resource, /, *args: P.args, **kwargs: P.kwargs) -> AnswerStream:
        return AnswerStream(self._connection, build(*args, **kwargs).streamed())

    return _shown_as(build, method, "stream", STREAM)


def streams_async(
    build: Callable[P, Call[AnswerReply]],
) -> Callable[Concatenate[AsyncResource, P], AsyncAnswerStream]:
    """The same for `async with`."""

    def method(self: AsyncResource, /, *args: P.args, **kwargs: P.kwargs) -> AsyncAnswerStream:
        return AsyncAnswerStream(self._connection, build(*args, **kwargs).streamed())

    return _shown_as(build, method, "stream", STREAM)


def follows(build: Callable[P, Call[None]]) -> Callable[Concatenate[Resource, P], JobStream]:
    """A method that returns a job as it changes."""

    def method(self: Resource, /, *args: P.args, **kwargs: P.kwargs) -> JobStream:
        return JobStream(self._connection, build(*args, **kwargs))

    return _shown_as(build, method)


def follows_async(
    build: Callable[P, Call[None]],
) -> Callable[Concatenate[AsyncResource, P], AsyncJobStream]:
    """The same for `async with`."""

    def method(self: AsyncResource, /, *args: P.args, **kwargs: P.kwargs) -> AsyncJobStream:
        return AsyncJobStream(self._connection, build(*args, **kwargs))

    return _shown_as(build, method)


def _shown_as(build: Callable[..., Any], method: F, name: str = "", description: str = "") -> F:
    """For `help`, and for tools that read signatures."""
    parameters = inspect.signature(build).parameters.values()
    self = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    vars(method).update(__signature__=inspect.Signature([self, *parameters]))
    method.__name__ = name or build.__name__
    method.__doc__ = description or build.__doc__
    return method
