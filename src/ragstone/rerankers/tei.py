"""A reranker behind Hugging Face's Text Embeddings Inference (TEI), or a server that speaks its `/rerank`."""

from collections.abc import Sequence

from ragstone.rerankers.endpoint import RerankEndpoint, as_sent, read_scores


class TeiReranker:
    """A Reranker over TEI's `/rerank`. Scores are between 0 and 1. The server has one model, so `model` is only a name
    for traces."""

    def __init__(
        self, *, url: str, api_key: str | None = None, model: str | None = None, timeout_s: float
    ) -> None:
        """Blocks for a moment: call it off the event loop. Raises InvalidSetting."""
        self.name = model or "tei"
        self._endpoint = RerankEndpoint(url, usual_path="/rerank", api_key=api_key, timeout_s=timeout_s)

    async def rerank(self, query: str, texts: Sequence[str]) -> list[float]:
        """See Reranker. What is too long for the model is cut there."""
        if not texts:
            return []
        body = {
            "query": as_sent(query),
            "texts": [as_sent(text) for text in texts],
            "raw_scores": False,
            "truncate": True,
        }
        return read_scores(await self._endpoint.ask(body), member="score", count=len(texts))

    async def close(self) -> None:
        """See Reranker."""
        await self._endpoint.close()
