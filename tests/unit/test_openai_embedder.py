"""The adapter to embedding servers: what it sends, and that nothing wrong which they return gets any further."""

import asyncio
import json
import logging
import resource
import time
import traceback
from collections.abc import AsyncIterator, Sequence
from typing import Any

import numpy as np
import pytest

from ragstone.core.errors import (
    BadEmbedding,
    EmbedderUnavailable,
    ExternalServiceError,
    InvalidSetting,
    UpstreamGarbled,
    UpstreamRateLimited,
    UpstreamRefused,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from ragstone.core.models import Embedding, EmbeddingInput, Vector
from ragstone.embeddings import openai as adapter
from ragstone.embeddings.openai import OpenAIEmbedder
from ragstone.testing.embedders import HashingEmbedder
from ragstone.testing.refusal import refusal
from ragstone.testing.upstream import Fault, ScriptedUpstream
from tests.canned import CannedServer

CANARY = "canary-77b1"
DIMENSION = 64


def build(base_url: str, *, dimension: int = DIMENSION, timeout_s: float = 5.0) -> OpenAIEmbedder:
    return OpenAIEmbedder(
        api_key=f"{CANARY}-key", base_url=base_url, model="words", dimension=dimension, timeout_s=timeout_s
    )


async def embed(embedder: OpenAIEmbedder, *texts: str) -> list[Embedding]:
    return await embedder.embed_documents([EmbeddingInput(text) for text in texts])


@pytest.fixture
async def upstream() -> AsyncIterator[ScriptedUpstream]:
    async with ScriptedUpstream(dimension=DIMENSION) as running:
        yield running


@pytest.fixture
async def embedder(upstream: ScriptedUpstream) -> AsyncIterator[OpenAIEmbedder]:
    made = build(upstream.base_url)
    yield made
    await made.close()


def sent(upstream: ScriptedUpstream) -> list[list[str]]:
    return [request.body["input"] for request in upstream.requests]


def rows(*vectors: Sequence[object] | str, numbers: Sequence[object] | None = None) -> bytes:
    given = numbers or range(len(vectors))
    found = [{"index": number, "embedding": vector} for number, vector in zip(given, vectors, strict=True)]
    return json.dumps({"data": found}).encode()


async def answered(body: bytes, *texts: str) -> list[Vector]:
    """What is made of this body when vectors of two numbers are expected."""
    async with CannedServer(body, headers=[f"content-length: {len(body)}"]) as server:
        embedder = build(server.base_url, dimension=2)
        try:
            return [each.vector for each in await embed(embedder, *texts)]
        finally:
            await embedder.close()


class TestVectors:
    async def test_they_are_those_of_the_server(self, embedder: OpenAIEmbedder) -> None:
        expected = await HashingEmbedder(DIMENSION).embed_query("red fox")

        np.testing.assert_allclose(await embedder.embed_query("red fox"), expected, atol=1e-6)

    async def test_shuffled_ones_are_put_in_order(
        self, upstream: ScriptedUpstream, embedder: OpenAIEmbedder
    ) -> None:
        expected = await embed(embedder, "fox", "dog", "invoice")
        upstream.script(Fault("shuffled"))

        for one, other in zip(await embed(embedder, "fox", "dog", "invoice"), expected, strict=True):
            np.testing.assert_array_equal(one.vector, other.vector)

    async def test_lists_of_numbers_are_taken_and_scaled(self) -> None:
        first, second = await answered(rows([3, 4], [1e30, 0.0]), "a", "b")

        np.testing.assert_allclose(first, [0.6, 0.8], atol=1e-6)
        np.testing.assert_allclose(second, [1, 0])
        assert first.dtype == np.float32

    async def test_spans_have_rows_of_zeros(self, embedder: OpenAIEmbedder) -> None:
        (embedding,) = await embedder.embed_documents([EmbeddingInput("A fox.", ((0, 1), (2, 5)))])

        assert embedding.spans.shape == (2, DIMENSION)
        assert not embedding.spans.any()


class TestBadVectors:
    @pytest.mark.parametrize(
        ("kind", "told"),
        [
            ("wrong_dim", "63 numbers; 64 were expected"),
            ("nan", "not a finite number"),
            ("zero", "length 0"),
            ("short", "2 vectors with 2 different numbers for 3 texts"),
        ],
    )
    async def test_one_of_them_spoils_the_batch(
        self, upstream: ScriptedUpstream, embedder: OpenAIEmbedder, kind: str, told: str
    ) -> None:
        upstream.script(Fault(kind))

        error = await refusal(embed(embedder, "fox", "dog", "invoice"), BadEmbedding)

        assert told in error.message
        assert upstream.count() == 1

    @pytest.mark.parametrize(
        "body",
        [
            rows([1, 0], [0, 1], numbers=[0, 0]),
            rows([1, 0], [0, 1], numbers=[0, 2]),
            rows([1, 0], [0, 1], numbers=["0", "1"]),
            rows([1, 0], [0, 1], numbers=[False, True]),
            rows([1, 0], [0, 1], [0, 1]),
            rows([1, 0], [1]),
            rows([1, 0], [float("nan"), 1]),
            rows([1, 0], [float("inf"), 1]),
            rows([1, 0], [1e300, 1]),
            rows([1, 0], [0, 0]),
            rows([1, 0], ["1", "x"]),
            rows([1, 0], [[1], [0, 1]]),
            rows([1, 0], "no base64!"),
            rows([1, 0], "AAAA"),
            b'{"data": [{"index": 0}, {"index": 1}]}',
            b'{"data": []}',
        ],
    )
    async def test_no_other_form_gets_through(self, body: bytes) -> None:
        await refusal(answered(body, "a", "b"), BadEmbedding)

    async def test_for_a_query_it_is_the_server_that_is_wrong(
        self, upstream: ScriptedUpstream, embedder: OpenAIEmbedder
    ) -> None:
        upstream.script(Fault("wrong_dim"))

        error = await refusal(embedder.embed_query("fox"), UpstreamGarbled)

        assert "64 were expected" in error.message


class TestFailures:
    @pytest.mark.parametrize(
        ("code", "kind"),
        [
            (401, UpstreamRefused),
            (404, UpstreamRefused),
            (429, UpstreamRateLimited),
            (503, UpstreamUnavailable),
        ],
    )
    async def test_a_status_is_told_once_and_without_secrets(
        self,
        upstream: ScriptedUpstream,
        embedder: OpenAIEmbedder,
        caplog: pytest.LogCaptureFixture,
        code: int,
        kind: type[ExternalServiceError],
    ) -> None:
        caplog.set_level(logging.DEBUG)
        upstream.script(Fault("status", code=code, text=CANARY, retry_after=3))

        error = await refusal(embedder.embed_query("fox"), kind)

        assert CANARY not in "".join(traceback.format_exception(error)) + caplog.text
        assert str(code) in error.message
        assert upstream.count() == 1

    @pytest.mark.parametrize(
        "body", [b"", b"<html>", b"[]", b'{"data": 1}', b'{"data": [1]}', b'{"data":' * 9_999]
    )
    async def test_what_is_not_the_protocol_is_garbled(self, body: bytes) -> None:
        await refusal(answered(body, "a"), UpstreamGarbled)

    async def test_a_login_page_is_garbled(
        self, upstream: ScriptedUpstream, embedder: OpenAIEmbedder
    ) -> None:
        upstream.script(Fault("html200"))

        await refusal(embedder.embed_query("fox"), UpstreamGarbled)

    async def test_a_huge_body_is_left_early_and_takes_no_memory(
        self, upstream: ScriptedUpstream, embedder: OpenAIEmbedder
    ) -> None:
        await embedder.embed_query("fox")
        upstream.script(Fault("huge"))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

        await refusal(embedder.embed_query("fox"), UpstreamGarbled)

        await upstream.wait_until_idle(1.0)
        assert upstream.disconnects == 1
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20 * 1024

    async def test_silence_is_a_time_out_and_closes_the_connection(self, upstream: ScriptedUpstream) -> None:
        upstream.script(Fault("hang_headers"))
        hasty = build(upstream.base_url, timeout_s=0.2)

        await refusal(hasty.embed_query("fox"), UpstreamTimeout)

        await upstream.wait_until_idle(1.0)
        assert upstream.disconnects == 1
        await hasty.close()

    async def test_a_body_that_trickles_is_a_time_out(self) -> None:
        async with CannedServer(*[b" "] * 2_000) as server:
            hasty = build(server.base_url, timeout_s=0.2)
            started = time.monotonic()

            await refusal(hasty.embed_query("fox"), UpstreamTimeout)

        assert time.monotonic() - started < 1.0
        await hasty.close()

    async def test_cancelling_closes_the_connection(
        self, upstream: ScriptedUpstream, embedder: OpenAIEmbedder
    ) -> None:
        upstream.script(Fault("hang_headers"))
        waiting = asyncio.ensure_future(embed(embedder, "fox"))
        while not upstream.open_requests:  # noqa: ASYNC110 - a server tells nobody that a request has come
            await asyncio.sleep(0.005)

        waiting.cancel()

        with pytest.raises(asyncio.CancelledError):
            await waiting
        await upstream.wait_until_idle(1.0)
        assert upstream.disconnects == 1

    async def test_nobody_there_is_unavailable(
        self, upstream: ScriptedUpstream, embedder: OpenAIEmbedder
    ) -> None:
        await upstream.stop()

        await refusal(embedder.embed_query("fox"), UpstreamUnavailable)

    async def test_a_closed_embedder_says_so(self, embedder: OpenAIEmbedder) -> None:
        await embedder.close()

        await refusal(embedder.embed_query("fox"), EmbedderUnavailable)


class TestRequests:
    async def test_nothing_but_texts_model_and_form_is_sent(
        self, upstream: ScriptedUpstream, embedder: OpenAIEmbedder
    ) -> None:
        await embedder.embed_query("fox")

        expected: dict[str, Any] = {"input": ["fox"], "model": "words", "encoding_format": "base64"}
        assert upstream.requests[0].body == expected
        assert upstream.requests[0].headers["accept-encoding"] == "identity"

    async def test_many_texts_go_in_requests_of_64_and_come_back_in_order(
        self, upstream: ScriptedUpstream, embedder: OpenAIEmbedder
    ) -> None:
        texts = [f"word{number}" for number in range(130)]

        embeddings = await embed(embedder, *texts)

        assert [len(texts) for texts in sent(upstream)] == [64, 64, 2]
        expected = await HashingEmbedder(DIMENSION).embed_query("word129")
        np.testing.assert_allclose(embeddings[129].vector, expected, atol=1e-6)

    async def test_long_texts_are_cut_and_go_in_smaller_requests(
        self, upstream: ScriptedUpstream, embedder: OpenAIEmbedder
    ) -> None:
        await embed(embedder, *["x" * 10_000] * 30)

        assert {len(text) for texts in sent(upstream) for text in texts} == {adapter.MAX_CHARACTERS}
        assert [len(texts) for texts in sent(upstream)] == [25, 5]

    @pytest.mark.parametrize("text", ["", " \n\t ", "\u3000"])
    async def test_blank_text_is_sent_as_a_space(
        self, upstream: ScriptedUpstream, embedder: OpenAIEmbedder, text: str
    ) -> None:
        await embedder.embed_query(text)

        assert sent(upstream) == [[" "]]

    async def test_half_a_character_is_replaced(
        self, upstream: ScriptedUpstream, embedder: OpenAIEmbedder
    ) -> None:
        await embedder.embed_query("a\ud83db")

        assert sent(upstream) == [["a\ufffdb"]]

    async def test_no_texts_are_no_request(
        self, upstream: ScriptedUpstream, embedder: OpenAIEmbedder
    ) -> None:
        assert await embed(embedder) == []
        assert upstream.count() == 0


class TestSettings:
    def test_the_fingerprint_names_the_space_and_not_the_address(self) -> None:
        one, other = build("http://127.0.0.1:1/v1"), build("http://127.0.0.1:2/v1", dimension=65)

        assert one.fingerprint == "openai:words:64:unit:8000-characters"
        assert other.fingerprint == "openai:words:65:unit:8000-characters"

    @pytest.mark.parametrize(("model", "dimension"), [("", 64), ("words", 0)])
    def test_model_and_dimension_must_be_given(self, model: str, dimension: int) -> None:
        with pytest.raises(InvalidSetting, match="needs"):
            OpenAIEmbedder(api_key=None, base_url=None, model=model, dimension=dimension, timeout_s=1)
