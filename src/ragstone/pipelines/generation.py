"""From a model's pieces of text to checked tokens: marks are found as they stream, claims weighed, spans reported."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ragstone.core.models import Citation, Cited, CitedSource, Grounding, Source, Span, Token
from ragstone.core.sentences import sentence_spans
from ragstone.pipelines.support import ClaimJudge, Support, find_verbatim

ABSTENTIONS = {
    "no_results": "There are no documents here that I could answer from.",
    "low_score": "I found nothing on this subject in these documents.",
    "insufficient_context": "These documents touch on this subject, but I found no passage that answers the question.",
}

UNANSWERED = "insufficient_context"
"""The reason where an answerer says nothing at all."""

_MARK = re.compile(r"\[(\d{1,4})\]")
_OPEN_MARK = re.compile(r"\[\d{0,4}\Z")


@dataclass(frozen=True, slots=True)
class Verdict:
    """How far the whole answer is supported."""

    grounded: Grounding
    unsupported: tuple[Span, ...]


class AnswerChecker:
    """Turns pieces into `Token` and `Cited` events. A mark to a source that was not sent is dropped.

    A claim is the sentence, or part of one, between the previous mark and the mark that cites it.
    """

    def __init__(self, sources: Sequence[Source], judge: ClaimJudge):
        self._sources = {source.n: source for source in sources}
        self._judge = judge
        self._text = ""
        self._held = ""
        self._claims_from = 0
        self._last_claim: Span | None = None
        self._supported: set[Span] = set()
        self._claims: list[Span] = []

    async def feed(self, piece: str) -> list[Token | Cited]:
        """Events for as much as can be told; what may be the beginning of a mark is held back."""
        self._held += piece
        events: list[Token | Cited] = []
        while (mark := _MARK.search(self._held)) is not None:
            before, self._held = self._held[: mark.start()], self._held[mark.end() :]
            events += self._emit(before)
            events += await self._cite(int(mark[1]))
        open_mark = _OPEN_MARK.search(self._held)
        cut = open_mark.start() if open_mark else len(self._held)
        ready, self._held = self._held[:cut], self._held[cut:]
        return [*events, *self._emit(ready)]

    def finish(self) -> list[Token | Cited]:
        """What was held back, once no more can come."""
        events = self._emit(self._held)
        self._held = ""
        self._note_claims(self._text[self._claims_from :], self._claims_from)
        self._claims_from = len(self._text)
        return list(events)

    @property
    def said_something(self) -> bool:
        """Whether the answer has any text yet."""
        return bool(self._text.strip())

    def verdict(self, *, abstained: bool) -> Verdict:
        """The grounding of all that was said."""
        if abstained:
            return Verdict("none", ())
        unsupported = tuple(span for span in self._claims if span not in self._supported)
        if not self._supported:
            return Verdict("none", unsupported)
        return Verdict("partial" if unsupported else "full", unsupported)

    def _emit(self, text: str) -> list[Token]:
        self._text += text
        return [Token(text)] if text else []

    async def _cite(self, number: int) -> list[Token | Cited]:
        source = self._sources.get(number)
        claim = self._take_claim(source)
        if source is None:
            return []
        token = self._emit(f"[{number}]")
        self._claims_from = len(self._text)
        if claim is None:
            return list(token)
        support = await self._judge.judge(self._text[claim.start : claim.end], source)
        if support.is_enough:
            self._supported.add(claim)
        return [*token, Cited(_citation(number, claim, source, support))]

    def _take_claim(self, source: Source | None) -> Span | None:
        """The claim in front of a mark; several marks in a row share one. What stands word for word in the source is
        one claim, however it is punctuated (a table row, a line of code)."""
        region = self._text[self._claims_from :]
        if region.strip():
            if source is not None and find_verbatim(region, source) is not None:
                self._last_claim = self._note_whole(region, self._claims_from)
            else:
                self._last_claim = self._note_claims(region, self._claims_from)
            self._claims_from = len(self._text)
        return self._last_claim

    def _note_whole(self, region: str, offset: int) -> Span:
        start = offset + len(region) - len(region.lstrip())
        span = Span(start, start + len(region.strip()))
        self._claims.append(span)
        return span

    def _note_claims(self, region: str, offset: int) -> Span | None:
        spans = [Span(offset + start, offset + end) for start, end in sentence_spans(region)]
        self._claims += spans
        return spans[-1] if spans else None


def _citation(number: int, claim: Span, source: Source, support: Support) -> Citation:
    quote = source.text[support.start - source.start : support.end - source.start]
    cited = CitedSource(
        document_id=source.document_id,
        version=source.version,
        chunk_id=source.chunk_id,
        title=source.title,
        heading=source.heading,
        location=source.location,
        start=support.start,
        end=support.end,
        quote=quote,
    )
    return Citation(number, claim, cited, verified=support.is_enough, support=support.score)
