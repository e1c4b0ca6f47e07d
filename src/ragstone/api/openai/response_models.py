"""A response in OpenAI's words, made of the answer that it tells."""

from collections.abc import Mapping
from typing import Any, Literal

from ragstone.api.openai.citations import file_citation
from ragstone.api.openai.store_file_models import attributes_of
from ragstone.api.schemas.base import ReplyModel
from ragstone.api.schemas.query import AnswerReply
from ragstone.core.answers import Answer
from ragstone.core.models import DocumentName, Source
from ragstone.services.files import file_id_of

_INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}


class ResponseModel(ReplyModel):
    """An answer as OpenAI's response; `ragstone` is the native one, null while there is none."""

    id: str
    object: Literal["response"]
    created_at: int
    completed_at: int | None
    status: Literal["in_progress", "completed", "incomplete", "failed"]
    error: dict[str, str] | None
    incomplete_details: dict[str, str] | None
    instructions: None
    max_output_tokens: int | None
    metadata: dict[str, str]
    model: str
    output: list[dict[str, Any]]
    parallel_tool_calls: bool
    previous_response_id: str | None
    store: bool
    temperature: float | None
    text: dict[str, Any]
    tool_choice: str
    tools: list[dict[str, Any]]
    top_p: None
    truncation: str
    usage: dict[str, Any] | None
    ragstone: AnswerReply | None


def usage_of(answer: Answer) -> dict[str, Any]:
    """Tokens as the model's server counted them."""
    used = answer.usage
    return {
        "input_tokens": used.prompt_tokens,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": used.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": used.total_tokens,
    }


def outcome_of(answer: Answer) -> dict[str, Any]:
    """Status, and what is missing."""
    reason = _INCOMPLETE.get(answer.finish_reason)
    return {
        "status": "completed" if reason is None else "incomplete",
        "incomplete_details": None if reason is None else {"reason": reason},
        "usage": usage_of(answer),
        "ragstone": AnswerReply.model_validate(answer),
    }


def search_call(
    item_id: str, status: str, queries: list[str], results: list[dict[str, Any]] | None = None
) -> dict[str, Any]:
    """The item of a `file_search`."""
    return {
        "id": item_id,
        "type": "file_search_call",
        "status": status,
        "queries": queries,
        "results": results,
    }


def result_of(source: Source, files: Mapping[str, DocumentName]) -> dict[str, Any]:
    """A source as a result of `file_search`; `ragstone` has its place."""
    document = files.get(source.document_id)
    return {
        "file_id": source.document_id if document is None else file_id_of(document),
        "filename": (document and document.filename) or source.title,
        "score": source.score,
        "text": source.text,
        "attributes": attributes_of(source.metadata),
    }


def message_of(item_id: str, status: str, content: list[dict[str, Any]]) -> dict[str, Any]:
    """The item of the answer."""
    return {"id": item_id, "type": "message", "status": status, "role": "assistant", "content": content}


def text_part(text: str, annotations: list[dict[str, Any]]) -> dict[str, Any]:
    """The only part of its content."""
    return {"type": "output_text", "text": text, "annotations": annotations, "logprobs": []}


def annotations_of(answer: Answer, files: Mapping[str, DocumentName]) -> list[dict[str, Any]]:
    """All of them, in the order in which they were checked."""
    return [file_citation(citation, files) for citation in answer.citations]
