"""The second stage: what each term sees, and the score that it makes."""

import time
from dataclasses import replace

import numpy as np
import pytest

from ragstone.core.models import Terms
from ragstone.pipelines.features import NOTHING, Packed, decode, pack_features
from ragstone.pipelines.fusion import Candidate
from ragstone.pipelines.question import Question
from ragstone.pipelines.ranking import MIXTURE, rank
from tests.words import direction, question, tokens

WEIGHTS = dict.fromkeys((tokens(word)[0] for word in ("refunds", "are", "paid", "late")), 2.0)
ALL = MIXTURE.most(1.0)


def words(text: str) -> Terms:
    """In their order."""
    return Terms(tuple(tokens(word)[0] for word in text.lower().rstrip(".").split()))


def asked(text: str, *, dense: bool = True) -> Question:
    return replace(question(text, direction(text) if dense else None), terms=words(text))


def packed(*sentences: str, dense: bool = True) -> Packed:
    vectors = np.stack([direction(sentence) for sentence in sentences])
    lengths = [len(sentence) for sentence in sentences]
    return decode(
        pack_features([words(sentence) for sentence in sentences], lengths, vectors if dense else vectors[:0])
    )


def scores(asking: Question, *texts: tuple[str, ...], dense: bool = True) -> list[Candidate]:
    """Candidates `0`, `1`, … that both legs like equally."""
    candidates = [Candidate(str(n), 0.0, 0.5 if dense else None, 4.0) for n in range(len(texts))]
    features = {str(n): packed(*text, dense=dense) for n, text in enumerate(texts)}
    return rank(asking, WEIGHTS, candidates, features)


class TestTerms:
    def test_the_best_sentence_by_words(self) -> None:
        together, apart = ("Refunds are paid late.",), (
            "Refunds come.",
            "They are what I said.",
            "Not paid late.",
        )

        first, second = scores(asked("refunds paid late"), apart, together)

        assert (first.id, first.terms["sparse_sentence"]) == ("1", 1.0)
        assert second.terms["sparse_sentence"] < 1.0

    def test_the_best_sentence_by_meaning(self) -> None:
        one_to_the_point = ("Cats sleep all day.", "Refunds are paid late.")
        mixed = ("Cats refunds sleep are all day.", "Dogs paid bark late.")

        first, second = scores(asked("refunds are paid late"), mixed, one_to_the_point)

        assert (first.id, second.id) == ("1", "0")
        assert first.terms["dense_sentence"] == pytest.approx(1.0, abs=0.02)

    def test_neighbouring_words_that_stand_near_each_other(self) -> None:
        near, far = ("paid late refunds",), ("paid a b c d late refunds",)

        found = {
            candidate.id: candidate.terms["proximity"] for candidate in scores(asked("paid late"), far, near)
        }

        assert found == {"0": pytest.approx(1 / 5), "1": pytest.approx(1.0)}

    def test_either_order_is_near_but_another_chunk_is_not(self) -> None:
        first, second = scores(asked("paid late"), ("late paid",), ("a paid",))

        assert (first.terms["proximity"], second.terms["proximity"]) == (1.0, 0.0)

    def test_the_rarer_pair_counts_more(self) -> None:
        weights = {**WEIGHTS, tokens("are")[0]: 0.1}
        features = {"rare": packed("refunds x paid late"), "common": packed("refunds are x paid")}
        candidates = [Candidate(id_, 0.0, 0.5, 4.0) for id_ in features]

        found = rank(asked("refunds are paid late"), weights, candidates, features)

        near = {candidate.id: candidate.terms["proximity"] for candidate in found}
        assert near["rare"] > near["common"]

    def test_of_two_that_say_the_same_the_one_in_the_readers_language_is_first(self) -> None:
        asking = asked("refunds paid late")
        asking = replace(asking, terms=replace(asking.terms, language="de"))
        texts = {"0": "en", "1": "de", "2": ""}
        features = {
            id_: decode(
                pack_features(
                    [words("refunds paid late")], [40], direction("refunds paid late")[None, :], language
                )
            )
            for id_, language in texts.items()
        }

        found = rank(asking, WEIGHTS, [Candidate(id_, 0.0, 0.5, 4.0) for id_ in texts], features)

        assert [candidate.id for candidate in found] == ["1", "2", "0"]
        assert [candidate.terms["language"] for candidate in found] == [1.0, 1.0, 0.0]
        assert found[1].score - found[2].score == pytest.approx(MIXTURE.foreign / ALL)

    def test_what_is_like_the_best_is_lifted(self) -> None:
        best, like_it, unlike = ("Refunds are paid late.",), ("Owls hunt mice.",), ("Bread needs salt.",)
        asking = asked("refunds are paid late")
        features = {
            "best": packed(*best, "Owls hunt mice."),
            "like": packed(*like_it),
            "unlike": packed(*unlike),
        }
        candidates = [Candidate("best", 0.0, 0.9, 9.0)] + [
            Candidate(id_, 0.0, 0.1, 0.0) for id_ in ("like", "unlike")
        ]

        found = {candidate.id: candidate for candidate in rank(asking, WEIGHTS, candidates, features)}

        assert found["like"].terms["feedback"] > found["unlike"].terms["feedback"]
        assert found["like"].score > found["unlike"].score


