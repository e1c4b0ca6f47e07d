"""Which pieces make a chunk: the division of a document that costs least, found by dynamic programming.

A chunk costs what it lacks to the target or has above it, squared; a cut costs by what it tears apart; a section that
begins inside a chunk costs too. Unlike greedy packing this leaves no small rests. What was a chunk of the version before
is preferred, so that a change in the text makes new chunks only where it is.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from ragstone.chunking.pieces import Cut, Piece

MOST_PIECES = 64  # in one chunk; only headings without text are so many in so few tokens

# In units of an empty chunk's cost. Judged on documentation pages; halved, doubled or left out they lose one to
# three points of token recall on long documents (five chunks by BM25).
_CUT_COSTS = {
    Cut.SECTION: 0.0,
    Cut.BLOCK: 0.03,
    Cut.INTRODUCTION: 0.25,
    Cut.HEADING: 1.5,
    Cut.ITEM: 0.08,
    Cut.SENTENCE: 0.10,
    Cut.ROW: 0.12,
    Cut.LINE: 0.15,
    Cut.PART: 0.3,
}
_INTO_SUBSECTION = 0.4
_BETWEEN_SIBLINGS = 0.6
_BETWEEN_CHAPTERS = 0.8
_OVER_TARGET = 0.3
_KNOWN_BEFORE = 0.3  # what a chunk is cheaper by that need not be embedded again
_WELL_FILLED = 0.1  # at most: 137 of 200 tokens; others are not preferred, or small rests would stay for ever


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of a chunk: `target` and `most` in tokens, `most` with its context; `characters` of its text."""

    target: int
    most: int
    characters: int

    def within(self, most: int | None) -> "Limits":
        """The same, with chunks of at most so many tokens; None changes nothing."""
        if most is None:
            return self
        return Limits(min(self.target, most), min(self.most, most), self.characters)


class Packer:
    """Divides runs of pieces into chunks within limits."""

    def __init__(self, limits: Limits):
        self._limits = limits
        self._size_costs = [_size_cost(tokens, limits) for tokens in range(limits.most + 1)]

    def pack(
        self, pieces: Sequence[Piece], contexts: Sequence[int], known: Iterable[tuple[int, int]] = ()
    ) -> list[tuple[int, int]]:
        """(first, one behind the last) piece of each chunk. `contexts` holds the most tokens that the context of a
        chunk with each piece can have, `known` what was a chunk before."""
        known_begins = defaultdict[int, set[int]](set)
        for first, stop in known:
            known_begins[stop].add(first)
        cheapest, begins = [0.0], [0]
        crossings = [0.0, *map(_crossing_cost, pieces, pieces[1:])]
        for stop in range(1, len(pieces) + 1):
            known_here = known_begins.get(stop, ())
            cost, begin = self._last_chunk(pieces, contexts, crossings, cheapest, known_here, stop)
            cheapest.append(cost)
            begins.append(begin)
        chunks: list[tuple[int, int]] = []
        stop = len(pieces)
        while stop:
            chunks.append((begins[stop], stop))
            stop = begins[stop]
        return chunks[::-1]

    def _last_chunk(
        self,
        pieces: Sequence[Piece],
        contexts: Sequence[int],
        crossings: Sequence[float],
        cheapest: Sequence[float],
        known_begins: Collection[int],
        stop: int,
    ) -> tuple[float, int]:
        """What the first `stop` pieces cost at least, and where their last chunk then begins."""
        limits, size_costs = self._limits, self._size_costs
        furthest = pieces[stop - 1].end - limits.characters
        tokens = context = 0
        crossed = 0.0
        best, best_begin = float("inf"), stop - 1
        for begin in range(stop - 1, max(-1, stop - 1 - MOST_PIECES), -1):
            piece = pieces[begin]
            tokens += piece.tokens
            context = max(context, contexts[begin])
            if begin < stop - 1 and (tokens + context > limits.most or piece.start < furthest):
                break
            cost = cheapest[begin] + size_costs[tokens] + _CUT_COSTS[piece.cut] + crossed
            if begin in known_begins and size_costs[tokens] <= _WELL_FILLED:
                cost -= _KNOWN_BEFORE
            if cost < best:
                best, best_begin = cost, begin
            if not piece.adds_up:
                break
            crossed += crossings[begin]
        return best, best_begin


def _size_cost(tokens: int, limits: Limits) -> float:
    if tokens <= limits.target:
        return ((limits.target - tokens) / limits.target) ** 2
    return _OVER_TARGET * ((tokens - limits.target) / (limits.most - limits.target)) ** 2


def _crossing_cost(before: Piece, after: Piece) -> float:
    """What it costs to have the border of two sections inside a chunk."""
    if before.path == after.path:
        return 0.0
    shared = 0
    while shared < min(len(before.path), len(after.path)) and before.path[shared] == after.path[shared]:
        shared += 1
    if shared == len(before.path):
        return _INTO_SUBSECTION
    return _BETWEEN_SIBLINGS if shared else _BETWEEN_CHAPTERS
