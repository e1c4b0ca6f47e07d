"""Who writes the answer and how long that may take: the model, or the extractive answerer where the model is down."""

import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

from ragstone.core.deadline import Deadline
from ragstone.core.errors import (
    InternalError,
    RagstoneError,
    UpstreamGarbled,
    UpstreamInterrupted,
    UpstreamTimeout,
)
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
from ragstone.core.retry import Dependency, is_outage
from ragstone.core.timing import Stopwatch
from ragstone.pipelines.abstaining import words_of_abstention
from ragstone.pipelines.asking import CHARACTERS_PER_TOKEN, Answerer, Answerers, Ask, Patience
from ragstone.pipelines.conversation import Rewritten
from ragstone.pipelines.evidence import Evidence
from ragstone.pipelines.generation import UNANSWERED, AnswerChecker
from ragstone.pipelines.prompting import ground
from ragstone.pipelines.thinking import ThinkingFilter

log = logging.getLogger(__name__)

PIECES_AFTER_DECLINING = 20  # read on so far for the token counts, which come last
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

Pieces = AsyncGenerator[str | Ending, None]


async def begin_answer(
    answerers: Answerers,
    ask: Ask,
    rewritten: Rewritten,
    evidence: Evidence,
    patience: Patience,
    clock: Stopwatch,
) -> "BegunAnswer":
    """The answer up to its first piece. The model is not asked where the evidence does not suffice; where it is down
    the fallback answers. Raises as `LLM.generate`, InvalidRequest, DeadlineExceeded."""
    chosen = answerers.chosen
    model = ask.model or chosen.llm.models[0]
    begun = BegunAnswer(
        model, patience, clock, usage=rewritten.usage, reason=evidence.abstention, language=evidence.language
    )
    if evidence.abstention is not None:
        return begun
    fallback = Prompt(rewritten.question, evidence.sources, language=evidence.language)
    if rewritten.is_degraded:  # the model was down a moment ago
        return await begun.fall_back(answerers.fallback, fallback)
    prompt = _prompt(chosen, ask, model, rewritten.question, evidence)
    log.debug("asking the answerer", extra={"model": model, "sources": len(prompt.sources)})
    clock.tell(
        "generation",
        provider=chosen.dependency.provider,
        model=model,
        temperature=prompt.temperature,
        max_tokens=prompt.max_tokens,
    )
    try:
        with clock.stage("generation"):
            begun.first, begun.pieces = await chosen.dependency.call(
                lambda: _first_piece(chosen.llm, prompt), deadline=patience.deadline, stopwatch=clock
            )
    except RagstoneError as error:
        if ask.is_strict or not is_outage(error):
            raise
        log.warning("answering without the model", extra={"code": error.code})
        return await begun.fall_back(answerers.fallback, fallback)
    begun.dependency, begun.citable = chosen.dependency, prompt.sources
    if prompt.max_tokens is not None:
        begun.most_characters = prompt.max_tokens * CHARACTERS_PER_TOKEN
    return begun


