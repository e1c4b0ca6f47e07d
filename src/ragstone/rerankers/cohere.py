"""A reranker that speaks Cohere's `/rerank`, as Jina, vLLM, Infinity and llama.cpp do."""

from collections.abc import Sequence

from ragstone.core.errors import InvalidSetting, UpstreamGarbled
from ragstone.rerankers.endpoint import SERVICE, RerankEndpoint, as_sent, read_scores


class CohereReranker:
    """A Reranker over Cohere's protocol. What scores mean is up to the model."""

    def __init__(self, *, url: str, api_key: str | None = None, model: str | None, timeout_s: float) -> None:
        """Blocks for a moment: call it off the event loop. Raises InvalidSetting."""
        if not model:
            raise InvalidSetting("a reranker of Cohere's protocol needs the name of a model")
        self.name = model
        self._endpoint = RerankEndpoint(url, usual_path="/v2/rerank", api_key=api_key, timeout_s=timeout_s)

    async def rerank(self, query: str, texts: Sequence[str]) -> list[float]:
        """See Reranker."""
        if not texts:
            return []
        body = {
            "model": self.name,
            "query": as_sent(query),
            "documents": [as_sent(text) for text in texts],
            "top_n": len(texts),  # all: some servers have a default of their own
        }
        answer = await self._endpoint.ask(body)
        if not isinstance(answer, dict):
            raise UpstreamGarbled(
                f"{SERVICE} returned no object with results; check its URL and its provider"
            )
        return read_scores(answer.get("results"), member="relevance_score", count=len(texts))

    async def close(self) -> None:
        """See Reranker."""
        await self._endpoint.close()
