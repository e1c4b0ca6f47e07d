"""`/v1/responses`, with the tool `file_search`."""

import logging
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal
from uuid import uuid4

from fastapi import APIRouter, Path, Request, Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from ragstone.api.bodies import JsonRoute
from ragstone.api.deps import Clock, RequestId, Services, Tenant
from ragstone.api.disconnect import while_connected
from ragstone.api.openai.base import (
    PREFIX,
    ChatMessage,
    Deleted,
    DialectRequest,
    Extension,
    query_request,
    require_model,
)
from ragstone.api.openai.errors import openai_errors
from ragstone.api.openai.filters import AttributeFilter, native_filter
from ragstone.api.openai.parameters import FILE_SEARCH, RESPONSES, Parameters, unsupported
from ragstone.api.openai.response_events import ResponseWriter
from ragstone.api.openai.response_models import ResponseModel
from ragstone.api.openai.vector_stores import StoreMetadata
from ragstone.api.questions import ask_of
from ragstone.api.schemas.base import CollectionName, RequestModel, Text
from ragstone.api.schemas.query import MAX_QUESTION, MAX_TURNS
from ragstone.api.sse import stream_answer
from ragstone.bootstrap import Container
from ragstone.core.answers import MAX_ANSWER_TOKENS, Answer, apply, fold
from ragstone.core.errors import RagstoneError
from ragstone.core.models import AnswerEvent, DocumentName, Done, Record, RecordKind, Scope, Source, Sources
from ragstone.pipelines.asking import Ask
from ragstone.services.files import FileService

log = logging.getLogger(__name__)

router = APIRouter(prefix="/v1/responses", tags=["OpenAI's dialect"], route_class=JsonRoute)
ResponseId = Annotated[str, Path(max_length=64, description="The response's id.")]
RESULTS = "file_search_call.results"
PASSED_OVER = frozenset({"file_search_call", "reasoning", "item_reference"})
EVENTS = {
    "type": "object",
    "required": ["event", "data"],
    "properties": {
        "event": {"type": "string", "pattern": "^response[.]"},
        "data": {"type": "string", "description": "An event of OpenAI's as JSON."},
    },
}


class SearchRanking(RequestModel):
    """How passages are ordered."""

    ranker: Annotated[Text, StringConstraints(max_length=64)] = "auto"
    score_threshold: float = Field(0.0, ge=0, le=0, allow_inf_nan=False)


class FileSearchTool(DialectRequest):
    """The vector store that the answer is taken from."""

    parameters: ClassVar[Parameters] = FILE_SEARCH

    type: Literal["file_search"]
    vector_store_ids: Annotated[list[CollectionName], Field(min_length=1, max_length=1)]
    max_num_results: int = Field(5, ge=1, le=50)
    filters: AttributeFilter = None
    ranking_options: SearchRanking | None = None


def _other(kind: str) -> str:
    if kind == "file_search":
        raise ValueError("a file_search has one vector store, and no score_threshold")
    return kind


class OtherTool(BaseModel):
    """Any other one, to be refused by name."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    type: Annotated[str, StringConstraints(max_length=64), AfterValidator(_other)]


class InputItem(BaseModel):
    """A message, or an output of an earlier response."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    type: Annotated[str, StringConstraints(max_length=64)] = "message"
    role: str | None = None
    content: Any = None


