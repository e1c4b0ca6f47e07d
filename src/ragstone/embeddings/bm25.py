"""BM25 as a SparseEncoder, on terms of our own, so that each store, and the ranking behind it, counts the same words.

A document's weight is its BM25 term-frequency part; the inverse document frequency is the store's, at search time.
"""

from collections import Counter
from collections.abc import Iterable

from ragstone.core.models import SparseVector, Terms
from ragstone.embeddings import terms
from ragstone.embeddings.languages import LANGUAGES

K = 1.2
B = 0.75
AVERAGE_WORDS = 90
"""Of a chunk with its context, as the public sets have it, without the commonest words."""
OTHER_FORM = 0.5
"""What a further form of a question's word counts; a text's further forms count once each, however frequent."""


class Bm25Encoder:
    """SparseEncoder: tf · (k + 1) / (tf + k · (1 - b + b · length / average length)) per distinct term (the form that
    Lucene gives to Robertson's BM25). `length` counts words, not their further forms.

    A text without terms (empty, white space, commonest words only) has the empty vector. Thread-safe; holds the GIL.
    """

    def __init__(self, *, average_words: float = AVERAGE_WORDS):
        """`average_words` is a part of the fingerprint, so not to be changed lightly."""
        self._average = average_words

    @property
    def fingerprint(self) -> str:
        """Algorithm, terms with the languages that have a stemmer, and parameters."""
        return f"bm25:terms-{terms.VERSION}:{'+'.join(LANGUAGES)}:k={K:g}:b={B:g}:words={self._average:g}"

    def language(self, text: str, otherwise: str = "") -> str:
        """See SparseEncoder."""
        return terms.guess_language(text, otherwise)

    def terms(self, text: str, language: str = "") -> Terms:
        """See SparseEncoder."""
        return terms.text_terms(text, language)

    def query_terms(self, text: str) -> Terms:
        """See SparseEncoder."""
        return terms.query_terms(text)

    def encode_document(self, passages: Iterable[Terms]) -> SparseVector:
        """See SparseEncoder."""
        counts, others = Counter[int](), set[int]()
        for passage in passages:
            counts.update(passage.words)
            others.update(passage.others)
        length = counts.total()
        weights = {term: self._weight(count, length) for term, count in counts.items()}
        once = self._weight(1, length)
        weights.update((term, once) for term in others if term not in weights)
        return _sparse_vector(weights)

    def encode_query(self, query: Terms) -> SparseVector:
        """See SparseEncoder."""
        return _sparse_vector({**dict.fromkeys(query.others, OTHER_FORM), **dict.fromkeys(query.words, 1.0)})

    def _weight(self, count: int, length: int) -> float:
        return count * (K + 1) / (count + K * (1 - B + B * length / self._average))


def _sparse_vector(weights: dict[int, float]) -> SparseVector:
    ascending = dict(sorted(weights.items()))
    return SparseVector(tuple(ascending), tuple(ascending.values()))
