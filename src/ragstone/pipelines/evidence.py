"""How well the retrieved sentences answer the question: scores for selection, and the gate before any model.

The features and their weights are described in docs/decisions/0007 and measured in docs/quality.md. They are fitted to
the packaged encoder, whose sentences have vectors; other encoders' cosines have other scales, so that where no sentence
has a vector the words alone decide.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ragstone.core.models import Sentence, Source, Terms, Vector
from ragstone.core.ports import SparseEncoder
from ragstone.core.question_kinds import QUOTED_QUESTION, Expected
from ragstone.pipelines.question import Question, share

CONSIDERED = 5  # sources whose sentences are weighed; more adds distraction, not answers

# The gate, fitted on one half of the evaluation questions and reported on the other (docs/quality.md).
NOTHING_BELOW = 0.40
ANSWER_FROM = 0.46
MEANING = 0.6  # what the best cosine counts, the rest is the words'
# Without vectors the words alone decide: .037 of the same questions are withheld, .97 of other corpora's caught.
NOTHING_BELOW_BY_WORDS = 0.30
ANSWER_FROM_BY_WORDS = 0.40
# Cosines of other languages than English have other scales, and mean nothing where the encoder cannot read: the words
# count more, and inflected forms are missed more often (tests/e2e/test_languages.py).
NOTHING_BELOW_ABROAD = 0.20
ANSWER_FROM_ABROAD = 0.33
MEANING_ABROAD = 0.3

# What a sentence ends with, in any script; behind it there may be closing marks, and notes such as [2].
_PROSE_END = re.compile(r"[.!?…。．｡！？؟۔।॥։።][\"'”’»)\]」』）】]*(?:\[[^\[\]]{1,40}\])*$")

HEADED = 0.10  # below a heading that asks the same

# What speaks against a sentence.
NOT_PROSE = 0.10  # a label, a line of code or a table row answers only when no sentence does
REFERENCE = 0.15  # to another place, by the question that is answered there
FOREIGN = 0.15  # in another language than the question


@dataclass(frozen=True, slots=True)
class Evidence:
    """Sources with scored sentences, how far they can answer (0..1), the reason not to answer, if any, and the language
    that was asked in, that of the best source where the question does not tell."""

    sources: tuple[Source, ...]
    confidence: float
    abstention: str | None
    language: str = ""


def gather_evidence(
    encoder: SparseEncoder, weights: Mapping[int, float], question: Question, sources: Sequence[Source]
) -> Evidence:
    """Score every sentence of the best sources and decide whether to answer at all. `weights` are those of the
    question's tokens (`term_weights`)."""
    language = question.terms.language
    if not sources:
        return Evidence((), 0.0, "no_results", language)
    language = language or sources[0].language  # most ask in the language that they read
    expected = Expected.of(question.text, language)
    considered = [
        _Features.of(encoder, question, expected, source, weights) for source in sources[:CONSIDERED]
    ]
    is_english = language == "en" or (not language and question.text.isascii())
    confidence, floors = _confidence(question, considered, is_english=is_english)
    scored = tuple(features.scored_source() for features in considered)
    return Evidence(
        (*scored, *sources[CONSIDERED:]),
        confidence,
        floors.abstention(confidence),
        language,
    )


def tokens_of(encoder: SparseEncoder, sentence: Sentence) -> frozenset[int]:
    """The sentence's token ids, as they were stored or found now."""
    return _tokens(encoder.terms(sentence.text)) if sentence.tokens is None else sentence.tokens


def _tokens(terms: Terms) -> frozenset[int]:
    return frozenset((*terms.words, *terms.others))


def has_vectors(source: Source) -> bool:
    """Whether any sentence has a vector."""
    return any(sentence.vector.any() for sentence in source.sentences)


@dataclass(frozen=True, slots=True)
class _Floors:
    nothing_below: float
    answer_from: float

    def abstention(self, confidence: float) -> str | None:
        """The reason not to answer."""
        if confidence < self.nothing_below:
            return "low_score"
        return "insufficient_context" if confidence < self.answer_from else None


