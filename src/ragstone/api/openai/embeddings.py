"""`POST /v1/embeddings`: the vectors that questions are compared with documents by."""

import base64
from typing import Annotated, Any, ClassVar, Literal

from fastapi import APIRouter, Request, Response
from pydantic import Field, StringConstraints

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
TokenIds = Annotated[list[int], Field(min_length=1)] | Annotated[list[list[int]], Field(min_length=1)]
NonEmpty = Annotated[Text, StringConstraints(min_length=1)]


class EmbeddingRequest(DialectRequest):
    """Texts to be made vectors."""

    parameters: ClassVar[Parameters] = EMBEDDINGS

    input: NonEmpty | Annotated[list[NonEmpty], Field(min_length=1, max_length=MAX_INPUTS)] | TokenIds
    model: Annotated[Text, StringConstraints(min_length=1, max_length=200)]
    dimensions: int | None = Field(None, ge=1)
    encoding_format: Literal["float", "base64"] = "float"

    @property
    def texts(self) -> list[str]:
        """Raises UnsupportedParameter for token ids."""
        texts = [self.input] if isinstance(self.input, str) else self.input
        found = [each for each in texts if isinstance(each, str)]
        if len(found) < len(texts):
            raise UnsupportedParameter("token ids are not supported: the encoder has its own; send text")
        return found


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
    vectors, tokens = await while_connected(request, services.query.embed(body.texts, stopwatch=clock))
    if body.dimensions not in (None, len(vectors[0])):
        raise UnsupportedParameter(f"the encoder's vectors have {len(vectors[0])} dimensions")
    data = [
        EmbeddingModel(object="embedding", index=index, embedding=_encoded(vector, body.encoding_format))
        for index, vector in enumerate(vectors)
    ]
    usage = EmbeddingUsage(prompt_tokens=tokens, total_tokens=tokens)
    reply = EmbeddingList(object="list", data=data, model=name, usage=usage)
    return Response(reply.model_dump_json(), media_type="application/json")


def _encoded(vector: Vector, encoding: str) -> Any:
    if encoding == "base64":
        return base64.b64encode(vector.astype("<f4").tobytes()).decode()
    return vector.tolist()
