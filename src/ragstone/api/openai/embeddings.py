"""`POST /v1/embeddings`: the vectors that questions are compared with documents by."""

import asyncio
import base64
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

from fastapi import APIRouter, Request, Response
from pydantic import BeforeValidator, Field, StringConstraints, WithJsonSchema

from ragstone.api.bodies import JsonRoute
from ragstone.api.deps import Clock, Services
from ragstone.api.disconnect import while_connected
from ragstone.api.openai.base import DialectRequest
from ragstone.api.openai.errors import openai_errors
from ragstone.api.openai.models import encoder_name
from ragstone.api.openai.parameters import EMBEDDINGS, Parameters
from ragstone.api.schemas.base import ReplyModel, Text
from ragstone.core.errors import ModelNotFound, UnsupportedParameter
from ragstone.core.models import Vector

router = APIRouter(prefix="/v1", tags=["OpenAI's dialect"], route_class=JsonRoute)
MAX_INPUTS = 2_048


def _texts(value: Any) -> list[str]:
    """One text or several, judged by the first that is wrong: of a million there would be a million errors. Raises
    UnsupportedParameter for token ids."""
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not 0 < len(texts) <= MAX_INPUTS:
        raise ValueError(f"expected a text, or a list of 1 to {MAX_INPUTS}")
    for text in texts:
        if isinstance(text, int | list) and not isinstance(text, bool):
            raise UnsupportedParameter("token ids are not supported: the encoder has its own; send text")
        if not isinstance(text, str) or not text:
            raise ValueError("expected texts that are not empty")
    return texts


Texts = Annotated[
    list[Text],
    BeforeValidator(_texts),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "minLength": 1},
                {
                    "type": "array",
                    "minItems": 1,
                    "maxItems": MAX_INPUTS,
                    "items": {"type": "string", "minLength": 1},
                },
            ]
        }
    ),
]


class EmbeddingRequest(DialectRequest):
    """Texts to be made vectors."""

    parameters: ClassVar[Parameters] = EMBEDDINGS

    input: Texts
    model: Annotated[Text, StringConstraints(min_length=1, max_length=200)]
    dimensions: int | None = Field(None, ge=1)
    encoding_format: Literal["float", "base64"] = "float"


class EmbeddingModel(ReplyModel):
    """One vector: numbers, or their float32 bytes, little-endian, in base64."""

    object: Literal["embedding"]
    index: int
    embedding: list[float] | str


class EmbeddingUsage(ReplyModel):
    """Tokens that the encoder read."""

    prompt_tokens: int
    total_tokens: int


class EmbeddingList(ReplyModel):
    """A vector of each input, in order, of unit length."""

    object: Literal["list"]
    data: list[EmbeddingModel]
    model: str
    usage: EmbeddingUsage


@router.post(
    "/embeddings",
    responses=openai_errors(400, 403, 404, 413, 415, 422, 502, 503, 504),
    response_model=EmbeddingList,
    summary="Make vectors of texts",
)
async def create_embeddings(
    request: Request, body: EmbeddingRequest, services: Services, clock: Clock
) -> Response:
    """By the encoder that serves. A text that is longer than it reads is refused."""
    name = encoder_name(services)
    if body.model != name:
        raise ModelNotFound(f"there is no encoder {body.model!r}; the one that serves is {name}")
    if body.dimensions not in (None, services.query.embedding_dimension):
        known = services.query.embedding_dimension
        raise UnsupportedParameter(f"the encoder's vectors have {known} dimensions, and no other number")
    vectors, tokens = await while_connected(request, services.query.embed(body.input, stopwatch=clock))
    reply = await asyncio.to_thread(_reply, name, vectors, tokens, body.encoding_format)
    return Response(reply, media_type="application/json")


def _reply(name: str, vectors: Sequence[Vector], tokens: int, encoding: str) -> bytes:
    data = [
        EmbeddingModel(object="embedding", index=index, embedding=_encoded(vector, encoding))
        for index, vector in enumerate(vectors)
    ]
    usage = EmbeddingUsage(prompt_tokens=tokens, total_tokens=tokens)
    return EmbeddingList(object="list", data=data, model=name, usage=usage).model_dump_json().encode()


def _encoded(vector: Vector, encoding: str) -> Any:
    if encoding == "base64":
        return base64.b64encode(vector.astype("<f4").tobytes()).decode()
    return vector.tolist()
