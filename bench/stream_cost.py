"""What one token costs on its way from the model's text to the socket, layer by layer, inside of this process."""

import asyncio
import math
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from itertools import cycle, islice, pairwise

from fastapi import Request
from starlette.types import Message

from bench.figures import Figure
from bench.scripted_model import SAYS
from ragstone.api.sse import NumberedFrames, stream_answer
from ragstone.core.deadline import Deadline
from ragstone.core.models import AnswerEvent, Ending, Location, Scope, Source, Usage
from ragstone.core.timing import Stopwatch
from ragstone.embeddings.bm25 import Bm25Encoder
from ragstone.pipelines.answering import BegunAnswer
from ragstone.pipelines.asking import Patience
from ragstone.pipelines.generation import AnswerChecker
from ragstone.pipelines.support import ClaimJudge
from ragstone.testing.embedders import HashingEmbedder
from ragstone.testing.upstream.answers import TOKEN_CHARACTERS, tokens_of
from ragstone.testing.vector_stores import InMemoryVectorStore

TOKENS, REPEATS = 2_000, 20
PIECES = tokens_of("".join(islice(cycle(SAYS), TOKENS * TOKEN_CHARACTERS)))


async def measure_cost() -> list[Figure]:
    """µs of each layer; sources without sentences, so that no citation is weighed."""
    runs = {
        "": _only_generate,
        "AnswerChecker, marks and citations": _check,
        "stages, idle limit and deadline around it": _answer,
        "NumberedFrames": _encode,
        "the reply: sse-starlette, and a scope that ends with the server": _send,
    }
    costs = await _best_us([*runs.values()])
    layers = [
        Figure(f"{name}, µs a token", whole - inner)
        for name, (inner, whole) in zip([*runs][1:], pairwise(costs), strict=True)
    ]
    return [*layers, Figure("all of these, µs a token", costs[-1] - costs[0])]


async def _best_us(runs: Sequence[Callable[[], Awaitable[None]]]) -> list[float]:
    """The least of a few rounds: whatever else the machine does only adds."""
    best = [math.inf] * len(runs)
    for _ in range(REPEATS):
        for row, run in enumerate(runs):
            started = time.process_time()
            await run()
            best[row] = min(best[row], (time.process_time() - started) / TOKENS * 1e6)
    return best


async def _only_generate() -> None:
    async for _ in _pieces():
        pass


async def _check() -> None:
    checker = _checker()
    async for piece in _pieces():
        if isinstance(piece, str):
            await checker.feed(piece)
    checker.finish()


async def _answer() -> None:
    async for _ in await _events():
        pass


async def _encode() -> None:
    encode = NumberedFrames()
    async for event in await _events():
        encode(event)


async def _send() -> None:
    """As a server would, to a client that takes everything at once."""
    state = {"request_id": "request"}
    scope = {"type": "http", "method": "POST", "path": "/query", "headers": [], "state": state}
    response = await stream_answer(Request(scope, _never), await _events())
    await response(scope, _never, _take)


async def _never() -> Message:
    nothing: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
    return await nothing


async def _take(_: Message) -> None:
    pass


async def _pieces() -> AsyncGenerator[str | Ending, None]:
    for piece in PIECES:
        yield piece
    yield Ending("stop")


async def _events() -> AsyncGenerator[AnswerEvent, None]:
    pieces = _pieces()
    patience = Patience(Deadline.after(60.0), whole_s=600.0)
    answer = BegunAnswer("scripted", patience, Stopwatch(), usage=Usage(), reason=None)
    answer.first, answer.pieces = await anext(pieces), pieces
    return answer.events(_checker(), "request")


def _checker() -> AnswerChecker:
    judge = ClaimJudge(HashingEmbedder(), Bm25Encoder(), InMemoryVectorStore(dimension=64), Scope())
    sources = [
        Source(number, "document", 1, str(number), "", (), Location(), 0, 5, "Rust.", 1.0, {}, {})
        for number in (1, 2)
    ]
    return AnswerChecker(sources, judge)
