"""Tables in plain text: values between commas, semicolons, tabs or bars, which of them the text itself tells."""

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass

from ragstone.core.models import ParsedDocument
from ragstone.parsers.blocks import BlockWriter
from ragstone.parsers.bounds import Allowance, BoundedParser
from ragstone.parsers.decoding import decode, require_text
from ragstone.parsers.rows import RowWriter, cell_text
from ragstone.parsers.text import TextParser

# Where several part the rows equally well, the first it is: commas also stand in numbers and sentences.
_DELIMITERS = "\t;|,"
_SAMPLE_CHARACTERS = 65_536
_ENOUGH = 0.6  # of the rows have as many cells as a neighbour; in prose that has commas it is a third
_LONGEST_CELL = 1_000_000  # longer ones come of a quotation mark that is never closed
_BLANK_LINES = re.compile("\n{3,}+")
_ANNOUNCEMENT = "sep="  # Excel's own first line


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a text is parted into cells. `start` is where its rows begin."""

    delimiter: str
    escape: str | None = None
    start: int = 0


class CsvParser(BoundedParser):
    """Implements `Parser` for text/csv and text/tab-separated-values. What is no table after all is read as text."""

    def parse(self, content: bytes) -> ParsedDocument:
        """Raises NoText, ParseLimit."""
        decoded = decode(content)
        require_text(decoded.text)
        dialect = find_dialect(decoded.text)
        if dialect is None:
            return TextParser().parse(content)
        writer = BlockWriter()
        table = RowWriter(writer, Allowance(self.limits.characters), is_header_expected=True)
        # Blank lines in a cell go anyway, and millions of them between rows take long one by one.
        text = _BLANK_LINES.sub("\n\n", decoded.text)
        for record in records(text, dialect):
            table.add([cell_text(cell) for cell in record])
        table.close()
        return writer.finish(title=None, encoding=decoded.encoding)


def find_dialect(text: str) -> Dialect | None:
    """Judged by the beginning of the text; None if its lines have no cells in common."""
    first_line = text.partition("\n")[0].strip()
    if len(first_line) == len(_ANNOUNCEMENT) + 1 and first_line.lower().startswith(_ANNOUNCEMENT):
        return Dialect(first_line[-1], start=text.find("\n") + 1 or len(text))
    sample = _sample(text)
    escape = "\\" if '\\"' in sample and '""' not in sample else None
    dialects = [Dialect(delimiter, escape) for delimiter in _DELIMITERS]
    regularities = [_regularity(sample, dialect) for dialect in dialects]
    best = max(regularities)
    if best >= _ENOUGH:
        return dialects[regularities.index(best)]
    return Dialect(",") if _is_quoted_column(sample) else None


def records(text: str, dialect: Dialect) -> Iterator[list[str]]:
    """The rows, blank ones included. A quotation mark that stands wrong spoils its own line only."""
    csv.field_size_limit(_LONGEST_CELL)
    lines = _Lines(text, dialect.start)
    reader = _reader(lines, dialect, strict=True)
    while True:
        start = lines.at
        try:
            yield next(reader)
        except StopIteration:
            return
        except csv.Error:
            lines.at = start
            yield _loose_record(next(lines), dialect)
            reader = _reader(lines, dialect, strict=True)


class _Lines:
    """The lines from `at` on, with their ends."""

    def __init__(self, text: str, at: int):
        self._text = text
        self.at = at

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        if self.at >= len(self._text):
            raise StopIteration
        end = self._text.find("\n", self.at) + 1 or len(self._text)
        line, self.at = self._text[self.at : end], end
        return line


def _reader(lines: Iterator[str], dialect: Dialect, *, strict: bool) -> Iterator[list[str]]:
    return csv.reader(
        lines,
        delimiter=dialect.delimiter,
        escapechar=dialect.escape,
        skipinitialspace=True,  # cells are stripped anyway, and so a mark behind a space opens them
        strict=strict,
    )


def _loose_record(line: str, dialect: Dialect) -> list[str]:
    try:
        return next(_reader(iter([line]), dialect, strict=False))
    except csv.Error:  # too long
        return line.split(dialect.delimiter)


def _sample(text: str) -> str:
    """The first lines."""
    if len(text) <= _SAMPLE_CHARACTERS:
        return text
    return text[: text.rfind("\n", 0, _SAMPLE_CHARACTERS) + 1 or _SAMPLE_CHARACTERS]


def _regularity(sample: str, dialect: Dialect) -> float:
    """The share of rows that have several cells, and as many as the row above or below."""
    counts = [len(record) for record in records(sample, dialect) if any(map(str.strip, record))]
    if len(counts) < 2:
        return float(counts[0] > 1) if counts else 0.0
    regular = sum(count > 1 and count in _neighbours(counts, at) for at, count in enumerate(counts))
    return regular / len(counts)


def _neighbours(counts: list[int], at: int) -> list[int]:
    return counts[max(0, at - 1) : at] + counts[at + 1 : at + 2]


def _is_quoted_column(sample: str) -> bool:
    """Whether it is one column, of texts that are quoted because they hold commas or line breaks."""
    quoted = sum(line.startswith('"') for line in sample.split("\n"))
    rows = list(records(sample, Dialect(",")))
    return 2 * quoted > len(rows) and all(len(row) <= 1 for row in rows)