@dataclass(slots=True)
class BegunAnswer:
    """An answer of which the first piece is there. `reason` is set where there is nothing to answer from, to be told in
    `language`; `most_characters` is None for an answerer that knows its own end."""

    model: str
    patience: Patience
    stopwatch: Stopwatch
    usage: Usage
    reason: str | None
    language: str = ""
    citable: Sequence[Source] = ()
    most_characters: int | None = None
    dependency: Dependency | None = None
    first: str | Ending | None = None
    pieces: Pieces | None = None
    degraded: tuple[str, ...] = ()
    finish_reason: str = "stop"
    _rest: Deadline | None = field(default=None, init=False)
    """What bounds the answer once its first event is out."""

    async def fall_back(self, llm: LLM, prompt: Prompt) -> "BegunAnswer":
        """Let another answerer, which cannot be down, begin."""
        self.model, self.citable, self.degraded = llm.models[0], prompt.sources, ("llm",)
        self.stopwatch.tell("generation", provider=self.model, model=self.model)
        self.first, self.pieces = await _first_piece(llm, prompt)
        return self

    async def events(
        self, checker: AnswerChecker, request_id: str, *opening: AnswerEvent
    ) -> AsyncGenerator[AnswerEvent, None]:
        """The opening events, tokens and citations, then the timings, then `Done` or `Failed`."""
        failure: RagstoneError | None = None
        async with aclosing(self._written(checker)) as written:
            for event in opening:
                yield event
            try:
                async for event in written:
                    if self._rest is None:
                        self.stopwatch.mark("first_token")
                        self._rest = self.patience.once_begun()
                    yield event
            except RagstoneError as error:
                failure = self._broken(error)
            except Exception:  # the reply has begun, so a defect can only be told inside of it
                log.exception("answer broke off")
                failure = InternalError("a defect of the server; see its log")
        if failure is not None:
            for token in checker.finish():  # what was held back is text that the model did say
                yield token
        self._tell_usage()
        yield timings_of(self.stopwatch, request_id, self.usage)
        yield self._done(checker) if failure is None else Failed(failure, request_id)

    async def _written(self, checker: AnswerChecker) -> AsyncGenerator[Token | Cited, None]:
        """What the checker makes of the pieces, or the words of an abstention."""
        if self.pieces is not None:
            async with aclosing(self.pieces) as pieces, aclosing(self._texts(pieces)) as texts:
                async for event in self._checked(texts, checker):
                    yield event
            if self.finish_reason == "length" and not (checker.said_something or checker.declined):
                raise UpstreamGarbled("the model used up its tokens without a word; allow it more max_tokens")
            if checker.declined or not checker.said_something:
                self.reason = UNANSWERED
        if self.reason is not None and not checker.said_something:
            yield Token(words_of_abstention(self.reason, self.language))

    async def _checked(
        self, texts: AsyncGenerator[str, None], checker: AnswerChecker
    ) -> AsyncGenerator[Token | Cited, None]:
        after_declining = 0
        async for text in texts:
            with self.stopwatch.stage("verification"):
                events = await self._in_time(checker, text)
            for event in events:
                yield event
            after_declining += checker.declined
            if after_declining > PIECES_AFTER_DECLINING:
                break
        with self.stopwatch.stage("verification"):
            rest = checker.finish()
        for event in rest:
            yield event

    async def _in_time(self, checker: AnswerChecker, text: str) -> list[Token | Cited]:
        if not checker.may_wait_for(text):
            return await checker.feed(text)
        bound = self._bound
        try:
            async with bound.timeout() as scope:
                return await checker.feed(text)
        except TimeoutError:
            if not scope.expired():
                raise
            raise bound.exceeded() from None

    async def _texts(self, pieces: Pieces) -> AsyncGenerator[str, None]:
        """The pieces until the ending, or until there are too many of them."""
        thinking = ThinkingFilter()
        piece, left = self.first, self.most_characters
        while isinstance(piece, str):
            if text := thinking.feed(piece)[:left]:
                yield text
            if left is not None:
                left -= len(piece)
                if left <= 0:
                    self.finish_reason = "length"
                    return
            with self.stopwatch.stage("generation"):
                piece = await _next_piece(pieces, self._bound, self.patience.idle_s)
        if piece is None:
            raise UpstreamInterrupted("the model's answer ended without saying why")
        if rest := thinking.finish():
            yield rest
        self.finish_reason = piece.finish_reason
        self.usage = self.usage + piece.usage

    @property
    def _bound(self) -> Deadline:
        return self._rest or self.patience.deadline

    def _broken(self, error: RagstoneError) -> RagstoneError:
        log.warning("answer broke off", extra={"code": error.code})
        if self.dependency is not None:
            self.dependency.note_broken(error)
        self.stopwatch.outcome = error.code
        return error

    def _done(self, checker: AnswerChecker) -> Done:
        abstained = self.reason is not None
        verdict = checker.verdict(abstained=abstained)
        self.stopwatch.outcome = "abstained" if abstained else "degraded" if self.degraded else "answered"
        return Done(
            self.finish_reason, verdict.grounded, verdict.unsupported, abstained, self.reason, self.degraded
        )

    def _tell_usage(self) -> None:
        used = self.usage
        self.stopwatch.tell(
            "generation",
            input_tokens=used.prompt_tokens,
            output_tokens=used.completion_tokens,
            finish_reason=self.finish_reason,
        )


def timings_of(stopwatch: Stopwatch, request_id: str, usage: Usage) -> Timings:
    """What comes before the last event; the stopwatch stops."""
    stages = {**STAGES, **stopwatch.stop()}
    return Timings({"request_id": request_id, **stages, "retries": dict(stopwatch.retries)}, usage)


def _prompt(chosen: Answerer, ask: Ask, model: str, question: str, evidence: Evidence) -> Prompt:
    """With the sources that the answer may cite."""
    sources = evidence.sources
    if not chosen.llm.is_generative:
        return Prompt(question, sources, language=evidence.language)
    max_tokens = min(ask.max_tokens, chosen.context_tokens // 2)
    grounded = ground(question, sources, budget_tokens=chosen.context_tokens - max_tokens)
    return Prompt(question, grounded.sources, grounded.messages, model, ask.temperature, max_tokens)


async def _first_piece(llm: LLM, prompt: Prompt) -> tuple[str | Ending | None, Pieces]:
    pieces = llm.generate(prompt)
    try:
        return await anext(pieces, None), pieces
    except BaseException:
        await pieces.aclose()
        raise


async def _next_piece(pieces: Pieces, bound: Deadline, idle_s: float) -> str | Ending | None:
    try:
        async with bound.timeout(idle_s) as scope:
            return await anext(pieces, None)
    except TimeoutError:
        if not scope.expired():
            raise
        if bound.is_over:
            raise bound.exceeded() from None
        raise UpstreamTimeout(f"the model said nothing for {idle_s:g} s") from None
