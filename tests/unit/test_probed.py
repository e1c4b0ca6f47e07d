"""What probe vectors tell apart."""

import numpy as np
import pytest

from ragstone.core.errors import EmbedderUnavailable
from ragstone.core.models import Vector
from ragstone.embeddings.minilm import MiniLMEmbedder
from ragstone.embeddings.probed import PROBES, SAME_FROM, ProbedEmbedder
from ragstone.services.embedding_space import pack_probes, unpack_probes
from ragstone.testing.embedders import HashingEmbedder


async def nowhere(probes: object) -> None:
    """Remembers nothing."""


async def probes_of(embedder: HashingEmbedder | MiniLMEmbedder) -> list[Vector]:
    """As the embedder answers now."""
    return [await embedder.embed_query(text) for text in PROBES]


async def test_the_first_vectors_are_handed_over_and_the_same_ones_pass() -> None:
    remembered: list[Vector] = []

    async def remember(probes: object) -> None:
        remembered.extend(probes)  # type: ignore[arg-type]

    first = ProbedEmbedder(HashingEmbedder(), None, remember)
    await first.embed_query("a question")
    again = ProbedEmbedder(HashingEmbedder(), unpack_probes(pack_probes(remembered)), nowhere)

    assert len(remembered) == len(PROBES)
    assert await again.likeness() == pytest.approx(1.0)
    np.testing.assert_array_equal(
        await again.embed_query("a question"), await HashingEmbedder().embed_query("a question")
    )


async def test_another_model_gives_no_vector() -> None:
    turned = [np.roll(probe, 1) for probe in await probes_of(HashingEmbedder())]
    probed = ProbedEmbedder(HashingEmbedder(), turned, nowhere)

    with pytest.raises(EmbedderUnavailable, match="other vectors than before"):
        await probed.embed_query("a question")
    with pytest.raises(EmbedderUnavailable, match="other vectors than before"):
        await probed.embed_documents([])


async def test_a_coarser_copy_of_the_same_model_is_told_apart() -> None:
    exact, coarse = MiniLMEmbedder(precision="fp32"), MiniLMEmbedder(precision="int8")
    try:
        probed = ProbedEmbedder(coarse, await probes_of(exact), nowhere)
        assert 0.98 < await probed.likeness() < SAME_FROM
    finally:
        await exact.close()
        await coarse.close()
