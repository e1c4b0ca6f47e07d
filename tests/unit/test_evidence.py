"""The scores of sentences and the gate in front of every answer."""

from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest

from ragstone.core.models import Scope, Source, Vector
from ragstone.pipelines.evidence import (
    ANSWER_FROM,
    ANSWER_FROM_BY_WORDS,
    CONSIDERED,
    FOREIGN,
    HEADED,
    NOTHING_BELOW,
    NOTHING_BELOW_BY_WORDS,
    Evidence,
    gather_evidence,
)
from ragstone.pipelines.question import UNSEEN_BONUS, share, term_weights
from tests.words import DIMENSION, TermWeights, WordEncoder, direction
from tests.words import question as encoded
from tests.words import source, tokens

REFUNDS = "Refunds are paid within 14 days. The support team is happy to help."


async def weigh(question: str, *sources: Source, dense: bool = True, language: str = "") -> Evidence:
    vector: Vector | None = direction(question) if dense else None
    store = cast("Any", TermWeights({"refunds": 3.0, "paid": 2.0, "are": 0.2, "within": 1.7}))
    asked = encoded(question, vector)
    asked = replace(asked, terms=replace(asked.terms, language=language))
    weights = await term_weights(store, Scope(), asked.tokens)
    return gather_evidence(WordEncoder(), weights, asked, sources)


class TestGate:
    async def test_without_sources_there_are_no_results(self) -> None:
        assert await weigh("Why?") == Evidence((), 0.0, "no_results")

    async def test_a_passage_that_says_it_is_answered_from(self) -> None:
        evidence = await weigh("Are refunds paid within 14 days?", source(REFUNDS))

        assert evidence.abstention is None
        assert evidence.confidence >= ANSWER_FROM

    async def test_another_subject_is_a_low_score(self) -> None:
        found = source(REFUNDS, scores={"dense": 0.05, "sparse": 0.0})

        evidence = await weigh("Who won the world cup?", found)

        assert evidence.abstention == "low_score"
        assert evidence.confidence < NOTHING_BELOW

    async def test_without_a_dense_vector_the_share_of_terms_decides(self) -> None:
        found = source(REFUNDS, scores={"dense": None, "sparse": 3.0})

        assert (await weigh("refunds paid", found, dense=False)).confidence == pytest.approx(1.0)
        assert (await weigh("unheard of words", found, dense=False)).abstention == "low_score"

    @pytest.mark.parametrize("vector", [np.zeros(0, np.float32), np.zeros(DIMENSION, np.float32)])
    async def test_without_sentence_vectors_the_share_of_terms_decides(self, vector: Vector) -> None:
        found = source(REFUNDS, scores={"dense": 0.9, "sparse": 3.0})
        blind = replace(found, sentences=tuple(replace(part, vector=vector) for part in found.sentences))

        assert (await weigh("refunds paid", blind)).confidence == pytest.approx(1.0)
        assert (await weigh("unheard of words", blind)).confidence == 0.0
        assert (await weigh("unheard of words", found)).confidence > 0.0

    async def test_between_the_two_floors_the_context_is_insufficient(self) -> None:
        found = source("refunds are", scores={"dense": None, "sparse": 3.0})  # 3.2, each unseen word 3.5

        evidence = await weigh("refunds are unheard of", found, dense=False)

        assert NOTHING_BELOW_BY_WORDS <= evidence.confidence < ANSWER_FROM_BY_WORDS
        assert evidence.abstention == "insufficient_context"

    async def test_in_other_languages_the_words_count_more(self) -> None:
        english = await weigh("within unheard", source(REFUNDS))
        german = await weigh("within unheard", source(REFUNDS), language="de")

        assert english.confidence < ANSWER_FROM
        assert (english.abstention, german.abstention) == ("insufficient_context", None)
        assert (english.language, german.language) == ("", "de")

    async def test_a_question_that_does_not_tell_its_language_has_that_of_the_best_source(self) -> None:
        found = replace(source(REFUNDS), language="de")

        evidence = gather_evidence(WordEncoder(), {}, encoded("Refunds", None), [found])

        assert evidence.language == "de"


