"""`POST /search` and `POST /query`."""

from collections.abc import AsyncGenerator
from typing import Any

from fastapi import APIRouter, Request, Response

from ragstone.api.bodies import JsonRoute
from ragstone.api.deps import Clock, RequestId, Services, Tenant
from ragstone.api.disconnect import while_connected
from ragstone.api.errors import error_responses
from ragstone.api.questions import ask_of, search_of, search_reply
from ragstone.api.schemas.base import event_stream
from ragstone.api.schemas.query import (
    STREAM_EVENTS,
    AnswerReply,
    QueryRequest,
    SearchReply,
    SearchRequest,
)
from ragstone.api.sse import stream_answer

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
    found = await while_connected(request, services.query.search(search_of(body, tenant), stopwatch=clock))
    reply = search_reply(body, found, request_id, clock)
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
