"""The adapter to aisuite: what it makes of the vendors' errors, and that leaving ends what can be ended."""

import asyncio
import logging
import sys
import traceback
from collections.abc import AsyncIterator
from importlib.util import find_spec
from typing import Any

import pytest

from ragstone.core.errors import (
    ExternalServiceError,
    InvalidSetting,
    UpstreamGarbled,
    UpstreamInterrupted,
    UpstreamRateLimited,
    UpstreamRefused,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from ragstone.core.models import Ending, Message, Prompt, Usage
from ragstone.llms.aisuite import AisuiteLLM
from ragstone.testing.refusal import refusal
from ragstone.testing.upstream import Fault, ScriptedUpstream

CANARY = "canary-51e0"
HELLO = Prompt("Hello?", messages=[Message("user", "Hello?")])

needs_aisuite = pytest.mark.skipif(
    find_spec("aisuite") is None, reason="aisuite is not installed: it is an extra"
)


async def collect(llm: AisuiteLLM, prompt: Prompt = HELLO) -> list[str | Ending]:
    return [piece async for piece in llm.generate(prompt)]


@pytest.fixture
async def upstream(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ScriptedUpstream]:
    async with ScriptedUpstream(say="One two three four five.") as running:
        monkeypatch.setenv("OPENAI_BASE_URL", running.base_url)
        monkeypatch.setenv("OPENAI_API_KEY", f"{CANARY}-key")
        yield running


@pytest.fixture
async def llm(upstream: ScriptedUpstream) -> AsyncIterator[AisuiteLLM]:
    made = await asyncio.to_thread(AisuiteLLM, models=["openai:small"], timeout_s=2)
    yield made
    await made.close()


@pytest.fixture
async def whole(llm: AisuiteLLM) -> AisuiteLLM:
    """The same server behind a vendor that aisuite does not stream."""
    provider: Any = llm._client.providers["openai"]
    kind: Any = type(provider)
    inherited = {"achat_completions_create_stream": kind.__base__.achat_completions_create_stream}
    provider.__class__ = type("OnePieceProvider", (kind,), inherited)
    return llm


def test_without_aisuite_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "aisuite", None)
    monkeypatch.setitem(sys.modules, "aisuite.client", None)

    with pytest.raises(InvalidSetting, match=r'pip install "ragstone\[aisuite\]"'):
        AisuiteLLM(models=["openai:small"], timeout_s=1)


@pytest.mark.parametrize("models", [[], ["small"], ["openai:"], [":small"]])
def test_models_name_their_vendor(models: list[str]) -> None:
    with pytest.raises(InvalidSetting, match="vendor:model"):
        AisuiteLLM(models=models, timeout_s=1)


@needs_aisuite
class TestSettings:
    def test_an_unknown_vendor_is_told_with_the_known_ones(self) -> None:
        with pytest.raises(InvalidSetting, match=r"'opnai'; known: .*openai"):
            AisuiteLLM(models=["opnai:small"], timeout_s=1)

    def test_a_missing_library_is_told(self) -> None:
        with pytest.raises(InvalidSetting, match="'cohere' needs its own library"):
            AisuiteLLM(models=["cohere:small"], timeout_s=1)

    def test_a_missing_key_is_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("OPENAI_API_KEY", raising=False)

        with pytest.raises(InvalidSetting, match="'openai' cannot be set up"):
            AisuiteLLM(models=["openai:small"], timeout_s=1)