class ResponseRequest(DialectRequest):
    """A question, or a conversation that ends with one."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "model": "ragstone/default",
                    "input": "What survives a kill -9?",
                    "tools": [{"type": "file_search", "vector_store_ids": ["default"]}],
                }
            ]
        }
    )
    parameters: ClassVar[Parameters] = RESPONSES

    input: Text | Annotated[list[InputItem], Field(min_length=1, max_length=2_000)]
    model: Annotated[Text, StringConstraints(min_length=1, max_length=200)] = f"{PREFIX}default"
    tools: Annotated[list[FileSearchTool | OtherTool], Field(max_length=128)] = Field(default=[])
    include: Annotated[list[Text], Field(max_length=64)] | None = None
    previous_response_id: Annotated[Text, StringConstraints(max_length=64)] | None = None
    store: bool | None = None
    stream: bool | None = None
    metadata: StoreMetadata | None = None
    temperature: float | None = Field(None, ge=0, le=2, allow_inf_nan=False)
    max_output_tokens: int | None = Field(None, ge=1, le=MAX_ANSWER_TOKENS)
    ragstone: Extension | None = None

    @property
    def search(self) -> FileSearchTool | None:
        """Raises UnsupportedParameter for other tools, and for a second one."""
        for tool in self.tools:
            if not isinstance(tool, FileSearchTool):
                raise unsupported("tools", f"the tool {tool.type!r} is not supported; known: file_search")
        if len(self.tools) > 1:
            raise unsupported("tools", "one file_search a request")
        found = self.tools[0] if self.tools else None
        return found if isinstance(found, FileSearchTool) else None

    @property
    def messages(self) -> list[ChatMessage]:
        """Raises UnsupportedParameter for items that are neither messages nor what a response had."""
        if isinstance(self.input, str):
            return [ChatMessage(role="user", content=self.input)]
        for item in self.input:
            if item.type != "message" and item.type not in PASSED_OVER:
                raise unsupported("input", f"an item of the type {item.type!r} is not supported")
        return [_message(item) for item in self.input if item.type == "message"]


@router.post(
    "",
    response_model=ResponseModel,
    responses={
        **openai_errors(400, 403, 404, 413, 415, 422, 502, 503, 504),
        200: {
            "description": "The response; with `stream` its events.",
            "content": {"text/event-stream": {"schema": EVENTS}},
        },
    },
    summary="Answer as a response",
)
async def create_response(
    request: Request,
    body: ResponseRequest,
    services: Services,
    tenant: Tenant,
    clock: Clock,
    request_id: RequestId,
) -> Response:
    """The question is answered from the vector store of the tool, or from the collection that the model names, with
    citations as `file_citation` annotations and the native answer in `ragstone`."""
    search, messages = body.search, body.messages
    earlier = await _earlier(services, tenant, body.previous_response_id)
    messages = [*_turns_of(earlier), *messages]
    extension = _extension(body.ragstone, search)
    wanted = query_request(
        messages,
        body.model,
        extension,
        services,
        temperature=body.temperature,
        max_tokens=body.max_output_tokens,
    )
    await require_model(body.model, wanted.collection, tenant, services)
    ask = _ranked_as_said(ask_of(wanted, tenant, services.query.defaults), search)
    files = dict[str, DocumentName]()
    writer = ResponseWriter(
        _begun(body),
        searches=search is not None,
        shows_results=RESULTS in (body.include or ()),
        files=files,
        item_ids=(f"fs_{uuid4().hex}", f"msg_{uuid4().hex}"),
    )
    events = services.query.stream(
        ask, provider=wanted.provider, request_id=request_id, stopwatch=clock, timeout_s=wanted.timeout_s
    )
    turns = [*messages, ChatMessage(role="assistant")]
    keeper = _Keeper(services, tenant, turns, earlier) if body.store is not False else None
    told = _prepared(events, Scope(tenant, wanted.collection), services.files, files, writer, keeper)
    if body.stream:
        return await stream_answer(request, told, writer)
    response = await while_connected(request, _whole(told, writer))
    return Response(response.model_dump_json(), media_type="application/json")


@router.get("/{response_id}", responses=openai_errors(403, 404, 422, 503), summary="Get a response")
async def get_response(response_id: ResponseId, services: Services, tenant: Tenant) -> ResponseModel:
    """For 30 days, unless a document that it quotes was deleted."""
    record = await services.records.recall(tenant, RecordKind.RESPONSE, response_id)
    return ResponseModel.model_validate(record.content["response"])


@router.delete("/{response_id}", responses=openai_errors(403, 404, 422, 503), summary="Delete a response")
async def delete_response(response_id: ResponseId, services: Services, tenant: Tenant) -> Deleted:
    """It cannot be gone on from any more."""
    await services.records.forget(tenant, RecordKind.RESPONSE, response_id)
    return Deleted(id=response_id, object="response", deleted=True)


class _Keeper:
    """Remembers a response with the conversation so far."""

    def __init__(self, services: Container, tenant: str, turns: list[ChatMessage], earlier: Record | None):
        self._services = services
        self._tenant = tenant
        self._turns = turns
        self._quoted_before = () if earlier is None else earlier.document_ids

    async def keep(self, response: ResponseModel, answer: Answer) -> bool:
        """Whether it was; not where a document that it or the conversation before it quotes was deleted meanwhile, nor
        where nothing can be stored now: the answer is there all the same."""
        turns = [
            [turn.role, turn.text[:MAX_QUESTION]]
            for turn in self._turns
            if turn.role in ("user", "assistant")
        ]
        turns[-1][1] = answer.answer
        content = {"response": response.model_dump(mode="json"), "turns": turns[-MAX_TURNS:]}
        quoted = {*self._quoted_before, *(source.document_id for source in answer.sources)}
        try:
            await self._services.records.remember(
                self._tenant, RecordKind.RESPONSE, response.id, content, document_ids=sorted(quoted)
            )
        except RagstoneError as error:
            log.warning("response not stored", extra={"code": error.code})
            return False
        return True


async def _prepared(
    events: AsyncGenerator[AnswerEvent, None],
    scope: Scope,
    service: FileService,
    files: dict[str, DocumentName],
    writer: ResponseWriter,
    keeper: _Keeper | None,
) -> AsyncGenerator[AnswerEvent, None]:
    """The same events; before the sources their files are known, and before the end the response is kept."""
    answer = Answer()
    async with aclosing(events):
        async for event in events:
            apply(answer, event)
            if isinstance(event, Sources):
                files.update(await _names(service, scope, event.sources))
            if isinstance(event, Done) and keeper is not None:
                is_kept = await keeper.keep(writer.completed(answer), answer)
                writer.response = writer.response.model_copy(update={"store": is_kept})
            yield event


async def _whole(events: AsyncGenerator[AnswerEvent, None], writer: ResponseWriter) -> ResponseModel:
    async with aclosing(events):
        answer = await fold(events)
    if answer.failure is not None:
        raise answer.failure.error
    return writer.completed(answer)


async def _names(service: FileService, scope: Scope, sources: Sequence[Source]) -> dict[str, DocumentName]:
    """None where they cannot be read now: a citation then says the document's id and title."""
    try:
        return await service.names(scope, sources)
    except RagstoneError as error:
        log.warning("file names not read", extra={"code": error.code})
        return {}


