"""BM25 as a SparseEncoder, on the engine's own tokenizer, so that the embedded and the server store agree on token ids.

A document's weight is its BM25 term-frequency part; the inverse document frequency is the store's, at search time.
"""

from typing import TYPE_CHECKING

from ragstone.core.models import SparseVector
from ragstone.core.tokenizer import replace_lone_surrogates

if TYPE_CHECKING:
    from qdrant_edge import SparseVector as EdgeVector

LANGUAGE = (
    "english"  # of the stop words and the stemmer; other languages are tokenised, neither stopped nor stemmed
)
K = 1.2
B = 0.75


class Bm25Encoder:
    """SparseEncoder: tf · (k + 1) / (tf + k · (1 − b + b · length / avg_len)) per distinct stemmed word.

    Words are what Unicode's word boundaries and, for Chinese and Japanese, a dictionary make them; the first text in
    one of these two languages takes half a second, for loading it. Time is linear in the text's length (0.35 s a
    megabyte), with the GIL held. A text without words (empty, white space, stop words only) has the empty vector.
    Lone surrogates count as U+FFFD.
    """

    def __init__(self, *, avg_len: float = 120.0):
        """`avg_len` is the mean number of tokens of a chunk; a part of the fingerprint, so not to be changed lightly."""
        from qdrant_edge import Bm25, Bm25Config, TokenizerType

        self._avg_len = avg_len
        # The engine's default tokenizer makes one token of a whole Chinese sentence.
        self._model = Bm25(
            Bm25Config(k=K, b=B, avg_len=avg_len, tokenizer=TokenizerType.Multilingual, language=LANGUAGE)
        )

    @property
    def fingerprint(self) -> str:
        """Algorithm, tokenizer, language and parameters."""
        return f"bm25:qdrant-multilingual:{LANGUAGE}:k={K:g}:b={B:g}:avg_len={self._avg_len:g}"

    def encode_document(self, text: str) -> SparseVector:
        """See SparseEncoder."""
        return _to_sparse_vector(self._model.embed_document(replace_lone_surrogates(text)))

    def encode_query(self, text: str) -> SparseVector:
        """See SparseEncoder."""
        return _to_sparse_vector(self._model.embed_query(replace_lone_surrogates(text)))

    def token_ids(self, text: str) -> frozenset[int]:
        """See SparseEncoder."""
        return frozenset(self._model.embed_query(replace_lone_surrogates(text)).indices)


def _to_sparse_vector(vector: "EdgeVector") -> SparseVector:
    weights = dict(sorted(zip(vector.indices, vector.values, strict=True)))
    return SparseVector(tuple(weights), tuple(weights.values()))