class TestScore:
    def test_it_is_the_sum_of_its_terms_over_the_largest_there_can_be(self) -> None:
        (found,) = scores(asked("refunds paid late"), ("Refunds are paid.", "Late is late."))

        terms = found.terms
        total = (
            MIXTURE.chunk * 0.5
            + MIXTURE.sentence * terms["dense_sentence"]
            + MIXTURE.feedback * terms["feedback"]
        )
        total += (
            MIXTURE.lexical
            + MIXTURE.lexical_sentence * terms["sparse_sentence"]
            + MIXTURE.proximity * terms["proximity"]
        )
        assert found.score == pytest.approx(total / ALL)

    def test_a_script_that_the_encoder_cannot_read_leaves_the_words(self) -> None:
        asking = replace(asked("refunds paid"), legibility=0.0)
        candidates = [Candidate("near", 0.0, 0.99, 0.0), Candidate("wordy", 0.0, 0.0, 4.0)]
        features = {"near": packed("Something else entirely here."), "wordy": packed("Refunds paid in full.")}

        first, second = rank(asking, WEIGHTS, candidates, features)

        assert (first.id, first.terms["legibility"], second.score) == ("wordy", 0.0, 0.0)
        assert first.score == pytest.approx(1.0)

    @pytest.mark.parametrize("dense", [True, False])
    def test_scores_are_between_nought_and_one(self, *, dense: bool) -> None:
        found = scores(
            asked("refunds paid late", dense=dense), ("Refunds paid late.",), ("Owls.",), dense=dense
        )

        assert all(0.0 <= candidate.score <= 1.0 for candidate in found)
        assert found[0].id == "0"

    def test_without_sentence_vectors_the_chunks_cosine_has_their_weight(self) -> None:
        candidates = [Candidate("a", 0.0, 0.9, 1.0), Candidate("b", 0.0, 0.1, 1.0)]
        features = {id_: packed("Refunds paid late.", dense=False) for id_ in "ab"}

        first, second = rank(asked("refunds"), WEIGHTS, candidates, features)

        assert first.score - second.score == pytest.approx((MIXTURE.chunk + MIXTURE.sentence) * 0.8 / ALL)
        assert "dense_sentence" not in first.terms

    def test_equal_scores_are_ordered_by_id(self) -> None:
        assert [found.id for found in scores(asked("refunds"), ("Refunds.",), ("Refunds.",))] == ["0", "1"]


class TestTail:
    def test_what_was_not_looked_at_closely_follows_in_its_own_order(self) -> None:
        candidates = [
            Candidate("head", 0.0, 0.1, 0.1),
            Candidate("z", 0.0, 0.9, 9.0),
            Candidate("a", 0.0, 0.8, 8.0),
            Candidate("b", 0.0, 0.0, 0.0),
            Candidate("c", 0.0, 0.1, 0.0),
        ]

        found = rank(asked("refunds"), WEIGHTS, candidates, {"head": packed("Refunds here.")})

        assert [candidate.id for candidate in found] == ["head", "z", "a", "b", "c"]
        assert [candidate.score for candidate in found] == sorted((c.score for c in found), reverse=True)

    def test_below_nought_the_order_stays(self) -> None:
        asking = asked("refunds paid late")
        asking = replace(asking, terms=replace(asking.terms, language="de"), legibility=0.0)
        features = {
            id_: decode(pack_features([words(text)], [40], direction(text)[None, :], "en"))
            for id_, text in (("a", "owls hunt mice"), ("b", "late owls hunt"))
        }
        candidates = [
            Candidate("a", 0.0, 0.0, 0.0),
            Candidate("b", 0.0, 0.0, 0.1),
            Candidate("c", 0.0, 0.0, 9.0),
        ]

        found = rank(asking, {**WEIGHTS, tokens("late")[0]: 0.0001}, candidates, features)

        assert [candidate.id for candidate in found][:2] == ["b", "a"]
        assert [candidate.score for candidate in found[1:]] == [0.0, 0.0]

    def test_points_without_sentences_are_ranked_by_the_rest(self) -> None:
        found = rank(asked("refunds"), WEIGHTS, [Candidate("a", 0.0, 0.5, 1.0)], {"a": NOTHING})

        assert found[0].score > 0

    def test_nothing_is_ranked_as_nothing(self) -> None:
        assert rank(asked("refunds"), WEIGHTS, [], {}) == []

    def test_a_question_without_terms_is_ranked_by_meaning(self) -> None:
        asking = replace(asked("refunds"), terms=Terms(()))

        assert scores(asking, ("Refunds.",))[0].terms["sparse_sentence"] == 0.0


def test_chunks_of_nothing_but_the_questions_words_take_no_longer_than_their_length() -> None:
    features = {str(n): packed("refunds paid late " * 650) for n in range(50)}
    candidates = [Candidate(id_, 0.0, 0.5, 4.0) for id_ in features]
    begun = time.process_time()

    found = rank(asked("refunds paid late " * 80), WEIGHTS, candidates, features)

    assert time.process_time() - begun < 2.0
    assert all(0.0 <= candidate.score <= 1.0 for candidate in found)
