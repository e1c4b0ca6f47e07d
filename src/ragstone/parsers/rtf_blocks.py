"""Paragraphs of an RTF document as blocks: items of one list, and rows of one table, come together."""

from dataclasses import dataclass

from ragstone.core.models import BlockKind, ParsedDocument
from ragstone.parsers.blocks import BlockWriter, collapse_lines, collapse_spaces
from ragstone.parsers.html_tables import BETWEEN_CELLS

_LONGEST_HEADING = 500  # characters; more is a text whose author chose a style by its looks
_LONGEST_NUMBER = 12
_WIDEST_NESTING = 8


@dataclass(frozen=True, slots=True)
class Paragraph:
    """What a paragraph is; headings have a level of 1 to 6, others 0."""

    level: int = 0
    list_level: int = 0
    is_in_table: bool = False


class RtfBlocks:
    """Takes paragraphs, cells and rows in order; notes are written after the paragraph that they belong to."""

    def __init__(self) -> None:
        self._writer = BlockWriter()
        self._cells: list[str] = []
        self._rows: list[str] = []
        self._items: list[str] = []
        self._marker = ""
        self._notes: list[str] = []

    def set_marker(self, text: str) -> None:
        """The paragraph in work is an item of a list."""
        text = collapse_spaces(text)[:_LONGEST_NUMBER]
        self._marker = f"{text} " if any(map(str.isalnum, text)) else "- "

    def add_note(self, text: str) -> None:
        """A footnote or a text box."""
        self._notes.append(text)

    def add_paragraph(self, text: str, paragraph: Paragraph) -> None:
        """A paragraph outside of tables."""
        text = collapse_lines(text, "\n")
        marker, self._marker = self._marker, ""
        if not text:
            self._write_notes()
            return
        self._end_table()
        if marker and not paragraph.level:
            indentation = "  " * min(paragraph.list_level, _WIDEST_NESTING)
            self._items.append(indentation + marker + collapse_spaces(text))
            return
        self._end_list()
        if paragraph.level and len(text) <= _LONGEST_HEADING:
            self._writer.add_heading(paragraph.level, marker.removeprefix("- ") + text)
        else:
            self._writer.add(BlockKind.PARAGRAPH, text)
        self._write_notes()

    def add_cell(self, text: str) -> None:
        """The next cell of the row."""
        marker, self._marker = self._marker, ""
        self._cells.append(marker + collapse_spaces(text))

    def end_row(self) -> None:
        """One without any text is dropped."""
        self._end_list()
        if any(self._cells):
            self._rows.append(BETWEEN_CELLS.join(self._cells))
        self._cells = []

    def finish(self, title: str) -> ParsedDocument:
        """Raises NoText."""
        self.end_row()
        self._end_table()
        self._end_list()
        self._write_notes()
        return self._writer.finish(title=title)

    def _end_table(self) -> None:
        if self._cells:
            self.end_row()
        if self._rows:
            self._writer.add(BlockKind.TABLE, "\n".join(self._rows))
            self._rows = []
            self._write_notes()

    def _end_list(self) -> None:
        if self._items:
            self._writer.add(BlockKind.LIST, "\n".join(self._items))
            self._items = []
            self._write_notes()

    def _write_notes(self) -> None:
        """Not between the items of a list or the rows of a table."""
        if self._items or self._rows or self._cells:
            return
        for note in self._notes:
            self._writer.add(BlockKind.PARAGRAPH, collapse_lines(note, "\n"))
        self._notes = []
