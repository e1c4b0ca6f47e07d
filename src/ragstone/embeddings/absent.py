"""An embedder that cannot be had any more: its vectors are still there, and questions are answered by their words."""

from collections.abc import Sequence

from ragstone.core.errors import EmbedderUnavailable
from ragstone.core.models import Embedding, EmbeddingInput, Vector


class AbsentEmbedder:
    """Implements `Embedder` for `fingerprint`; it is never available."""

    def __init__(self, fingerprint: str, *, dimension: int):
        self._fingerprint = fingerprint
        self._dimension = dimension

    @property
    def fingerprint(self) -> str:
        """See Embedder."""
        return self._fingerprint

    @property
    def dimension(self) -> int:
        """See Embedder."""
        return self._dimension

    def legibility(self, text: str) -> float:
        """Nothing is read."""
        return 0.0

    def count_tokens(self, text: str) -> tuple[int, bool]:
        """Nothing is read."""
        return 0, False

    async def embed_query(self, text: str) -> Vector:
        """Raises EmbedderUnavailable."""
        raise self._absence()

    async def embed_documents(self, inputs: Sequence[EmbeddingInput]) -> list[Embedding]:
        """Raises EmbedderUnavailable."""
        raise self._absence()

    async def close(self) -> None:
        """Nothing to free."""

    def _absence(self) -> EmbedderUnavailable:
        return EmbedderUnavailable(
            f"the embedder '{self._fingerprint}' is not configured any more; documents are being indexed anew"
        )
