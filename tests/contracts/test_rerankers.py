"""Every Reranker keeps the contract."""

from collections.abc import AsyncIterator

import pytest

from ragstone.adapters import RERANKERS
from ragstone.core.ports import Reranker
from ragstone.core.registry import load_object
from ragstone.testing.reranker_contract import RerankerContract
from ragstone.testing.rerankers import OverlapReranker
from ragstone.testing.upstream import ScriptedUpstream


class TestOverlapReranker(RerankerContract):
    @pytest.fixture
    def reranker(self) -> Reranker:
        return OverlapReranker()

    @pytest.fixture
    def disposable_reranker(self) -> Reranker:
        return OverlapReranker()


@pytest.mark.parametrize("provider", RERANKERS)
class TestConfiguredRerankers(RerankerContract):
    @pytest.fixture
    async def reranker(self, provider: str) -> AsyncIterator[Reranker]:
        async with ScriptedUpstream() as upstream:
            build = load_object(RERANKERS[provider])
            reranker: Reranker = build(url=upstream.root_url, api_key=None, model="scripted", timeout_s=5)
            yield reranker
            await reranker.close()

    @pytest.fixture
    def disposable_reranker(self, reranker: Reranker) -> Reranker:
        return reranker
