"""The floor that `make bench` measures against: the least that finds chunks and asks a model. Not a product.

Starlette, the packaged encoder's fp32 graph with one text per run, an exact numpy scan over vectors in memory, one
call to a chat model, whose stream is passed on where one is wanted. No BM25, nothing on disk, no citations.
`python -m bench.bare PORT MODEL_PORT`.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import numpy as np
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from ragstone.core.tokenizer import ModelFiles, WordPieceTokenizer
from ragstone.embeddings.onnx_encoder import OnnxEncoder

WORDS_A_CHUNK = 125  # about 200 tokens of the made-up text
MOST_TOKENS = 254
CLS, SEP = 101, 102
TOP_K = 5
MANY = httpx2.Limits(max_connections=None)


class Bare:
    """Everything it knows is in two lists; vectors are stacked once after each upload."""

    def __init__(self, model_url: str):
        files = ModelFiles.locate()
        self._tokenizer = WordPieceTokenizer.load(files)
        self._encoder = OnnxEncoder(files.weights(), precision="fp32")
        self._texts: list[str] = []
        self._vectors: list[Any] = []
        self._matrix = np.zeros((0, 384), np.float32)
        self._model_url = model_url

    def embed(self, text: str) -> Any:
        """Shape (384,), unit length."""
        ids, _ = self._tokenizer.tokens(text)
        return self._encoder.encode([CLS, *ids[:MOST_TOKENS], SEP])

    def add(self, text: str) -> int:
        """Split, embed, keep; returns the number of chunks."""
        words = text.split()
        chunks = [
            " ".join(words[first : first + WORDS_A_CHUNK]) for first in range(0, len(words), WORDS_A_CHUNK)
        ]
        self._vectors += [self.embed(chunk) for chunk in chunks]
        self._texts += chunks
        self._matrix = np.stack(self._vectors)
        return len(chunks)

    def find(self, question: str) -> list[dict[str, Any]]:
        """The chunks with the largest cosine, best first."""
        scores = self._matrix @ self.embed(question)
        top = np.argpartition(-scores, TOP_K)[:TOP_K] if len(scores) > TOP_K else np.arange(len(scores))
        best = sorted(top.tolist(), key=lambda row: -scores[row])
        return [{"text": self._texts[row], "score": float(scores[row])} for row in best]

    async def upload(self, request: Request) -> JSONResponse:
        """`{text}` → `{chunks}`, once they can be found."""
        body = await request.json()
        return JSONResponse({"chunks": await asyncio.to_thread(self.add, body["text"])})

    async def search(self, request: Request) -> JSONResponse:
        """`{query}` → `{results}`."""
        body = await request.json()
        return JSONResponse({"results": await asyncio.to_thread(self.find, body["query"])})

    async def query(self, request: Request) -> Response:
        """`{query}` → `{answer, sources}`; with `stream` an event for each of the model's tokens."""
        body = await request.json()
        sources = await asyncio.to_thread(self.find, body["query"])
        passages = "\n\n".join(f"[{n}] {source['text']}" for n, source in enumerate(sources, start=1))
        prompt = f"Answer from these passages, citing them.\n\n{passages}\n\nQuestion: {body['query']}"
        asked = {"model": "scripted", "messages": [{"role": "user", "content": prompt}]}
        client: httpx2.AsyncClient = request.app.state.client
        if body.get("stream"):
            return StreamingResponse(self._events(client, asked), media_type="text/event-stream")
        reply = await client.post(self._model_url, json=asked)
        return JSONResponse({"answer": reply.json()["choices"][0]["message"]["content"], "sources": sources})

    async def _events(self, client: httpx2.AsyncClient, asked: dict[str, Any]) -> AsyncIterator[str]:
        async with client.stream("POST", self._model_url, json={**asked, "stream": True}) as reply:
            async for line in reply.aiter_lines():
                choices = json.loads(line[6:])["choices"] if line.startswith("data: {") else ()
                for text in (choice["delta"].get("content") for choice in choices):
                    if text:
                        yield f"event: token\ndata: {json.dumps({'text': text})}\n\n"
        yield "event: done\ndata: {}\n\n"


async def health(_: Request) -> JSONResponse:
    """It listens."""
    return JSONResponse({"status": "ready"})


def create_app(model_port: int) -> Starlette:
    """The application."""
    bare = Bare(f"http://127.0.0.1:{model_port}/v1/chat/completions")

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with httpx2.AsyncClient(limits=MANY) as app.state.client:
            yield

    routes = [
        Route("/health", health),
        Route("/documents", bare.upload, methods=["POST"]),
        Route("/search", bare.search, methods=["POST"]),
        Route("/query", bare.query, methods=["POST"]),
    ]
    return Starlette(routes=routes, lifespan=lifespan)


if __name__ == "__main__":
    uvicorn.run(create_app(int(sys.argv[2])), port=int(sys.argv[1]), log_level="warning", http="httptools")
