"""The second stage: every candidate of both legs is scored exactly, by its meaning, its words and where they stand.

    S = g · (.4 · cos + .6 · M) + .35 · B + .25 · F + .15 · X - .15 · L,   then   S + .2 · g · R

- cos: the question to the chunk. M: to the best of its sentences (a mean of the encoder's own token vectors, so that
  it costs no second encoding). R: feedback, the likeness to the three best chunks so far.
- B: BM25. F: BM25 of the best sentence. Both are divided by the largest of the question.
- X: proximity, how near neighbouring words of the question stand to each other, rare ones counting more.
- L: 1 where the chunk is known to be in another language than the question: of two that say the same, the reader's own.
- g: how far the encoder reads the question's script; where it cannot, words alone decide.

Measured on public sets, with what each term brings, in docs/quality.md; why so, in docs/decisions/0022. The published
score is S divided by the largest that it could be.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ragstone.core.models import Vector
from ragstone.pipelines.features import Features, Packed
from ragstone.pipelines.fusion import Candidate, falling, in_order
from ragstone.pipelines.question import Question

HEAD = 20
"""Hits of each leg that are looked at closely, however many are asked for: what follows them keeps its place. Twice as
many bring .001 nDCG@10 and cost twice as much."""


@dataclass(frozen=True, slots=True)
class Mixture:
    """How much each term counts: the chunk's and its best sentence's cosine, the chunk's and its best sentence's BM25,
    proximity, feedback; and what another language costs."""

    chunk: float = 0.4
    sentence: float = 0.6
    lexical: float = 0.35
    lexical_sentence: float = 0.25
    proximity: float = 0.15
    feedback: float = 0.2
    foreign: float = 0.15

    def most(self, legibility: float) -> float:
        """The largest score."""
        meaning = legibility * (self.chunk + self.sentence + self.feedback)
        return meaning + self.lexical + self.lexical_sentence + self.proximity


MIXTURE = Mixture()
"""Chosen on three public sets, and flat around it (docs/quality.md)."""

_MODELS = 3  # best chunks that feedback takes its direction from
_SHARPNESS = 10.0  # of their weights

# BM25 over sentences.
_K, _B, _MEAN_WORDS = 0.8, 0.4, 14.0

Floats = NDArray[np.float64]


def rank(
    question: Question,
    weights: Mapping[int, float],
    candidates: Sequence[Candidate],
    features: Mapping[str, Packed],
    mixture: Mixture = MIXTURE,
) -> list[Candidate]:
    """Candidates that have `features` (by id) best first, ties by id; behind them the others, in the order in which they
    are. `weights` are those of the question's terms."""
    head = [candidate for candidate in candidates if candidate.id in features]
    tail = [candidate for candidate in candidates if candidate.id not in features]
    best = max((candidate.sparse or 0.0 for candidate in candidates), default=0.0)
    scorer = _Scorer(question, weights, mixture, best)
    ranked = scorer.score(head, features) if head else []
    last = ranked[-1].score if ranked else 1.0
    return ranked + falling([scorer.by_legs(candidate) for candidate in tail], last)


@dataclass(frozen=True, slots=True)
class _Scorer:
    """`best` is the largest BM25 score of the question."""

    question: Question
    weights: Mapping[int, float]
    mixture: Mixture
    best: float

    @property
    def legibility(self) -> float:
        """0 without a vector."""
        return 0.0 if self.question.vector is None else self.question.legibility

    def by_legs(self, candidate: Candidate) -> Candidate:
        """The score of one that is not looked at closely."""
        g, mixture = self.legibility, self.mixture
        meaning = g * (mixture.chunk + mixture.sentence) * max(0.0, candidate.dense or 0.0)
        score = (meaning + mixture.lexical * self._of_best(candidate.sparse or 0.0)) / mixture.most(g)
        return Candidate(candidate.id, score, candidate.dense, candidate.sparse, {"legibility": g})

    def score(self, head: Sequence[Candidate], features: Mapping[str, Packed]) -> list[Candidate]:
        """All of them, in full, best first. Scores below nought are shown as nought, and keep their order."""
        g, mixture = self.legibility, self.mixture
        packed = [features[candidate.id] for candidate in head]
        found = Features.unpack(packed)
        matches = _Matches.of(self.question, self.weights, found)
        dense = np.array([candidate.dense or 0.0 for candidate in head])
        sparse = np.array([self._of_best(candidate.sparse or 0.0) for candidate in head])
        lexical_sentence, proximity = _to_largest(matches.best_sentences()), matches.proximity()
        total = mixture.lexical * sparse + mixture.lexical_sentence * lexical_sentence
        own_language = np.array([self._is_readable(language) for language in found.languages])
        total += mixture.proximity * proximity - mixture.foreign * (1.0 - own_language)
        terms = {"sparse_sentence": lexical_sentence, "proximity": proximity, "language": own_language}
        if self.question.vector is not None and found.has_vectors:
            halves = found.halves()
            sentence = _most_of_chunks(found, found.cosines(halves, self.question.vector))
            total += g * (mixture.chunk * dense + mixture.sentence * sentence)
            feedback = _feedback(packed, found, halves, total)
            total += g * mixture.feedback * feedback
            terms |= {"dense_sentence": sentence, "feedback": feedback}
        else:
            total += g * (mixture.chunk + mixture.sentence) * dense
        scores = total / mixture.most(g)
        names, columns = list(terms), np.array(list(terms.values())).T.tolist()
        ranked = in_order(
            [
                Candidate(id_, score, cosine, weight, {**dict(zip(names, row, strict=True)), "legibility": g})
                for (id_, _, cosine, weight, _), score, row in zip(
                    head, scores.tolist(), columns, strict=True
                )
            ]
        )
        return [candidate._replace(score=max(0.0, candidate.score)) for candidate in ranked]

    def _is_readable(self, language: str) -> float:
        """0 where the languages of question and chunk are known and differ."""
        asked = self.question.terms.language
        return float(not asked or not language or asked == language)

    def _of_best(self, weight: float) -> float:
        return weight / self.best if self.best > 0 else 0.0


