"""reStructuredText: headings by their adornment, directives by what they show, the marks taken off.

Nothing is included or run. The reading is that of a page, not docutils' in all its errors: what is not understood is
text.
"""

import re
from collections.abc import Iterator, Sequence

from ragstone.core.models import BlockKind, ParsedDocument
from ragstone.parsers.blocks import BlockWriter
from ragstone.parsers.decoding import decode
from ragstone.parsers.html import LOWEST_LEVEL
from ragstone.parsers.html_tables import BETWEEN_CELLS
from ragstone.parsers.rst_directives import CODE, DIRECTIVE, IMAGES, TABLES, UNSEEN, Directive, read_directive
from ragstone.parsers.rst_inline import render
from ragstone.parsers.rst_lines import (
    ADORNMENT,
    ITEM,
    SHORTEST_ADORNMENT,
    before_code,
    dedented,
    indented_end,
    is_item,
    next_text,
    run_end,
    underlines,
)
from ragstone.parsers.rst_tables import (
    GRID_RULE,
    SIMPLE_RULE,
    Row,
    csv_rows,
    grid_rows,
    list_rows,
    simple_rows,
)

_FIELD = re.compile(r":(?P<name>[^:\s](?:[^:\n]{0,80}[^:\s])?):(?:\s+(?P<value>.*))?\Z")
_NOTE = re.compile(r"\.\. +\[(?P<label>#?[\w.-]{0,60}|\*)\](?:\s+(?P<text>.*))?\Z")
_SUBSTITUTION = re.compile(r"^\.\. +\|([^|\n]{1,100})\| +replace::[ \t]+(.+)$", re.MULTILINE)
_DEEPEST = 20  # bodies in bodies; deeper ones are text
_PARSED_IN_ITEMS = re.compile(r"::\s*\Z|\A\s*(?:\.\. |>>> |\+[-=]+\+|=+ +=+)")


class RstParser:
    """Implements `Parser` for text/x-rst."""

    def parse(self, content: bytes) -> ParsedDocument:
        """Raises NoText."""
        decoded = decode(content)
        reader = _Reader(decoded.text)
        reader.read([line.expandtabs(8).rstrip() for line in decoded.text.split("\n")])
        return reader.writer.finish(title=None, encoding=decoded.encoding)