class TestScores:
    async def test_the_sentence_that_answers_scores_highest(self) -> None:
        (scored,) = (await weigh("When are refunds paid?", source(REFUNDS))).sources

        assert scored.sentences[0].score > scored.sentences[1].score > 0

    async def test_a_question_for_a_quantity_prefers_sentences_with_a_number(self) -> None:
        text = "It takes many days. It takes 14 days."
        (scored,) = (await weigh("How long takes it?", source(text))).sources
        (plain,) = (await weigh("It takes long, how?", source(text))).sources

        assert scored.sentences[1].score - plain.sentences[1].score == pytest.approx(0.1)

    @pytest.mark.parametrize(
        ("text", "bonus"), [("In May Ada Lovelace wrote it.", True), ("In May she wrote it.", False)]
    )
    async def test_a_question_for_a_person_prefers_sentences_with_a_new_name(
        self, text: str, bonus: bool
    ) -> None:
        fits = (await weigh("Who wrote it in May?", source(text))).sources[0].sentences[0].score
        plain = (await weigh("Wrote it in May, who?", source(text))).sources[0].sentences[0].score

        assert (fits - plain > 0.05) is bonus

    async def test_only_the_best_sources_are_weighed_and_all_are_kept_in_order(self) -> None:
        sources = [source(REFUNDS, n=number) for number in range(1, CONSIDERED + 3)]

        evidence = await weigh("When are refunds paid?", *sources)

        assert [found.n for found in evidence.sources] == [found.n for found in sources]
        assert all(found.sentences[0].score for found in evidence.sources[:CONSIDERED])
        assert not any(found.sentences[0].score for found in evidence.sources[CONSIDERED:])

    async def test_sentences_without_vectors_and_sources_without_sentences_are_weighed_by_words(self) -> None:
        bare = replace(source("refunds paid"), sentences=())
        blind_sentence = replace(source(REFUNDS).sentences[0], vector=np.zeros(0, np.float32))
        blind = replace(source(REFUNDS, n=2), sentences=(blind_sentence,))

        evidence = await weigh("refunds paid", bare, blind)

        assert evidence.sources[0].sentences == ()
        assert evidence.sources[1].sentences[0].score > 0


class TestTerms:
    async def test_a_term_that_no_document_has_weighs_more_than_the_rarest_found(self) -> None:
        store = cast("Any", TermWeights({"rare": 4.0, "common": 0.5}))

        weights = await term_weights(store, Scope(), encoded("rare common unseen").tokens)

        assert weights == {
            tokens("rare")[0]: 4.0,
            tokens("common")[0]: 0.5,
            tokens("unseen")[0]: 4.0 + UNSEEN_BONUS,
        }

    async def test_a_question_without_terms_has_no_weights(self) -> None:
        assert await term_weights(cast("Any", TermWeights({})), Scope(), encoded("?").tokens) == {}

    def test_a_share_is_the_part_of_the_weight_that_is_present(self) -> None:
        assert share({1: 3.0, 2: 1.0}, frozenset({1, 9})) == 0.75
        assert share({}, frozenset({1})) == 0.0


def whole(text: str) -> Source:
    """A source of one sentence, whatever stands in it."""
    made = source(text.replace("?", "!"))
    return replace(made, sentences=(replace(made.sentences[0], end=len(text), text=text),))


async def test_a_sentence_below_a_heading_that_asks_the_same_is_preferred() -> None:
    asking, other = (
        replace(source(REFUNDS), heading=(heading,)) for heading in ("When are refunds paid?", "Support")
    )

    evidence = await weigh("refunds paid", asking, other)

    below, elsewhere = (found.sentences[0].score for found in evidence.sources)
    assert below - elsewhere > HEADED - 1e-6


class TestDrawbacks:
    async def test_a_reference_to_another_place_is_not_what_answers(self) -> None:
        evidence = await weigh(
            "refunds", whole("See “What are refunds?” there."), whole("See what refunds are there.")
        )

        pointing, saying = (found.sentences[0].score for found in evidence.sources)
        assert pointing < saying

    async def test_a_sentence_in_another_language_gives_way(self) -> None:
        asked = encoded("refunds", direction("refunds"))
        asked = replace(asked, terms=replace(asked.terms, language="en"))
        sources = [replace(source(REFUNDS), language=language) for language in ("de", "en", "")]

        evidence = gather_evidence(WordEncoder(), {tokens("refunds")[0]: 1.0}, asked, sources)

        foreign, own, unknown = (found.sentences[0].score for found in evidence.sources)
        assert own - foreign == pytest.approx(FOREIGN)
        assert own == unknown