@needs_aisuite
class TestStreaming:
    async def test_pieces_come_one_by_one_and_tokens_are_counted(self, llm: AisuiteLLM) -> None:
        *pieces, ending = await collect(llm)

        assert pieces == ["One ", "two ", "thre", "e fo", "ur f", "ive."]
        assert ending == Ending("stop", Usage(2, 6))

    @pytest.mark.parametrize(
        ("code", "kind"),
        [(401, UpstreamRefused), (429, UpstreamRateLimited), (503, UpstreamUnavailable)],
    )
    async def test_a_status_is_found_behind_its_error_and_nothing_is_repeated(
        self,
        upstream: ScriptedUpstream,
        llm: AisuiteLLM,
        caplog: pytest.LogCaptureFixture,
        code: int,
        kind: type[ExternalServiceError],
    ) -> None:
        caplog.set_level(logging.DEBUG)
        upstream.script(Fault("status", code=code, text=CANARY, retry_after=7))

        error = await refusal(collect(llm), kind)

        assert CANARY not in "".join(traceback.format_exception(error)) + caplog.text
        assert error.retry_after_s == (None if kind is UpstreamRefused else 7)
        assert upstream.count() == 1

    @pytest.mark.parametrize(
        ("fault", "kind"),
        [
            (Fault("drop_mid"), UpstreamInterrupted),
            (Fault("cut_mid"), UpstreamInterrupted),
            (Fault("cut_mid", after=0), UpstreamGarbled),
            (Fault("malformed", after=0), UpstreamGarbled),
            (Fault("html200"), UpstreamGarbled),
            (Fault("error_event", after=0), UpstreamUnavailable),
        ],
    )
    async def test_what_breaks_is_told(
        self,
        upstream: ScriptedUpstream,
        llm: AisuiteLLM,
        fault: Fault,
        kind: type[ExternalServiceError],
    ) -> None:
        upstream.script(fault)

        assert type(await refusal(collect(llm), ExternalServiceError)) is kind

    @pytest.mark.parametrize("taken", [1, 3])
    async def test_closing_closes_the_connection(
        self, upstream: ScriptedUpstream, llm: AisuiteLLM, taken: int
    ) -> None:
        upstream.script(Fault("hang_mid", after=4))
        pieces = llm.generate(HELLO)
        for _ in range(taken):
            await anext(pieces)

        await pieces.aclose()

        await upstream.wait_until_idle(1.0)
        assert upstream.disconnects == 1

    @pytest.mark.parametrize("fault", [Fault("hang_headers"), Fault("hang_mid", after=0)])
    async def test_cancelling_the_wait_closes_the_connection(
        self, upstream: ScriptedUpstream, llm: AisuiteLLM, fault: Fault
    ) -> None:
        upstream.script(fault)
        waiting = asyncio.ensure_future(collect(llm))
        while not upstream.open_requests:  # noqa: ASYNC110 - a server tells nobody that a request has come
            await asyncio.sleep(0.005)

        waiting.cancel()

        with pytest.raises(asyncio.CancelledError):
            await waiting
        await upstream.wait_until_idle(1.0)

    async def test_silence_is_a_time_out(self, upstream: ScriptedUpstream, llm: AisuiteLLM) -> None:
        llm._timeout_s = 0.2
        upstream.script(Fault("hang_headers"))

        await refusal(collect(llm), UpstreamTimeout)

    async def test_a_vendor_that_was_not_set_up_is_not_asked(self, llm: AisuiteLLM) -> None:
        await refusal(collect(llm, Prompt("?", model="groq:large")), UpstreamUnavailable)

    async def test_closed_it_asks_nothing(self, upstream: ScriptedUpstream, llm: AisuiteLLM) -> None:
        await llm.close()

        await refusal(collect(llm), UpstreamUnavailable)
        assert upstream.count() == 0


@needs_aisuite
class TestOnePiece:
    async def test_the_answer_comes_whole(self, whole: AisuiteLLM) -> None:
        assert await collect(whole) == ["One two three four five.", Ending("stop", Usage(2, 6))]

    async def test_a_status_is_told(self, upstream: ScriptedUpstream, whole: AisuiteLLM) -> None:
        upstream.script(Fault("status", code=404, text=CANARY))

        error = await refusal(collect(whole), UpstreamRefused)

        assert CANARY not in "".join(traceback.format_exception(error))
        assert upstream.count() == 1

    @pytest.mark.parametrize(
        ("fault", "kind"),
        [
            (Fault("empty_choices"), UpstreamGarbled),
            (Fault("html200"), UpstreamGarbled),
            (Fault("malformed"), UpstreamGarbled),
            (Fault("drop_mid"), UpstreamUnavailable),
        ],
    )
    async def test_what_breaks_is_told(
        self,
        upstream: ScriptedUpstream,
        whole: AisuiteLLM,
        fault: Fault,
        kind: type[ExternalServiceError],
    ) -> None:
        upstream.script(fault)

        assert type(await refusal(collect(whole), ExternalServiceError)) is kind

    async def test_whoever_leaves_does_not_wait_for_the_thread(
        self, upstream: ScriptedUpstream, whole: AisuiteLLM
    ) -> None:
        upstream.script(Fault("slow", text="4"))
        waiting = asyncio.ensure_future(collect(whole))
        while not upstream.open_requests:  # noqa: ASYNC110 - a server tells nobody that a request has come
            await asyncio.sleep(0.005)

        waiting.cancel()

        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(asyncio.shield(waiting), timeout=0.5)
        assert upstream.open_requests == 1
