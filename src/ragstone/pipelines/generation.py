"""From a model's pieces of text to checked tokens: marks are found as they stream, claims weighed, spans reported."""

import asyncio
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ragstone.core.models import Citation, Cited, CitedSource, Grounding, Source, Span, Token
from ragstone.core.sentences import sentence_spans
from ragstone.pipelines.active_content import Neutraliser
from ragstone.pipelines.declining import LONGEST_DECLINING, UNANSWERABLE, DecliningGate, says_it_declines
from ragstone.pipelines.marks import Mark, MarkReader
from ragstone.pipelines.support import ClaimJudge, Support, find_verbatim, unsupported_by

__all__ = ["UNANSWERABLE", "UNANSWERED", "AnswerChecker", "Verdict"]

UNANSWERED = "insufficient_context"
"""The reason where an answerer says nothing at all."""

MOST_JUDGED = 500  # citations of one answer; further ones are written out and count as unsupported
PARTS_AT_ONCE = (
    128  # parts of one piece, some 5 ms, before others have their turn: a piece may be thousands of marks
)

AT_ONCE = 10_000  # characters without a mark are read in a few milliseconds
_LONGEST_LEAD_IN = 80  # characters
_CLOSING = re.compile(r"[.,;:!?…)\]}\"'”’»*_。，；：！？、]*\s*")
_LETTER_OR_DIGIT = re.compile(r"[^\W_]")
_DIGIT = re.compile(r"\d")
_HEADING = re.compile(r"#{1,6}(?:\s|\Z)")
_LINKING = re.compile(r"\W*+(?:and|or|see|also|cf|und|oder|sowie|siehe|et|ou|voir|y|e|o|u|véase)?\W*+", re.I)


@dataclass(frozen=True, slots=True)
class Verdict:
    """How far the whole answer is supported."""

    grounded: Grounding
    unsupported: tuple[Span, ...]


class AnswerChecker:
    """Turns pieces into `Token` and `Cited` events. A mark to a source that was not sent is dropped; active content is
    neutralised except links to `link_hosts`; offsets refer to the text as it is emitted.

    A claim is the sentence, or part of one, between the previous mark and the mark that cites it.
    """

    def __init__(
        self, sources: Sequence[Source], judge: ClaimJudge, *, link_hosts: frozenset[str] = frozenset()
    ):
        self._sources = {source.n: source for source in sources}
        self._judge = judge
        self._gate = DecliningGate()
        self._marks = MarkReader(self._sources.keys())
        self._neutraliser = Neutraliser(link_hosts)
        self._length = 0
        self._region: list[str] = []
        self._region_start = 0
        self._beginning: list[str] = []
        self._has_marks = False
        self._said_something = False
        self._declined_in_words = False
        self._last_claim: Span | None = None
        self._claim_text = ""
        self._cited: set[int] = set()
        self._judged = 0
        self._claims: list[Span] = []
        self._supported: set[Span] = set()

    async def feed(self, piece: str) -> list[Token | Cited]:
        """Events for as much as can be told; what may become a mark, active content or a refusal is held back."""
        piece = self._gate.feed(piece)
        events: list[Token | Cited] = []
        for position, part in enumerate(self._marks.feed(piece) if piece else ()):
            if position % PARTS_AT_ONCE == PARTS_AT_ONCE - 1:
                await asyncio.sleep(0)
            if isinstance(part, str):
                events += self._emit(self._neutraliser.feed(part))
            else:
                events += await self._cite(part)
        return events

    def may_wait_for(self, piece: str) -> bool:
        """Whether feeding this piece may take time: only the end of a mark, or very much text, leads to work."""
        return "]" in piece or "】" in piece or len(piece) > AT_ONCE

    def finish(self) -> list[Token | Cited]:
        """What was held back, once no more can come."""
        held = [*self._marks.feed(self._gate.finish()), *self._marks.finish()]
        rest = "".join(self._neutraliser.feed(part) for part in held if isinstance(part, str))
        events = self._emit(rest + self._neutraliser.finish())
        self._claims += _claims(*self._close_region(), is_cited=False)
        self._declined_in_words = not self._has_marks and says_it_declines("".join(self._beginning))
        return list(events)

    @property
    def said_something(self) -> bool:
        """Whether the answer has any text yet."""
        return self._said_something

    @property
    def declined(self) -> bool:
        """Whether the model said that the sources do not answer: by the marker, of which nothing is emitted, or, known
        when the answer is finished, in words, which are emitted."""
        return self._gate.is_declined or self._declined_in_words

    def verdict(self, *, abstained: bool) -> Verdict:
        """The grounding of all that was said."""
        if abstained:
            return Verdict("none", ())
        unsupported = tuple(span for span in self._claims if span not in self._supported)
        if not self._supported:
            return Verdict("none", unsupported)
        return Verdict("partial" if unsupported else "full", unsupported)

    def _emit(self, shown: str) -> list[Token]:
        if not shown:
            return []
        self._note(shown)
        self._said_something = self._said_something or not shown.isspace()
        return [Token(shown)]

    def _note(self, shown: str) -> None:
        if self._length <= LONGEST_DECLINING:
            self._beginning.append(shown)
        self._length += len(shown)
        self._region.append(shown)

    async def _cite(self, mark: Mark) -> list[Token | Cited]:
        if not mark:
            self._take_claim(())
            return []
        events: list[Token | Cited] = []
        self._has_marks = True
        for position, number in enumerate(mark):
            shown = self._neutraliser.feed(f"[{number}]")
            before = shown[: shown.rindex("[")]
            self._note(before)
            if position == 0:
                self._take_claim([self._sources[listed] for listed in mark])
            self._length += len(shown) - len(before)
            self._close_region()
            events += [Token(shown), *await self._citations(number)]
        return events

    async def _citations(self, number: int) -> list[Cited]:
        """The citation of the last claim, unless it is made already."""
        claim, source = self._last_claim, self._sources[number]
        if claim is None or number in self._cited:
            return []
        self._cited.add(number)
        self._judged += 1
        support = unsupported_by(source)
        if self._judged <= MOST_JUDGED:
            support = await self._judge.judge(self._claim_text, source)
        if support.is_enough:
            self._supported.add(claim)
        return [Cited(_citation(number, claim, source, support))]

    def _take_claim(self, sources: Sequence[Source]) -> None:
        """The claim in front of a mark; several marks in a row share one. What stands word for word in a source is one
        claim, however it is punctuated (a table row, a line of code)."""
        region, offset = self._close_region()
        region = region.rstrip(" \t\n([")
        if _LINKING.fullmatch(region) is not None:
            return
        is_whole = self._judged < MOST_JUDGED and any(find_verbatim(region, source) for source in sources)
        claims = [_whole(region, offset)] if is_whole else list(_claims(region, offset, is_cited=True))
        self._claims += claims
        if claims:
            self._last_claim = claims[-1]
            self._claim_text = region[claims[-1].start - offset : claims[-1].end - offset]
            self._cited = set()

    def _close_region(self) -> tuple[str, int]:
        """The text since the last mark, and its offset; punctuation that belongs to what was cited is left out."""
        region, offset = "".join(self._region), self._region_start
        self._region, self._region_start = [], self._length
        closing = _CLOSING.match(region) if offset else None
        skipped = closing.end() if closing else 0
        return region[skipped:], offset + skipped


