"""Vectors from a server that speaks OpenAI's embeddings protocol. Nothing it returns is stored before it is checked."""

import asyncio
import base64
import binascii
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from math import ceil

import numpy as np

from ragstone.core.errors import BadEmbedding, EmbedderUnavailable, InvalidSetting, UpstreamGarbled
from ragstone.core.models import Embedding, EmbeddingInput, Vector
from ragstone.vendors.openai import UPSTREAM_ERRORS, build_client, translate
from ragstone.vendors.protocol import ProtocolViolation, parse_object, without_surrogates

SERVICE = "the embedding server"
MAX_CHARACTERS = 8_000
"""Of one text, the rest does not count: OpenAI refuses more than 8,191 tokens, and no text needs more than one or two
tokens a character. It belongs to the fingerprint."""
MAX_INPUTS = 64
"""Of one request: within every known server's limit, and its answer stays far below the bound on bodies."""
MAX_REQUEST_CHARACTERS = 200_000
"""Of one request: OpenAI refuses more than 300,000 tokens."""
_BLANK = " "  # an empty text is refused


class OpenAIEmbedder:
    """An Embedder over `/embeddings`. Vectors are scaled to unit length; spans have none (rows of zeros).

    The server is asked for base64 and may answer with lists of numbers. `timeout_s` bounds each request, the whole of
    it; the requests of one call follow one another. One attempt each.
    """

    def __init__(
        self, *, api_key: str | None, base_url: str | None, model: str, dimension: int, timeout_s: float
    ) -> None:
        """Blocks for a moment: call it off the event loop. Raises InvalidSetting."""
        if not model or dimension < 1:
            raise InvalidSetting(
                "an embedding server needs the name of a model and the length of its vectors"
            )
        self._model = model
        self._dimension = dimension
        self._timeout_s = timeout_s
        self._client = build_client(api_key=api_key, base_url=base_url, timeout_s=timeout_s)

    @property
    def fingerprint(self) -> str:
        """Provider, model, dimension, normalisation and limit. Not the URL: one model may be served at several."""
        return f"openai:{self._model}:{self._dimension}:unit:{MAX_CHARACTERS}-characters"

    @property
    def dimension(self) -> int:
        """See Embedder."""
        return self._dimension

    def legibility(self, text: str) -> float:
        """Such models know all scripts, as far as their owners say."""
        return 1.0

    def count_tokens(self, text: str) -> tuple[int, bool]:
        """See Embedder; four characters a token."""
        sent = _as_sent(text)
        return ceil(len(sent) / 4), len(text) <= MAX_CHARACTERS

    async def embed_query(self, text: str) -> Vector:
        """See Embedder. A vector that is none raises UpstreamGarbled."""
        try:
            (vector,) = await self._embed([_as_sent(text)])
        except BadEmbedding as error:
            raise UpstreamGarbled(error.message) from None
        return vector

    async def embed_documents(self, inputs: Sequence[EmbeddingInput]) -> list[Embedding]:
        """See Embedder."""
        vectors: list[Vector] = []
        for texts in _batches([_as_sent(each.text) for each in inputs]):
            vectors += await self._embed(texts)
        return [
            Embedding(vector, np.zeros((len(each.spans), self._dimension), np.float32))
            for each, vector in zip(inputs, vectors, strict=True)
        ]

    async def close(self) -> None:
        """Close all connections; idempotent."""
        await self._client.close()

    async def _embed(self, texts: list[str]) -> list[Vector]:
        async with self._one_attempt():
            answer = await self._client.embeddings.with_raw_response.create(
                model=self._model, input=texts, encoding_format="base64"
            )
            # Decimal numbers of a batch take tens of milliseconds, during which no stream would move.
            return await asyncio.to_thread(
                read_vectors, answer.content, count=len(texts), dimension=self._dimension
            )

    @asynccontextmanager
    async def _one_attempt(self) -> AsyncIterator[None]:
        if self._client.is_closed():
            raise EmbedderUnavailable("the embedder is closed")
        try:
            async with asyncio.timeout(self._timeout_s):
                yield
        except UPSTREAM_ERRORS as error:
            raise translate(error, service=SERVICE, has_begun=False) from None


def read_vectors(body: bytes, *, count: int, dimension: int) -> list[Vector]:
    """The unit vectors of an answer, in the order of the texts. Raises ProtocolViolation, and BadEmbedding when there
    is not exactly one usable vector for each text."""
    rows = parse_object(body).get("data")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ProtocolViolation("no list of embeddings")
    by_index = {row.get("index"): row.get("embedding") for row in rows if type(row.get("index")) is int}
    if len(rows) != count or set(by_index) != set(range(count)):
        raise BadEmbedding(
            f"{SERVICE} returned {len(rows)} vectors with {len(by_index)} different numbers for {count} texts"
        )
    return [_unit(_numbers(by_index[index]), dimension) for index in range(count)]


def _numbers(embedding: object) -> Vector:
    """From base64 of little-endian float32, or from a list."""
    try:
        if isinstance(embedding, str):
            return np.frombuffer(base64.b64decode(embedding, validate=True), "<f4").astype(np.float32)
        if isinstance(embedding, list):
            with np.errstate(over="ignore"):
                return np.array(embedding, np.float32)
    except (binascii.Error, ValueError, TypeError, OverflowError):
        pass
    raise BadEmbedding(f"{SERVICE} returned a vector that is neither numbers nor base64 of them")


def _unit(numbers: Vector, dimension: int) -> Vector:
    if numbers.shape != (dimension,):
        raise BadEmbedding(
            f"{SERVICE} returned a vector of {numbers.size} numbers; {dimension} were expected: check the model's name"
            " and the dimension"
        )
    if not np.isfinite(numbers).all():
        raise BadEmbedding(f"{SERVICE} returned a vector with a value that is not a finite number")
    length = float(np.linalg.norm(numbers.astype(np.float64)))
    if length == 0:
        raise BadEmbedding(f"{SERVICE} returned a vector of length 0; one of length 1 was expected")
    unit: Vector = (numbers / length).astype(np.float32)
    return unit


def _as_sent(text: str) -> str:
    return without_surrogates(text[:MAX_CHARACTERS]) if text.strip() else _BLANK


def _batches(texts: Sequence[str]) -> Iterator[list[str]]:
    """In order; each within both limits."""
    batch: list[str] = []
    characters = 0
    for text in texts:
        if batch and (len(batch) == MAX_INPUTS or characters + len(text) > MAX_REQUEST_CHARACTERS):
            yield batch
            batch, characters = [], 0
        batch.append(text)
        characters += len(text)
    if batch:
        yield batch
