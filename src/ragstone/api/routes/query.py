"""`POST /search` and `POST /query`."""

from fastapi import APIRouter, Request, Response

from ragstone.api.bodies import JsonRoute
from ragstone.api.deps import Clock, RequestId, Services, Tenant
from ragstone.api.disconnect import while_connected
from ragstone.api.errors import error_responses
from ragstone.api.schemas.query import AnswerReply, QueryRequest, SearchReply, SearchRequest, SourceModel
from ragstone.core.filters import Filter, parse_filter
from ragstone.core.models import Scope, Source, Turn
from ragstone.pipelines.retrieval import Search

router = APIRouter(tags=["query"], route_class=JsonRoute)
ERRORS = error_responses(400, 403, 404, 413, 415, 422, 503, 504)


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
    )
    sources = await while_connected(request, services.query.search(wanted, stopwatch=clock))
    reply = SearchReply(
        results=[_source(source, include_text=body.include_text) for source in sources],
        metadata={"request_id": request_id, **clock.stop()},
    )
    return Response(reply.model_dump_json(), media_type="application/json")


@router.post("/query", response_model=AnswerReply, responses=ERRORS, summary="Ask a question")
async def query(
    request: Request,
    body: QueryRequest,
    services: Services,
    tenant: Tenant,
    clock: Clock,
    request_id: RequestId,
) -> Response:
    """An answer in which every claim points at the exact place it came from, or an abstention with its reason."""
    wanted = Search(
        scope=Scope(tenant, body.collection),
        question=body.query,
        top_k=body.top_k,
        where=_filter(body.filter),
        mode=body.mode,
    )
    history = [Turn(turn.role, turn.content) for turn in body.history]
    answering = services.query.answer(
        wanted, history=history, request_id=request_id, stopwatch=clock, timeout_s=body.timeout_s
    )
    answer = await while_connected(request, answering)
    return Response(AnswerReply.model_validate(answer).model_dump_json(), media_type="application/json")


def _filter(raw: dict[str, object] | None) -> Filter | None:
    return None if raw is None else parse_filter(raw)


def _source(source: Source, *, include_text: bool) -> SourceModel:
    model = SourceModel.model_validate(source)
    return model if include_text else model.model_copy(update={"text": None})
