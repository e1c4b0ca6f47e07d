"""What ranking reads of a chunk besides its scores: the terms of its sentences in order, and their vectors, packed.

Layout, little-endian, then base64: sentences (uint16), dimension (uint16), the length of the sum of their unit vectors
(float32), the code of its language (2 bytes, NUL where it could not be told); for each sentence its number of words, with
`_CONTINUES` set where it is weighed together with the one before it, and of further forms (uint16 each); the ids of
all terms, sentence by sentence, words before forms (uint32); for each sentence the inverse length of its levels
(float32), then its levels, two a byte: value + 8 of the first half of the dimensions in the low four bits, of the
second half in the high ones.

Four bits a value lose nothing that can be measured, one bit .001 nDCG@10 (docs/decisions/0022): only directions count.
"""

import struct
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pybase64
from numpy.typing import NDArray

from ragstone.core.models import Terms, Vector

WEIGHED_TOGETHER = 40
"""Characters; sentences are put together until they have so many, since a heading or a short line says nothing alone."""

_HEADER = struct.Struct("<HHf2s")
_CONTINUES = 0x8000
_MOST = 0x7FFF
_LEVELS = 7
_OVERHEAD = 400  # bytes of memory, of the objects around the parts
_ZERO = 8


def pack_features(
    sentences: Sequence[Terms], lengths: Sequence[int], vectors: Vector, language: str = ""
) -> str:
    """Of a chunk's sentences: their terms, lengths in characters and vectors, shape (sentences, dimension) or with no
    rows where the embedder gives none; `language` is a code of two letters."""
    counts = np.zeros((len(sentences), 2), "<u2")
    together = 0
    for row, (terms, length) in enumerate(zip(sentences, lengths, strict=True)):
        continues = 0 < together < WEIGHED_TOGETHER
        together = together + length if continues else length
        counts[row] = min(len(terms.words), _MOST) | _CONTINUES * continues, min(len(terms.others), _MOST)
    ids = [id_ for terms in sentences for id_ in (*terms.words[:_MOST], *terms.others[:_MOST])]
    width = vectors.shape[1] if len(vectors) else 0
    levels, inverse = _quantise(vectors if len(vectors) else np.zeros((len(sentences), 0), np.float32))
    packed = b"".join(
        (
            _HEADER.pack(len(sentences), width, _length_of_sum(levels, inverse), language.encode("ascii")),
            counts.tobytes(),
            np.array(ids, "<u4").tobytes(),
            inverse.tobytes(),
            levels.tobytes(),
        )
    )
    return pybase64.b64encode(packed).decode("ascii")