class _Reader:
    def __init__(self, text: str):
        self.writer = BlockWriter()
        self._adornments: list[str] = []  # those met so far, from the highest level down
        self._substitutions = {
            " ".join(name.lower().split()): value.strip() for name, value in _SUBSTITUTION.findall(text)
        }

    def read(self, lines: Sequence[str], depth: int = 0) -> None:
        """A document, or the body of something, without its indentation."""
        at = 0
        while at < len(lines):
            at = self._take(lines, at, depth) if lines[at] else at + 1

    def _take(self, lines: Sequence[str], at: int, depth: int) -> int:
        """One block; returns the line after it."""
        line = lines[at]
        if line[0] == " ":
            return self._quote(lines, at, depth)
        if line == ".." or line.startswith(".. "):
            return self._explicit(lines, at, depth)
        if line.startswith("__ "):
            return at + 1
        if depth == 0 and (end := self._heading(lines, at)) is not None:
            return end
        if GRID_RULE.match(line) or SIMPLE_RULE.match(line):
            return self._drawn_table(lines, at)
        if line.startswith(">>> "):
            return self._code(lines, at, run_end(lines, at))
        if ITEM.match(line) is not None and is_item(lines, at):
            return self._list(lines, at, depth)
        if _FIELD.match(line) is not None:
            return self._fields(lines, at)
        return self._paragraph(lines, at, depth)

    # ---- headings ----

    def _heading(self, lines: Sequence[str], at: int) -> int | None:
        """A title with a line below, or above and below; None if there is none. A line alone is a transition."""
        line = lines[at]
        below = lines[at + 1] if at + 1 < len(lines) else ""
        if (over := ADORNMENT.match(line)) is not None:
            closing = lines[at + 2] if at + 2 < len(lines) else ""
            if below.strip() and closing.rstrip() == line.rstrip() and len(line) > 1:
                self._add_heading(over[1] * 2, below.strip())
                return at + 3
            return at + 1 if len(line) >= SHORTEST_ADORNMENT and not below else None
        under = ADORNMENT.match(below)
        if under is None or len(below.rstrip()) < min(len(line), SHORTEST_ADORNMENT):
            return None
        self._add_heading(under[1], line)
        return at + 2

    def _add_heading(self, adornment: str, text: str) -> None:
        if adornment not in self._adornments:
            self._adornments.append(adornment)
        level = min(self._adornments.index(adornment) + 1, LOWEST_LEVEL)
        self.writer.add_heading(level, self._render(text))

    # ---- text ----

    def _paragraph(self, lines: Sequence[str], at: int, depth: int) -> int:
        end = at
        while end < len(lines) and lines[end] and (lines[end][0] != " " or lines[at][0] == "|"):
            if end > at and depth == 0 and underlines(lines, end):
                break
            end += 1
        text = "\n".join(lines[at:end])
        if lines[at].startswith("| ") or lines[at] == "|":
            self._add(
                BlockKind.PARAGRAPH, "\n".join(line.removeprefix("|").strip() for line in lines[at:end])
            )
            return end
        is_before_code = text.endswith("::")
        self._add(BlockKind.PARAGRAPH, before_code(text) if is_before_code else text)
        return self._literal(lines, end) if is_before_code else end

    def _literal(self, lines: Sequence[str], at: int) -> int:
        """The code that a paragraph announced: indented, or with the same mark before each line."""
        start = next_text(lines, at)
        if start < len(lines) and lines[start][0] == " ":
            return self._code(lines, start, indented_end(lines, start))
        if start < len(lines) and start > at and lines[start][0] in ">|$%#":
            return self._code(lines, start, run_end(lines, start))
        return at

    def _code(self, lines: Sequence[str], start: int, end: int) -> int:
        self.writer.add(BlockKind.CODE, "\n".join(dedented(lines[start:end])))
        return end

    def _quote(self, lines: Sequence[str], at: int, depth: int) -> int:
        end = indented_end(lines, at)
        self._nested(dedented(lines[at:end]), depth)
        return end

    def _nested(self, lines: Sequence[str], depth: int) -> None:
        if depth < _DEEPEST:
            self.read(lines, depth + 1)
        else:
            self._add(BlockKind.PARAGRAPH, "\n".join(line.strip() for line in lines))

    def _fields(self, lines: Sequence[str], at: int) -> int:
        """What a document says of itself, or the parameters of a function: a line each."""
        shown: list[str] = []
        while at < len(lines) and (field := _FIELD.match(lines[at])) is not None:
            end = indented_end(lines, at + 1)
            value = " ".join((field["value"] or "", *map(str.strip, lines[at + 1 : end]))).strip()
            if value:
                shown.append(f"{field['name']}: {value}")
            at = end
        self._add(BlockKind.PARAGRAPH, "\n".join(shown))
        return at

    def _add(self, kind: BlockKind, text: str) -> None:
        self.writer.add(kind, self._render(text))

    def _render(self, text: str) -> str:
        return render(text, self._substitutions)

    # ---- lists ----

    def _list(self, lines: Sequence[str], at: int, depth: int) -> int:
        """Items up to a line that is neither one nor indented. Where an item holds code it parts the list."""
        shown: list[str] = []
        number = 1
        while at < len(lines) and (item := ITEM.match(lines[at])) is not None:
            end = indented_end(lines, at + 1)
            mark = "-" if item["mark"] in "-*+•" else item["mark"].replace("#", str(number))
            digits = mark.strip("().")
            number = int(digits) + 1 if digits.isdecimal() else 1
            body = [lines[at][item.end() :], *dedented(lines[at + 1 : end], most=item.end())]
            if any(_PARSED_IN_ITEMS.search(line) for line in body):
                self._long_item(shown, mark, body, depth)
                shown = []
            else:
                shown += (f"{mark} {body[0]}", *(f"  {line}" for line in body[1:] if line))
            at = next_text(lines, end)
        self._add(BlockKind.LIST, "\n".join(shown))
        return at

    def _long_item(self, before: Sequence[str], mark: str, body: Sequence[str], depth: int) -> None:
        """Its first paragraph ends the list so far, the rest are blocks of their own."""
        end = run_end(body, 0) if DIRECTIVE.match(body[0]) is None else 0
        head = "\n  ".join(line.strip() for line in body[:end])
        is_before_code = head.endswith("::")
        opening = before_code(head) if is_before_code else head
        self._add(BlockKind.LIST, "\n".join((*before, f"{mark} {opening}".rstrip())))
        self._nested(body[self._literal(body, end) if is_before_code else end :], depth)

    # ---- tables ----

    def _drawn_table(self, lines: Sequence[str], at: int) -> int:
        if lines[at].startswith("+"):
            end = run_end(lines, at)
            self._table(grid_rows(lines[at:end]))
            return end
        end = at + 1
        while end < len(lines):
            is_last = SIMPLE_RULE.match(lines[end]) and (end + 1 == len(lines) or not lines[end + 1])
            end += 1
            if is_last:
                break
        self._table(simple_rows(lines[at:end]))
        return end

    def _table(self, rows: Iterator[Row]) -> None:
        shown = (BETWEEN_CELLS.join(map(self._render, row)) for row in rows if any(row))
        self.writer.add(BlockKind.TABLE, "\n".join(shown))

    # ---- explicit markup ----

    def _explicit(self, lines: Sequence[str], at: int, depth: int) -> int:
        """A directive or a footnote; targets and comments show nothing."""
        end = indented_end(lines, at + 1)
        below = dedented(lines[at + 1 : end])
        if (directive := DIRECTIVE.match(lines[at])) is not None:
            if directive["substitution"] is None:
                self._directive(read_directive(directive, below), depth)
        elif (note := _NOTE.match(lines[at])) is not None:
            text = " ".join(line.strip() for line in (note["text"] or "", *below) if line)
            self._add(BlockKind.PARAGRAPH, f"[{note['label'].removeprefix('#')}] {text}")
        return end

    def _directive(self, directive: Directive, depth: int) -> None:
        if directive.name in UNSEEN:
            return
        if directive.name in CODE:
            first = [directive.argument] if directive.name in ("math", "parsed-literal") else []
            self.writer.add(BlockKind.CODE, "\n".join((*first, *directive.body)))
        elif directive.name in TABLES:
            self._table_directive(directive, depth)
        elif directive.name in IMAGES:
            self._add(BlockKind.PARAGRAPH, directive.options.get("alt", ""))
            self._nested(directive.body, depth)
        else:
            self._add(BlockKind.PARAGRAPH, directive.opening)
            self._nested(directive.body, depth)

    def _table_directive(self, directive: Directive, depth: int) -> None:
        self._add(BlockKind.PARAGRAPH, directive.argument)
        if directive.name == "table":
            self._nested(directive.body, depth)
        elif directive.name == "list-table":
            self._table(list_rows(directive.body))
        else:
            header = directive.options.get("header", "")
            self._table(csv_rows((header, *directive.body)))
