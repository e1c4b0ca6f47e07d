"""What requests and jobs depend on, each with the retries that the settings allow it and a breaker of its own."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self

from ragstone.config.settings import Settings
from ragstone.core.ports import LLM, Reranker
from ragstone.core.retry import Dependency, RetryPolicy
from ragstone.pipelines.asking import Answerer
from ragstone.pipelines.reranking import Reranking


@dataclass(frozen=True, slots=True)
class Dependencies:
    """The embedder, the vector store, those who answer, and the reranker where there is one."""

    embedding: Dependency
    serving: Dependency
    """The embedder of the collection that serves: the same one, unless another is built beside."""
    searching: Dependency
    answerers: Mapping[str, Answerer]
    reranking: Reranking | None

    @classmethod
    def of(
        cls, settings: Settings, llms: Mapping[str, LLM], reranker: Reranker | None, *, is_reindexing: bool
    ) -> Self:
        """From the settings. `is_reindexing`: the collection that serves has an embedder of its own."""
        vendors = _retry_policy(settings, settings.openai_max_retries, settings.llm_timeout.total_seconds())
        embedding = _embedding_dependency(settings, vendors)
        answerers = {
            name: Answerer(llm, Dependency("llm", vendors, provider=name), settings.llm_context_tokens)
            for name, llm in llms.items()
        }
        return cls(
            embedding,
            _former_dependency(vendors) if is_reindexing else embedding,
            _search_dependency(settings),
            answerers,
            None if reranker is None else _reranking(settings, reranker, vendors),
        )

    def all(self) -> tuple[Dependency, ...]:
        """For the metrics."""
        writing = (each.dependency for each in self.answerers.values() if each.llm.is_generative)
        ranking = () if self.reranking is None else (self.reranking.dependency,)
        return (self.embedding, self.searching, *ranking, *writing)


def _former_dependency(vendors: RetryPolicy) -> Dependency:
    """The embedder of the collection that is being replaced: where it fails, words must do, at once."""
    return Dependency("embedding", replace(vendors, attempts=1, attempt_timeout_s=None), is_local=True)


def _embedding_dependency(settings: Settings, vendors: RetryPolicy) -> Dependency:
    """The packaged encoder is as slow as this machine is busy: only the request's own time limits it."""
    if settings.embedding_provider == "minilm":
        return Dependency("embedding", replace(vendors, attempt_timeout_s=None), "minilm", is_local=True)
    return Dependency("embedding", vendors, settings.embedding_provider)


def _search_dependency(settings: Settings) -> Dependency:
    """The engine inside restarts by itself; a server may be down for long."""
    if settings.qdrant_url is None:
        local = _retry_policy(settings, settings.qdrant_max_retries, None)
        return Dependency("search", local, provider="embedded", is_local=True)
    timeout_s = settings.qdrant_timeout.total_seconds()
    return Dependency(
        "search", _retry_policy(settings, settings.qdrant_max_retries, timeout_s), provider="qdrant"
    )


def _reranking(settings: Settings, reranker: Reranker, vendors: RetryPolicy) -> Reranking:
    policy = replace(vendors, attempt_timeout_s=settings.rerank_timeout.total_seconds())
    dependency = Dependency("rerank", policy, settings.rerank_provider)
    return Reranking(reranker, dependency, settings.rerank_top_n)


def _retry_policy(settings: Settings, attempts: int, attempt_timeout_s: float | None) -> RetryPolicy:
    return RetryPolicy(
        attempts=attempts,
        min_wait_s=settings.retry_min_wait.total_seconds(),
        max_wait_s=settings.retry_max_wait.total_seconds(),
        attempt_timeout_s=attempt_timeout_s,
    )
