"""A scripted model with bare and Ragstone in front of it, which hold the same documents."""

import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import chain
from typing import Any

from bench.corpus import MadeUpDocument, make_documents
from bench.ingesting import ingest, ingest_bare
from bench.load import Connection, connected
from bench.server import Server, free_port, running


@dataclass(frozen=True, slots=True)
class Servers:
    """The model and both that ask it; `questions` are those that Ragstone would ask it."""

    model: Server
    bare: Server
    ragstone: Server
    questions: Sequence[str]

    async def set_pace(self, *, tokens: int, first_token_s: float, tokens_per_s: float) -> None:
        """How the model streams from now on."""
        pace = {"tokens": tokens, "first_token_s": first_token_s, "tokens_per_s": tokens_per_s}
        async with connected(self.model.port) as connection:
            await connection.call("POST", "/_pace", pace)

    async def take_log(self) -> Any:
        """What became of the model's streams since this was last asked."""
        async with connected(self.model.port) as connection:
            return await connection.call("GET", "/_log")

    def requests(self, server: Server) -> list[bytes]:
        """A whole request for each question."""
        return [_request(server.port, question) for question in self.questions]


@asynccontextmanager
async def serving(document_count: int) -> AsyncIterator[Servers]:
    """All three, with the documents ingested."""
    documents = make_documents(document_count)
    port, model_port, bare_port = free_port(), free_port(), free_port()
    async with AsyncExitStack() as stack:
        settings = {
            "RAGSTONE_DATA_DIR": stack.enter_context(tempfile.TemporaryDirectory(prefix="ragstone-bench-")),
            "RAGSTONE_PORT": str(port),
            "OPENAI_BASE_URL": f"http://127.0.0.1:{model_port}/v1",
            "OPENAI_API_KEY": "any",
            "OPENAI_MODEL": "scripted",
        }
        one_thread = {"OPENBLAS_NUM_THREADS": "1"}
        starting = (
            running("bench.scripted_model", str(model_port), port=model_port),
            running("bench.bare", str(bare_port), str(model_port), port=bare_port, environment=one_thread),
            running("ragstone.cli", "serve", port=port, environment=settings),
        )
        model, bare, ours = [await stack.enter_async_context(server) for server in starting]
        await model.wait_ready("/")
        await bare.wait_ready("/health")
        await ours.wait_ready()
        await ingest_bare(bare, documents)
        await ingest(ours, documents)
        yield Servers(model, bare, ours, await _questions(ours, documents))


async def _questions(server: Server, documents: Sequence[MadeUpDocument]) -> list[str]:
    """Those that the documents answer, as far as the evidence tells: of the others no model is asked."""
    found = []
    async with connected(server.port) as connection:
        for question in chain.from_iterable(document.questions for document in documents):
            body = {"query": question, "provider": "extractive"}
            if not (await connection.call("POST", "/query", body))["abstained"]:
                found.append(question)
    return found


def _request(port: int, question: str) -> bytes:
    return Connection(port).request("POST", "/query", {"query": question, "stream": True})
