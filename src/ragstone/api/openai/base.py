"""What all operations of the dialect share: requests sorted by their parameters, the extension, errors, names."""

import re
from typing import Annotated, Any, ClassVar, Literal

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from ragstone.api.openai.parameters import Parameters, unsupported
from ragstone.api.routes.uploads import validated
from ragstone.api.schemas.base import COLLECTION_NAME, CollectionName, ReplyModel, RequestModel, Text
from ragstone.api.schemas.query import (
    MAX_QUESTION,
    MAX_TURNS,
    ChunksPerDocument,
    ContextWindow,
    FilterJson,
    Name,
    QueryRequest,
)
from ragstone.bootstrap import Container
from ragstone.core.errors import CollectionNotFound, ModelNotFound
from ragstone.core.models import DEFAULT_COLLECTION, Scope

PREFIX = "ragstone/"  # before the name of a collection that is called as a model
_NAME = re.compile(COLLECTION_NAME)


class DialectRequest(RequestModel):
    """A request in OpenAI's words. What changes nothing is dropped; raises UnsupportedParameter for what is refused."""

    parameters: ClassVar[Parameters]

    @model_validator(mode="before")
    @classmethod
    def _sorted(cls, value: Any) -> Any:
        return cls.parameters.kept(value) if isinstance(value, dict) else value


class Extension(RequestModel):
    """What only this server knows, as in `POST /query`."""

    collection: CollectionName | None = None
    top_k: int = Field(5, ge=1, le=100)
    filter: FilterJson = None
    mode: Literal["hybrid", "dense", "sparse"] = "hybrid"
    strict: bool = False
    context_window: ContextWindow = 0
    max_chunks_per_document: ChunksPerDocument = None
    provider: Name | None = None
    timeout_s: float | None = Field(None, gt=0, allow_inf_nan=False)


class Part(BaseModel):
    """A part of a message's content. Members that OpenAI adds to what it once said are let pass."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    type: Annotated[str, StringConstraints(max_length=64)]
    text: Text = ""


class ChatMessage(BaseModel):
    """A message, also one that a model once said: whatever else stands in it is let pass."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    role: Literal["system", "developer", "user", "assistant"]
    content: Text | Annotated[list[Part], Field(max_length=256)] | None = None

    @property
    def text(self) -> str:
        """Raises UnsupportedParameter for parts that are not text."""
        if not isinstance(self.content, list):
            return self.content or ""
        for part in self.content:
            if part.type not in ("text", "input_text", "output_text", "refusal"):
                raise unsupported("content", f"a part of the type {part.type!r} is not supported; send text")
        return "\n".join(part.text for part in self.content)


def query_request(
    messages: list[ChatMessage],
    model: str,
    extension: Extension | None,
    services: Container,
    **said: Any,
) -> QueryRequest:
    """The native request that a conversation and its options mean. Raises ModelNotFound, UnsupportedParameter,
    RequestValidationError."""
    spoken = [message for message in messages if message.role in ("user", "assistant")]
    if not spoken or spoken[-1].role != "user":
        raise _invalid("messages", "the last message is the question of the user")
    options = {} if extension is None else extension.model_dump(exclude_unset=True, exclude={"collection"})
    collection, answerer = named_by(model, services)
    if extension is not None and extension.collection is not None:
        collection = extension.collection
    turns = [{"role": each.role, "content": each.text[:MAX_QUESTION]} for each in spoken[-MAX_TURNS - 1 : -1]]
    said = {name: value for name, value in said.items() if value is not None}
    return validated(
        QueryRequest,
        {
            "query": spoken[-1].text,
            "history": turns,
            "collection": collection,
            "model": answerer,
            **options,
            **said,
        },
    )


def named_by(model: str, services: Container) -> tuple[str, str | None]:
    """The collection and the answerer that a model's name means; None is the configured one. Raises ModelNotFound."""
    if model.startswith(PREFIX) and _NAME.fullmatch(model.removeprefix(PREFIX)):
        return model.removeprefix(PREFIX), None
    known = [name for _, name in services.query.models]
    if model not in known:
        raise ModelNotFound(
            f"there is no model {model[:200]!r}; known: {PREFIX}<collection>, {', '.join(known)}"
        )
    return DEFAULT_COLLECTION, model


async def require_model(model: str, collection: str, tenant: str, services: Container) -> None:
    """Raises ModelNotFound where a collection that was named as a model is not there."""
    if model != f"{PREFIX}{collection}":
        return
    try:
        await services.manifest.require_collection(Scope(tenant, collection))
    except CollectionNotFound as error:
        raise ModelNotFound(f"there is no model {model!r}: {error.message}") from error


def _invalid(place: str, message: str) -> RequestValidationError:
    return RequestValidationError([{"loc": ("body", place), "type": "value_error", "msg": message}])


class OpenAIErrorInfo(ReplyModel):
    """A failure as OpenAI tells it, and what else the native API says of it."""

    message: str
    type: str
    param: str | None
    code: str
    retryable: bool
    request_id: str | None
    details: list[Any]


class OpenAIErrorReply(ReplyModel):
    """Every error under `/v1` has this shape."""

    error: OpenAIErrorInfo


class Deleted(ReplyModel):
    """What is gone."""

    id: str
    object: str
    deleted: bool
