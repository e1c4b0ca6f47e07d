"""How far a source supports a claim."""

from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest

from ragstone.core.errors import EmbedderUnavailable, RagstoneError, UpstreamRefused, UpstreamTimeout
from ragstone.core.models import Scope, Vector
from ragstone.pipelines.question import share
from ragstone.pipelines.support import SUPPORTED_FROM, ClaimJudge, Support, find_verbatim
from tests.words import DIMENSION, TermWeights, WordEmbedder, WordEncoder, source, tokens

TEXT = "The committee met in Geneva in 1998. It approved the plan. Nobody voted against it."
SOURCE = source(TEXT, start=50)


@pytest.fixture
def embedder() -> WordEmbedder:
    return WordEmbedder()


@pytest.fixture
def judge(embedder: WordEmbedder) -> ClaimJudge:
    return ClaimJudge(embedder, WordEncoder(), cast("Any", TermWeights({"geneva": 3.0, "the": 0.1})), Scope())


def quoted(support: Support) -> str:
    return TEXT[support.start - 50 : support.end - 50]


class TestVerbatim:
    @pytest.mark.parametrize(
        "claim",
        [
            "The committee met in Geneva in 1998.",
            "committee met in  Geneva",
            "It approved the plan. Nobody voted against it.",
            TEXT,
        ],
    )
    async def test_what_stands_in_the_source_is_fully_supported_without_encoding_it(
        self, judge: ClaimJudge, embedder: WordEmbedder, claim: str
    ) -> None:
        support = await judge.judge(claim, SOURCE)

        assert support.score == 1.0
        assert " ".join(claim.split()) in quoted(support)
        assert embedder.queries == []

    def test_the_shortest_run_of_sentences_is_chosen(self) -> None:
        found = find_verbatim("approved the plan", SOURCE)

        assert found is not None
        assert quoted(found) == "It approved the plan."

    def test_an_empty_claim_stands_nowhere(self) -> None:
        assert find_verbatim(" [3] ", SOURCE) is None

    @pytest.mark.parametrize(
        ("said", "claim"),
        [
            ("Write <b>bold</b> here.", "Write &lt;b>bold&lt;/b> here."),
            ("See [the page](http://a.example/x) now.", "See [the page] (http://a.example/x) now."),
            ("See [the page](http://a.example/x) now.", "See [the page](http://a.example/x) now."),
            ("A [label]: it defines.", "A [label] : it defines."),
        ],
    )
    def test_a_quote_is_found_although_the_answer_shows_it_neutralised(self, said: str, claim: str) -> None:
        text = f"First. {said} Last."
        start = text.index(said)
        parts = (replace(SOURCE.sentences[0], start=start, end=start + len(said), text=said),)

        found = find_verbatim(claim, replace(SOURCE, text=text, start=0, end=len(text), sentences=parts))

        assert found == Support(start, start + len(said), 1.0)


class TestMeasure:
    async def test_a_paraphrase_with_the_same_words_is_supported(self, judge: ClaimJudge) -> None:
        support = await judge.judge("In Geneva, in 1998, met the committee.", SOURCE)

        assert support.is_enough
        assert quoted(support).startswith("The committee met in Geneva")
        assert support.score < 1.0 or support.score == pytest.approx(1.0)

    async def test_a_claim_over_two_neighbouring_sentences_is_supported_by_both(
        self, judge: ClaimJudge
    ) -> None:
        support = await judge.judge("Nobody voted against it, it approved the plan.", SOURCE)

        assert quoted(support) == "It approved the plan. Nobody voted against it."

    async def test_another_subject_is_not_supported(self, judge: ClaimJudge) -> None:
        support = await judge.judge("Cats sleep for most days.", SOURCE)

        assert support.score < SUPPORTED_FROM
        assert not support.is_enough

    @pytest.mark.parametrize(
        "claim", ["The committee met in Geneva in 1989.", "1,998 people approved the plan."]
    )
    async def test_a_number_that_the_source_does_not_hold_is_never_supported(
        self, judge: ClaimJudge, claim: str
    ) -> None:
        assert (await judge.judge(claim, SOURCE)).score == 0.0

    async def test_a_source_without_sentences_supports_nothing(self, judge: ClaimJudge) -> None:
        bare = replace(SOURCE, sentences=())

        assert await judge.judge("The plan.", bare) == Support(SOURCE.start, SOURCE.end, 0.0)

    async def test_a_claim_that_is_longer_than_any_sentence_is_not_weighed(
        self, judge: ClaimJudge, embedder: WordEmbedder
    ) -> None:
        support = await judge.judge("The committee met in Geneva in 1998, " * 200, SOURCE)

        assert support == Support(SOURCE.start, SOURCE.end, 0.0)
        assert embedder.queries == []

    async def test_a_neutralised_claim_is_weighed_as_it_was_written(self, judge: ClaimJudge) -> None:
        tagged = source("The <b>plan was approved.")

        support = await judge.judge("Approved was &lt;b>plan the.", tagged)

        assert support.score == pytest.approx(1.0, abs=0.001)


