"""`POST /v1/chat/completions`."""

import time
from collections.abc import AsyncGenerator
from typing import Annotated, Any, ClassVar, Literal
from uuid import uuid4

import orjson
from fastapi import APIRouter, Request, Response
from pydantic import ConfigDict, Field, StringConstraints

from ragstone.api.bodies import JsonRoute
from ragstone.api.deps import Clock, RequestId, Services, Tenant
from ragstone.api.disconnect import while_connected
from ragstone.api.openai.base import ChatMessage, DialectRequest, Extension, query_request, require_model
from ragstone.api.openai.citations import url_citation
from ragstone.api.openai.errors import openai_errors
from ragstone.api.openai.parameters import CHAT, Parameters
from ragstone.api.questions import ask_of
from ragstone.api.schemas.base import ReplyModel, RequestModel, Text
from ragstone.api.schemas.query import AnswerReply, UsageModel
from ragstone.api.sse import one_line, stream_answer
from ragstone.core.answers import MAX_ANSWER_TOKENS, Answer, apply
from ragstone.core.models import AnswerEvent, Cited, Done, Failed, Meta, Token
from ragstone.middleware.errors import openai_error_body

router = APIRouter(prefix="/v1", tags=["OpenAI's dialect"], route_class=JsonRoute)
END = b"data: [DONE]\r\n\r\n"
CHUNKS = {
    "type": "object",
    "required": ["data"],
    "properties": {"data": {"type": "string", "description": "A chunk as JSON; the last is `[DONE]`."}},
}


class StreamOptions(RequestModel):
    """Of a streamed completion."""

    include_usage: bool = False
    include_obfuscation: bool = False


class ChatRequest(DialectRequest):
    """A conversation whose last message is the question."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "model": "ragstone/default",
                    "messages": [{"role": "user", "content": "What survives a kill -9?"}],
                }
            ]
        }
    )
    parameters: ClassVar[Parameters] = CHAT

    messages: list[ChatMessage] = Field(min_length=1, max_length=2_000)
    model: Annotated[Text, StringConstraints(min_length=1, max_length=200)]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    temperature: float | None = Field(None, ge=0, le=2, allow_inf_nan=False)
    max_tokens: int | None = Field(None, ge=1, le=MAX_ANSWER_TOKENS)
    max_completion_tokens: int | None = Field(None, ge=1, le=MAX_ANSWER_TOKENS)
    ragstone: Extension | None = None


class UrlCitation(ReplyModel):
    """The claim's span in the message, and a link to the passage."""

    start_index: int
    end_index: int
    title: str
    url: str


class Annotation(ReplyModel):
    """A citation."""

    type: Literal["url_citation"]
    url_citation: UrlCitation


class AssistantMessage(ReplyModel):
    """The answer."""

    role: Literal["assistant"]
    content: str
    refusal: None
    annotations: list[Annotation]


class Choice(ReplyModel):
    """The only one."""

    index: int
    message: AssistantMessage
    logprobs: None
    finish_reason: str


class ChatCompletion(ReplyModel):
    """An answer in OpenAI's words; `ragstone` is the native one."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[Choice]
    usage: UsageModel
    ragstone: AnswerReply


@router.post(
    "/chat/completions",
    response_model=ChatCompletion,
    responses={
        **openai_errors(400, 403, 404, 413, 415, 422, 502, 503, 504),
        200: {
            "description": "The answer; with `stream` as chunks.",
            "content": {"text/event-stream": {"schema": CHUNKS}},
        },
    },
    summary="Answer as a chat completion",
)
async def create_completion(
    request: Request,
    body: ChatRequest,
    services: Services,
    tenant: Tenant,
    clock: Clock,
    request_id: RequestId,
) -> Response:
    """The last message is answered from the documents, with citations as `annotations` and the native answer in
    `ragstone`."""
    wanted = query_request(
        body.messages,
        body.model,
        body.ragstone,
        services,
        temperature=body.temperature,
        max_tokens=body.max_completion_tokens or body.max_tokens,
    )
    await require_model(body.model, wanted.collection, tenant, services)
    ask = ask_of(wanted, tenant, services.query.defaults)
    call = services.query.stream if body.stream else services.query.answer
    working = call(
        ask, provider=wanted.provider, request_id=request_id, stopwatch=clock, timeout_s=wanted.timeout_s
    )
    base_url = str(request.base_url)
    if isinstance(working, AsyncGenerator):
        options = body.stream_options or StreamOptions()
        chunks = ChatChunks(body.model, base_url, includes_usage=options.include_usage)
        return await stream_answer(request, working, chunks)
    answer = await while_connected(request, working)
    return Response(
        _completion(body.model, answer, base_url).model_dump_json(), media_type="application/json"
    )


def _completion(model: str, answer: Answer, base_url: str) -> ChatCompletion:
    annotations = [url_citation(citation, base_url) for citation in answer.citations]
    return ChatCompletion(
        id=_new_id(),
        object="chat.completion",
        created=int(time.time()),
        model=model,
        choices=[
            Choice(
                index=0,
                message=AssistantMessage(
                    role="assistant",
                    content=answer.answer,
                    refusal=None,
                    annotations=[Annotation.model_validate(each) for each in annotations],
                ),
                logprobs=None,
                finish_reason=answer.finish_reason,
            )
        ],
        usage=UsageModel.model_validate(answer.usage),
        ragstone=AnswerReply.model_validate(answer),
    )


class ChatChunks:
    """An answer's events as chunks of a chat completion; the one with the finish reason carries the native answer, as
    the fold of the same events."""

    def __init__(self, model: str, base_url: str, *, includes_usage: bool):
        self._answer = Answer()
        self._base_url = base_url
        self._includes_usage = includes_usage
        self._head = {
            "id": _new_id(),
            "object": "chat.completion.chunk",
            "created": int(time.time()),
            "model": model,
        }

    def __call__(self, event: AnswerEvent) -> bytes:
        """Frames of server-sent events; none for what comes with the last chunk."""
        apply(self._answer, event)
        match event:
            case Meta():
                return self._chunk({"role": "assistant", "content": "", "refusal": None})
            case Token():
                return self._chunk({"content": event.text})
            case Cited():
                place = len(self._answer.citations) - 1  # by which the SDK's own helper puts them together
                citation = url_citation(event.citation, self._base_url)
                return self._chunk({"annotations": [{"index": place, **citation}]})
            case Done():
                return self._end(event)
            case Failed():
                return _frame(openai_error_body(event.error, event.request_id))
        return b""

    def _end(self, event: Done) -> bytes:
        native = AnswerReply.model_validate(self._answer).model_dump(mode="json")
        last = self._chunk({}, finish_reason=event.finish_reason, ragstone=native)
        if not self._includes_usage:
            return last + END
        usage = UsageModel.model_validate(self._answer.usage).model_dump()
        return last + _frame({**self._head, "choices": [], "usage": usage}) + END

    def _chunk(self, delta: dict[str, Any], *, finish_reason: str | None = None, **more: Any) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        usage = {"usage": None} if self._includes_usage else {}
        return _frame({**self._head, "choices": [choice], **usage, **more})


def _frame(content: dict[str, Any]) -> bytes:
    return b"data: %s\r\n\r\n" % one_line(orjson.dumps(content))


def _new_id() -> str:
    return f"chatcmpl-{uuid4().hex}"
