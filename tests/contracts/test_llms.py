"""Every answerer keeps the contract."""

import pytest

from ragstone.core.models import Turn
from ragstone.llms.extractive import ExtractiveLLM
from ragstone.testing.llm_contract import QUESTION, LLMContract, numbered_sources
from ragstone.testing.llms import FakeLLM


class TestExtractive(LLMContract):
    @pytest.fixture
    def llm(self) -> ExtractiveLLM:
        return ExtractiveLLM()

    async def test_without_sources_it_says_nothing(self, llm: ExtractiveLLM) -> None:
        assert [piece async for piece in llm.generate(QUESTION, [], ())] == []


class TestFake(LLMContract):
    @pytest.fixture
    def llm(self) -> FakeLLM:
        return FakeLLM("Within fourteen ", "days. [1]")

    async def test_it_remembers_what_it_was_asked(self, llm: FakeLLM) -> None:
        history = (Turn("user", "Hello"),)

        _ = [piece async for piece in llm.generate(QUESTION, numbered_sources(), history)]

        assert llm.asked[0][0] == QUESTION
        assert llm.asked[0][2] == history
        assert not llm.was_stopped

    async def test_it_knows_that_it_was_stopped(self, llm: FakeLLM) -> None:
        pieces = llm.generate(QUESTION, numbered_sources(), ())
        await anext(pieces)

        await pieces.aclose()

        assert llm.was_stopped
