"""What word processors' documents flow in: paragraphs, items of lists, rows of tables, put together to blocks."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ragstone.core.models import BlockKind
from ragstone.parsers.blocks import BlockWriter

BETWEEN_CELLS = " | "
_LONGEST_LINE = (
    1_000  # characters of a row that has paragraphs in its cells; such a row is layout, not a record
)
_MOST_COLUMNS = 63  # of a table in Word
_DEEPEST_INDENT = 8
_BULLET = "- "
_PARTED = {BlockKind.LIST, BlockKind.TABLE}
_ENDS = (":", ";", ".", ",")


class Piece(NamedTuple):
    """A paragraph of the flow. `level` is that of a heading from 1, of a list's item from 0."""

    kind: BlockKind
    text: str
    level: int = 0
    marker: str = ""

    @property
    def line(self) -> str:
        """On one line, with its marker."""
        return self.marker + self.text.replace("\n", " ")


class Flow:
    """Writes pieces; items that follow each other become one list, lines of code one listing."""

    def __init__(self, writer: BlockWriter):
        self._writer = writer
        self._open: BlockKind | None = None
        self._lines: list[str] = []
        self._notes: list[str] = []

    def add(self, piece: Piece) -> None:
        """Append a piece; one without text changes nothing."""
        if not piece.text.strip():
            return
        if piece.kind is not self._open:
            self.close()
        if piece.kind is BlockKind.LIST:
            self._open = piece.kind
            self._lines.append("  " * min(piece.level, _DEEPEST_INDENT) + piece.line)
        elif piece.kind is BlockKind.CODE:
            self._open = piece.kind
            self._lines.append(piece.text)
        elif piece.kind is BlockKind.HEADING:
            self._writer.add_heading(piece.level, piece.text)
        else:
            self._writer.add(piece.kind, piece.text)

    def add_all(self, pieces: Iterable[Piece]) -> None:
        """Append them in order."""
        for piece in pieces:
            self.add(piece)

    def add_notes(self, texts: Iterable[str]) -> None:
        """Notes to what was added last; those of a list come when it ends."""
        self._notes += texts
        if self._open is None:
            self._write_notes()

    def close(self) -> None:
        """Write the list or listing that is open, and the notes."""
        if self._open is not None:
            self._writer.add(self._open, "\n".join(self._lines))
            self._open, self._lines = None, []
        self._write_notes()

    def _write_notes(self) -> None:
        for note in self._notes:
            self._writer.add(BlockKind.PARAGRAPH, note)
        self._notes = []


class TableRows:
    """A table in work: a line for each row. Rows that are there for the layout become the pieces that are in them."""

    def __init__(self) -> None:
        self._pieces: list[Piece] = []
        self._lines: list[str] = []
        self._cells: list[Sequence[Piece]] = []

    def add_cell(self, pieces: Sequence[Piece]) -> None:
        """Append a cell to the open row; a cell that another one covers is empty."""
        self._cells.append(pieces)

    def cover(self, columns: int) -> None:
        """So many columns more belong to the cell before, as far as they fit into a table."""
        self._cells += [()] * min(columns, _MOST_COLUMNS - len(self._cells))

    def drop_row(self) -> None:
        """Forget the open row."""
        self._cells = []

    def close_row(self) -> None:
        """End the row; one without any text is dropped."""
        texts = [_on_one_line(cell) for cell in self._cells]
        if _is_layout(self._cells, texts):
            self._end_lines()
            self._pieces += (piece for cell in self._cells for piece in cell)
        elif any(texts):
            while not texts[-1]:
                texts.pop()
            self._lines.append(BETWEEN_CELLS.join(texts).strip())
        self._cells = []

    def pieces(self) -> list[Piece]:
        """All of the table."""
        self._end_lines()
        return self._pieces

    def _end_lines(self) -> None:
        if self._lines:
            self._pieces.append(Piece(BlockKind.TABLE, "\n".join(self._lines)))
            self._lines = []


def _is_layout(cells: Sequence[Sequence[Piece]], texts: Sequence[str]) -> bool:
    if max(map(len, cells), default=0) < 2:
        return False
    return len(cells) == 1 or sum(map(len, texts)) > _LONGEST_LINE


def _on_one_line(cell: Sequence[Piece]) -> str:
    """A cell's text; what were lines of a list or a table in it is parted by semicolons."""
    parts: list[str] = []
    before: BlockKind | None = None
    for piece in cell:
        text = _cell_part(piece)
        if not text:
            continue
        if parts:
            is_parted = {piece.kind, before} & _PARTED and not parts[-1].endswith(_ENDS)
            parts.append("; " if is_parted else " ")
        parts.append(text)
        before = piece.kind
    return "".join(parts)


def _cell_part(piece: Piece) -> str:
    if piece.kind is BlockKind.TABLE:
        return piece.text.replace(BETWEEN_CELLS, ", ").replace("\n", "; ")
    return piece.line.removeprefix(_BULLET).strip()
