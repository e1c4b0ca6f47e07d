"""Answers of a model, as they stream, break off, fail, or are not all supported."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from ragstone.testing.upstream import Fault, ScriptedUpstream
from tests.live import Live
from tests.page.visits import Visit, Visiting, visits

if TYPE_CHECKING:
    from playwright.async_api import Browser

pytestmark = pytest.mark.asyncio(loop_scope="session")

CLAIM = "Refunds are paid within fourteen days of the return."
POLICY = f"# Refunds\n\n{CLAIM}\n"
QUESTION = "Are refunds paid within fourteen days of the return?"
ELSEWHERE = "Which metal melts at the lowest temperature?"
LEAVING_S = 1.0
"""What is done for a client ends within this time once it has left."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def opened(modelled: Live, browser: "Browser") -> AsyncIterator[Visit]:
    """On a collection with one document."""
    await modelled.api.ready(POLICY.encode(), "policy.md", title="Policy *2026*")
    async with visits(browser) as visit:
        yield await visit(modelled)


@pytest.fixture
def model(upstream: ScriptedUpstream) -> ScriptedUpstream:
    """The model, without faults, which cites its sources."""
    upstream.clear()
    upstream.say = None
    upstream.requests.clear()
    return upstream


@pytest_asyncio.fixture(loop_scope="session")
async def page(opened: Visit, model: ScriptedUpstream) -> Visit:
    """The page before a new conversation."""
    await opened.page.keyboard.press("Escape")
    if await opened.find("#new-conversation").is_visible():
        await opened.find("#new-conversation").click()
    return opened


class TestStreaming:
    async def test_an_answer_is_shown_while_it_is_written(self, page: Visit, model: ScriptedUpstream) -> None:
        model.script(Fault("slow", text="40"))

        await page.begin(QUESTION)
        await page.until("document.querySelector('.answer-text')?.textContent.startsWith('Refunds')")
        begun = await page.text(".answer-text")
        assert await page.find(".answer-text").get_attribute("aria-busy") == "true"
        await page.find(".turn[data-state=complete]").wait_for()

        assert len(begun) < len(await page.text(".answer-text"))
        assert await page.text(".answer-text") == f"{CLAIM} 1"
        assert await page.find(".answer-text").get_attribute("aria-busy") == "false"

    async def test_stop_keeps_what_was_said_and_ends_the_models_work(
        self, page: Visit, model: ScriptedUpstream
    ) -> None:
        model.script(Fault("hang_mid"))
        await page.begin(QUESTION)
        await page.until("document.querySelector('.answer-text')?.textContent")

        await page.find("#stop").click()
        await model.wait_until_idle(LEAVING_S)

        assert [request.outcome for request in model.requests] == ["client_left"]
        assert await page.text(".turn .notice") == "Stopped. This answer is incomplete."
        assert (await page.text(".answer-text")).startswith("Refunds")
        assert await page.find("#send").is_visible()

    async def test_stop_before_the_first_word_ends_it_too(self, page: Visit, model: ScriptedUpstream) -> None:
        model.script(Fault("hang_headers"))
        await page.begin(QUESTION)
        async with asyncio.timeout(5):
            while not model.open_requests:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

        await page.find("#stop").click()
        await model.wait_until_idle(LEAVING_S)

        assert await page.text(".turn .notice") == "Stopped. There is no answer."

    async def test_a_browser_that_leaves_ends_the_models_work(
        self, opened: Visit, modelled: Live, model: ScriptedUpstream, visit: Visiting
    ) -> None:
        model.script(Fault("hang_mid"))
        page = await visit(modelled)
        await page.begin(QUESTION)
        await page.until("document.querySelector('.answer-text')?.textContent")

        await page.page.close()
        left = time.monotonic()
        await model.wait_until_idle(LEAVING_S)

        assert time.monotonic() - left < LEAVING_S
        assert [request.outcome for request in model.requests] == ["client_left"]


