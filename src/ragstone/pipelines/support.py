"""How far a source supports a claim: the measure behind `support` and `verified`.

support = .5 · c + .5 · o over the source's sentences and pairs of neighbours, where c is the largest cosine of the
claim to a sentence and o the largest share of the claim's weighted terms found in one. A number of the claim that
the source does not hold makes it 0, a rare name that neither the source nor what stands above it holds at most .4 (not in
German, where all nouns look like names). A claim that stands verbatim in the source has support 1. Where the sentences have
no vectors (embedders of remote services give none), or the embedder fails, support = o. It is a citation check, not
entailment: it is blind to negation and to swapped roles (error rates: docs/quality.md).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ragstone.core.errors import EmbedderUnavailable, EngineUnavailable, ExternalServiceError
from ragstone.core.models import Scope, Sentence, Source, Vector
from ragstone.core.ports import Embedder, SparseEncoder, VectorStore
from ragstone.core.text import readable
from ragstone.pipelines.active_content import revealed
from ragstone.pipelines.evidence import has_vectors, tokens_of
from ragstone.pipelines.question import share, term_weights

SUPPORTED_FROM = 0.45  # flags 94-100 % of changed numbers, 99-100 % of random, 59-87 % of the best other passages; 0-11 % of true ones

RARE_FROM = 3.0  # IDF: one chunk in twenty
NAME_MISSING = 0.40  # below SUPPORTED_FROM: a reader must look
VERBATIM_RUN = 3  # sentences that one claim may run over
LONGEST_WEIGHED = 4_000  # characters; a longer claim is supported only if it stands verbatim in its source

_ALL_NOUNS_HAVE_CAPITALS = ("de",)
_NAME = re.compile(r"(?<=[\w,;] )(?!I\b)[A-Z]\w+")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")


@dataclass(frozen=True, slots=True)
class Support:
    """The best place for a claim in a source (document offsets) and how far it supports the claim, 0..1."""

    start: int
    end: int
    score: float

    @property
    def is_enough(self) -> bool:
        """Whether the claim counts as supported."""
        return self.score >= SUPPORTED_FROM


@dataclass(frozen=True, slots=True)
class ClaimJudge:
    """Weighs claims against sources; the encodings of a claim are made only when it is not verbatim.

    Claims are taken as the answer shows them, neutralised or not."""

    embedder: Embedder
    sparse_encoder: SparseEncoder
    store: VectorStore
    scope: Scope

    async def judge(self, claim: str, source: Source) -> Support:
        """The support that `source` gives to `claim`. An embedder that fails is done without, and so is a store: all
        words then weigh the same."""
        found = find_verbatim(claim, source)
        if found is not None:
            return found
        if not source.sentences or len(claim) > LONGEST_WEIGHED:
            return unsupported_by(source)
        plain = revealed(claim)
        weights = await self._weights(plain)
        vector = await self._vector(plain) if has_vectors(source) else None
        return measure_support(plain, vector, weights, source, self.sparse_encoder)

    async def _weights(self, claim: str) -> Mapping[int, float]:
        tokens = self.sparse_encoder.encode_query(self.sparse_encoder.query_terms(claim))
        try:
            return await term_weights(self.store, self.scope, tokens)
        except (EngineUnavailable, ExternalServiceError):
            return dict.fromkeys(tokens.indices, 1.0)

    async def _vector(self, claim: str) -> Vector | None:
        try:
            return await self.embedder.embed_query(claim)
        except (EmbedderUnavailable, ExternalServiceError):
            return None


def unsupported_by(source: Source) -> Support:
    """No support at all, by the whole of the source."""
    return Support(source.start, source.end, 0.0)


def find_verbatim(claim: str, source: Source) -> Support | None:
    """The sentence, or run of sentences, that says the claim word for word."""
    wanted = readable(revealed(claim))
    if not wanted or len(wanted) > len(source.text) + VERBATIM_RUN:
        return None
    shown = [readable(revealed(sentence.text)) for sentence in source.sentences]
    for size in range(1, VERBATIM_RUN + 1):
        for first in range(len(shown) - size + 1):
            if wanted in " ".join(shown[first : first + size]):
                return Support(source.sentences[first].start, source.sentences[first + size - 1].end, 1.0)
    return None


def measure_support(
    claim: str, vector: Vector | None, weights: Mapping[int, float], source: Source, encoder: SparseEncoder
) -> Support:
    """The measure itself, for a claim that is not verbatim. `vector` has shape (dimension,), unit length; without it
    the words alone are weighed."""
    candidates = _with_neighbours(source.sentences)
    cosines = [0.0 if vector is None else _cosine(vector, part) for part in candidates]
    tokens = {id(sentence): tokens_of(encoder, sentence) for sentence in source.sentences}
    overlaps = [
        share(weights, frozenset[int]().union(*(tokens[id(sentence)] for sentence in part)))
        for part in candidates
    ]
    score = max(overlaps) if vector is None else 0.5 * max(0.0, *cosines) + 0.5 * max(overlaps)
    if set(_NUMBER.findall(claim)) - set(_NUMBER.findall(source.text)):
        score = 0.0
    elif _has_strange_name(claim, source, weights, encoder):
        score = min(score, NAME_MISSING)
    best = int(np.argmax(np.array(cosines) + np.array(overlaps)))
    return Support(candidates[best][0].start, candidates[best][-1].end, round(min(1.0, score), 3))


def _has_strange_name(
    claim: str, source: Source, weights: Mapping[int, float], encoder: SparseEncoder
) -> bool:
    """Whether a word with a capital inside of a sentence, that few documents have, stands neither in the source nor in
    its title and headings. Names that stand everywhere are what all is about."""
    if source.language in _ALL_NOUNS_HAVE_CAPITALS:
        return False
    known = " ".join((source.title, *source.heading, source.text)).casefold()
    strange = [name for name in _NAME.findall(claim) if name.casefold() not in known]
    rare = min(RARE_FROM, max(weights.values(), default=0.0))
    return any(weights.get(word, 0.0) >= rare for name in strange for word in encoder.query_terms(name).words)


def _with_neighbours(sentences: Sequence[Sentence]) -> list[Sequence[Sentence]]:
    singles = [sentences[row : row + 1] for row in range(len(sentences))]
    pairs = [sentences[row : row + 2] for row in range(len(sentences) - 1)]
    return [*singles, *pairs]


def _cosine(vector: Vector, part: Sequence[Sentence]) -> float:
    total = np.sum([sentence.vector for sentence in part if len(sentence.vector)], axis=0)
    norm = float(np.linalg.norm(total))
    return float(total @ vector) / norm if norm else 0.0