_ENGLISH = _Floors(NOTHING_BELOW, ANSWER_FROM)
_ENGLISH_BY_WORDS = _Floors(NOTHING_BELOW_BY_WORDS, ANSWER_FROM_BY_WORDS)
_ABROAD = _Floors(NOTHING_BELOW_ABROAD, ANSWER_FROM_ABROAD)


@dataclass(frozen=True, slots=True)
class _Features:
    """One source with what its sentences share with the question; arrays have one row a sentence."""

    source: Source
    coverage: float
    overlap: NDArray[np.float64]
    overlap_around: NDArray[np.float64]
    headed: float
    fits_type: NDArray[np.float64]
    cosine: NDArray[np.float64]
    legibility: float
    drawbacks: NDArray[np.float64]

    @classmethod
    def of(
        cls,
        encoder: SparseEncoder,
        question: Question,
        expected: Expected,
        source: Source,
        weights: Mapping[int, float],
    ) -> "_Features":
        sentences = source.sentences
        asked = weights.keys()
        tokens = [tokens_of(encoder, sentence) & asked for sentence in sentences]
        heading = _tokens(encoder.terms(" ".join(source.heading[-1:]), source.language)) & asked
        higher = " ".join((source.title, *source.heading[:-1]))
        above = heading | (_tokens(encoder.terms(higher, source.language)) & asked)
        around = [above.union(*tokens[max(0, row - 1) : row + 2]) for row in range(len(tokens))]
        return cls(
            source=source,
            coverage=share(weights, above.union(*tokens)),
            overlap=np.array([share(weights, found) for found in tokens]),
            headed=share(weights, heading),
            overlap_around=np.array([share(weights, found) for found in around]),
            fits_type=np.array([float(expected.is_in(sentence.text)) for sentence in sentences]),
            cosine=_cosines(question.vector, sentences),
            legibility=question.legibility,
            drawbacks=np.array([_drawback(sentence.text) for sentence in sentences])
            + FOREIGN * expected.is_foreign(source.language),
        )

    def scores(self) -> NDArray[np.float64]:
        """How well each sentence answers, about 0..1."""
        passage = max(0.0, min(1.0, self.source.score))
        lexical = 0.20 * self.overlap + 0.15 * self.overlap_around + 0.30 * passage + 0.10 * self.fits_type
        meaning = 0.25 * self.legibility * np.maximum(self.cosine, 0.0)
        return lexical + meaning + HEADED * self.headed - self.drawbacks

    def scored_source(self) -> Source:
        """The source with its sentences' scores filled in."""
        pairs = zip(self.source.sentences, self.scores(), strict=True)
        scored = tuple(
            Sentence(part.start, part.end, part.text, part.vector, float(score), part.tokens)
            for part, score in pairs
        )
        return replace(self.source, sentences=scored)


def _confidence(
    question: Question, considered: Sequence[_Features], *, is_english: bool
) -> tuple[float, _Floors]:
    """0..1, of the best cosine of a sentence and the best share of terms in one passage, and the floors that apply to
    it. The share alone where the question or all sentences have no vector."""
    coverage = max(features.coverage for features in considered)
    if question.vector is None or not any(has_vectors(features.source) for features in considered):
        return coverage, _ENGLISH_BY_WORDS if is_english else _ABROAD
    cosine = max(float(features.cosine.max(initial=0.0)) for features in considered)
    meaning = MEANING if is_english else MEANING_ABROAD * question.legibility
    return meaning * cosine + (1.0 - meaning) * coverage, _ENGLISH if is_english else _ABROAD


def _drawback(sentence: str) -> float:
    not_prose = NOT_PROSE * (_PROSE_END.search(sentence) is None)
    return not_prose + REFERENCE * (QUOTED_QUESTION.search(sentence) is not None)


def _cosines(vector: Vector | None, sentences: Sequence[Sentence]) -> NDArray[np.float64]:
    if vector is None or not sentences or not len(sentences[0].vector):
        return np.zeros(len(sentences))
    rows: NDArray[np.float64] = (np.stack([sentence.vector for sentence in sentences]) @ vector).astype(
        np.float64
    )
    return rows
