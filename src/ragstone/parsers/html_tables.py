"""Tables of a page in work: a line for each row, until a table turns out to be there for the layout only."""

from collections.abc import Callable
from dataclasses import dataclass, field

from ragstone.core.models import BlockKind

BETWEEN_CELLS = " | "


@dataclass(slots=True)
class _Table:
    rows: list[str] = field(default_factory=list)
    cells: list[list[str]] = field(default_factory=list)  # of the open row: the texts in each cell
    is_layout: bool = False


class TableStack:
    """The tables that are open, innermost last. `write` takes each block when it is complete."""

    def __init__(self, write: Callable[[BlockKind, str], None]):
        self._write = write
        self._open: list[_Table] = []

    @property
    def collects(self) -> bool:
        """Whether text belongs into a cell now."""
        return bool(self._open and self._open[-1].cells and not self._open[-1].is_layout)

    def open_table(self) -> None:
        """A table inside a cell makes the outer one layout."""
        self.become_layout()
        self._open.append(_Table())

    def open_cell(self) -> None:
        """Begin the next cell of the row."""
        if self._open and not self._open[-1].is_layout:
            self._open[-1].cells.append([])

    def add(self, text: str) -> None:
        """Add text to the open cell."""
        self._open[-1].cells[-1].append(text.replace("\n", " "))

    def close_row(self) -> None:
        """End the row; one without any text is dropped."""
        if not self._open:
            return
        table = self._open[-1]
        cells = [" ".join(texts) for texts in table.cells]
        table.cells = []
        if any(cells):
            table.rows.append(BETWEEN_CELLS.join(cells))

    def close_table(self) -> None:
        """Write the innermost table."""
        if self._open:
            self.close_row()
            self._write(BlockKind.TABLE, "\n".join(self._open.pop().rows))

    def become_layout(self) -> None:
        """The innermost table holds blocks: write what it has so far, and let its cells be blocks from here on."""
        if not self._open or self._open[-1].is_layout:
            return
        table = self._open[-1]
        self._write(BlockKind.TABLE, "\n".join(table.rows))
        for texts in table.cells:
            self._write(BlockKind.PARAGRAPH, " ".join(texts))
        table.rows, table.cells, table.is_layout = [], [], True
