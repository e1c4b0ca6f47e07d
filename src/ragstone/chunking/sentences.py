"""The sentences of a block, as its kind has them: of prose, of a list's items, rows of a table, lines of code."""

from collections.abc import Iterator

from ragstone.core.models import Block, BlockKind
from ragstone.core.sentences import Span, join_short, line_sentences, sentence_spans, trimmed


def block_sentences(text: str, block: Block) -> list[Span]:
    """Spans in document offsets, in order, without white space around them. Short ones are joined to a neighbour."""
    start, end = block.start, block.end
    match block.kind:
        case BlockKind.HEADING:
            return [(start, end)]
        case BlockKind.PARAGRAPH:
            return sentence_spans(text, start, end)
        case BlockKind.LIST:
            return join_short(text, _item_sentences(text, start, end))
        case BlockKind.TABLE | BlockKind.CODE:
            return join_short(text, _lines(text, start, end))


def _item_sentences(text: str, start: int, end: int) -> Iterator[Span]:
    for line_start, line_end in _lines(text, start, end):
        for item_start, item_end in trimmed(text, line_start, line_end):
            yield from line_sentences(text, item_start, item_end)


def _lines(text: str, start: int, end: int) -> Iterator[Span]:
    """Lines without the white space around them; blank ones are left out."""
    while start < end:
        line_end = text.find("\n", start, end)
        line_end = end if line_end < 0 else line_end
        line = text[start:line_end]
        if body := line.strip():
            body_start = start + len(line) - len(line.lstrip())
            yield body_start, body_start + len(body)
        start = line_end + 1
