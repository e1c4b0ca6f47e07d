"""Whether an embedder is still the one that it was: its vectors of a few fixed texts, compared with remembered ones.

A model behind a name or a URL can be exchanged without either of them changing, and its vectors may even have the same
length. The packaged encoder needs no such test, since the hash of its weights is checked.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import numpy as np

from ragstone.core.errors import EmbedderUnavailable
from ragstone.core.models import Embedding, EmbeddingInput, Vector
from ragstone.core.ports import Embedder

PROBES = (
    "The quick brown fox jumps over the lazy dog.",
    "Refunds are paid within 14 days of the return of the goods.",
    "Die Temperatur des Wassers beträgt 21,5 °C.",
)
SAME_FROM = 0.999
"""Least cosine. Measured with the packaged encoder: with its weights rounded to 16 bits (bfloat16) it is at least
0.99997, to 8 bits at most 0.9944; two models have about 0. So another machine passes, and another model or a coarser
copy of the same one is noticed."""


class ProbedEmbedder:
    """An embedder that is asked for the probes before anything else, and gives no vector if they have changed.

    `known` are the vectors of PROBES, or None: then the first ones are handed to `remember`.
    """

    def __init__(
        self,
        inner: Embedder,
        known: Sequence[Vector] | None,
        remember: Callable[[Sequence[Vector]], Awaitable[None]],
    ):
        self._inner = inner
        self._known = known
        self._remember = remember
        self._likeness: float | None = None
        self._probing = asyncio.Lock()

    @property
    def fingerprint(self) -> str:
        """See Embedder."""
        return self._inner.fingerprint

    @property
    def dimension(self) -> int:
        """See Embedder."""
        return self._inner.dimension

    async def likeness(self) -> float:
        """The least cosine of a probe's vector to the remembered one, asked for once. Raises what the embedder
        raises."""
        async with self._probing:
            if self._likeness is None:
                self._likeness = await self._probe()
            return self._likeness

    def legibility(self, text: str) -> float:
        """See Embedder."""
        return self._inner.legibility(text)

    def count_tokens(self, text: str) -> tuple[int, bool]:
        """See Embedder."""
        return self._inner.count_tokens(text)

    async def embed_query(self, text: str) -> Vector:
        """See Embedder. Raises EmbedderUnavailable where it is not the one that it was."""
        await self._require_same()
        return await self._inner.embed_query(text)

    async def embed_documents(self, inputs: Sequence[EmbeddingInput]) -> list[Embedding]:
        """See Embedder. Raises EmbedderUnavailable where it is not the one that it was."""
        await self._require_same()
        return await self._inner.embed_documents(inputs)

    async def close(self) -> None:
        """See Embedder."""
        await self._inner.close()

    async def _require_same(self) -> None:
        likeness = self._likeness if self._likeness is not None else await self.likeness()
        if likeness < SAME_FROM:
            raise EmbedderUnavailable(
                f"the embedder answers to '{self.fingerprint}' with other vectors than before (cosine {likeness:.3f});"
                " restart the server, which then says what to do"
            )

    async def _probe(self) -> float:
        found = [
            each.vector for each in await self._inner.embed_documents([EmbeddingInput(p) for p in PROBES])
        ]
        if self._known is None:
            await self._remember(found)
            return 1.0
        return min(float(np.dot(one, other)) for one, other in zip(found, self._known, strict=True))