@dataclass(frozen=True, slots=True)
class _Matches:
    """Where the question's terms stand in the sentences; arrays have one entry a hit, in order."""

    found: Features
    term: NDArray[np.int64]
    """Position among the question's terms: words first."""
    place: NDArray[np.int64]
    """Position among all terms."""
    weights: Floats
    """Of the question's terms."""
    words: int
    """How many of the question's terms are words."""

    @classmethod
    def of(cls, question: Question, weighed: Mapping[int, float], found: Features) -> "_Matches":
        ids = np.array((*question.terms.words, *question.terms.others), np.uint32)
        weights = np.array([weighed.get(int(id_), 0.0) for id_ in ids])
        if not len(ids) or not len(found.terms):
            nothing = np.zeros(0, np.int64)
            return cls(found, nothing, nothing, weights, len(question.terms.words))
        order = np.argsort(ids)
        nearest = np.minimum(np.searchsorted(ids[order], found.terms), len(ids) - 1)
        place = np.flatnonzero(ids[order][nearest] == found.terms)
        return cls(found, order[nearest[place]], place, weights, len(question.terms.words))

    def best_sentences(self) -> Floats:
        """BM25 of the best sentence of each chunk, sentences that are weighed together counting as one."""
        found, best = self.found, np.zeros(self.found.chunks)
        if not len(self.term):
            return best
        groups = int(found.group[-1]) + 1
        group = found.group[found.sentence[self.place]]
        counts = np.bincount(group * len(self.weights) + self.term, minlength=groups * len(self.weights))
        counts = counts.reshape(groups, len(self.weights))
        words = np.bincount(found.group, weights=found.words, minlength=groups)
        damping = _K * (1 - _B + _B * words / _MEAN_WORDS)
        scores = (counts * (_K + 1) / (counts + damping[:, None])) @ self.weights
        np.maximum.at(best, found.chunk, scores[found.group])
        return best

    def proximity(self) -> Floats:
        """Σ weight / distance over pairs of the question's neighbouring words, at their nearest, as a part of Σ weight;
        a pair weighs as much as its lighter word."""
        near = np.zeros(self.found.chunks)
        pairs = max(0, self.words - 1)
        weights = np.minimum(self.weights[:pairs], self.weights[1 : self.words])
        if not weights.sum():
            return near
        is_word = self.term < self.words
        term, place = self.term[is_word], self.place[is_word]
        chunk = self.found.chunk[self.found.sentence[place]]
        pair = np.minimum(term[:-1], term[1:])
        counts = (np.abs(term[:-1] - term[1:]) == 1) & (chunk[:-1] == chunk[1:])
        nearest = np.zeros((self.found.chunks, pairs))
        closeness = 1.0 / (place[1:] - place[:-1])
        np.maximum.at(nearest, (chunk[:-1][counts], pair[counts]), closeness[counts])
        found: Floats = nearest @ weights / weights.sum()
        return found


def _most_of_chunks(found: Features, of_sentences: NDArray[np.float32]) -> Floats:
    """The largest of each chunk's sentences; 0 for a chunk without any."""
    most = np.full(found.chunks, -1.0)
    np.maximum.at(most, found.chunk, of_sentences)
    most[np.bincount(found.chunk, minlength=found.chunks) == 0] = 0.0
    return most


def _feedback(packed: Sequence[Packed], found: Features, halves: Vector, scores: Floats) -> Floats:
    """Cosine of each chunk's mean sentence to that of the best ones, which count by their scores."""
    best = np.argsort(-scores, kind="stable")[:_MODELS]
    weights = np.exp(_SHARPNESS * (scores[best] - scores[best[0]]))
    direction = np.zeros(max(part.dimension for part in packed), np.float32)
    for chunk, weight in zip(best, weights, strict=True):
        if packed[chunk].has_vectors:
            direction += np.float32(weight / found.sums[chunk]) * packed[chunk].unit_vectors().sum(axis=0)
    length = np.linalg.norm(direction)
    if not length:
        return np.zeros(found.chunks)
    cosines = found.cosines(halves, direction / length)
    totals = np.bincount(found.chunk, weights=cosines, minlength=found.chunks)
    return np.divide(totals, found.sums, out=np.zeros(found.chunks), where=found.sums > 0)


def _to_largest(scores: Floats) -> Floats:
    largest = scores.max(initial=0.0)
    return scores / largest if largest > 0 else scores
