"""Answers without a model: the sentences that answer best, word for word, each cited. No network, no key."""

from collections.abc import AsyncGenerator, Sequence

from ragstone.core.models import Ending, Prompt, Sentence, Source
from ragstone.core.question_kinds import Kind, kind_of
from ragstone.core.text import readable

WITHIN = 0.085  # of the best sentence's score: what lies closer is shown too
WITHIN_EXPLAINING = 0.20  # for questions that ask to explain or to list
MAX_SENTENCES = 3
MIN_BYTES = 12  # of UTF-8, as for sentences: shorter ones are labels, cells and fragments
SAME_WORDS = 0.8  # two sentences that share this part of their words say the same


class ExtractiveLLM:
    """Selects by the sentence scores that the pipeline left in the sources."""

    models = ("extractive",)
    is_generative = False

    async def generate(self, prompt: Prompt) -> AsyncGenerator[str | Ending, None]:
        """One piece a sentence, in the order of the sources and of their text; none where no sentence answers."""
        chosen = select_sentences(prompt.question, prompt.sources, language=prompt.language)
        for position, (source, text) in enumerate(chosen):
            yield f"{' ' if position else ''}{text} [{source.n}]"
        yield Ending("stop")

    async def close(self) -> None:
        """Nothing to free."""


def select_sentences(
    question: str, sources: Sequence[Source], *, language: str = ""
) -> list[tuple[Source, str]]:
    """The best sentence and those close to it, distinct, in reading order; explaining questions get more. `language` is
    that of `question_kinds`."""
    ranked = sorted(
        (
            (sentence, source)
            for source in sources
            for sentence in source.sentences
            if _is_answer(sentence, source)
        ),
        key=lambda pair: (-pair[0].score, pair[1].n, pair[0].start),
    )
    if not ranked:
        return []
    explains = kind_of(question, language) in (Kind.EXPLANATION, Kind.LISTING)
    floor = ranked[0][0].score - (WITHIN_EXPLAINING if explains else WITHIN)
    chosen: list[tuple[Sentence, Source]] = []
    for sentence, source in ranked:
        if sentence.score < floor or len(chosen) == MAX_SENTENCES:
            break
        if not any(_says_the_same(sentence, other) for other, _ in chosen):
            chosen.append((sentence, source))
    chosen.sort(key=lambda pair: (pair[1].n, pair[0].start))
    return [(source, readable(sentence.text)) for sentence, source in chosen]


def _is_answer(sentence: Sentence, source: Source) -> bool:
    text = readable(sentence.text)
    is_heading = text in source.heading or text == source.title
    return not is_heading and not text.endswith("?") and len(text.encode("utf-8", "replace")) >= MIN_BYTES


def _says_the_same(one: Sentence, other: Sentence) -> bool:
    a, b = set(one.text.lower().split()), set(other.text.lower().split())
    return len(a & b) >= SAME_WORDS * min(len(a), len(b))
