"""Search and query: requests and replies."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints, model_validator

from ragstone.api.schemas.base import CollectionName, ReplyModel, RequestModel, Text
from ragstone.core.answers import MAX_ANSWER_TOKENS

MAX_QUESTION = 8_000  # characters; the encoder reads the first 256 tokens, BM25 the first 256 distinct words
MAX_TURNS = 20
MAX_NAME = 200
MAX_DEPTH = 1_000  # offset + top_k
MAX_CONTEXT_WINDOW = 5


def _not_blank(value: str) -> str:
    if not value.strip():
        raise ValueError("the question is blank")
    return value


QuestionText = Annotated[
    Text, StringConstraints(min_length=1, max_length=MAX_QUESTION), AfterValidator(_not_blank)
]
Name = Annotated[Text, StringConstraints(min_length=1, max_length=MAX_NAME)]
FILTER_EXAMPLE = {
    "and": [
        {"field": "metadata.team", "eq": "support"},
        {"field": "created_at", "gte": "2026-01-01T00:00:00Z"},
    ]
}
FilterJson = Annotated[
    dict[str, Any] | None,
    Field(
        description="`{field, <operator>: value}` or `{and: […]}`, `{or: […]}`, `{not: …}`; see the API guide.",
        examples=[FILTER_EXAMPLE],
    ),
]


ContextWindow = Annotated[
    int,
    Field(
        ge=0,
        le=MAX_CONTEXT_WINDOW,
        description="Chunks before and behind each hit that are made one passage with it.",
    ),
]
ChunksPerDocument = Annotated[
    int | None, Field(ge=1, le=100, description="At most so many results of one document.")
]


class TurnModel(RequestModel):
    """One turn of the conversation so far."""

    role: Literal["user", "assistant"]
    content: Annotated[Text, StringConstraints(max_length=MAX_QUESTION)]


class SearchRequest(RequestModel):
    """A search for passages."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"query": "How are citations checked?", "top_k": 5, "mode": "hybrid"}]
        }
    )

    query: QuestionText
    collection: CollectionName = "default"
    top_k: int = Field(5, ge=1, le=100)
    offset: int = Field(0, ge=0, le=MAX_DEPTH)
    filter: FilterJson = None
    mode: Literal["hybrid", "dense", "sparse"] = "hybrid"
    include_text: bool = True
    context_window: ContextWindow = 0
    max_chunks_per_document: ChunksPerDocument = None

    @model_validator(mode="after")
    def _within_depth(self) -> "SearchRequest":
        if self.offset + self.top_k > MAX_DEPTH:
            raise ValueError(f"offset + top_k is at most {MAX_DEPTH}")
        return self


class AskRequest(RequestModel):
    """A question to be answered from the documents."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"query": "What survives a kill -9?", "top_k": 5}]}
    )

    query: QuestionText
    collection: CollectionName = "default"
    top_k: int = Field(5, ge=1, le=100)
    filter: FilterJson = None
    mode: Literal["hybrid", "dense", "sparse"] = "hybrid"
    context_window: ContextWindow = 0
    max_chunks_per_document: ChunksPerDocument = None
    provider: Name | None = Field(None, description="Who answers, of those that are configured.")
    model: Name | None = Field(None, description="Which model answers, of those that are configured.")
    temperature: float | None = Field(
        None, ge=0, le=2, allow_inf_nan=False, description="Left out: as the server is configured."
    )
    max_tokens: int | None = Field(
        None, ge=1, le=MAX_ANSWER_TOKENS, description="Longest answer. Left out: as the server is configured."
    )
    strict: bool = Field(default=False, description="Fail instead of answering with a part missing.")
    history: list[TurnModel] = Field(default=[], max_length=MAX_TURNS)
    timeout_s: float | None = Field(
        None, gt=0, allow_inf_nan=False, description="Lowers the server's limit for this request."
    )


class QueryRequest(AskRequest):
    """A question, and how its answer comes."""

    stream: bool = Field(default=False, description="Answer with server-sent events instead of JSON.")


class LocationModel(ReplyModel):
    """Where in the original; what a format does not have is null."""

    page: int | None
    page_end: int | None
    sheet: str | None
    slide: int | None


class SourceModel(ReplyModel):
    """A retrieved passage. `text` is `[start:end]` of the document's extracted text (code points)."""

    n: int
    document_id: str
    version: int
    chunk_id: str
    title: str
    heading: list[str]
    location: LocationModel
    start: int
    end: int
    text: str | None = Field(description="null when `include_text` is false.")
    score: float
    scores: dict[str, float | None] = Field(
        examples=[{"dense": 0.61, "sparse": 8.2, "dense_sentence": 0.72, "proximity": 0.5}],
        description="What `score` is made of; `dense` and `sparse` always, null for a leg that was not asked.",
    )
    metadata: dict[str, Any]


