"""The packaged encoder as an Embedder: all-MiniLM-L6-v2 on the CPU, without network, key or torch.

Queries and documents have threads of their own, so that a question never waits behind an upload.
"""

import asyncio
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from ragstone.core.errors import EmbedderUnavailable
from ragstone.core.models import Embedding, EmbeddingInput, Vector
from ragstone.core.threads import in_executor, lower_priority
from ragstone.core.tokenizer import SHA256, WEIGHTS_FILE, ModelFiles, WordPieceTokenizer
from ragstone.embeddings.onnx_encoder import OnnxEncoder
from ragstone.embeddings.onnx_graph import DIMENSION, Precision

MAX_TOKENS = 256  # the model's own limit, [CLS] and [SEP] included
_CLS, _SEP, _UNKNOWN = 101, 102, 100
_TELLING_CHARACTERS = 1_000  # of a question tell its script
_ILLEGIBLE_SHARE = 0.4  # of pieces; from there on cosines mean nothing
_MAX_CONTENT_TOKENS = MAX_TOKENS - 2
# Tokenising costs about 1 ms for 1,000 characters, and all but the first 254 tokens are thrown away. 64 characters a
# token is far beyond any prose (3.5), so only runs of white space or of endless words can notice this limit.
_MAX_CHARACTERS = 64 * MAX_TOKENS


def build(precision: Precision) -> "MiniLMEmbedder":
    """What the table of embedders calls."""
    return MiniLMEmbedder(precision=precision)


class MiniLMEmbedder:
    """Embedder of 384-dimensional unit vectors; only the first 254 word pieces (about 890 characters) of a text count.

    A text without tokens (empty, white space, control characters) has the vector of the empty text; lone surrogates
    count as U+FFFD, which the model ignores. `int8` costs little more than half the CPU of `fp32`, and its vectors
    have a cosine of about 0.99 to them, so both share one fingerprint. `threads` bounds the texts encoded at the same
    time: that many for queries and as many for documents, the latter at lower priority where the system has one per
    thread. Documents are worked off in order of arrival: who shares the embedder hands over moderate batches.
    """

    def __init__(self, *, precision: Precision = "int8", threads: int = 2, files: ModelFiles | None = None):
        """Blocks for about a second: call it off the event loop. Raises ModelMissing."""
        self._model: _Model | None = _Model(files or ModelFiles.locate(), precision)
        self._query_threads = ThreadPoolExecutor(threads, thread_name_prefix="embed-query")
        self._document_threads = ThreadPoolExecutor(
            threads, thread_name_prefix="embed-document", initializer=lower_priority
        )

    @property
    def fingerprint(self) -> str:
        """Provider, model, revision (hash of the weights), dimension, normalisation and limit."""
        return f"minilm:all-MiniLM-L6-v2@{SHA256[WEIGHTS_FILE][:12]}:{DIMENSION}:unit:{MAX_TOKENS}-tokens"

    @property
    def dimension(self) -> int:
        """384."""
        return DIMENSION

    def legibility(self, text: str) -> float:
        """1 for English, 0 for scripts of which the vocabulary has no words: falls with the share of word pieces that
        are unknown or a single character beyond ASCII, to 0 at two fifths of them. Takes about 50 µs, 4 ms at most.
        """
        return self._require_model().legibility(text)

    def count_tokens(self, text: str) -> tuple[int, bool]:
        """See Embedder; exact."""
        return self._require_model().count_tokens(text)

    async def embed_query(self, text: str) -> Vector:
        """See Embedder."""
        self._require_model()
        return await in_executor(self._query_threads, self._query, text)

    async def embed_documents(self, inputs: Sequence[EmbeddingInput]) -> list[Embedding]:
        """See Embedder. Cancelling it drops the inputs that no thread has begun."""
        self._require_model()
        started = [in_executor(self._document_threads, self._document, each) for each in inputs]
        return await asyncio.gather(*started)

    async def close(self) -> None:
        """Wait for the texts that threads have begun; all others fail with EmbedderUnavailable. Idempotent."""
        self._model = None
        await asyncio.to_thread(self._stop_threads)

    def _query(self, text: str) -> Vector:
        return self._require_model().embed(text)

    def _document(self, document: EmbeddingInput) -> Embedding:
        return self._require_model().embed_with_spans(document)

    def _require_model(self) -> "_Model":
        if self._model is None:
            raise EmbedderUnavailable("the embedder is closed")
        return self._model

    def _stop_threads(self) -> None:
        self._query_threads.shutdown()
        self._document_threads.shutdown()


class _Model:
    """Tokenizer and encoder together. Thread-safe."""

    def __init__(self, files: ModelFiles, precision: Precision):
        self._tokenizer = WordPieceTokenizer.load(files)
        self._encoder = OnnxEncoder(files.weights(), precision=precision)

    def embed(self, text: str) -> Vector:
        ids, _ = self._tokens(text)
        return self._encoder.encode(ids)

    def embed_with_spans(self, document: EmbeddingInput) -> Embedding:
        if not document.spans:
            return Embedding(self.embed(document.text), np.empty((0, DIMENSION), np.float32))
        ids, offsets = self._tokens(document.text)
        vector, tokens = self._encoder.encode_with_tokens(ids)
        return Embedding(vector, pool_spans(tokens[1:-1], offsets, document.spans))

    def legibility(self, text: str) -> float:
        ids, offsets = self._tokenizer.tokens(text[:_TELLING_CHARACTERS])
        unread = sum(
            id_ == _UNKNOWN or (end - start == 1 and not text[start].isascii())
            for id_, (start, end) in zip(ids, offsets, strict=True)
        )
        return max(0.0, 1.0 - unread / len(ids) / _ILLEGIBLE_SHARE) if ids else 0.0

    def count_tokens(self, text: str) -> tuple[int, bool]:
        count = len(self._tokenizer.tokens(text[:_MAX_CHARACTERS])[0])
        return min(count, _MAX_CONTENT_TOKENS), count <= _MAX_CONTENT_TOKENS and len(text) <= _MAX_CHARACTERS

    def _tokens(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        """(ids with [CLS] and [SEP], offsets without them), cut to the limit."""
        ids, offsets = self._tokenizer.tokens(text[:_MAX_CHARACTERS])
        return [_CLS, *ids[:_MAX_CONTENT_TOKENS], _SEP], offsets[:_MAX_CONTENT_TOKENS]


def pool_spans(
    tokens: NDArray[np.float32], offsets: Sequence[tuple[int, int]], spans: Sequence[tuple[int, int]]
) -> Vector:
    """The normalised mean of the token vectors that lie wholly inside each span; zeros where none does.

    `tokens` has shape (n, dimension), `offsets` are the n tokens' characters, ascending; the result has one row per
    span.
    """
    starts = [start for start, _ in offsets]
    ends = [end for _, end in offsets]
    pooled = np.zeros((len(spans), tokens.shape[1]), np.float32)
    for row, (start, end) in enumerate(spans):
        first, last = bisect_left(starts, start), bisect_right(ends, end)
        if first < last:
            total = tokens[first:last].sum(axis=0)
            pooled[row] = total / np.linalg.norm(total)
    return pooled
