"""How far a source supports a claim."""

from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest

from ragstone.core.models import Scope
from ragstone.pipelines.support import SUPPORTED_FROM, ClaimJudge, Support, find_verbatim
from tests.words import TermWeights, WordEmbedder, WordEncoder, source

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

    async def test_sentences_without_vectors_are_weighed_by_their_words(self, judge: ClaimJudge) -> None:
        blind = replace(
            SOURCE,
            sentences=tuple(replace(part, vector=np.zeros(0, np.float32)) for part in SOURCE.sentences),
        )

        support = await judge.judge("The committee: Geneva in 1998 they met in.", blind)

        assert 0 < support.score <= 0.5
