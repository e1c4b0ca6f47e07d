"""What all wire models share: strict requests, one text type, one page shape."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    PlainSerializer,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)

MAX_MEMBERS = (
    64  # of a request object: far more than any has; a hundred thousand would each become an error detail
)


def _whole_unicode(value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ValueError("the text holds a lone surrogate") from error
    return value


def _no_nul(value: str) -> str:
    if "\0" in value:
        raise ValueError("the text holds a NUL character")
    return value


Text = Annotated[str, AfterValidator(_whole_unicode)]
Name = Annotated[
    str, StringConstraints(max_length=1024), AfterValidator(_whole_unicode), AfterValidator(_no_nul)
]
COLLECTION_NAME = r"^[a-z0-9][a-z0-9_-]{0,62}$"
CollectionName = Annotated[str, StringConstraints(pattern=COLLECTION_NAME)]


def _rfc3339(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


Time = Annotated[datetime, PlainSerializer(_rfc3339, return_type=str)]


def _moment(value: object) -> datetime:
    if not isinstance(value, str):
        raise ValueError("a time is text such as 2026-01-31T12:00:00Z")  # noqa: TRY004 - pydantic's way
    moment = datetime.fromisoformat(value)
    if moment.utcoffset() is None:
        raise ValueError("a time needs its offset, such as Z")
    return moment.astimezone(UTC)


Moment = Annotated[
    datetime,
    BeforeValidator(
        _moment,
        json_schema_input_type=Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})],
    ),
]
"""A time in a request."""


class RequestModel(BaseModel):
    """A request body: strict types (`true` is not a 1), unknown members refused."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _bounded(cls, value: Any) -> Any:
        if isinstance(value, dict) and len(value) > MAX_MEMBERS:
            raise ValueError(f"an object of at most {MAX_MEMBERS} members is expected")
        return value


def event_stream(events: Mapping[str, type[BaseModel]]) -> dict[str, Any]:
    """The `content` of a reply that is a stream of these events, by name: the data of each is JSON on one line."""
    return {"text/event-stream": {"schema": {"oneOf": [_event(*each) for each in events.items()]}}}


def _event(name: str, model: type[BaseModel]) -> dict[str, Any]:
    content = {"$ref": f"#/components/schemas/{model.__name__}"}
    return {
        "type": "object",
        "required": ["id", "event", "data"],
        "properties": {
            "id": {"type": "string", "description": "Counts from 1."},
            "event": {"const": name},
            "data": {"type": "string", "contentMediaType": "application/json", "contentSchema": content},
        },
    }


class ReplyModel(BaseModel):
    """A reply; made from our own dataclasses."""

    model_config = ConfigDict(from_attributes=True, frozen=True)
