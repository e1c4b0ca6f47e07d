"""The answer as a whole: the fold of its events, so that JSON and stream cannot disagree."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ragstone.core.models import (
    AnswerEvent,
    Citation,
    Cited,
    Done,
    Failed,
    Grounding,
    Meta,
    Source,
    Sources,
    Span,
    Timings,
    Token,
    Usage,
)

MAX_ANSWER_TOKENS = 32_768  # that may be asked for, or configured


@dataclass(slots=True)
class Answer:
    """Everything one question got. `failure` is set when the answer broke off after it had begun."""

    question: str = ""
    answer: str = ""
    collection: str = ""
    model: str = ""
    finish_reason: str = ""
    grounded: Grounding = "none"
    unsupported: tuple[Span, ...] = ()
    abstained: bool = False
    reason: str | None = None
    degraded: tuple[str, ...] = ()
    citations: list[Citation] = field(default_factory=list)
    sources: tuple[Source, ...] = ()
    usage: Usage = field(default_factory=Usage)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    failure: Failed | None = None


async def fold(events: AsyncIterator[AnswerEvent]) -> Answer:
    """Collect a stream of events into the answer they spell."""
    answer = Answer()
    async for event in events:
        apply(answer, event)
    return answer


def apply(answer: Answer, event: AnswerEvent) -> None:
    """Add one event to what came before."""
    match event:
        case Meta():
            answer.question, answer.collection, answer.model = event.question, event.collection, event.model
        case Sources():
            answer.sources = tuple(event.sources)
        case Token():
            answer.answer += event.text
        case Cited():
            answer.citations.append(event.citation)
        case Timings():
            answer.metadata, answer.usage = event.metadata, event.usage
        case Done():
            answer.finish_reason, answer.grounded = event.finish_reason, event.grounded
            answer.unsupported, answer.degraded = event.unsupported, event.degraded
            answer.abstained, answer.reason = event.abstained, event.reason
        case Failed():
            answer.failure = event
