"""The packaged embedder: limits, span vectors, threads, closing. The contract suite tests the rest."""

import asyncio
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from ragstone.core.errors import EmbedderUnavailable, ModelMissing
from ragstone.core.models import EmbeddingInput, Vector
from ragstone.core.tokenizer import ModelFiles
from ragstone.embeddings.minilm import MiniLMEmbedder, build, pool_spans


@pytest.fixture(scope="module")
def embedder() -> Iterator[MiniLMEmbedder]:
    embedder = build("fp32")
    yield embedder
    asyncio.run(embedder.close())


async def span_vectors(embedder: MiniLMEmbedder, text: str, *spans: tuple[int, int]) -> Vector:
    (embedding,) = await embedder.embed_documents([EmbeddingInput(text, spans)])
    return embedding.spans


class TestTexts:
    async def test_meaning_decides_beyond_words(self, embedder: MiniLMEmbedder) -> None:
        question = await embedder.embed_query("How do I get my money back?")
        near = await embedder.embed_query("Refunds are paid within ten days.")
        far = await embedder.embed_query("The museum opens at nine.")
        assert question @ near > question @ far + 0.2

    async def test_only_the_first_254_word_pieces_count(self, embedder: MiniLMEmbedder) -> None:
        full = "word " * 254
        assert np.array_equal(
            await embedder.embed_query(full + "surplus " * 50), await embedder.embed_query(full)
        )
        assert not np.array_equal(
            await embedder.embed_query("word " * 253 + "surplus"), await embedder.embed_query(full)
        )

    async def test_text_without_tokens_is_the_empty_text(self, embedder: MiniLMEmbedder) -> None:
        empty = await embedder.embed_query("")
        for text in (" " * 1_000_000, "\n\u200b\x00", "\ud800"):
            assert np.array_equal(await embedder.embed_query(text), empty)

    async def test_lone_surrogate_is_ignored(self, embedder: MiniLMEmbedder) -> None:
        with_surrogate = await embedder.embed_query("red \ud83e fox")
        assert np.array_equal(with_surrogate, await embedder.embed_query("red fox"))

    @pytest.mark.parametrize("unit", ["word ", "a", "東", "e\u0301", "🦊"])
    async def test_megabyte_is_cut_before_it_is_tokenised(self, embedder: MiniLMEmbedder, unit: str) -> None:
        vector = await embedder.embed_query(unit * (1_000_000 // len(unit)))
        assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)


class TestSpans:
    async def test_span_of_the_whole_text_is_near_its_vector(self, embedder: MiniLMEmbedder) -> None:
        text = "Refunds are paid within ten days of the return."
        (embedding,) = await embedder.embed_documents([EmbeddingInput(text, ((0, len(text)),))])
        assert embedding.spans[0] @ embedding.vector > 0.95

    async def test_span_means_its_own_sentence(self, embedder: MiniLMEmbedder) -> None:
        text = "Refunds are paid within ten days. 🦊🦊 The muse\u0301um opens at nine."
        opening = text.index("🦊")
        refunds, museum = await span_vectors(embedder, text, (0, 33), (opening, len(text)))
        question = await embedder.embed_query("When does the museum open?")
        assert question @ museum > question @ refunds + 0.2

    async def test_span_beyond_the_limit_is_zeros(self, embedder: MiniLMEmbedder) -> None:
        text = "word " * 254 + "beyond the limit"
        inside, beyond = await span_vectors(embedder, text, (0, 100), (1270, len(text)))
        assert np.linalg.norm(inside) == pytest.approx(1, abs=1e-5)
        assert not beyond.any()

    async def test_span_without_a_whole_token_is_zeros(self, embedder: MiniLMEmbedder) -> None:
        assert not (await span_vectors(embedder, "refunds  paid", (1, 4), (7, 9), (3, 3))).any()

    def test_span_is_the_normalised_mean_of_the_tokens_inside(self) -> None:
        tokens = np.array([[1, 0], [3, 4], [0, 2], [5, 5]], np.float32)
        offsets = [(0, 3), (3, 5), (6, 9), (9, 12)]
        pooled = pool_spans(tokens, offsets, [(3, 9), (0, 5), (4, 8)])
        assert pooled[0] == pytest.approx([3 / 45**0.5, 6 / 45**0.5])
        assert pooled[1] == pytest.approx([1 / 2**0.5, 1 / 2**0.5])
        assert pooled[2] == pytest.approx([0, 0])


class TestThreads:
    async def test_query_overtakes_waiting_documents(self, embedder: MiniLMEmbedder) -> None:
        waiting = asyncio.create_task(embedder.embed_documents([EmbeddingInput("word " * 254)] * 100))
        await asyncio.sleep(0)
        await embedder.embed_query("first")
        assert not waiting.done()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    async def test_cancelled_documents_are_not_worked_off(self, embedder: MiniLMEmbedder) -> None:
        cancelled = asyncio.create_task(embedder.embed_documents([EmbeddingInput("word " * 254)] * 3_000))
        await asyncio.sleep(0)
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled
        (embedding,) = await embedder.embed_documents([EmbeddingInput("next")])  # not minutes later
        assert embedding.vector.any()

    @pytest.mark.skipif(sys.platform != "linux", reason="elsewhere threads have no priority of their own")
    async def test_documents_run_at_lower_priority_than_queries(self, embedder: MiniLMEmbedder) -> None:
        await embedder.embed_query("one")
        await embedder.embed_documents([EmbeddingInput("two")])
        assert niceness_of("embed-document") == max(10, niceness_of("embed-query"))


def niceness_of(prefix: str) -> int:
    thread = next(each for each in threading.enumerate() if each.name.startswith(prefix))
    assert thread.native_id is not None
    return os.getpriority(os.PRIO_PROCESS, thread.native_id)


class TestLife:
    async def test_closed_embedder_is_unavailable(self) -> None:
        embedder = MiniLMEmbedder()
        await embedder.close()
        with pytest.raises(EmbedderUnavailable):
            await embedder.embed_query("late")
        with pytest.raises(EmbedderUnavailable):
            await embedder.embed_documents([EmbeddingInput("late")])

    async def test_closing_fails_the_documents_that_wait(self) -> None:
        embedder = MiniLMEmbedder(threads=1)
        waiting = asyncio.create_task(embedder.embed_documents([EmbeddingInput("word " * 254)] * 300))
        await asyncio.sleep(0)
        await embedder.close()
        with pytest.raises(EmbedderUnavailable):
            await waiting

    def test_precision_is_not_part_of_the_fingerprint(self, embedder: MiniLMEmbedder) -> None:
        assert embedder.fingerprint == "minilm:all-MiniLM-L6-v2@53aa51172d14:384:unit:256-tokens"

    def test_missing_model_is_a_start_up_error(self, tmp_path: Path) -> None:
        with pytest.raises(ModelMissing):
            MiniLMEmbedder(files=ModelFiles(tmp_path))
