"""Who writes the answer and how long that may take: the model, or the extractive answerer where the model is down."""

import logging
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

from ragstone.core.deadline import Deadline
from ragstone.core.errors import InternalError, RagstoneError, UpstreamInterrupted, UpstreamTimeout
from ragstone.core.models import (
    AnswerEvent,
    Cited,
    Done,
    Ending,
    Failed,
    Prompt,
    Source,
    Timings,
    Token,
    Usage,
)
from ragstone.core.ports import LLM
from ragstone.core.retry import is_outage
from ragstone.core.timing import Stopwatch
from ragstone.pipelines.asking import CHARACTERS_PER_TOKEN, Answerer, Answerers, Ask, Patience
from ragstone.pipelines.conversation import Rewritten
from ragstone.pipelines.evidence import Evidence
from ragstone.pipelines.generation import ABSTENTIONS, UNANSWERED, AnswerChecker
from ragstone.pipelines.prompting import ground

log = logging.getLogger(__name__)

LEAST_BUDGET = 512  # tokens for the prompt, however much of the window the answer may take
STAGES = dict.fromkeys(
    (
        "embedding_ms",
        "search_ms",
        "evidence_ms",
        "first_token_ms",
        "generation_ms",
        "verification_ms",
        "delivery_ms",
    ),
    0.0,
)


async def begin_answer(
    answerers: Answerers,
    ask: Ask,
    question: str,
    evidence: Evidence,
    patience: Patience,
    stopwatch: Stopwatch,
) -> "BegunAnswer":
    """The answer up to its first piece. The model is not asked where the evidence does not suffice; where it is down
    the fallback answers. Raises as `LLM.generate`, DeadlineExceeded."""
    model = ask.model or answerers.chosen.llm.models[0]
    begun = BegunAnswer(model, patience, stopwatch, most_characters=ask.max_tokens * CHARACTERS_PER_TOKEN)
    begun.reason = evidence.abstention
    if evidence.abstention is not None:
        return begun
    chosen = answerers.chosen
    prompt, begun.citable = _prompt(chosen, ask, model, question, evidence.sources)
    try:
        with stopwatch.stage("generation"):
            begun.first, begun.pieces = await chosen.dependency.call(
                lambda: _first_piece(chosen.llm, prompt), deadline=patience.deadline, stopwatch=stopwatch
            )
    except RagstoneError as error:
        if ask.is_strict or not is_outage(error):
            raise
        log.warning("answering without the model", extra={"code": error.code})
        await begun.fall_back(answerers.fallback, Prompt(question, evidence.sources))
    return begun


