"""`POST /search` and `POST /query`."""

from collections.abc import AsyncGenerator
from typing import Any

from fastapi import APIRouter, Request, Response

from ragstone.api.bodies import JsonRoute
from ragstone.api.deps import Clock, RequestId, Services, Tenant
from ragstone.api.disconnect import while_connected
from ragstone.api.errors import error_responses
from ragstone.api.schemas.base import event_stream
from ragstone.api.schemas.query import (
    STREAM_EVENTS,
    AnswerReply,
    QueryRequest,
    SearchReply,
    SearchRequest,
    SourceModel,
)
from ragstone.api.sse import stream_answer
from ragstone.core.filters import Filter, parse_filter
from ragstone.core.models import Scope, Source, Turn
from ragstone.pipelines.asking import Ask
from ragstone.pipelines.searching import Search
from ragstone.services.query import AnswerDefaults

router = APIRouter(tags=["query"], route_class=JsonRoute)
ERRORS = error_responses(400, 403, 404, 413, 415, 422, 502, 503, 504)
ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The answer; with `stream` server-sent events.",
        "content": event_stream(STREAM_EVENTS),
    }
}


@router.post("/search", response_model=SearchReply, responses=ERRORS, summary="Find passages")
async def search(
    request: Request,
    body: SearchRequest,
    services: Services,
    tenant: Tenant,
    clock: Clock,
    request_id: RequestId,
) -> Response:
    """Passages that match, best first, with the score of each leg."""
    wanted = Search(
        scope=Scope(tenant, body.collection),
        question=body.query,
        top_k=body.top_k,
        offset=body.offset,
        where=_filter(body.filter),
        mode=body.mode,
        context_window=body.context_window,
        most_per_document=body.max_chunks_per_document,
    )
    found = await while_connected(request, services.query.search(wanted, stopwatch=clock))
    reply = SearchReply(
        results=[_source(source, include_text=body.include_text) for source in found.sources],
        degraded=list(found.degraded),
        metadata={"request_id": request_id, **clock.stop()},
    )
    return Response(reply.model_dump_json(), media_type="application/json")


@router.post(
    "/query",
    response_model=AnswerReply,
    responses={**ERRORS, **ANSWERS},
    summary="Ask a question",
)
async def query(
    request: Request,
    body: QueryRequest,
    services: Services,
    tenant: Tenant,
    clock: Clock,
    request_id: RequestId,
) -> Response:
    """An answer in which every claim points at the exact place it came from, or an abstention with its reason; with
    `stream` as server-sent events: `meta`, `sources`, `token` and `citation` as they come, `metadata`, and `done` or
    `error`."""
    ask = ask_of(body, tenant, services.query.defaults)
    call = services.query.stream if body.stream else services.query.answer
    working = call(
        ask, provider=body.provider, request_id=request_id, stopwatch=clock, timeout_s=body.timeout_s
    )
    if isinstance(working, AsyncGenerator):
        return await stream_answer(request, working)
    answer = await while_connected(request, working)
    return Response(AnswerReply.model_validate(answer).model_dump_json(), media_type="application/json")


def ask_of(body: QueryRequest, tenant: str, defaults: AnswerDefaults) -> Ask:
    """What a request asks for, in whichever dialect it came. Raises InvalidFilter."""
    search = Search(
        scope=Scope(tenant, body.collection),
        question=body.query,
        top_k=body.top_k,
        where=_filter(body.filter),
        mode=body.mode,
        strict=body.strict,
        context_window=body.context_window,
        most_per_document=body.max_chunks_per_document,
    )
    return Ask(
        search=search,
        history=[Turn(turn.role, turn.content) for turn in body.history],
        model=body.model,
        temperature=defaults.temperature if body.temperature is None else body.temperature,
        max_tokens=body.max_tokens or defaults.max_tokens,
    )


def _filter(raw: dict[str, object] | None) -> Filter | None:
    return None if raw is None else parse_filter(raw)


def _source(source: Source, *, include_text: bool) -> SourceModel:
    model = SourceModel.model_validate(source)
    return model if include_text else model.model_copy(update={"text": None})
