"""A document as the pieces that chunks are packed from: sentences, rows, items, lines, and what stands in front of
each. Headings, and blocks too small to stand alone, come with what follows them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import NamedTuple

from ragstone.chunking.sentences import block_sentences
from ragstone.chunking.splitting import Splitter
from ragstone.chunking.tokens import DocumentTokens
from ragstone.core.models import Block, BlockKind, Location
from ragstone.core.sentences import Span

SMALL = 12  # tokens; smaller pieces are joined: it bounds how many ways of packing there are


class Cut(IntEnum):
    """What stands in front of a piece."""

    SECTION = 0
    BLOCK = 1
    INTRODUCTION = 2  # a block that ends with a colon
    HEADING = 3  # its own
    ITEM = 4
    SENTENCE = 5
    ROW = 6
    LINE = 7
    PART = 8  # of the same sentence, row or line


_INNER_CUTS = {
    BlockKind.HEADING: Cut.PART,
    BlockKind.PARAGRAPH: Cut.SENTENCE,
    BlockKind.LIST: Cut.ITEM,
    BlockKind.TABLE: Cut.ROW,
    BlockKind.CODE: Cut.LINE,
}


@dataclass(frozen=True, slots=True)
class Piece:
    """A span that is not cut again. Its text begins with the last `headings` parts of its heading path. One that does
    not add up must not share a chunk with the piece before it: the tokens of both together are not their sum.
    """

    start: int
    end: int
    tokens: int
    cut: Cut
    path: tuple[str, ...]
    location: Location
    sentences: tuple[Span, ...]
    headings: int = 0
    is_heading: bool = False
    adds_up: bool = True


class PieceCutter:
    """Cuts the blocks of one document into pieces of at most `max_tokens` and `max_characters`."""

    def __init__(self, text: str, tokens: DocumentTokens, *, max_tokens: int, max_characters: int):
        self._text = text
        self._tokens = tokens
        self._max_tokens = max_tokens
        self._max_characters = max_characters
        self._splitter = Splitter(text, tokens, max_tokens=max_tokens, max_characters=max_characters)

    def pieces(self, blocks: Sequence[Block]) -> Iterator[Piece]:
        """All pieces, in reading order."""
        pending: Piece | None = None
        for piece in self._unjoined(blocks):
            if pending is None:
                pending = piece
            elif piece.adds_up and self._fit(pending, piece) and _belong_together(pending, piece):
                pending = _joined(pending, piece)
            else:
                yield pending
                pending = piece
        if pending is not None:
            yield pending

    def _unjoined(self, blocks: Sequence[Block]) -> Iterator[Piece]:
        before: Block | None = None
        for block in blocks:
            cut = _cut_between(self._text, before, block)
            is_heading = block.kind is BlockKind.HEADING
            for span in self._spans(block):
                yield Piece(
                    span.start,
                    span.end,
                    span.tokens,
                    cut if span.adds_up else Cut.PART,
                    block.heading,
                    block.location,
                    ((span.sentence_start, span.end),),
                    headings=int(is_heading),
                    is_heading=is_heading,
                    adds_up=span.adds_up,
                )
                cut = _INNER_CUTS[block.kind]
            before = block

    def _spans(self, block: Block) -> Iterator["_Span"]:
        """Sentences, with list marks in front of them, and parts of those that are too long."""
        at = block.start
        for sentence_start, end in block_sentences(self._text, block):
            start = at
            while self._text[start].isspace():
                start += 1
            at = end
            is_short = end - start <= self._max_characters
            if is_short and (tokens := self._tokens.count(start, end)) <= self._max_tokens:
                yield _Span(start, end, tokens, sentence_start)
            else:
                yield from self._parts(start, end, sentence_start)

    def _parts(self, start: int, end: int, sentence_start: int) -> Iterator["_Span"]:
        for part_start, part_end, adds_up in self._splitter.split(start, end):
            visible_start = sentence_start if part_start < sentence_start < part_end else part_start
            tokens = self._tokens.count(part_start, part_end)
            yield _Span(part_start, part_end, tokens, visible_start, adds_up)

    def _fit(self, first: Piece, second: Piece) -> bool:
        is_short = second.end - first.start <= self._max_characters
        return is_short and first.tokens + second.tokens <= self._max_tokens


class _Span(NamedTuple):
    start: int
    end: int
    tokens: int
    sentence_start: int
    adds_up: bool = True


def _cut_between(text: str, before: Block | None, block: Block) -> Cut:
    if before is None or (before.heading != block.heading):
        return Cut.SECTION
    if before.kind is BlockKind.HEADING:
        return Cut.HEADING
    return Cut.INTRODUCTION if text[before.end - 1] in ":：" else Cut.BLOCK


def _belong_together(first: Piece, second: Piece) -> bool:
    """Whether a heading is followed by what stands under it, or a small piece by one of the same block or section."""
    if first.is_heading:
        return second.path[: len(first.path)] == first.path
    if first.tokens >= SMALL or first.path != second.path:
        return False
    return second.cut > Cut.HEADING or first.cut < Cut.HEADING


def _joined(first: Piece, second: Piece) -> Piece:
    return replace(
        first,
        end=second.end,
        tokens=first.tokens + second.tokens,
        path=second.path,
        location=first.location.through(second.location),
        sentences=first.sentences + second.sentences,
        headings=first.headings + len(second.path) - len(first.path) if first.is_heading else first.headings,
        is_heading=first.is_heading and second.is_heading,
    )
