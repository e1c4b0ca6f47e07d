"""Answers without a model: the sentences that answer best, word for word, each cited. No network, no key."""

import re
from collections.abc import AsyncGenerator, Iterator, Sequence
from dataclasses import dataclass

from ragstone.core.layout import CELLS, List, header_of, is_header, list_at
from ragstone.core.models import Ending, Prompt, Sentence, Source
from ragstone.core.question_kinds import QUOTED_QUESTION, Kind, kind_of
from ragstone.core.sentences import Span, sentence_spans
from ragstone.core.text import readable

WITHIN = 0.085  # of the best sentence's score: what lies closer is shown too
WITHIN_EXPLAINING = 0.20  # for questions that ask to explain or to list
MAX_SENTENCES = 3
MAX_ITEMS = 8  # of a list that is shown as a whole
MAX_LIST_WORDS = 120
TRIED_FOR_LISTS = 12  # best sentences, each of which may stand in a list
MIN_BYTES = 12  # of UTF-8, as for sentences: shorter ones are labels, cells and fragments
_ASKS = re.compile(r"[?？؟][!！?？\"'“”‘’«»‹›)\]」』]*$")
SAME_WORDS = 0.8  # two sentences that share this part of their words say the same


@dataclass(frozen=True, slots=True)
class Quote:
    """A piece of a source as an answer shows it; `opening` is what an item of a list begins with, as it stands there."""

    source: Source
    text: str
    opening: str = ""
    begins_line: bool = False


class ExtractiveLLM:
    """Selects by the sentence scores that the pipeline left in the sources."""

    models = ("extractive",)
    is_generative = False

    async def generate(self, prompt: Prompt) -> AsyncGenerator[str | Ending, None]:
        """One piece a quote, in the order of the sources and of their text; none where no sentence answers."""
        quotes = select_quotes(prompt.question, prompt.sources, language=prompt.language)
        for position, quote in enumerate(quotes):
            before = ("\n" if quote.begins_line else " ") if position else ""
            yield f"{before}{quote.opening}{quote.text} [{quote.source.n}]"
        yield Ending("stop")

    async def close(self) -> None:
        """Nothing to free."""


def select_quotes(question: str, sources: Sequence[Source], *, language: str = "") -> list[Quote]:
    """The best sentence and those close to it, distinct, in reading order; a row of a table with the row that names its
    columns. Explaining questions get more, and like those for a list a whole list if it is what answers best, as does
    any question that is answered by the words in front of a list.
    `language` is that of the question's terms."""
    ranked = sorted(
        ((sentence, source) for source in sources for sentence in source.sentences),
        key=lambda pair: (-pair[0].score, pair[1].n, pair[0].start),
    )
    answers = (pair for pair in ranked if _is_answer(*pair))
    best = next(answers, None)
    if best is None:
        return []
    wants_more = kind_of(question, language) in (Kind.EXPLANATION, Kind.LISTING)
    floor = best[0].score - (WITHIN_EXPLAINING if wants_more else WITHIN)
    if wants_more or _announces(best[0]):
        near = (pair for pair in ranked[:TRIED_FOR_LISTS] if pair[0].score >= floor and not _refers(pair[0]))
        lists = (_whole_list(sentence, source, best) for sentence, source in near)
        if quotes := next(filter(None, lists), None):
            return quotes
    chosen = _distinct(best, answers, floor)
    chosen.sort(key=lambda pair: (pair[1].n, pair[0].start))
    return _with_headers(chosen)


def _distinct(
    best: tuple[Sentence, Source], others: Iterator[tuple[Sentence, Source]], floor: float
) -> list[tuple[Sentence, Source]]:
    chosen = [best]
    for sentence, source in others:
        if sentence.score < floor or len(chosen) == MAX_SENTENCES:
            break
        if not any(_says_the_same(sentence, other) for other, _ in chosen):
            chosen.append((sentence, source))
    return chosen


def _refers(sentence: Sentence) -> bool:
    """To another place, by the question that is answered there."""
    return QUOTED_QUESTION.search(sentence.text) is not None


def _announces(sentence: Sentence) -> bool:
    return sentence.text.rstrip().endswith((":", "："))


def _whole_list(sentence: Sentence, source: Source, best: tuple[Sentence, Source]) -> list[Quote]:
    """The list that the sentence stands in or announces, behind the best sentence of all if that is not a part of it;
    nothing where the sentence stands so deep in a long list that it would not be shown."""
    position = sentence.start - source.start
    found = list_at(source.text, position)
    if found is None:
        return []
    shown = _first_items(source.text, found)
    if not shown or position > shown[-1][1]:
        return []
    start = found.lead_in[0] if found.lead_in else min(position, shown[0][0])
    quotes = [quote for item in shown for quote in _item_quotes(source, item)]
    if found.lead_in:
        lead_in = sentence_spans(source.text, *found.lead_in)[-1]
        quotes.insert(0, Quote(source, readable(source.text[slice(*lead_in)]), begins_line=True))
    if best[1] is source and start <= best[0].start - source.start <= shown[-1][1]:
        return quotes
    first = [Quote(best[1], readable(best[0].text), begins_line=True)]
    return [*first, *quotes] if (best[1].n, best[0].start) < (source.n, sentence.start) else [*quotes, *first]


def _first_items(text: str, found: List) -> list[Span]:
    shown: list[Span] = []
    words = 0
    for item in found.items[:MAX_ITEMS]:
        words += len(text[slice(*item)].split())
        if words > MAX_LIST_WORDS:
            break
        shown.append(item)
    return shown


def _item_quotes(source: Source, item: Span) -> Iterator[Quote]:
    """A quote a sentence, as each is cited; the first has the item's mark."""
    for row, (start, end) in enumerate(sentence_spans(source.text, *item)):
        opening = source.text[item[0] : start] if row == 0 else ""
        yield Quote(source, readable(source.text[start:end]), opening, begins_line=row == 0)


def _with_headers(chosen: Sequence[tuple[Sentence, Source]]) -> list[Quote]:
    """Rows of tables each on a line, behind their header."""
    quotes: list[Quote] = []
    headers: set[tuple[int, Span]] = set()
    is_behind_row = False
    for sentence, source in chosen:
        header = header_of(source.text, sentence.start - source.start)
        if header is not None and (source.n, header) not in headers:
            headers.add((source.n, header))
            quotes.append(Quote(source, readable(source.text[slice(*header)]), begins_line=True))
        is_row = CELLS in sentence.text
        shown = sentence.text.splitlines() if is_row else [sentence.text]
        quotes += [Quote(source, readable(line), begins_line=is_row or is_behind_row) for line in shown]
        is_behind_row = is_row
    return quotes


def _is_answer(sentence: Sentence, source: Source) -> bool:
    text = readable(sentence.text)
    is_heading = text in source.heading or text == source.title
    is_heading = is_heading or (CELLS in text and is_header(source.text, sentence.start - source.start))
    return not is_heading and not _ASKS.search(text) and len(text.encode("utf-8", "replace")) >= MIN_BYTES


def _says_the_same(one: Sentence, other: Sentence) -> bool:
    a, b = set(one.text.lower().split()), set(other.text.lower().split())
    return len(a & b) >= SAME_WORDS * min(len(a), len(b))