@dataclass(slots=True)
class BegunAnswer:
    """An answer of which the first piece is there. `reason` is set where there is nothing to answer from."""

    model: str
    patience: Patience
    stopwatch: Stopwatch
    most_characters: int
    citable: Sequence[Source] = ()
    first: str | Ending | None = None
    pieces: AsyncGenerator[str | Ending, None] | None = None
    reason: str | None = None
    degraded: tuple[str, ...] = ()
    usage: Usage = field(default_factory=Usage)
    finish_reason: str = "stop"

    def note_earlier(self, rewritten: Rewritten, degraded: tuple[str, ...]) -> None:
        """What the steps before cost, and had to do without."""
        self.degraded = tuple(dict.fromkeys((*self.degraded, *rewritten.degraded, *degraded)))
        self.usage = rewritten.usage

    async def fall_back(self, llm: LLM, prompt: Prompt) -> None:
        """Let another answerer, which cannot be down, begin."""
        self.model, self.citable, self.degraded = llm.models[0], prompt.sources, ("llm",)
        self.first, self.pieces = await _first_piece(llm, prompt)

    async def events(
        self, checker: AnswerChecker, request_id: str, *opening: AnswerEvent
    ) -> AsyncGenerator[AnswerEvent, None]:
        """The opening events, tokens and citations, then the timings, then `Done` or `Failed`."""
        for event in opening:
            yield event
        failure: RagstoneError | None = None
        try:
            async with aclosing(self._checked(checker)) as events:
                async for event in events:
                    self.stopwatch.mark("first_token")
                    yield event
        except RagstoneError as error:
            failure = error
        except Exception:  # the reply has begun, so a defect can only be told inside of it
            log.exception("answer broke off")
            failure = InternalError("a defect of the server; see its log")
        if failure is not None:
            for token in checker.finish():  # what was held back is text that the model did say
                yield token
        yield Timings(self._metadata(request_id), self.usage)
        if failure is None:
            verdict = checker.verdict(abstained=self.reason is not None)
            abstained = self.reason is not None
            yield Done(
                self.finish_reason,
                verdict.grounded,
                verdict.unsupported,
                abstained,
                self.reason,
                self.degraded,
            )
        else:
            log.warning("answer broke off", extra={"code": failure.code})
            yield Failed(failure, request_id)

    async def _checked(self, checker: AnswerChecker) -> AsyncGenerator[Token | Cited, None]:
        """What the checker makes of the pieces, or the words of an abstention."""
        if self.pieces is not None:
            async with aclosing(self._texts()) as texts:
                async for text in texts:
                    with self.stopwatch.stage("verification"):
                        events = await checker.feed(text)
                    for event in events:
                        yield event
                    if checker.declined:
                        break
            with self.stopwatch.stage("verification"):
                rest = checker.finish()
            for event in rest:
                yield event
            if checker.declined or not checker.said_something:
                self.reason = UNANSWERED
        if self.reason is not None and not checker.said_something:
            yield Token(ABSTENTIONS[self.reason])

    async def _texts(self) -> AsyncGenerator[str, None]:
        """The pieces until the ending, or until there are too many of them."""
        assert self.pieces is not None
        whole = self.patience.once_begun()
        async with aclosing(self.pieces) as pieces:
            piece, left = self.first, self.most_characters
            while isinstance(piece, str):
                yield piece[:left]
                left -= len(piece)
                if left <= 0:
                    self.finish_reason = "length"
                    return
                with self.stopwatch.stage("generation"):
                    piece = await _next_piece(pieces, whole, self.patience.idle_s)
        if piece is None:
            raise UpstreamInterrupted("the model's answer ended without saying why")
        self.finish_reason = piece.finish_reason
        self.usage = _sum(self.usage, piece.usage)

    def _metadata(self, request_id: str) -> Mapping[str, object]:
        timings = self.stopwatch.stop()
        return {"request_id": request_id, **STAGES, **timings, "retries": dict(self.stopwatch.retries)}


def _prompt(
    chosen: Answerer, ask: Ask, model: str, question: str, sources: Sequence[Source]
) -> tuple[Prompt, Sequence[Source]]:
    """The prompt, and the sources that its answer may cite."""
    if not chosen.llm.is_generative:
        return Prompt(question, sources), sources
    budget = max(LEAST_BUDGET, chosen.context_tokens - ask.max_tokens)
    grounded = ground(question, sources, budget_tokens=budget)
    prompt = Prompt(question, grounded.sources, grounded.messages, model, ask.temperature, ask.max_tokens)
    return prompt, grounded.sources


async def _first_piece(
    llm: LLM, prompt: Prompt
) -> tuple[str | Ending | None, AsyncGenerator[str | Ending, None]]:
    pieces = llm.generate(prompt)
    try:
        return await anext(pieces, None), pieces
    except BaseException:
        await pieces.aclose()
        raise


async def _next_piece(
    pieces: AsyncGenerator[str | Ending, None], whole: Deadline, idle_s: float
) -> str | Ending | None:
    try:
        async with whole.timeout(idle_s) as scope:
            return await anext(pieces, None)
    except TimeoutError:
        if not scope.expired():
            raise
        if whole.is_over:
            raise whole.exceeded() from None
        raise UpstreamTimeout(f"the model said nothing for {idle_s:g} s") from None


def _sum(one: Usage, other: Usage) -> Usage:
    return Usage(one.prompt_tokens + other.prompt_tokens, one.completion_tokens + other.completion_tokens)