class Packed(NamedTuple):
    """The parts of the layout of one chunk, still as bytes."""

    sentences: int
    dimension: int
    length_of_sum: float
    language: str
    counts: bytes
    terms: bytes
    inverse: bytes
    levels: bytes

    @property
    def bytes(self) -> int:
        """About what it takes in memory."""
        return _OVERHEAD + len(self.counts) + len(self.terms) + len(self.inverse) + len(self.levels)

    @property
    def has_vectors(self) -> bool:
        """Whether the embedder gave some."""
        return self.length_of_sum > 0

    def tokens(self) -> list[frozenset[int]]:
        """The distinct terms of each sentence, words and further forms alike."""
        counts, ids, start, found = array("H", self.counts), array("I", self.terms).tolist(), 0, []
        for row in range(0, len(counts), 2):
            end = start + (counts[row] & _MOST) + counts[row + 1]
            found.append(frozenset(ids[start:end]))
            start = end
        return found

    def unit_vectors(self) -> Vector:
        """Of each sentence, shape (sentences, dimension); zeros where it has none."""
        levels = np.frombuffer(self.levels, np.uint8).reshape(self.sentences, (self.dimension + 1) // 2)
        wide = np.concatenate((levels & 15, levels >> 4), axis=1, dtype=np.float32, casting="unsafe") - _ZERO
        unit: Vector = wide[:, : self.dimension] * np.frombuffer(self.inverse, "<f4")[:, None]
        return unit


NOTHING = Packed(0, 0, 0.0, "", b"", b"", b"", b"")
"""Of a chunk without sentences."""


def decode(packed: str) -> Packed:
    """What `pack_features` made; `NOTHING` for an empty text."""
    if not packed:
        return NOTHING
    content = pybase64.b64decode(packed)
    rows, dimension, length, language = _HEADER.unpack_from(content)
    levels = len(content) - rows * ((dimension + 1) // 2)
    inverse = levels - 4 * rows
    terms = _HEADER.size + 4 * rows
    return Packed(
        rows,
        dimension,
        length,
        language.rstrip(b"\0").decode(),
        content[_HEADER.size : terms],
        content[terms:inverse],
        content[inverse:levels],
        content[levels:],
    )


@dataclass(frozen=True, slots=True)
class Features:
    """The sentences of several chunks, one after another; of n sentences with m terms in all:

    `chunk` (n,) the position of the sentence's chunk, ascending; `group` (n,) which are weighed together, ascending;
    `words` (n,) the number of its words; `terms` (m,) ids in order; `sentence` (m,) which one a term stands in;
    `levels` (n, dimension / 2) and `inverse` (n,) its vector, packed; `sums` (chunks,) the length of the sum of a chunk's
    vectors; `languages` the code of each chunk's."""

    chunks: int
    chunk: NDArray[np.int64]
    group: NDArray[np.int64]
    words: NDArray[np.int64]
    terms: NDArray[np.uint32]
    sentence: NDArray[np.int64]
    levels: NDArray[np.uint8]
    inverse: NDArray[np.float32]
    sums: NDArray[np.float64]
    languages: tuple[str, ...]

    @classmethod
    def unpack(cls, parts: Sequence[Packed]) -> "Features":
        """Of chunks, each as `decode` has it."""
        width = (max((part.dimension for part in parts), default=0) + 1) // 2
        counts = np.frombuffer(b"".join(part.counts for part in parts), "<u2").reshape(-1, 2).astype(np.int64)
        continues = counts[:, 0] & _CONTINUES
        words = counts[:, 0] & _MOST
        rows = [part.sentences for part in parts]
        return cls(
            chunks=len(parts),
            chunk=np.repeat(np.arange(len(parts)), rows),
            group=np.cumsum(continues == 0) - 1,
            words=words,
            terms=np.frombuffer(b"".join(part.terms for part in parts), "<u4"),
            sentence=np.repeat(np.arange(len(counts)), words + counts[:, 1]),
            inverse=np.frombuffer(b"".join(part.inverse for part in parts), "<f4"),
            levels=np.frombuffer(b"".join(_levels(part, width) for part in parts), np.uint8).reshape(
                len(counts), width
            ),
            sums=np.array([part.length_of_sum for part in parts]),
            languages=tuple(part.language for part in parts),
        )

    @property
    def has_vectors(self) -> bool:
        """Whether any sentence has one."""
        return bool(self.levels.shape[1] and self.inverse.any())

    def halves(self) -> Vector:
        """The levels as numbers, 8 too large: shape (n, dimension). What `cosines` compares."""
        return np.concatenate(
            (self.levels & 15, self.levels >> 4), axis=1, dtype=np.float32, casting="unsafe"
        )

    def cosines(self, halves: Vector, vector: Vector) -> NDArray[np.float32]:
        """Of each sentence to a unit vector of shape (dimension,); 0 where a sentence has none."""
        even = np.pad(vector, (0, halves.shape[1] - len(vector)))
        found: NDArray[np.float32] = (halves @ even - np.float32(_ZERO) * even.sum()) * self.inverse
        return found


def _levels(part: Packed, width: int) -> bytes:
    """Zeros where the embedder gave none for this chunk."""
    return part.levels if part.dimension else bytes(part.sentences * width)


def _length_of_sum(levels: NDArray[np.uint8], inverse: NDArray[Any]) -> float:
    wide = np.concatenate((levels & 15, levels >> 4), axis=1).astype(np.float32) - _ZERO
    return float(np.linalg.norm((wide * inverse[:, None]).sum(axis=0)))


def _quantise(vectors: Vector) -> tuple[NDArray[np.uint8], NDArray[Any]]:
    """Levels, packed, and their inverse lengths, 0 for a row of zeros. An odd dimension is filled up with a zero."""
    rows, dimension = vectors.shape
    if not dimension:
        return np.zeros((rows, 0), np.uint8), np.zeros(rows, "<f4")
    even = np.pad(vectors, ((0, 0), (0, dimension % 2)))
    largest = np.abs(even).max(axis=1, keepdims=True)
    largest[largest == 0] = 1.0
    levels = np.rint(even * (_LEVELS / largest)).astype(np.int8)
    lengths = np.linalg.norm(levels.astype(np.float32), axis=1)
    inverse = np.divide(1.0, lengths, out=np.zeros(rows), where=lengths > 0).astype("<f4")
    shifted = (levels + _ZERO).astype(np.uint8)
    half = shifted.shape[1] // 2
    return shifted[:, :half] | shifted[:, half:] << 4, inverse