class TestFailures:
    async def test_a_failure_before_the_first_word_is_told_with_its_code(
        self, page: Visit, model: ScriptedUpstream
    ) -> None:
        model.script(Fault("status", code=401))

        turn = await page.ask(QUESTION)

        told = await turn.locator(".notice.bad").inner_text()
        assert "upstream_refused" in told
        assert "request " in told
        assert await turn.locator(".answer-text").inner_text() == ""

    async def test_a_failure_in_mid_stream_leaves_an_answer_that_is_marked_incomplete(
        self, page: Visit, model: ScriptedUpstream
    ) -> None:
        model.script(Fault("drop_mid"))

        turn = await page.ask(QUESTION)

        assert await turn.get_attribute("data-state") == "incomplete"
        assert "This answer is incomplete." in await turn.locator(".notice.bad").inner_text()
        assert "upstream_interrupted" in await turn.locator(".notice.bad").inner_text()
        assert (await turn.locator(".answer-text").inner_text()).startswith("Refunds")

    async def test_a_stream_that_ends_without_saying_so_is_incomplete(self, page: Visit) -> None:
        cut = 'event: meta\ndata: {"question": "q", "model": "m"}\n\nevent: token\ndata: {"text": "Half"}\n\n'
        await page.page.route(
            "**/query", lambda route: route.fulfill(body=cut, content_type="text/event-stream")
        )

        turn = await page.ask(QUESTION)

        await page.page.unroute("**/query")
        assert "The connection ended before the answer did." in await turn.locator(".notice.bad").inner_text()
        assert await turn.locator(".answer-text").inner_text() == "Half"

    async def test_where_the_model_is_down_the_quoting_answer_says_so(
        self, page: Visit, model: ScriptedUpstream
    ) -> None:
        model.script(Fault("status", code=503))

        turn = await page.ask(QUESTION)

        assert "The language model could not be reached" in await turn.locator(".notice.warn").inner_text()
        assert "Quoted from the documents" in await turn.inner_text()


class TestHonesty:
    async def test_what_is_not_supported_is_marked(self, page: Visit, model: ScriptedUpstream) -> None:
        model.say = f"😀 {CLAIM} [1] The moon is made of green cheese, mostly."

        turn = await page.ask(QUESTION)

        assert "Partly supported." in await turn.locator(".notice.warn").inner_text()
        unsupported = await turn.locator(".unsupported").all_inner_texts()
        assert unsupported == ["The moon is made of green cheese, mostly."]

    async def test_a_citation_that_does_not_hold_is_shown_as_such(
        self, page: Visit, model: ScriptedUpstream
    ) -> None:
        model.say = "Refunds are paid within ninety-nine years and 77 days. [1]"

        turn = await page.ask(QUESTION)

        mark = turn.locator(".answer-text .mark")
        assert await mark.inner_text() == "1?"
        assert "not verified" in (await mark.get_attribute("aria-label") or "")
        assert "Not supported." in await turn.locator(".notice.bad").inner_text()

    async def test_an_abstention_is_no_answer_and_gives_its_reason(self, page: Visit) -> None:
        turn = await page.ask(ELSEWHERE)

        assert (
            "No answer. Nothing in these documents is close" in await turn.locator(".abstained").inner_text()
        )
        assert await turn.locator(".mark").count() == 0

    async def test_the_stages_add_up_to_the_total(self, page: Visit) -> None:
        turn = await page.ask(QUESTION)
        await turn.locator(".timings summary").click()

        *stages, total = [
            round(float(text.removesuffix(" ms").replace(",", "")) * 10)
            for text in await turn.locator(".stages b").all_inner_texts()
        ]
        assert sum(stages) == total
        assert "search" in await turn.locator(".stages").inner_text()
        grown = await turn.locator(".segment").evaluate_all(
            "all => all.map((one) => Number(one.style.flexGrow))"
        )
        assert [round(share) for share in grown] == stages

    async def test_sources_are_listed_with_what_their_scores_are_made_of(self, page: Visit) -> None:
        turn = await page.ask(QUESTION)
        await turn.locator("text=1 source searched").click()

        terms = await turn.locator(".scores dt").all_inner_texts()
        assert {"score", "dense", "sparse"} <= set(terms)
        await turn.locator(".source-title a").click()
        assert CLAIM in await page.text("#passage mark")


class TestConversation:
    async def test_later_questions_are_sent_with_the_turns_before_them(self, page: Visit) -> None:
        await page.ask(QUESTION)

        async with page.requests_to("/query") as requests:
            await page.ask(f"And in winter? {QUESTION}")
        sent = requests[0]

        assert [turn["role"] for turn in sent["history"]] == ["user", "assistant"]
        assert sent["history"][0]["content"] == QUESTION
        assert sent["history"][1]["content"] == f"{CLAIM} [1]"

    async def test_a_new_conversation_knows_nothing_of_the_old_one(self, page: Visit) -> None:
        await page.ask(QUESTION)

        await page.find("#new-conversation").click()
        assert await page.find(".turn").count() == 0
        async with page.requests_to("/query") as requests:
            await page.ask(QUESTION)

        assert requests[0]["history"] == []

    async def test_an_answer_is_copied_with_footnotes(self, modelled: Live, page: Visit) -> None:
        await page.page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=modelled.url)
        turn = await page.ask(QUESTION)

        await turn.locator("text=Copy as Markdown").click()
        await turn.locator("text=Copied").wait_for()

        copied = await page.page.evaluate("navigator.clipboard.readText()")
        assert copied == f'{CLAIM} [^1]\n\n[^1]: Policy \\*2026\\*: "{CLAIM}"\n'
