"""The answer is the fold of its events."""

from collections.abc import AsyncIterator

from ragstone.core.answers import Answer, fold
from ragstone.core.errors import EngineUnavailable
from ragstone.core.models import (
    AnswerEvent,
    Citation,
    Cited,
    CitedSource,
    Done,
    Failed,
    Location,
    Meta,
    Sources,
    Span,
    Timings,
    Token,
    Usage,
)


async def stream(*events: AnswerEvent) -> AsyncIterator[AnswerEvent]:
    for event in events:
        yield event


def citation() -> Citation:
    source = CitedSource("d", 1, "c", "Title", (), Location(), 0, 4, "One.")
    return Citation(1, Span(0, 4), source, verified=True, support=1.0)


async def test_every_event_leaves_its_part_in_the_answer() -> None:
    answer = await fold(
        stream(
            Meta("r-1", "Why?", "default", "extractive"),
            Sources(()),
            Token("One."),
            Token("[1]"),
            Cited(citation()),
            Timings({"total_ms": 1.0}, Usage(3, 4)),
            Done("stop", "partial", (Span(5, 9),), abstained=False, reason=None, degraded=("llm",)),
        )
    )

    assert answer == Answer(
        question="Why?",
        answer="One.[1]",
        collection="default",
        model="extractive",
        finish_reason="stop",
        grounded="partial",
        unsupported=(Span(5, 9),),
        degraded=("llm",),
        citations=[citation()],
        usage=Usage(3, 4),
        metadata={"total_ms": 1.0},
    )
    assert answer.usage.total_tokens == 7


async def test_an_abstention_keeps_its_reason() -> None:
    answer = await fold(stream(Done("stop", "none", (), abstained=True, reason="no_results")))

    assert (answer.abstained, answer.reason) == (True, "no_results")


async def test_an_answer_that_broke_off_keeps_what_was_said_and_why() -> None:
    failure = Failed(EngineUnavailable("gone"), "r-1")

    answer = await fold(stream(Token("Half an "), failure))

    assert answer.answer == "Half an "
    assert answer.failure == failure
