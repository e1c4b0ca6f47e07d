"""POST /rerank: shared words as scores, in the form of TEI or of Cohere, and the faults that scores can have."""

import json
import math
from typing import Any

from ragstone.testing.rerankers import overlap
from ragstone.testing.upstream.body_faults import send_huge
from ragstone.testing.upstream.chat import model_of
from ragstone.testing.upstream.faults import Fault
from ragstone.testing.upstream.http import Exchange
from ragstone.testing.upstream.wire import JSON, ApiError

Ranks = list[tuple[int, float]]
"""The number of each text and its score, best first."""


async def answer_rerank(exchange: Exchange, body: dict[str, Any], fault: Fault | None) -> None:
    """Score `texts` as TEI does, or `documents` as Cohere does. Raises ApiError."""
    is_tei = "texts" in body
    query, texts = _asked(body, "texts" if is_tei else "documents")
    ranks = sorted(((n, overlap(query, text)) for n, text in enumerate(texts)), key=lambda rank: -rank[1])
    kind = fault.kind if fault else ""
    ranks = _spoil(ranks, kind)
    encoded = _tei_body(ranks) if is_tei else _cohere_body(ranks, model_of(body))
    if kind == "huge":
        await send_huge(exchange, encoded)
    else:
        exchange.send(200, encoded[:-2] if kind == "malformed" else encoded, JSON)


def _spoil(ranks: Ranks, kind: str) -> Ranks:
    match kind:
        case "nan":
            return [(ranks[0][0], math.nan), *ranks[1:]]
        case "short":
            return ranks[:-1]
        case "shuffled":
            return ranks[::-1]
        case _:
            return ranks


def _tei_body(ranks: Ranks) -> bytes:
    return json.dumps([{"index": index, "score": score} for index, score in ranks]).encode()


def _cohere_body(ranks: Ranks, model: str) -> bytes:
    results = [{"index": index, "relevance_score": score} for index, score in ranks]
    return json.dumps({"id": "rerank-1", "model": model, "results": results}).encode()


def _asked(body: dict[str, Any], member: str) -> tuple[str, list[str]]:
    query, texts = body.get("query"), body.get(member)
    if not isinstance(query, str):
        raise ApiError(422, "'query' is a text", param="query")
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        raise ApiError(422, f"'{member}' is a list with at least one text", param=member)
    return query, texts
