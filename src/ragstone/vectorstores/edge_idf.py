"""BM25's inverse document frequencies, counted once for each scope and filter and kept until something is written.

Edge multiplies a sparse query by IDFs that it counts over a corpus at every query: 4 CPU ms for ten tokens over 100,000
points. A question needs them three times (search, scores of the other leg's hits, term weights). So they are asked for
once, a token at a time, and a search carries them as weights: its own corpus is empty, where every IDF is ln 2.
"""

import hashlib
import math
from collections.abc import Callable, Sequence

from qdrant_edge import Filter, IdfParams, SearchParams, SparseVector

from ragstone.vectorstores.edge_filters import NOTHING
from ragstone.vectorstores.frames import Condition

EMPTY_CORPUS = SearchParams(idf=IdfParams(corpus=Filter(must=[NOTHING])))
_IDF_OF_EMPTY_CORPUS = math.log(2)  # ln((N - n + 0.5) / (n + 0.5) + 1) with N = n = 0
_MAX_REMEMBERED = 50_000  # about 5 MB

Measure = Callable[[str, Condition | None, Sequence[int]], dict[int, float]]
"""(scope, where, tokens) → IDF of those that some point has."""


class TermWeights:
    """Remembers what `measure` found; `forget` after every write."""

    def __init__(self, measure: Measure) -> None:
        self._measure = measure
        self._known: dict[bytes, dict[int, float | None]] = {}
        self._remembered = 0

    def of(self, scope: str, where: Condition | None, indices: Sequence[int]) -> dict[int, float]:
        """IDF of each token over scope and filter; tokens that no point there has are left out."""
        known = self._known.setdefault(_key(scope, where), {})
        missing = [index for index in indices if index not in known]
        if missing:
            found = self._measure(scope, where, missing)
            known.update((index, found.get(index)) for index in missing)
        weights = {index: weight for index in indices if (weight := known[index]) is not None}
        self._bound(len(missing))
        return weights

    def query(
        self, scope: str, where: Condition | None, indices: Sequence[int], values: Sequence[float]
    ) -> SparseVector | None:
        """The query vector that scores as BM25 over an empty corpus; None if no point has any of its tokens."""
        weights = self.of(scope, where, indices)
        kept = [
            (index, value * weights[index] / _IDF_OF_EMPTY_CORPUS)
            for index, value in zip(indices, values, strict=True)
            if index in weights
        ]
        return SparseVector([index for index, _ in kept], [value for _, value in kept]) if kept else None

    def forget(self) -> None:
        """Something was written: count anew."""
        self._known.clear()
        self._remembered = 0

    def _bound(self, added: int) -> None:
        self._remembered += added
        if self._remembered > _MAX_REMEMBERED:
            self.forget()


def _key(scope: str, where: Condition | None) -> bytes:
    """Short, however long the filter is."""
    return hashlib.blake2b(f"{scope} {where!r}".encode(), digest_size=16).digest()
