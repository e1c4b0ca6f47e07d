"""What ranking reads of a chunk: packed and read back."""

import base64

import numpy as np
import pytest

from ragstone.core.models import Terms, Vector
from ragstone.pipelines.features import NOTHING, WEIGHED_TOGETHER, Features, decode, pack_features

LONG = WEIGHED_TOGETHER


def unit_rows(rows: int, dimension: int = 384) -> Vector:
    made = np.random.default_rng(rows).standard_normal((rows, dimension)).astype(np.float32)
    unit: Vector = made / np.linalg.norm(made, axis=1, keepdims=True)
    return unit


def unpacked(*packed: str) -> Features:
    return Features.unpack([decode(each) for each in packed])


def plain(rows: int) -> list[Terms]:
    return [Terms((row, row + 1)) for row in range(rows)]


class TestVectors:
    def test_directions_survive(self) -> None:
        rows = unit_rows(5)

        found = decode(pack_features(plain(5), [LONG] * 5, rows))

        assert np.allclose(np.linalg.norm(found.unit_vectors(), axis=1), 1.0, atol=1e-5)
        assert (np.sum(rows * found.unit_vectors(), axis=1) > 0.98).all()

    def test_cosines_are_those_of_the_vectors(self) -> None:
        packed = pack_features(plain(5), [LONG] * 5, unit_rows(5))
        found = unpacked(packed)
        question = unit_rows(1)[0]

        assert found.cosines(found.halves(), question) == pytest.approx(
            decode(packed).unit_vectors() @ question, abs=1e-5
        )

    def test_packing_again_changes_nothing(self) -> None:
        once = pack_features(plain(3), [LONG] * 3, unit_rows(3))

        assert pack_features(plain(3), [LONG] * 3, decode(once).unit_vectors()) == once

    def test_a_row_of_zeros_stays_one_and_is_like_nothing(self) -> None:
        packed = pack_features(plain(2), [LONG] * 2, np.zeros((2, 8), np.float32))
        found = unpacked(packed)

        assert not decode(packed).unit_vectors().any()
        assert not decode(packed).has_vectors
        assert not found.cosines(found.halves(), unit_rows(1, 8)[0]).any()
        assert not found.has_vectors

    def test_an_embedder_may_give_none(self) -> None:
        found = unpacked(pack_features(plain(2), [LONG] * 2, np.zeros((0, 8), np.float32)))

        assert not found.has_vectors
        assert found.words.tolist() == [2, 2]

    def test_an_odd_dimension_is_what_it_was(self) -> None:
        rows, question = unit_rows(2, 7), unit_rows(1, 7)[0]
        packed = pack_features(plain(2), [LONG] * 2, rows)

        found = unpacked(packed)

        assert decode(packed).unit_vectors().shape == (2, 7)
        assert found.cosines(found.halves(), question) == pytest.approx(rows @ question, abs=0.1)

    def test_chunks_with_and_without_vectors_go_together(self) -> None:
        with_vectors = pack_features(plain(2), [LONG] * 2, unit_rows(2, 8))
        without = pack_features(plain(3), [LONG] * 3, np.zeros((0, 8), np.float32))

        found = unpacked(without, with_vectors)

        cosines = found.cosines(found.halves(), unit_rows(1, 8)[0])
        assert not cosines[:3].any()
        assert cosines[3:].all()

    def test_the_sum_of_a_chunks_vectors_has_its_length(self) -> None:
        packed = [pack_features(plain(rows), [LONG] * rows, unit_rows(rows)) for rows in (2, 3)]
        found = unpacked(*packed)

        sums = [decode(each).unit_vectors().sum(axis=0) for each in packed]
        assert found.sums == pytest.approx([np.linalg.norm(total) for total in sums], rel=1e-5)

    def test_a_sentence_takes_half_a_byte_a_value(self) -> None:
        packed = pack_features([Terms(())] * 10, [LONG] * 10, unit_rows(10))

        assert len(base64.b64decode(packed)) == 10 + 10 * (4 + 4 + 192)


class TestTerms:
    def test_they_come_back_by_sentence_in_order(self) -> None:
        sentences = [Terms((5, 2**32 - 1), (7,)), Terms(()), Terms((5,), (9, 8))]

        packed = pack_features(sentences, [LONG] * 3, np.zeros((0, 8), np.float32))
        found = unpacked(packed)

        assert found.terms.tolist() == [5, 2**32 - 1, 7, 5, 9, 8]
        assert found.sentence.tolist() == [0, 0, 0, 2, 2, 2]
        assert found.words.tolist() == [2, 0, 1]
        assert decode(packed).tokens() == [frozenset((5, 7, 2**32 - 1)), frozenset(), frozenset((5, 8, 9))]

    def test_chunks_follow_each_other_those_without_sentences_too(self) -> None:
        packed = pack_features(plain(2), [LONG] * 2, unit_rows(2))

        found = unpacked(packed, "", packed)

        assert (found.chunks, found.chunk.tolist()) == (3, [0, 0, 2, 2])
        assert found.cosines(found.halves(), unit_rows(1)[0]).shape == (4,)

    def test_the_language_is_kept(self) -> None:
        none = np.zeros((0, 8), np.float32)
        packed = [pack_features(plain(1), [LONG], none, language) for language in ("de", "")]

        assert unpacked(*packed, "").languages == ("de", "", "")

    def test_nothing_is_nothing(self) -> None:
        found = unpacked("")

        assert (found.chunks, found.terms.tolist(), found.has_vectors) == (1, [], False)
        assert (NOTHING.tokens(), NOTHING.has_vectors) == ([], False)

    def test_short_sentences_are_weighed_with_what_follows(self) -> None:
        lengths = [10, 20, 15, 50, 10, 10]

        packed = pack_features(plain(6), lengths, np.zeros((0, 8), np.float32))

        assert unpacked(packed, packed).group.tolist() == [0, 0, 0, 1, 2, 2, 3, 3, 3, 4, 5, 5]
