"""Weights and fingerprint of the lexical leg; its terms are tested with `terms`."""

import math

import pytest

from ragstone.core.models import SparseVector, Terms
from ragstone.embeddings.bm25 import OTHER_FORM, Bm25Encoder

EMPTY = SparseVector((), ())


@pytest.fixture(scope="module")
def encoder() -> Bm25Encoder:
    return Bm25Encoder(average_words=4)


class TestWeights:
    def test_they_are_bm25s_term_frequency_parts(self, encoder: Bm25Encoder) -> None:
        (weights,) = (encoder.encode_document([Terms((7, 7)), Terms((3,))]),)

        length = 1 - 0.75 + 0.75 * 3 / 4
        assert weights.indices == (3, 7)
        assert weights.values == pytest.approx((2.2 / (1 + 1.2 * length), 4.4 / (2 + 1.2 * length)))

    def test_other_forms_count_once_and_add_no_length(self, encoder: Bm25Encoder) -> None:
        plain = encoder.encode_document([Terms((7, 3))])
        richer = encoder.encode_document([Terms((7, 3), (9, 9, 9, 7))])

        assert dict(zip(richer.indices, richer.values, strict=True)) == {
            **dict(zip(plain.indices, plain.values, strict=True)),
            9: plain.values[0],
        }

    def test_a_question_weighs_words_one_and_other_forms_less(self, encoder: Bm25Encoder) -> None:
        assert encoder.encode_query(Terms((9, 7), (3, 7))) == SparseVector((3, 7, 9), (OTHER_FORM, 1.0, 1.0))

    def test_nothing_has_the_empty_vector(self, encoder: Bm25Encoder) -> None:
        assert encoder.encode_document([]) == encoder.encode_document([Terms(())]) == EMPTY
        assert encoder.encode_query(Terms(())) == EMPTY

    def test_weights_are_plain_finite_numbers(self, encoder: Bm25Encoder) -> None:
        vector = encoder.encode_document([encoder.terms("alpha beta " * 20_000)])

        assert all(type(index) is int for index in vector.indices)
        assert all(type(value) is float and math.isfinite(value) for value in vector.values)


class TestFingerprint:
    def test_it_names_terms_languages_and_parameters(self) -> None:
        assert Bm25Encoder().fingerprint == "bm25:terms-1:en+de+fr+es+it+pt+nl+ru:k=1.2:b=0.75:words=90"

    def test_another_average_length_is_another_fingerprint(self) -> None:
        assert Bm25Encoder(average_words=99.5).fingerprint != Bm25Encoder().fingerprint
