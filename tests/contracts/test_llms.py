"""Every answerer keeps the contract."""

import asyncio
from collections.abc import AsyncIterator
from importlib.util import find_spec

import pytest

from ragstone.core.models import Ending, Prompt
from ragstone.llms.aisuite import AisuiteLLM
from ragstone.llms.extractive import ExtractiveLLM
from ragstone.llms.openai import OpenAILLM
from ragstone.testing.llm_contract import QUESTION, LLMContract, ask, prompt_about
from ragstone.testing.llms import FakeLLM
from ragstone.testing.upstream import ScriptedUpstream


class TestExtractive(LLMContract):
    @pytest.fixture
    def llm(self) -> ExtractiveLLM:
        return ExtractiveLLM()

    async def test_without_sources_it_says_nothing(self, llm: ExtractiveLLM) -> None:
        assert await ask(llm, Prompt(QUESTION)) == ("", Ending("stop"))


class TestFake(LLMContract):
    @pytest.fixture
    def llm(self) -> FakeLLM:
        return FakeLLM("Within fourteen ", "days. [1]")

    async def test_it_remembers_what_it_was_asked(self, llm: FakeLLM) -> None:
        prompt = prompt_about()

        await ask(llm, prompt)

        assert llm.asked == [prompt]
        assert not llm.was_stopped

    async def test_it_knows_that_it_was_stopped(self, llm: FakeLLM) -> None:
        pieces = llm.generate(prompt_about())
        await anext(pieces)

        await pieces.aclose()

        assert llm.was_stopped

    async def test_it_fails_where_it_is_told_to(self) -> None:
        pieces = FakeLLM("Within ", RuntimeError("told to")).generate(prompt_about())

        assert await anext(pieces) == "Within "
        with pytest.raises(RuntimeError, match="told to"):
            await anext(pieces)


class TestOpenAI(LLMContract):
    @pytest.fixture
    async def llm(self) -> AsyncIterator[OpenAILLM]:
        async with ScriptedUpstream() as upstream:
            llm = OpenAILLM(api_key=None, base_url=upstream.base_url, models=["scripted"], timeout_s=5)
            yield llm
            await llm.close()

    async def test_it_quotes_the_sources_in_its_messages(self, llm: OpenAILLM) -> None:
        answer, _ = await ask(llm, prompt_about())

        assert answer.startswith("Refunds are paid within fourteen days. [1]")


@pytest.mark.skipif(find_spec("aisuite") is None, reason="aisuite is not installed: it is an extra")
class TestAisuite(LLMContract):
    @pytest.fixture
    async def llm(self, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[AisuiteLLM]:
        async with ScriptedUpstream() as upstream:
            monkeypatch.setenv("OPENAI_BASE_URL", upstream.base_url)
            monkeypatch.setenv("OPENAI_API_KEY", "scripted")
            llm = await asyncio.to_thread(AisuiteLLM, models=["openai:scripted"], timeout_s=5)
            yield llm
            await llm.close()
