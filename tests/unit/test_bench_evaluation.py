"""What the evaluation does to texts before it counts: a wrong count here would be a wrong figure in the docs."""

import random

from bench.claims import change_name, change_number, negate
from bench.corpus import make_documents
from bench.passages import Located
from ragstone.evaluation.matching import holds


class TestGoldAnswers:
    def test_case_articles_and_punctuation_do_not_count(self) -> None:
        assert holds("It fell to the Duke, of Normandy.", ["a duke of normandy"])

    def test_part_of_a_word_is_not_the_answer(self) -> None:
        assert not holds("It was founded in 1915.", ["191"])

    def test_one_of_several_is_enough(self) -> None:
        assert holds("About nine percent.", ["9 %", "nine percent"])

    def test_question_without_gold_is_never_answered(self) -> None:
        assert not holds("Anything at all.", [])


class TestPassages:
    def test_found_again_where_white_space_was_changed(self) -> None:
        located = Located.of("One  two\nthree\n\nfour")
        assert located.find("two three four") == (5, 20)

    def test_missing_passage_is_reported(self) -> None:
        assert Located.of("one two").find("three") is None


class TestFalseClaims:
    def test_changed_number_keeps_its_length_and_differs(self) -> None:
        claim = change_number("It holds 400 litres.", random.Random(1))
        assert claim is not None
        number = claim.split()[2]
        assert len(number) == 3
        assert number != "400"

    def test_claim_without_number_cannot_be_changed(self) -> None:
        assert change_number("It holds water.", random.Random(1)) is None

    def test_name_is_replaced_by_a_stranger(self) -> None:
        claim = change_name("The army of Rollo won.", random.Random(1), ["Rollo", "Kublai"])
        assert claim == "The army of Kublai won."

    def test_not_follows_the_first_auxiliary(self) -> None:
        assert negate("It was built and has stood since.") == "It was not built and has stood since."

    def test_claim_without_auxiliary_cannot_be_negated(self) -> None:
        assert negate("Steam expands.") is None


class TestMadeUpCorpus:
    def test_same_seed_gives_the_same_documents(self) -> None:
        assert make_documents(2, seed=3) == make_documents(2, seed=3)

    def test_every_question_is_answered_by_its_document(self) -> None:
        (document,) = make_documents(1, seed=3)
        for question in document.questions:
            words = question.rstrip("?").split()
            person = words[-1]
            assert person in document.text
