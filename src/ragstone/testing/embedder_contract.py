"""What every Embedder must do. Subclass EmbedderContract in a test module and give it its two fixtures."""

import asyncio

import numpy as np

from ragstone.core.models import EmbeddingInput, Vector
from ragstone.core.ports import Embedder

TEXTS = (
    "The red fox jumped over the lazy dog.",
    "The red fox slept beside the lazy dog.",
    "Quarterly invoices arrive by post.",
    "Ein Satz mit Umlauten: größer, schöner, über.",
    "一二三四五 🦊 e\u0301",
)
SENTENCES = "A fox jumped. A dog slept. An invoice arrived."
SENTENCE_SPANS = ((0, 13), (14, 26), (27, 46))


class EmbedderContract:
    """Fixtures of the subclass: `embedder`, which may be shared between tests, and `disposable_embedder`, which the
    test closes. `tolerance` bounds the difference between two vectors of one text, element by element."""

    tolerance = 1e-5

    async def test_query_vector_has_the_dimension_and_unit_length(self, embedder: Embedder) -> None:
        """float32, one row."""
        for text in TEXTS:
            _assert_unit_vector(await embedder.embed_query(text), embedder.dimension)

    async def test_document_vectors_have_the_dimension_and_unit_length(self, embedder: Embedder) -> None:
        """As queries have."""
        for embedding in await embedder.embed_documents(_inputs(*TEXTS)):
            _assert_unit_vector(embedding.vector, embedder.dimension)

    async def test_no_inputs_give_no_embeddings(self, embedder: Embedder) -> None:
        """An empty list is answered without work."""
        assert await embedder.embed_documents([]) == []

    async def test_text_without_words_has_a_unit_vector(self, embedder: Embedder) -> None:
        """Some vector: a store refuses zeros."""
        for text in ("", "   ", "\n\t\u200b"):
            _assert_unit_vector(await embedder.embed_query(text), embedder.dimension)

    async def test_text_over_the_limit_is_embedded(self, embedder: Embedder) -> None:
        """By its beginning."""
        _assert_unit_vector(await embedder.embed_query("fox and dog " * 20_000), embedder.dimension)

    async def test_same_text_has_the_same_vector(self, embedder: Embedder) -> None:
        """Within the tolerance."""
        first, second = await embedder.embed_query(TEXTS[0]), await embedder.embed_query(TEXTS[0])
        self.assert_same(first, second)

    async def test_order_is_kept_and_neighbours_do_not_matter(self, embedder: Embedder) -> None:
        """A text has one vector, alone or among others."""
        together = await embedder.embed_documents(_inputs(*TEXTS))
        for text, embedding in zip(TEXTS, together, strict=True):
            (alone,) = await embedder.embed_documents(_inputs(text))
            self.assert_same(embedding.vector, alone.vector)

    async def test_texts_that_share_words_are_nearer(self, embedder: Embedder) -> None:
        """The least that a ranking needs."""
        fox, same_fox, invoice = [each.vector for each in await embedder.embed_documents(_inputs(*TEXTS[:3]))]
        assert fox @ same_fox > fox @ invoice

    async def test_query_is_nearest_to_its_own_text(self, embedder: Embedder) -> None:
        """Queries and documents lie in one space."""
        documents = [each.vector for each in await embedder.embed_documents(_inputs(*TEXTS))]
        for position, text in enumerate(TEXTS):
            query = await embedder.embed_query(text)
            assert int(np.argmax([query @ document for document in documents])) == position

    async def test_each_span_has_a_row_of_unit_length_or_zeros(self, embedder: Embedder) -> None:
        """In the order of the spans, which may overlap or be empty."""
        spans = (*SENTENCE_SPANS, (0, 46), (5, 5))
        (embedding,) = await embedder.embed_documents([EmbeddingInput(SENTENCES, spans)])
        assert embedding.spans.shape == (len(spans), embedder.dimension)
        assert embedding.spans.dtype == np.float32
        for length in np.linalg.norm(embedding.spans, axis=1):
            assert length == 0 or abs(length - 1) < self.tolerance

    async def test_without_spans_there_are_no_span_rows(self, embedder: Embedder) -> None:
        """Shape (0, dimension)."""
        (embedding,) = await embedder.embed_documents(_inputs(SENTENCES))
        assert embedding.spans.shape == (0, embedder.dimension)

    async def test_spans_do_not_change_the_vector(self, embedder: Embedder) -> None:
        """They are an addition."""
        inputs = [EmbeddingInput(SENTENCES), EmbeddingInput(SENTENCES, SENTENCE_SPANS)]
        without, with_spans = await embedder.embed_documents(inputs)
        self.assert_same(without.vector, with_spans.vector)

    async def test_concurrent_calls_do_not_mix(self, embedder: Embedder) -> None:
        """Queries beside documents beside queries."""
        expected = [await embedder.embed_query(text) for text in TEXTS]
        documents = asyncio.gather(*(embedder.embed_documents(_inputs(text)) for text in TEXTS * 3))
        queries = await asyncio.gather(*(embedder.embed_query(text) for text in TEXTS * 3))
        await documents
        for position, vector in enumerate(queries):
            self.assert_same(vector, expected[position % len(TEXTS)])

    async def test_fingerprint_is_stable_and_not_empty(self, embedder: Embedder) -> None:
        """Data are kept under it."""
        assert embedder.fingerprint
        assert embedder.fingerprint == embedder.fingerprint

    async def test_closing_twice_is_harmless(self, disposable_embedder: Embedder) -> None:
        """Idempotent."""
        await disposable_embedder.embed_query(TEXTS[0])
        await disposable_embedder.close()
        await disposable_embedder.close()

    def assert_same(self, left: Vector, right: Vector) -> None:
        """Two vectors of one text."""
        assert np.abs(left - right).max() <= self.tolerance


def _inputs(*texts: str) -> list[EmbeddingInput]:
    return [EmbeddingInput(text) for text in texts]


def _assert_unit_vector(vector: Vector, dimension: int) -> None:
    assert vector.shape == (dimension,)
    assert vector.dtype == np.float32
    assert abs(float(np.linalg.norm(vector)) - 1) < 1e-5