class SearchReply(ReplyModel):
    """Passages, best first. `degraded` names what could not take part: `dense`, `rerank`."""

    results: list[SourceModel]
    degraded: list[str] = Field(examples=[[]])
    metadata: dict[str, Any] = Field(
        examples=[{"request_id": "5f0c…", "embedding_ms": 2.1, "search_ms": 3.4, "total_ms": 6.0}]
    )


class SpanModel(ReplyModel):
    """Offsets in code points, exclusive end."""

    start: int
    end: int


class CitedSourceModel(ReplyModel):
    """Where a claim comes from: `quote` is exactly `[start:end]` of that version's text."""

    document_id: str
    version: int
    chunk_id: str
    title: str
    heading: list[str]
    location: LocationModel
    start: int
    end: int
    quote: str


class CitationModel(ReplyModel):
    """A claim of the answer (`answer`, marks excluded) and its source."""

    n: int
    answer: SpanModel
    source: CitedSourceModel
    verified: bool
    support: float = Field(ge=0, le=1)


class UsageModel(ReplyModel):
    """Tokens as the model's server counted them."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


Grounding = Literal["full", "partial", "none"]
Reason = Literal["no_results", "low_score", "insufficient_context"]


class MetaEvent(ReplyModel):
    """`event: meta`, the first one."""

    request_id: str
    question: str
    collection: str
    model: str


class SourcesEvent(ReplyModel):
    """`event: sources`."""

    sources: list[SourceModel]


class TokenEvent(ReplyModel):
    """`event: token`: a piece of the answer."""

    text: str


class MetadataEvent(ReplyModel):
    """`event: metadata`, the last one but one."""

    metadata: dict[str, Any]
    usage: UsageModel


class DoneEvent(ReplyModel):
    """`event: done`: the answer is complete."""

    finish_reason: str
    grounded: Grounding
    unsupported: list[SpanModel]
    abstained: bool
    reason: Reason | None
    degraded: list[str]


class ErrorEvent(ReplyModel):
    """`event: error`: the answer broke off after its first token."""

    code: str
    message: str
    retryable: bool
    request_id: str


STREAM_EVENTS: dict[str, type[ReplyModel]] = {
    "meta": MetaEvent,
    "sources": SourcesEvent,
    "token": TokenEvent,
    "citation": CitationModel,
    "metadata": MetadataEvent,
    "done": DoneEvent,
    "error": ErrorEvent,
}


class AnswerReply(ReplyModel):
    """An answer whose every claim points at its place."""

    question: str
    answer: str = Field(examples=["Acknowledged uploads survive. [1]"])
    collection: str
    model: str
    finish_reason: str
    grounded: Grounding
    unsupported: list[SpanModel]
    abstained: bool
    reason: Reason | None
    degraded: list[str]
    citations: list[CitationModel]
    sources: list[SourceModel]
    usage: UsageModel
    metadata: dict[str, Any]