async def _earlier(services: Container, tenant: str, response_id: str | None) -> Record | None:
    """Raises RecordNotFound."""
    if response_id is None:
        return None
    return await services.records.recall(tenant, RecordKind.RESPONSE, response_id)


def _turns_of(earlier: Record | None) -> list[ChatMessage]:
    turns = [] if earlier is None else earlier.content["turns"]
    return [ChatMessage(role=role, content=content) for role, content in turns]


def _extension(said: Extension | None, search: FileSearchTool | None) -> Extension | None:
    """What the tool says, in the words of the extension, whose own members are kept."""
    if search is None:
        return said
    kept = {} if said is None else said.model_dump(exclude_unset=True)
    if search.filters is not None and "filter" in kept:
        raise unsupported("ragstone.filter", "the tool has filters already; send one of both")
    if search.filters is not None:
        kept["filter"] = native_filter(search.filters)
    if "max_num_results" in search.model_fields_set:
        kept["top_k"] = search.max_num_results
    return Extension.model_validate({**kept, "collection": search.vector_store_ids[0]})


def _ranked_as_said(ask: Ask, tool: FileSearchTool | None) -> Ask:
    is_plain = tool is not None and tool.ranking_options is not None and tool.ranking_options.ranker == "none"
    return replace(ask, search=replace(ask.search, is_ranked=False)) if is_plain else ask


def _begun(body: ResponseRequest) -> ResponseModel:
    return ResponseModel(
        id=f"resp_{uuid4().hex}",
        object="response",
        created_at=int(time.time()),
        completed_at=None,
        status="in_progress",
        error=None,
        incomplete_details=None,
        instructions=None,
        max_output_tokens=body.max_output_tokens,
        metadata=body.metadata or {},
        model=body.model,
        output=[],
        parallel_tool_calls=False,
        previous_response_id=body.previous_response_id,
        store=body.store is not False,
        temperature=body.temperature,
        text={"format": {"type": "text"}},
        tool_choice="auto",
        tools=[tool.model_dump(mode="json", exclude_none=True) for tool in body.tools],
        top_p=None,
        truncation="disabled",
        usage=None,
        ragstone=None,
    )


def _message(item: InputItem) -> ChatMessage:
    try:
        return ChatMessage.model_validate({"role": item.role, "content": item.content})
    except ValueError as error:
        raise unsupported("input", "a message has a role and a content of text") from error
