"""Builds a ParsedDocument piece by piece: text, blocks and the heading path they stand under."""

from collections.abc import Sequence

from ragstone.core.models import Block, BlockKind, ChildDocument, Location, ParsedDocument
from ragstone.parsers.decoding import clean, require_text

BETWEEN_BLOCKS = "\n\n"
HEADING_CHARACTERS = 200  # of a heading in the path; the heading's own block keeps all of it
_SLICE = 65_536  # characters that are split into words at a time: a word object takes ten times its letters


class BlockWriter:
    """Appends blocks in reading order. The path of a heading block ends with that heading itself. `location` is the
    place of what is added next."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._length = 0
        self._blocks: list[Block] = []
        self._open_headings: list[tuple[int, str]] = []
        self._path: tuple[str, ...] = ()
        self.first_title: str | None = None
        self.location = Location()

    @property
    def is_empty(self) -> bool:
        """Whether nothing was written yet."""
        return not self._blocks

    @property
    def characters(self) -> int:
        """How much was written."""
        return self._length

    def add(self, kind: BlockKind, text: str) -> None:
        """Append a block; empty lines around it are dropped, and a blank block altogether."""
        text = _without_blank_edges(clean(text))
        if not text:
            return
        if self._blocks:
            self._append(BETWEEN_BLOCKS)
        start = self._length
        self._append(text)
        self._blocks.append(Block(kind, start, self._length, self._path, self.location))

    def add_heading(self, level: int, text: str) -> None:
        """Append a heading of level 1 to 6; what follows stands under it, up to one of the same level or above."""
        text = collapse_spaces(clean(text))
        if not text:
            return
        while self._open_headings and self._open_headings[-1][0] >= level:
            self._open_headings.pop()
        self._open_headings.append((level, text[:HEADING_CHARACTERS].rstrip()))
        self._path = tuple(heading for _, heading in self._open_headings)
        if level == 1 and self.first_title is None:
            self.first_title = self._path[-1]
        self.add(BlockKind.HEADING, text)

    def close_headings(self) -> None:
        """What follows stands under no heading: another sheet, slide or part begins."""
        self._open_headings, self._path = [], ()

    def finish(
        self,
        *,
        title: str | None,
        encoding: str | None = None,
        pages: int | None = None,
        children: Sequence[ChildDocument] = (),
    ) -> ParsedDocument:
        """The document. Without a title the first heading of level 1 is taken. Raises NoText, unless there are
        children: an archive has no text of its own."""
        text = "".join(self._parts)
        if not children:
            require_text(text)
        title = collapse_spaces(clean(title)) if title else None
        return ParsedDocument(
            text, tuple(self._blocks), title or self.first_title, encoding, pages, tuple(children)
        )

    def _append(self, part: str) -> None:
        self._parts.append(part)
        self._length += len(part)


def _without_blank_edges(text: str) -> str:
    """Without blank lines before and after; the first line's indentation stays, it matters in code and lists."""
    body = text.lstrip()
    indentation = text[: len(text) - len(body)].rpartition("\n")[2]
    return indentation + body.rstrip() if body else ""


def collapse_spaces(text: str) -> str:
    """Every run of white space, line breaks included, becomes one space; none is left at the ends."""
    if len(text) <= _SLICE:
        return " ".join(text.split())
    pieces: list[str] = []
    ends_in_space = True
    for start in range(0, len(text), _SLICE):
        piece = text[start : start + _SLICE]
        words = " ".join(piece.split())
        if words:
            gap = " " if piece[0].isspace() and not ends_in_space else ""
            ends_in_space = piece[-1].isspace()
            pieces.append(gap + words + (" " if ends_in_space else ""))
        elif not ends_in_space:
            pieces.append(" ")
            ends_in_space = True
    return "".join(pieces).rstrip()


def collapse_lines(text: str, hard_break: str) -> str:
    """White space collapsed, except that each `hard_break` becomes a line break; empty lines go."""
    lines = (collapse_spaces(line) for line in text.split(hard_break))
    return "\n".join(line for line in lines if line)
