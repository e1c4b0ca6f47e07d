"""Search and query: requests and replies."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints, model_validator

from ragstone.api.schemas.base import CollectionName, ReplyModel, RequestModel, Text

MAX_QUESTION = 8_000  # characters; the encoder reads the first 256 tokens, BM25 all of it
MAX_TURNS = 20
MAX_DEPTH = 1_000  # offset + top_k


def _not_blank(value: str) -> str:
    if not value.strip():
        raise ValueError("the question is blank")
    return value


QuestionText = Annotated[
    Text, StringConstraints(min_length=1, max_length=MAX_QUESTION), AfterValidator(_not_blank)
]
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

    @model_validator(mode="after")
    def _within_depth(self) -> "SearchRequest":
        if self.offset + self.top_k > MAX_DEPTH:
            raise ValueError(f"offset + top_k is at most {MAX_DEPTH}")
        return self


class QueryRequest(RequestModel):
    """A question to be answered from the documents."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"query": "What survives a kill -9?", "top_k": 5}]}
    )

    query: QuestionText
    collection: CollectionName = "default"
    top_k: int = Field(5, ge=1, le=100)
    filter: FilterJson = None
    mode: Literal["hybrid", "dense", "sparse"] = "hybrid"
    stream: Literal[False] = Field(
        default=False, description="Answers come as JSON; streaming is not there yet."
    )
    provider: Literal["extractive"] | None = Field(
        None, description="Who answers; there is one provider so far."
    )
    model: Literal["extractive"] | None = None
    temperature: float = Field(
        0.0, ge=0, le=2, allow_inf_nan=False, description="Without effect on `extractive`."
    )
    max_tokens: int | None = Field(None, ge=1, description="Without effect on `extractive`.")
    strict: bool = Field(default=False, description="Fail instead of answering with a part missing.")
    history: list[TurnModel] = Field(default=[], max_length=MAX_TURNS)
    timeout_s: float | None = Field(
        None, gt=0, allow_inf_nan=False, description="Lowers the server's limit for this request."
    )


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
    scores: dict[str, float | None] = Field(examples=[{"dense": 0.61, "sparse": 8.2}])
    metadata: dict[str, Any]


class SearchReply(ReplyModel):
    """Passages, best first."""

    results: list[SourceModel]
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


class AnswerReply(ReplyModel):
    """An answer whose every claim points at its place."""

    question: str
    answer: str = Field(examples=["Acknowledged uploads survive. [1]"])
    collection: str
    model: str
    finish_reason: str
    grounded: Literal["full", "partial", "none"]
    unsupported: list[SpanModel]
    abstained: bool
    reason: Literal["no_results", "low_score", "insufficient_context"] | None
    degraded: list[str]
    citations: list[CitationModel]
    sources: list[SourceModel]
    usage: UsageModel
    metadata: dict[str, Any]
