"""BM25's document and query weights, and the texts that are hard on a tokenizer."""

import math

import pytest

from ragstone.core.models import SparseVector
from ragstone.embeddings.bm25 import Bm25Encoder

EMPTY = SparseVector((), ())


@pytest.fixture(scope="module")
def encoder() -> Bm25Encoder:
    return Bm25Encoder()


def vocabulary(size: int) -> str:
    return " ".join(f"word{number}x" for number in range(size))


class TestWeights:
    def test_document_weight_follows_the_formula(self) -> None:
        text = "alpha alpha beta gamma"
        weights = Bm25Encoder(avg_len=8).encode_document(text)
        length_part = 1.2 * (1 - 0.75 + 0.75 * 4 / 8)
        expected = sorted(
            [1 * 2.2 / (1 + length_part), 1 * 2.2 / (1 + length_part), 2 * 2.2 / (2 + length_part)]
        )
        assert sorted(weights.values) == pytest.approx(expected, rel=1e-5)

    def test_query_weighs_each_distinct_token_once(self, encoder: Bm25Encoder) -> None:
        assert encoder.encode_query("alpha alpha beta").values == (1.0, 1.0)

    def test_query_and_document_share_token_ids(self, encoder: Bm25Encoder) -> None:
        text = "Running engines need oil; größer 東京 🦊."
        assert encoder.encode_query(text).indices == encoder.encode_document(text).indices

    def test_ids_are_ascending_and_distinct(self, encoder: Bm25Encoder) -> None:
        indices = encoder.encode_document(vocabulary(5_000)).indices
        assert list(indices) == sorted(set(indices))
        assert len(indices) > 4_990  # of 2^31 ids, two of 5,000 words share one once in 170 texts

    def test_weights_are_plain_finite_numbers(self, encoder: Bm25Encoder) -> None:
        vector = encoder.encode_document("alpha beta " * 200)
        assert all(type(index) is int for index in vector.indices)
        assert all(type(value) is float and math.isfinite(value) and value > 0 for value in vector.values)


class TestWords:
    def test_inflections_and_cases_are_one_token(self, encoder: Bm25Encoder) -> None:
        assert len(encoder.encode_query("Run running RUNS").indices) == 1

    def test_stop_words_are_no_tokens(self, encoder: Bm25Encoder) -> None:
        assert encoder.encode_query("the of and") == EMPTY

    def test_chinese_sentence_has_many_tokens(self, encoder: Bm25Encoder) -> None:
        sentence = encoder.encode_document("我们在北京学习中文")
        word = encoder.encode_query("北京")
        assert len(sentence.indices) > 2
        assert set(word.indices) <= set(sentence.indices)


class TestHardTexts:
    @pytest.mark.parametrize("text", ["", "   ", "\n\t\u200b", "...!?", " " * 300_000])
    def test_text_without_words_is_the_empty_vector(self, encoder: Bm25Encoder, text: str) -> None:
        assert encoder.encode_document(text) == EMPTY
        assert encoder.encode_query(text) == EMPTY

    def test_lone_surrogates_count_as_replacement_characters(self, encoder: Bm25Encoder) -> None:
        assert encoder.encode_document("alpha \ud800 beta") == encoder.encode_document("alpha \ufffd beta")
        assert encoder.encode_query("alpha \udfff") == encoder.encode_query("alpha \ufffd")

    @pytest.mark.parametrize("unit", ["a", "e\u0301", "[x](", "🦊", "a_", "ภาษา"])
    def test_long_text_of_one_thing_is_one_token_at_most(self, encoder: Bm25Encoder, unit: str) -> None:
        assert len(encoder.encode_document(unit * (300_000 // len(unit))).indices) <= 1


class TestFingerprint:
    def test_it_names_every_parameter(self) -> None:
        assert Bm25Encoder().fingerprint == "bm25:qdrant-multilingual:english:k=1.2:b=0.75:avg_len=120"

    def test_another_average_length_is_another_fingerprint(self) -> None:
        assert Bm25Encoder(avg_len=99.5).fingerprint != Bm25Encoder().fingerprint
