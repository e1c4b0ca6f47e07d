"""From request models to what the services are asked, and back: the same for every interface."""

from ragstone.api.schemas.query import AskRequest, SearchReply, SearchRequest, SourceModel
from ragstone.core.filters import Filter, parse_filter
from ragstone.core.models import Scope, Source, Turn
from ragstone.core.timing import Stopwatch
from ragstone.pipelines.asking import Ask
from ragstone.pipelines.retrieval import Retrieved
from ragstone.pipelines.searching import Search
from ragstone.services.query import AnswerDefaults


def search_of(body: SearchRequest, tenant: str) -> Search:
    """Raises InvalidFilter."""
    return Search(
        scope=Scope(tenant, body.collection),
        question=body.query,
        top_k=body.top_k,
        offset=body.offset,
        where=filter_of(body.filter),
        mode=body.mode,
        context_window=body.context_window,
        most_per_document=body.max_chunks_per_document,
    )


def search_reply(body: SearchRequest, found: Retrieved, request_id: str, stopwatch: Stopwatch) -> SearchReply:
    """Stops the watch."""
    return SearchReply(
        results=[_source(source, include_text=body.include_text) for source in found.sources],
        degraded=list(found.degraded),
        metadata={"request_id": request_id, **stopwatch.stop()},
    )


def ask_of(body: AskRequest, tenant: str, defaults: AnswerDefaults) -> Ask:
    """What the request leaves out is as the server is configured. Raises InvalidFilter."""
    search = Search(
        scope=Scope(tenant, body.collection),
        question=body.query,
        top_k=body.top_k,
        where=filter_of(body.filter),
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


def filter_of(raw: dict[str, object] | None) -> Filter | None:
    """A filter in a body. Raises InvalidFilter."""
    return None if raw is None else parse_filter(raw)


def _source(source: Source, *, include_text: bool) -> SourceModel:
    model = SourceModel.model_validate(source)
    return model if include_text else model.model_copy(update={"text": None})