NO_VECTORS = [np.zeros(0, np.float32), np.zeros(DIMENSION, np.float32)]


class FailingEmbedder(WordEmbedder):
    """Its service is down."""

    def __init__(self, error: RagstoneError) -> None:
        super().__init__()
        self.error = error

    async def embed_query(self, text: str) -> Vector:
        """Never."""
        raise self.error


class TestWithoutVectors:
    CLAIM = "The committee: Geneva in 1998 they met in."

    @pytest.mark.parametrize("vector", NO_VECTORS, ids=["empty", "zeros"])
    async def test_the_share_of_words_alone_is_the_support(
        self, judge: ClaimJudge, embedder: WordEmbedder, vector: Vector
    ) -> None:
        parts = tuple(replace(part, vector=vector) for part in SOURCE.sentences)

        support = await judge.judge(self.CLAIM, replace(SOURCE, sentences=parts))

        weights = dict.fromkeys(tokens(self.CLAIM), 3.5) | {
            tokens("geneva")[0]: 3.0,
            tokens("the")[0]: 0.1,
        }
        present = frozenset(tokens(SOURCE.sentences[0].text))
        assert support.score == pytest.approx(share(weights, present), abs=0.001)
        assert quoted(support) == "The committee met in Geneva in 1998."
        assert embedder.queries == []

    @pytest.mark.parametrize("vector", NO_VECTORS, ids=["empty", "zeros"])
    async def test_a_changed_number_is_still_never_supported(self, judge: ClaimJudge, vector: Vector) -> None:
        parts = tuple(replace(part, vector=vector) for part in SOURCE.sentences)

        support = await judge.judge("In Geneva the committee met in 1989.", replace(SOURCE, sentences=parts))

        assert support.score == 0.0

    @pytest.mark.parametrize(
        "error", [EmbedderUnavailable("down"), UpstreamTimeout("late"), UpstreamRefused("no")]
    )
    async def test_an_embedder_that_fails_is_done_without(self, error: RagstoneError) -> None:
        judge = ClaimJudge(FailingEmbedder(error), WordEncoder(), cast("Any", TermWeights({})), Scope())
        parts = tuple(replace(part, vector=np.zeros(0, np.float32)) for part in SOURCE.sentences)

        support = await judge.judge(self.CLAIM, SOURCE)

        assert support.score > 0
        assert support == await judge.judge(self.CLAIM, replace(SOURCE, sentences=parts))

    async def test_a_defect_is_not_taken_for_an_outage(self) -> None:
        judge = ClaimJudge(
            FailingEmbedder(RagstoneError("defect")), WordEncoder(), cast("Any", TermWeights({})), Scope()
        )

        with pytest.raises(RagstoneError, match="defect"):
            await judge.judge(self.CLAIM, SOURCE)


class TestNames:
    """A rare name that the source does not have."""

    @staticmethod
    async def supported(claim: str, **changes: Any) -> float:
        weights = {"committee": 1.0, "met": 1.0, "geneva": 4.0, "paris": 4.5, "plan": 1.0, "world": 0.2}
        judge = ClaimJudge(WordEmbedder(), WordEncoder(), cast("Any", TermWeights(weights)), Scope())
        return (await judge.judge(claim, replace(SOURCE, **changes))).score

    async def test_it_is_not_enough(self) -> None:
        assert await self.supported("So the committee met in Geneva.") >= SUPPORTED_FROM
        assert await self.supported("So the committee met in Paris.") < SUPPORTED_FROM

    async def test_a_name_above_the_source_is_known(self) -> None:
        assert await self.supported("So the committee met in Paris.", heading=("Paris",)) >= SUPPORTED_FROM

    async def test_a_name_that_stands_everywhere_says_nothing(self) -> None:
        assert await self.supported("So the World committee met in Geneva.") >= SUPPORTED_FROM

    async def test_in_german_every_noun_looks_like_one(self) -> None:
        assert await self.supported("So the committee met in Paris.", language="de") >= SUPPORTED_FROM
