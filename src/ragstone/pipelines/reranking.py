"""Re-ranking: the best hits of a search in the order of a model that reads the question and a passage together.

It is always the first N of the whole ranking that are put in order, whichever page of it is asked for, so that pages
remain the parts of one list (docs/decisions/0023).
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ragstone.core.deadline import Deadline
from ragstone.core.errors import DeadlineExceeded, RagstoneError, UpstreamGarbled, UpstreamTimeout
from ragstone.core.models import Source
from ragstone.core.ports import Reranker
from ragstone.core.retry import Dependency, is_outage
from ragstone.core.timing import Stopwatch
from ragstone.pipelines.prompting import passage, plain
from ragstone.pipelines.searching import Search

log = logging.getLogger(__name__)

# Question and passage share the model's window, of 512 tokens for most. A chunk has at most 254 of them, about 900
# characters; what is longer is no prose.
MAX_CHARACTERS = 2_000
MAX_QUESTION_CHARACTERS = 1_000
SHARE = 0.5  # of the time that is left: the rest is for the answer


@dataclass(frozen=True, slots=True)
class Reranking:
    """A configured reranker, the limits of calling it, and how many of the best hits it is sent."""

    reranker: Reranker
    dependency: Dependency
    top_n: int

    def concerns(self, search: Search) -> bool:
        """Whether the page that is asked for may look different. One leg alone is told as it is."""
        return search.mode == "hybrid" and search.is_ranked and search.offset < self.top_n

    def widened(self, search: Search) -> Search:
        """The search for all that the page can be made of."""
        return replace(search, offset=0, top_k=max(search.offset + search.top_k, self.top_n))


async def rerank_page(
    reranking: Reranking, search: Search, hits: Sequence[Source], *, deadline: Deadline, stopwatch: Stopwatch
) -> tuple[list[Source], bool]:
    """The page that `search` asks for, of the `hits` of the widened one, and whether the reranker could take part.
    Raises UpstreamRefused, DeadlineExceeded; where the search is strict, other ExternalServiceError kinds."""
    best, rest = hits[: reranking.top_n], hits[reranking.top_n :]
    scores = await _scores(reranking, search, best, deadline, stopwatch) if best else []
    ranked = list(best) if scores is None else _in_order(best, scores)
    page = [*ranked, *rest][search.offset : search.offset + search.top_k]
    return [replace(hit, n=n) for n, hit in enumerate(page, start=1)], scores is not None


async def _scores(
    reranking: Reranking, search: Search, best: Sequence[Source], deadline: Deadline, stopwatch: Stopwatch
) -> list[float] | None:
    """None where the reranker is down, late, or its answer of no use, and the search can do without. A refusal means
    wrong configuration, which is loud."""
    dependency, reranker = reranking.dependency, reranking.reranker
    question = plain(search.question)[:MAX_QUESTION_CHARACTERS]
    texts = [passage(source)[:MAX_CHARACTERS] for source in best]
    stopwatch.tell("rerank", provider=dependency.provider, model=reranker.name, passages=len(texts))
    try:
        with stopwatch.stage("rerank"):
            return await dependency.call(
                lambda: reranker.rerank(question, texts), deadline=_share_of(deadline), stopwatch=stopwatch
            )
    except RagstoneError as failure:
        error = _seen_from_the_request(failure, deadline)
        if search.strict or not (is_outage(error) or isinstance(error, UpstreamGarbled)):
            raise error from None
        log.warning("ranking without the reranker", extra={"code": error.code})
        return None


def _share_of(deadline: Deadline) -> Deadline:
    return Deadline.after(SHARE * deadline.remaining_s)


def _seen_from_the_request(error: RagstoneError, deadline: Deadline) -> RagstoneError:
    """The end of the reranker's share is a time-out of its own; that of the request is the deadline, whatever failed."""
    if deadline.is_over:
        return deadline.exceeded()
    if isinstance(error, DeadlineExceeded):
        return UpstreamTimeout("rerank: no answer within half of the request's time")
    return error


def _in_order(best: Sequence[Source], scores: Sequence[float]) -> list[Source]:
    """Best first; sorting is stable, so that equal ones stay as they were."""
    ranked = sorted(zip(best, scores, strict=True), key=lambda pair: -pair[1])
    return [replace(source, scores={**source.scores, "rerank": round(score, 6)}) for source, score in ranked]
