"""Arguments of tools for which the native API has no body, and how arguments are checked."""

from typing import Any, Literal, TypeVar

from pydantic import Field, ValidationError

from ragstone.api.errors import invalid_request
from ragstone.api.schemas.base import CollectionName, Name, RequestModel
from ragstone.api.schemas.documents import TextUpload
from ragstone.api.schemas.query import FilterJson

M = TypeVar("M", bound=RequestModel)


class ListArguments(RequestModel):
    """Which documents, and how many at a time."""

    collection: CollectionName = "default"
    status: Literal["queued", "processing", "ready", "failed"] | None = None
    title: Name | None = Field(None, description="Part of the title, any case.")
    parent_id: Name | None = Field(None, max_length=64, description="Only the parts of this document.")
    filter: FilterJson = None
    sort: Literal["created_at", "-created_at", "title"] = "-created_at"
    limit: int = Field(50, ge=1, le=200, description="Documents on a page.")
    cursor: Name | None = Field(None, max_length=2048, description="`next_cursor` of the page before.")


class DocumentArguments(RequestModel):
    """Which document."""

    document_id: Name = Field(min_length=1, max_length=64)


class AddArguments(TextUpload):
    """A document given as text."""

    wait: bool = Field(
        default=True, description="Answer once it is searchable or has failed, at most half a minute later."
    )


def checked(model: type[M], arguments: dict[str, Any] | None) -> M:
    """Raises InvalidRequest, which names what is wrong."""
    try:
        return model.model_validate(arguments or {})
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False, include_context=False)
        placed = [{**problem, "loc": ("arguments", *problem["loc"])} for problem in problems]
        raise invalid_request(placed) from error
