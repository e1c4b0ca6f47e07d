"""One call of the API as a value: what is sent, what the reply means, and whether it may be sent twice."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar
from urllib.parse import quote

import httpx2
from pydantic import ValidationError

from ragstone.client.contents import Form, OnSent
from ragstone.client.errors import CallFailed, error_of, no_reply

T_co = TypeVar("T_co", covariant=True)

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Generic[T_co]):
    """`is_repeatable`: sent a second time it changes nothing that the first one did not. `replies`: statuses beside
    those of success whose content is a reply. `is_unbounded`: nobody knows how long the server takes."""

    method: str
    path: str
    parse: Callable[[bytes], T_co]
    params: Mapping[str, str | int] = field(default_factory=dict)
    json: Json | None = None
    form: Form | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    is_repeatable: bool
    is_unbounded: bool = False
    replies: frozenset[int] = frozenset()

    @contextmanager
    def body(self) -> Iterator[dict[str, Any]]:
        """The body's arguments of a request, for one attempt; files are open meanwhile."""
        if self.form is not None:
            with self.form.opened() as parts:
                yield parts
        elif self.json is not None:
            yield {"content": json.dumps(self.json).encode(), "headers": {"Content-Type": "application/json"}}
        else:
            yield {}

    def read(self, response: httpx2.Response) -> T_co:
        """Raises ApiError, UnexpectedReply."""
        if response.status_code >= 300 and response.status_code not in self.replies:
            raise error_of(response)
        try:
            return self.parse(response.content)
        except ValidationError as problem:
            failure = error_of(response) if response.is_error else no_reply(response, problem)
            raise failure from problem

    def may_follow(self, failure: CallFailed) -> bool:
        """Whether it may be sent again after this."""
        return failure.retryable and (self.is_repeatable or not failure.in_doubt)

    def streamed(self) -> "Call[T_co]":
        """The same, answered with events."""
        return replace(self, json={**(self.json or {}), "stream": True})

    def of_page(self, cursor: str) -> "Call[T_co]":
        """The same, of the page that this cursor leads to."""
        return replace(self, params={**self.params, "cursor": cursor})

    def watched(self, on_sent: OnSent | None) -> "Call[T_co]":
        """The same, telling how much of its file was sent."""
        return self if self.form is None else replace(self, form=self.form.watched(on_sent))


def given(**members: Any) -> dict[str, Any]:
    """What was said; the rest is left to the API."""
    return {name: value for name, value in members.items() if value is not None}


def filter_text(filter: Json) -> str:  # noqa: A002 - the API's name for it
    """A filter in a URL or a form."""
    return json.dumps(filter, ensure_ascii=False)


def part_of_path(name: str) -> str:
    """A name as one segment of a path."""
    return quote(name, safe="")