def _whole(region: str, offset: int) -> Span:
    start = offset + len(region) - len(region.lstrip())
    return Span(start, start + len(region.strip()))


def _claims(region: str, offset: int, *, is_cited: bool) -> Iterator[Span]:
    """The sentences that claim something. The last one does so by its mark, even if all of it reads like a lead-in."""
    spans = sentence_spans(region)
    for row, (start, end) in enumerate(spans):
        claim_start = _after_lead_ins(region, start, end)
        if claim_start < end or not (is_cited and row == len(spans) - 1):
            start = claim_start
        if _LETTER_OR_DIGIT.search(region, start, end) is not None:
            yield Span(offset + start, offset + end)


def _after_lead_ins(text: str, start: int, end: int) -> int:
    """Where the claim in `text[start:end]` begins: behind headings and lines such as "The sources say:"."""
    while start < end:
        line_end = text.find("\n", start, end)
        line_end = end if line_end < 0 else line_end
        if not _is_lead_in(text[start:line_end]):
            return start
        start = line_end + 1
    return end


def _is_lead_in(line: str) -> bool:
    bare = line.strip(" \t*_")
    if not bare or _HEADING.match(bare) is not None:
        return True
    return len(bare) <= _LONGEST_LEAD_IN and bare[-1] in ":：" and _DIGIT.search(bare) is None


def _citation(number: int, claim: Span, source: Source, support: Support) -> Citation:
    quote = source.text[support.start - source.start : support.end - source.start]
    place = next((part for part in source.parts if part.start <= support.start < part.end), source)
    cited = CitedSource(
        document_id=source.document_id,
        version=source.version,
        chunk_id=place.chunk_id,
        title=source.title,
        heading=place.heading,
        location=place.location,
        start=support.start,
        end=support.end,
        quote=quote,
    )
    return Citation(number, claim, cited, verified=support.is_enough, support=support.score)
