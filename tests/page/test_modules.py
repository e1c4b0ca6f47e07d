"""Parts of the page that are pure: offsets, event streams, Markdown, shares of time. They run in the browser itself."""

import json
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from tests.apiclient import Json
from tests.live import Live
from tests.page.visits import Visit

if TYPE_CHECKING:
    from playwright.async_api import Browser

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def page(live: Live, browser: "Browser") -> AsyncIterator[Visit]:
    """One for all of them: they change nothing."""
    visited = Visit(await browser.new_page(), live)
    await visited.open()
    yield visited
    await visited.page.close()


async def run(page: Visit, module: str, expression: str, argument: Any = None) -> Any:
    """The expression's value; `m` is the module, `x` the argument."""
    return await page.page.evaluate(
        f"async (x) => {{ const m = await import('/page/{module}'); return {expression}; }}", argument
    )


class TestEventStreams:
    STREAM = ': hello\r\n\r\nid: 1\r\nevent: token\r\ndata: {"text": "a"}\r\n\r\ndata: one\ndata:two\n\nevent: lost\r\rdata: last\r\r'
    READ = (
        "(() => { const parser = new m.EventParser(); return x.flatMap((piece) => parser.feed(piece)); })()"
    )
    EVENTS = (
        {"name": "token", "data": '{"text": "a"}'},
        {"name": "message", "data": "one\ntwo"},
        {"name": "message", "data": "last"},
    )

    async def test_all_line_ends_and_comments_are_read(self, page: Visit) -> None:
        assert await run(page, "sse.js", self.READ, [self.STREAM + "\n"]) == list(self.EVENTS)

    async def test_however_a_stream_is_cut_its_events_are_the_same(self, page: Visit) -> None:
        assert await run(page, "sse.js", self.READ, [*self.STREAM, "\n"]) == list(self.EVENTS)

    async def test_an_event_that_is_not_ended_is_none(self, page: Visit) -> None:
        assert await run(page, "sse.js", self.READ, ["data: half\n"]) == []


@pytest.mark.parametrize("text", ["plain", "a🎈b", "👩‍👩‍👧 und 𝒳", ""])
async def test_offsets_are_those_of_python(page: Visit, text: str) -> None:
    found = await run(page, "text.js", "[...Array(12).keys()].map((n) => new m.CodePoints(x).units(n))", text)

    assert found == [len(text[:n].encode("utf-16-le")) // 2 for n in range(12)]


async def test_a_long_turn_is_cut_by_code_points(page: Visit) -> None:
    assert await run(page, "text.js", "m.beginning(x, 3)", "a🎈🎈🎈") == "a🎈🎈"


def citation(n: int, end: int, **source: Any) -> Json:
    place = {"page": None, "page_end": None, "sheet": None, "slide": None}
    known = {
        "document_id": "d",
        "version": 1,
        "title": "T",
        "heading": [],
        "location": place,
        "start": 0,
        "end": 1,
    }
    return {
        "n": n,
        "answer": {"start": 0, "end": end},
        "source": {**known, "quote": "Q", **source},
        "verified": True,
        "support": 1,
    }


class TestMarks:
    PARTS = "(() => { const a = new m.Answer(); x.forEach((e) => a.apply(e)); return a.parts().map((p) => [p.text, p.citation?.source.title ?? null]); })()"

    async def parts(self, page: Visit, text: str, *citations: Json) -> Any:
        events = [
            {"name": "token", "content": {"text": text}},
            *({"name": "citation", "content": one} for one in citations),
        ]
        return await run(page, "answer.js", self.PARTS, events)

    async def test_each_stands_for_the_last_claim_of_its_number_before_it(self, page: Visit) -> None:
        text = "😀 One. [1] Two. [1][2]"
        first, second, third = (
            citation(1, 6, title="A"),
            citation(1, 15, title="B"),
            citation(2, 15, title="C"),
        )

        found = await self.parts(page, text, first, second, third)

        assert found == [["😀 One. ", None], ["[1]", "A"], [" Two. ", None], ["[1]", "B"], ["[2]", "C"]]

    async def test_a_number_that_nothing_cites_is_text(self, page: Visit) -> None:
        assert await self.parts(page, "[1] As said in [7]. [1]", citation(1, 18)) == [
            ["[1] As said in [7]. ", None],
            ["[1]", "T"],
        ]


class TestMarkdown:
    async def test_what_documents_say_is_escaped(self, page: Visit) -> None:
        cited = citation(
            1,
            3,
            title="a](b) <b> `c`",
            quote="*x*\n# y https://evil.example",
            location={"page": 3, "page_end": None, "sheet": None, "slide": None},
        )
        parts = [{"text": "Yes."}, {"text": "[1]", "citation": {**cited, "verified": False}}]

        found = await run(
            page, "markdown.js", "m.asMarkdown(x, { isComplete: true, done: { grounded: 'none' } })", parts
        )

        assert found.splitlines() == [
            "Yes.[^1]",
            "",
            "*Not all of this answer is supported by its sources.*",
            "",
            r'[^1]: a\]\(b\) \<b\> \`c\`, page 3: "\*x\* \# y https\://evil.example" (not verified)',
        ]

    async def test_an_abstention_is_not_called_unsupported(self, page: Visit) -> None:
        done = "{ isComplete: true, done: { grounded: 'none', abstained: true } }"

        assert (
            await run(page, "markdown.js", f"m.asMarkdown(x, {done})", [{"text": "Nothing."}]) == "Nothing.\n"
        )


@pytest.mark.parametrize("total", [0.04, 11.8, 72.281, 60_000.0])
async def test_shares_of_time_add_up_to_the_total(page: Visit, total: float) -> None:
    metadata = {
        "request_id": "r",
        "embedding_ms": 0.0311,
        "search_ms": total / 3,
        "first_token_ms": total * 0.9,
        "queue_ms": total / 7,
        "total_ms": total,
    }

    found = await run(page, "findings.js", "m.shares(x)", metadata)

    assert sum(part["tenths"] for part in found["parts"]) == found["total"] == round(total * 10)
    assert "first token" not in json.dumps(found)
