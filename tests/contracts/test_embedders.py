"""Every Embedder keeps the contract."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from ragstone.core.ports import Embedder
from ragstone.embeddings.minilm import MiniLMEmbedder
from ragstone.embeddings.onnx_graph import Precision
from ragstone.embeddings.openai import OpenAIEmbedder
from ragstone.testing.embedder_contract import EmbedderContract
from ragstone.testing.embedders import HashingEmbedder
from ragstone.testing.upstream import ScriptedUpstream


class TestHashingEmbedder(EmbedderContract):
    @pytest.fixture
    def embedder(self) -> Embedder:
        return HashingEmbedder()

    @pytest.fixture
    def disposable_embedder(self) -> Embedder:
        return HashingEmbedder(dimension=8)


class MiniLMContract(EmbedderContract):
    precision: Precision

    @pytest.fixture(scope="class")
    @classmethod
    def embedder(cls) -> Iterator[Embedder]:
        embedder = MiniLMEmbedder(precision=cls.precision)
        yield embedder
        asyncio.run(embedder.close())

    @pytest.fixture
    async def disposable_embedder(self) -> AsyncIterator[Embedder]:
        embedder = MiniLMEmbedder(precision=self.precision)
        yield embedder
        await embedder.close()


class TestMiniLMEmbedderInt8(MiniLMContract):
    precision = "int8"


class TestMiniLMEmbedderFloat32(MiniLMContract):
    precision = "fp32"


class TestOpenAIEmbedder(EmbedderContract):
    @pytest.fixture
    async def embedder(self) -> AsyncIterator[Embedder]:
        async with ScriptedUpstream(dimension=384) as upstream:
            embedder = OpenAIEmbedder(
                api_key=None, base_url=upstream.base_url, model="scripted", dimension=384, timeout_s=5
            )
            yield embedder
            await embedder.close()

    @pytest.fixture
    def disposable_embedder(self, embedder: Embedder) -> Embedder:
        return embedder
