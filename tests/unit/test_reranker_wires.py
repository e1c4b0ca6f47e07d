"""The adapters to rerankers: what they send, and that nothing wrong which is returned gets any further."""

import asyncio
import json
import logging
import time
import traceback
from collections.abc import AsyncIterator, Callable

import pytest

from ragstone.core.errors import (
    ExternalServiceError,
    InvalidSetting,
    UpstreamGarbled,
    UpstreamRateLimited,
    UpstreamRefused,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from ragstone.core.ports import Reranker
from ragstone.rerankers.cohere import CohereReranker
from ragstone.rerankers.tei import TeiReranker
from ragstone.testing.refusal import refusal
from ragstone.testing.upstream import Fault, ScriptedUpstream
from tests.canned import CannedServer

CANARY = "canary-4e1d"
QUESTION = f"red fox {CANARY}"
TEXTS = ("An invoice.", f"The red fox {CANARY}.", "A fox.")
Build = Callable[..., Reranker]


def tei(url: str, *, timeout_s: float = 5.0) -> Reranker:
    return TeiReranker(url=url, api_key=f"{CANARY}-key", timeout_s=timeout_s)


def cohere(url: str, *, timeout_s: float = 5.0) -> Reranker:
    return CohereReranker(url=url, api_key=f"{CANARY}-key", model="words", timeout_s=timeout_s)


@pytest.fixture(params=[tei, cohere], ids=["tei", "cohere"])
def build(request: pytest.FixtureRequest) -> Build:
    made: Build = request.param
    return made


@pytest.fixture
async def upstream() -> AsyncIterator[ScriptedUpstream]:
    async with ScriptedUpstream() as running:
        yield running


@pytest.fixture
async def reranker(upstream: ScriptedUpstream, build: Build) -> AsyncIterator[Reranker]:
    made = build(upstream.root_url)
    yield made
    await made.close()


async def answered(build: Build, body: bytes, count: int = 2) -> list[float]:
    """What is made of this body."""
    async with CannedServer(body, headers=[f"content-length: {len(body)}"]) as server:
        made = build(server.base_url)
        try:
            return await made.rerank("fox", ["a fox"] * count)
        finally:
            await made.close()


def body_of(build: Build, *rows: tuple[object, object]) -> bytes:
    """Rows of index and score in the adapter's protocol."""
    member = "score" if build is tei else "relevance_score"
    found = [{"index": index, member: score} for index, score in rows]
    return json.dumps(found if build is tei else {"results": found}).encode()


class TestScores:
    async def test_they_are_in_the_order_of_the_texts(self, reranker: Reranker) -> None:
        scores = await reranker.rerank("the red fox", TEXTS)

        assert scores == pytest.approx([0.0, 1.0, 1 / 3])

    async def test_the_order_of_the_rows_does_not_matter(
        self, upstream: ScriptedUpstream, reranker: Reranker
    ) -> None:
        upstream.script(Fault("shuffled"))

        assert await reranker.rerank("the red fox", TEXTS) == pytest.approx([0.0, 1.0, 1 / 3])

    async def test_whole_and_negative_numbers_are_taken(self, build: Build) -> None:
        assert await answered(build, body_of(build, (1, -11), (0, 2))) == [2.0, -11.0]


class TestBadScores:
    @pytest.mark.parametrize(
        ("kind", "told"),
        [
            ("short", "2 scores with 2 different numbers for 3 texts"),
            ("nan", "not a finite number"),
            ("malformed", "check the base URL"),
            ("html200", "check the base URL"),
        ],
    )
    async def test_one_of_them_spoils_all(
        self, upstream: ScriptedUpstream, reranker: Reranker, kind: str, told: str
    ) -> None:
        upstream.script(Fault(kind))

        error = await refusal(reranker.rerank(QUESTION, TEXTS), UpstreamGarbled)

        assert told in error.message
        assert upstream.count("rerank") == 1

    @pytest.mark.parametrize(
        "rows",
        [
            [(0, 0.5), (0, 0.4)],
            [(0, 0.5), (2, 0.4)],
            [(0, 0.5), (-1, 0.4)],
            [(0, 0.5), ("1", 0.4)],
            [(0, 0.5), (True, 0.4)],
            [(0, 0.5), (1, 0.4), (1, 0.4)],
            [(0, 0.5), (1, "0.4")],
            [(0, 0.5), (1, None)],
            [(0, 0.5), (1, True)],
            [(0, 0.5), (1, [0.4])],
            [(0, 0.5), (1, float("inf"))],
            [(0, 0.5), (1, 10**400)],
            [],
        ],
    )
    async def test_no_other_numbers_get_through(
        self, build: Build, rows: list[tuple[object, object]]
    ) -> None:
        await refusal(answered(build, body_of(build, *rows)), UpstreamGarbled)

    @pytest.mark.parametrize(
        "body",
        [b"", b"null", b"{}", b"[1, 2]", b'{"results": {"0": 1, "1": 2}}', b'[{"index": 0}, {"index": 1}]'],
    )
    async def test_no_other_form_gets_through(self, build: Build, body: bytes) -> None:
        await refusal(answered(build, body), UpstreamGarbled)

    async def test_the_other_protocol_is_noticed(self, build: Build) -> None:
        other = cohere if build is tei else tei

        await refusal(answered(build, body_of(other, (0, 1), (1, 0))), UpstreamGarbled)


class TestFailures:
    @pytest.mark.parametrize(
        ("code", "kind"),
        [
            (400, UpstreamRefused),
            (401, UpstreamRefused),
            (404, UpstreamRefused),
            (413, UpstreamRefused),
            (429, UpstreamRateLimited),
            (500, UpstreamUnavailable),
            (503, UpstreamUnavailable),
        ],
    )
    async def test_a_status_is_told_once_and_without_secrets(
        self,
        upstream: ScriptedUpstream,
        reranker: Reranker,
        caplog: pytest.LogCaptureFixture,
        code: int,
        kind: type[ExternalServiceError],
    ) -> None:
        caplog.set_level(logging.DEBUG)
        upstream.script(Fault("status", code=code, text=CANARY, retry_after=3))

        error = await refusal(reranker.rerank(QUESTION, TEXTS), kind)

        assert CANARY not in "".join(traceback.format_exception(error)) + caplog.text
        assert str(code) in error.message
        assert error.retry_after_s == (3.0 if kind is not UpstreamRefused else None)
        assert upstream.count() == 1

    async def test_a_redirect_is_not_followed(self, build: Build) -> None:
        async with ScriptedUpstream() as elsewhere:
            location = f"location: {elsewhere.root_url}/rerank"
            headers = [location, "content-length: 0"]
            async with CannedServer(status="307 Temporary Redirect", headers=headers) as server:
                made = build(server.base_url)
                error = await refusal(made.rerank(QUESTION, TEXTS), UpstreamRefused)
                await made.close()

            assert "redirects are not followed" in error.message
            assert elsewhere.count() == 0

    async def test_a_huge_body_is_left_early(self, upstream: ScriptedUpstream, reranker: Reranker) -> None:
        upstream.script(Fault("huge"))

        await refusal(reranker.rerank(QUESTION, TEXTS), UpstreamGarbled)

        await upstream.wait_until_idle(1.0)
        assert upstream.disconnects == 1

    async def test_a_compressed_body_is_refused(self, build: Build) -> None:
        headers = ["content-length: 2", "content-encoding: gzip"]
        async with CannedServer(b"[]", headers=headers) as server:
            made = build(server.base_url)
            await refusal(made.rerank(QUESTION, TEXTS), UpstreamGarbled)
            await made.close()

    async def test_silence_is_a_time_out_and_closes_the_connection(
        self, upstream: ScriptedUpstream, build: Build
    ) -> None:
        upstream.script(Fault("hang_headers"))
        hasty = build(upstream.root_url, timeout_s=0.1)

        await refusal(hasty.rerank(QUESTION, TEXTS), UpstreamTimeout)

        await upstream.wait_until_idle(1.0)
        assert upstream.disconnects == 1
        await hasty.close()

    async def test_a_body_that_trickles_is_a_time_out(self, build: Build) -> None:
        async with CannedServer(*[b" "] * 2_000) as server:
            hasty = build(server.base_url, timeout_s=0.1)
            started = time.monotonic()

            await refusal(hasty.rerank(QUESTION, TEXTS), UpstreamTimeout)

        assert time.monotonic() - started < 1.0
        await hasty.close()

    async def test_cancelling_closes_the_connection(
        self, upstream: ScriptedUpstream, reranker: Reranker
    ) -> None:
        upstream.script(Fault("hang_headers"))
        waiting = asyncio.ensure_future(reranker.rerank(QUESTION, TEXTS))
        while not upstream.open_requests:  # noqa: ASYNC110 - a server tells nobody that a request has come
            await asyncio.sleep(0.005)

        waiting.cancel()

        with pytest.raises(asyncio.CancelledError):
            await waiting
        await upstream.wait_until_idle(1.0)
        assert upstream.disconnects == 1

    async def test_nobody_there_is_unavailable(self, upstream: ScriptedUpstream, reranker: Reranker) -> None:
        await upstream.stop()

        await refusal(reranker.rerank(QUESTION, TEXTS), UpstreamUnavailable)

    async def test_a_closed_one_says_so(self, reranker: Reranker) -> None:
        await reranker.close()

        await refusal(reranker.rerank(QUESTION, TEXTS), UpstreamUnavailable)


class TestRequests:
    async def test_tei_gets_texts_that_it_may_cut(self, upstream: ScriptedUpstream) -> None:
        made = tei(upstream.root_url)
        await made.rerank("fox", ["a", " "])
        await made.close()

        (asked,) = upstream.requests
        assert asked.body == {"query": "fox", "texts": ["a", " "], "raw_scores": False, "truncate": True}
        assert asked.headers["authorization"] == f"Bearer {CANARY}-key"
        assert asked.headers["accept-encoding"] == "identity"

    async def test_cohere_gets_documents_and_is_to_score_all_of_them(
        self, upstream: ScriptedUpstream
    ) -> None:
        made = cohere(upstream.root_url)
        await made.rerank("fox", ["a", "b"])
        await made.close()

        (asked,) = upstream.requests
        assert asked.body == {"model": "words", "query": "fox", "documents": ["a", "b"], "top_n": 2}

    async def test_without_a_key_none_is_sent(self, upstream: ScriptedUpstream) -> None:
        made = TeiReranker(url=upstream.root_url, timeout_s=5)
        await made.rerank("fox", ["a"])
        await made.close()

        assert "authorization" not in upstream.requests[0].headers

    @pytest.mark.parametrize(
        ("given", "of_tei", "of_cohere"),
        [
            ("", "/rerank", "/v2/rerank"),
            ("/", "/rerank", "/v2/rerank"),
            ("/v1", "/v1/rerank", "/v1/rerank"),
            ("/v1/", "/v1/rerank", "/v1/rerank"),
            ("/v1/rerank", "/v1/rerank", "/v1/rerank"),
            ("/a?b=c", "/a/rerank?b=c", "/a/rerank?b=c"),
        ],
    )
    async def test_the_path_of_the_url_counts(
        self, upstream: ScriptedUpstream, build: Build, given: str, of_tei: str, of_cohere: str
    ) -> None:
        upstream.script(Fault("status", code=400))
        made = build(upstream.root_url + given)
        await refusal(made.rerank("fox", ["a"]), UpstreamRefused)
        await made.close()

        assert upstream.requests[0].path == (of_tei if build is tei else of_cohere)


class TestSettings:
    def test_each_names_its_model(self) -> None:
        assert TeiReranker(url="http://127.0.0.1:1", timeout_s=1).name == "tei"
        assert TeiReranker(url="http://127.0.0.1:1", model="bge", timeout_s=1).name == "bge"
        assert cohere("http://127.0.0.1:1").name == "words"

    @pytest.mark.parametrize("url", ["", "reranker:8080", "ftp://host", "http://"])
    def test_what_is_no_url_is_refused(self, build: Build, url: str) -> None:
        with pytest.raises(InvalidSetting, match="not like http"):
            build(url)

    def test_cohere_needs_a_model(self) -> None:
        with pytest.raises(InvalidSetting, match="needs the name of a model"):
            CohereReranker(url="http://127.0.0.1:1", model=None, timeout_s=1)

    def test_a_key_that_no_header_can_carry_is_refused(self) -> None:
        with pytest.raises(InvalidSetting) as refused:
            TeiReranker(url="http://127.0.0.1:1", api_key=f"{CANARY}\n{CANARY}", timeout_s=1)

        assert CANARY not in refused.value.message
