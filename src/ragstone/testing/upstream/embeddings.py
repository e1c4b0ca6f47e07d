"""POST /embeddings: hashed words as vectors, the same in every process, and the faults that vectors can have."""

import asyncio
import base64
from typing import Any

import numpy as np

from ragstone.core.models import Vector
from ragstone.testing.embedders import HashingEmbedder
from ragstone.testing.upstream.answers import count_tokens
from ragstone.testing.upstream.body_faults import send_huge
from ragstone.testing.upstream.chat import model_of
from ragstone.testing.upstream.faults import Fault
from ragstone.testing.upstream.http import Exchange
from ragstone.testing.upstream.wire import JSON, ApiError, embeddings_body

MAX_INPUTS = 2048  # OpenAI's limit
MAX_DIMENSION = 4096

Rows = list[tuple[int, Vector]]
"""Vectors with the index of their input."""


async def answer_embeddings(
    exchange: Exchange, body: dict[str, Any], *, dimension: int, fault: Fault | None
) -> None:
    """Embed the inputs. Raises ApiError."""
    texts = _inputs(body)
    embedder = HashingEmbedder(_dimension(body, dimension))
    rows: Rows = []
    for index, text in enumerate(texts):
        rows.append((index, await embedder.embed_query(text)))
        await asyncio.sleep(0)
    if fault is not None:
        rows = _spoil(rows, fault.kind)
    encode = _as_base64 if body.get("encoding_format") == "base64" else _as_floats
    tokens = sum(count_tokens(text) for text in texts)
    encoded = embeddings_body([(index, encode(vector)) for index, vector in rows], model_of(body), tokens)
    if fault is not None and fault.kind == "huge":
        await send_huge(exchange, encoded)
    else:
        exchange.send(200, encoded, JSON)


def _spoil(rows: Rows, kind: str) -> Rows:
    match kind:
        case "wrong_dim":
            return [(index, vector[:-1]) for index, vector in rows]
        case "nan":
            return [(index, np.where(np.arange(len(vector)) == 0, np.nan, vector)) for index, vector in rows]
        case "zero":
            return [(index, np.zeros_like(vector)) for index, vector in rows]
        case "short":
            return rows[:-1]
        case "shuffled":
            return rows[::-1]
        case _:
            return rows


def _as_floats(vector: Vector) -> list[float]:
    floats: list[float] = vector.tolist()
    return floats


def _as_base64(vector: Vector) -> str:
    return base64.b64encode(vector.astype("<f4").tobytes()).decode()


def _inputs(body: dict[str, Any]) -> list[str]:
    """Texts; tokens that were counted by the client count as words."""
    given = body.get("input")
    if isinstance(given, str) or _is_tokens(given):
        given = [given]
    if not isinstance(given, list) or not 0 < len(given) <= MAX_INPUTS:
        raise ApiError(400, f"'input' is a text, or a list of 1 to {MAX_INPUTS}", param="input")
    if not all(each and (isinstance(each, str) or _is_tokens(each)) for each in given):
        raise ApiError(400, "each 'input' is a text or a list of tokens, and not empty", param="input")
    return [each if isinstance(each, str) else " ".join(map(str, each)) for each in given]


def _is_tokens(given: Any) -> bool:
    return isinstance(given, list) and bool(given) and all(type(each) is int for each in given)


def _dimension(body: dict[str, Any], default: int) -> int:
    asked = body.get("dimensions", default)
    if type(asked) is not int or not 0 < asked <= MAX_DIMENSION:
        raise ApiError(400, f"'dimensions' is 1 to {MAX_DIMENSION}", param="dimensions")
    return asked
