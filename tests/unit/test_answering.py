"""Who writes the answer, and what becomes of it when the model fails: before the first piece, and after it."""

import asyncio
import time
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from ragstone.core.deadline import Deadline
from ragstone.core.errors import (
    DeadlineExceeded,
    RagstoneError,
    UpstreamGarbled,
    UpstreamInterrupted,
    UpstreamRateLimited,
    UpstreamRefused,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from ragstone.core.models import (
    AnswerEvent,
    Done,
    Ending,
    Failed,
    Meta,
    Prompt,
    Scope,
    Timings,
    Token,
    Turn,
    Usage,
)
from ragstone.core.places import Places
from ragstone.core.retry import Dependency, RetryPolicy
from ragstone.core.timing import Stopwatch
from ragstone.llms.extractive import ExtractiveLLM
from ragstone.pipelines.asking import CHARACTERS_PER_TOKEN, Answerer, Answerers, Ask, Patience
from ragstone.pipelines.retrieval import retrieve_documents_streaming
from ragstone.pipelines.searching import Search
from ragstone.testing.llms import FakeLLM
from tests.unit.test_retrieval import Library

QUESTION = "refunds are paid within 14 days"
ANSWER = "Refunds are paid within 14 days. [1]"
ONCE = RetryPolicy(attempts=1)


@pytest.fixture
def library() -> Library:
    library = Library()
    library.add("a", "Refunds are paid within 14 days.")
    return library


def events_of(
    library: Library,
    llm: Any,
    *,
    strict: bool = False,
    patience: Patience | None = None,
    clock: Stopwatch | None = None,
    dependency: Dependency | None = None,
    **ask: Any,
) -> AsyncGenerator[AnswerEvent, None]:
    return retrieve_documents_streaming(
        library.parts,
        Answerers(Answerer(llm, dependency or Dependency("llm", ONCE)), ExtractiveLLM()),
        Ask(Search(Scope(), QUESTION, 5, strict=strict), **ask),
        patience=patience or Patience(Deadline.after(5), idle_s=0.1),
        request_id="r-1",
        stopwatch=clock or Stopwatch(),
        room=Places("searches", at_work=1),
    )


async def collect(*arguments: Any, **named: Any) -> list[AnswerEvent]:
    return [event async for event in events_of(*arguments, **named)]


def text_of(events: list[AnswerEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, Token))


OUTAGES = [UpstreamUnavailable("503"), UpstreamRateLimited("429"), UpstreamTimeout("late")]


class Hanging(FakeLLM):
    """Says its pieces, then nothing more."""

    async def generate(self, prompt: Prompt) -> AsyncGenerator[str | Ending, None]:
        async for piece in super().generate(prompt):
            if isinstance(piece, str):
                yield piece
        await asyncio.sleep(60)


class TestBeforeTheFirstPiece:
    @pytest.mark.parametrize("failure", OUTAGES)
    async def test_a_model_that_is_down_is_replaced_and_the_answer_says_so(
        self, library: Library, failure: RagstoneError
    ) -> None:
        events = await collect(library, FakeLLM(failure))

        assert text_of(events) == ANSWER
        opening, done = events[0], events[-1]
        assert isinstance(opening, Meta)
        assert isinstance(done, Done)
        assert (opening.model, done.degraded, done.grounded) == ("extractive", ("llm",), "full")

    @pytest.mark.parametrize("failure", OUTAGES)
    async def test_a_strict_question_fails_instead(self, library: Library, failure: RagstoneError) -> None:
        with pytest.raises(type(failure)):
            await collect(library, FakeLLM(failure), strict=True)

    @pytest.mark.parametrize("failure", [UpstreamRefused("401"), UpstreamGarbled("html")])
    async def test_wrong_configuration_is_loud(self, library: Library, failure: RagstoneError) -> None:
        with pytest.raises(type(failure)):
            await collect(library, FakeLLM(failure))

    async def test_a_model_that_hangs_is_late_not_replaced(self, library: Library) -> None:
        with pytest.raises(DeadlineExceeded):
            await collect(library, Hanging(), patience=Patience(Deadline.after(0.1)))

    async def test_time_runs_until_something_can_be_shown(self, library: Library) -> None:
        """What is held back, because it may be the sign that there is no answer, is no first token."""
        started = time.monotonic()

        events = await collect(library, Hanging("NO_A"), patience=Patience(Deadline.after(0.2), 5, 60))

        assert isinstance(events[-1], Failed)
        assert isinstance(events[-1].error, DeadlineExceeded)
        assert time.monotonic() - started < 1

    async def test_tokens_spent_without_a_word_are_no_abstention(self, library: Library) -> None:
        events = await collect(library, FakeLLM(ending=Ending("length")))

        assert isinstance(events[-1], Failed)
        assert isinstance(events[-1].error, UpstreamGarbled)

    async def test_what_a_model_thinks_aloud_is_not_said(self, library: Library) -> None:
        events = await collect(library, FakeLLM("<thi", "nk>Hm [1]</th", "ink>", ANSWER))

        assert text_of(events) == ANSWER


class TestAfterTheFirstPiece:
    @pytest.mark.parametrize("failure", [*OUTAGES, UpstreamInterrupted("cut")])
    async def test_what_was_said_stays_and_the_last_event_says_why(
        self, library: Library, failure: RagstoneError
    ) -> None:
        llm = FakeLLM("Refunds ", "are ", failure)

        events = await collect(library, llm)

        assert text_of(events) == "Refunds are "
        assert [type(event) for event in events[-2:]] == [Timings, Failed]
        assert isinstance(events[-1], Failed)
        assert events[-1].error is failure
        assert len(llm.asked) == 1

    async def test_a_beginning_that_was_held_back_is_said_before_the_failure(self, library: Library) -> None:
        events = await collect(library, FakeLLM("Refunds [", UpstreamInterrupted("cut")))

        assert text_of(events).startswith("Refunds")

    async def test_an_end_without_a_reason_is_no_end(self, library: Library) -> None:
        class Unfinished(FakeLLM):
            async def generate(self, prompt: Prompt) -> AsyncGenerator[str | Ending, None]:
                yield "Refunds are"

        events = await collect(library, Unfinished())

        assert isinstance(events[-1], Failed)
        assert isinstance(events[-1].error, UpstreamInterrupted)

    async def test_silence_ends_it(self, library: Library) -> None:
        events = await collect(library, Hanging("Refunds "))

        assert isinstance(events[-1], Failed)
        assert isinstance(events[-1].error, UpstreamTimeout)
        assert events[-1].error.retryable

    @pytest.mark.parametrize(
        "patience",
        [
            Patience(Deadline(time.monotonic() + 1e6, 1e6), idle_s=5, whole_s=0.1),
            Patience(Deadline.after(0.2), idle_s=5),
        ],
        ids=["a stream that takes too long", "a whole answer that takes too long"],
    )
    async def test_time_ends_it(self, library: Library, patience: Patience) -> None:
        patience = Patience(
            Deadline.after(min(patience.deadline.limit_s, 0.3)), patience.idle_s, patience.whole_s
        )

        events = await collect(library, FakeLLM(*["word "] * 1_000, pause_s=0.01), patience=patience)

        assert isinstance(events[-1], Failed)
        assert isinstance(events[-1].error, DeadlineExceeded)

    async def test_a_defect_is_told_without_its_message(self, library: Library) -> None:
        events = await collect(library, FakeLLM("Refunds ", ZeroDivisionError("secret")))

        assert isinstance(events[-1], Failed)
        assert events[-1].error.code == "internal_error"
        assert "secret" not in events[-1].error.message

    async def test_an_answer_without_end_is_cut_and_the_model_stopped(self, library: Library) -> None:
        llm = FakeLLM(*["again "] * 10_000)

        events = await collect(library, llm, max_tokens=10)

        done = events[-1]
        assert isinstance(done, Done)
        assert done.finish_reason == "length"
        assert len(text_of(events)) <= 10 * CHARACTERS_PER_TOKEN
        assert llm.was_stopped

    async def test_one_huge_piece_is_cut_as_well(self, library: Library) -> None:
        events = await collect(library, FakeLLM("x" * 1_000_000), max_tokens=10)

        assert len(text_of(events)) == 10 * CHARACTERS_PER_TOKEN

    async def test_after_declining_the_model_is_not_listened_to(self, library: Library) -> None:
        llm = FakeLLM("NO_ANSWER", *[" because"] * 1_000)

        events = await collect(library, llm)

        done = events[-1]
        assert isinstance(done, Done)
        assert (done.abstained, done.reason) == (True, "insufficient_context")
        assert llm.was_stopped
        assert "because" not in text_of(events)

    async def test_tokens_of_a_short_refusal_are_counted(self, library: Library) -> None:
        events = await collect(library, FakeLLM("NO_ANSWER", ending=Ending("stop", Usage(10, 2))))

        (timings,) = [event for event in events if isinstance(event, Timings)]
        assert timings.usage == Usage(10, 2)


class TestPrompt:
    async def test_the_model_gets_the_sources_and_the_wishes_of_the_request(self, library: Library) -> None:
        llm = FakeLLM(ANSWER)

        await collect(library, llm, model="fake", temperature=0.5, max_tokens=99)

        (prompt,) = llm.asked
        assert (prompt.model, prompt.temperature, prompt.max_tokens) == ("fake", 0.5, 99)
        assert "Refunds are paid within 14 days." in prompt.messages[1].content

    async def test_a_mark_to_a_source_that_was_not_sent_never_leaves(self, library: Library) -> None:
        events = await collect(library, FakeLLM("Refunds are paid within 14 days. [2][7]"))

        assert "[" not in text_of(events)

    async def test_tokens_of_the_whole_request_are_counted(self, library: Library) -> None:
        llm = FakeLLM(ANSWER, ending=Ending("stop", Usage(10, 5)))

        events = await collect(library, llm, history=(Turn("user", "What is paid?"),))

        (timings,) = [event for event in events if isinstance(event, Timings)]
        assert timings.usage == Usage(20, 10)


class TestOutcome:
    """What log and metrics say of an answer."""

    @pytest.mark.parametrize(
        ("llm", "outcome"),
        [
            (FakeLLM(ANSWER), "answered"),
            (FakeLLM("NO_ANSWER"), "abstained"),
            (FakeLLM(UpstreamUnavailable("503")), "degraded"),
            (FakeLLM("Refunds ", UpstreamInterrupted("cut")), "upstream_interrupted"),
        ],
    )
    async def test_it_is_noted(self, library: Library, llm: FakeLLM, outcome: str) -> None:
        clock = Stopwatch()

        await collect(library, llm, clock=clock)

        assert clock.outcome == outcome

    async def test_whoever_leaves_is_noted(self, library: Library) -> None:
        clock = Stopwatch()
        stream = events_of(library, FakeLLM(*["word "] * 100), clock=clock)

        await anext(stream)
        await stream.aclose()

        assert clock.outcome == "left"

    async def test_a_break_in_the_middle_is_counted_with_the_dependency(self, library: Library) -> None:
        dependency = Dependency("llm", ONCE)

        await collect(library, FakeLLM("Refunds ", UpstreamInterrupted("cut")), dependency=dependency)

        assert dependency.failures == {"upstream_interrupted": 1}


class TestConversation:
    HISTORY = (Turn("user", "How are refunds paid?"),)

    async def test_the_model_rewrites_the_question(self, library: Library) -> None:
        class Rewriting(FakeLLM):
            async def generate(self, prompt: Prompt) -> AsyncGenerator[str | Ending, None]:
                self.asked.append(prompt)
                yield "Refunds are paid within 14 days?" if len(self.asked) == 1 else ANSWER
                yield Ending("stop")

        events = await collect(library, Rewriting(), history=self.HISTORY)

        assert isinstance(events[0], Meta)
        assert events[0].question == "Refunds are paid within 14 days?"

    async def test_where_it_is_down_the_rule_does_and_the_answer_says_so(self, library: Library) -> None:
        events = await collect(library, FakeLLM(UpstreamUnavailable("503")), history=self.HISTORY)

        done = events[-1]
        assert isinstance(done, Done)
        assert done.degraded == ("llm",)
        assert text_of(events) == ANSWER

    async def test_a_model_that_was_down_a_moment_ago_is_not_asked_again(self, library: Library) -> None:
        llm = FakeLLM(UpstreamUnavailable("503"))

        await collect(library, llm, history=self.HISTORY)

        assert len(llm.asked) == 1

    async def test_a_rewriting_that_breaks_off_is_no_answer_that_did(self, library: Library) -> None:
        events = await collect(library, FakeLLM("What ", UpstreamInterrupted("cut")), history=self.HISTORY)

        assert isinstance(events[-1], Done)
        assert events[-1].degraded == ("llm",)

    async def test_a_strict_question_fails_instead(self, library: Library) -> None:
        with pytest.raises(UpstreamUnavailable):
            await collect(library, FakeLLM(UpstreamUnavailable("503")), history=self.HISTORY, strict=True)

    async def test_an_extractive_answerer_rewrites_by_rule(self, library: Library) -> None:
        events = await collect(library, ExtractiveLLM(), history=(Turn("user", "Tell me more."),))

        assert isinstance(events[0], Meta)
        assert events[0].question == QUESTION
