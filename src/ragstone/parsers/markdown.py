"""Markdown: a line scanner for the blocks of CommonMark and GitHub's tables, with the marks taken off.

The text that comes out reads like the rendered page; offsets refer to it. Nothing is fetched, no HTML survives.
"""

import re

from ragstone.core.models import BlockKind, ParsedDocument
from ragstone.parsers.blocks import BlockWriter
from ragstone.parsers.decoding import decode
from ragstone.parsers.markdown_inline import BLOCK_TAGS, normal_label, render_inline
from ragstone.parsers.markdown_lists import ListBuffer, join_lines

_FENCE = re.compile(r"[ \t]*+(?P<fence>`{3,}+(?=[^`]*+$)|~{3,}+)")
_HEADING = re.compile(r"#{1,6}(?=[ \t]|$)")
_HEADING_END = re.compile(r"(?:^|(?<=[ \t]))#++$|\{[#.:][^{}]{0,200}\}$")
_DEFINITION = re.compile(r"^ {0,3}\[([^\[\]\n]{1,200})\]:[ \t]*+\S", re.MULTILINE)
_QUOTE = re.compile(r"(?: {0,3}>[ \t]?)++")
_HTML_BLOCK = re.compile(r"</?([A-Za-z][A-Za-z0-9-]*+)(?=[\s/>]|$)")
_CELL_END = re.compile(r"(?<!\\)\|")
_HTML_HEADING_END = re.compile(r"</[hH][1-6]\s*+>")
_HTML_HEADING = re.compile(r"<[hH]([1-6])(?:\s[^<>]*+)?>")
_TITLE = re.compile(r"title[ \t]*[:=][ \t]*+(.*)", re.IGNORECASE)
_FRONT_MATTER_LINES = 1000
_CODE_INDENT = 4
_WITHOUT_TEXT = frozenset(("script", "style", "template", "textarea"))
_HTML_STARTS = BLOCK_TAGS | _WITHOUT_TEXT | {"pre"}


class MarkdownParser:
    """Implements `Parser` for text/markdown."""

    def parse(self, content: bytes) -> ParsedDocument:
        """Raises NoText."""
        decoded = decode(content)
        return _Scanner(decoded.text, BlockWriter()).document(decoded.encoding)


def write_markdown(source: str, writer: BlockWriter) -> None:
    """Append the blocks of clean Markdown, under the headings that are open in `writer`."""
    _Scanner(source, writer).scan()


class _Scanner:
    """Goes through the lines once; `_paragraph` and `_list` hold what may still go on, never both."""

    def __init__(self, text: str, writer: BlockWriter):
        self._references = frozenset(normal_label(label) for label in _DEFINITION.findall(text))
        self._lines = text.split("\n")
        self._at = 0
        self._writer = writer
        self._paragraph: list[str] = []
        self._list = ListBuffer()
        self._not_below: set[str] = set()

    def document(self, encoding: str) -> ParsedDocument:
        """Scan to the end. Raises NoText."""
        title = self._front_matter()
        self.scan()
        return self._writer.finish(title=title, encoding=encoding)

    def scan(self) -> None:
        """Write the blocks of all lines that are left."""
        while self._at < len(self._lines):
            self._take(self._lines[self._at].expandtabs(4))
        self._end_open()

    def _front_matter(self) -> str | None:
        """Skip the metadata that opens the file, and return its title."""
        mark = self._lines[0].rstrip()
        if mark not in ("---", "+++"):
            return None
        for index, line in enumerate(self._lines[1 : _FRONT_MATTER_LINES + 1], 1):
            if line.rstrip() in (mark, "..."):
                self._at = index + 1
                return _title_of(self._lines[1:index])
        return None

    def _take(self, line: str) -> None:
        """One line, or the whole block that it opens."""
        content = line.strip()
        indent = len(line) - len(line.lstrip())
        if not content:
            self._blank()
        elif (fence := _FENCE.match(line)) is not None:
            self._fenced_code(fence["fence"], indent)
        elif indent >= _CODE_INDENT and not self._list.is_open:
            self._indented(line)
        elif content[0] in "#<>=-*_[" and self._take_marked(content):
            pass
        elif self._is_table_head(line):
            self._table()
        else:
            self._item_or_text(line, content, indent)

    def _take_marked(self, content: str) -> bool:
        """Take a block that its first character announces; False if it is none after all."""
        if (heading := _HEADING.match(content)) is not None:
            self._heading(len(heading[0]), content[heading.end() :])
        elif self._paragraph and (level := _underline_level(content)):
            self._underlined_heading(level)
        elif _is_rule(content):
            self._end_open()
            self._at += 1
        elif (quote := _QUOTE.match(content)) is not None:
            self._lines[self._at] = content[quote.end() :]
        elif content.startswith("<!--"):
            self._comment(content)
        elif (tag := _HTML_BLOCK.match(content)) is not None and tag[1].lower() in _HTML_STARTS:
            self._html(tag[1].lower())
        elif not self._paragraph and _DEFINITION.match(content) and not content.startswith("[^"):
            self._at += 1
        else:
            return False
        return True

    # ---- text and lists ----

    def _item_or_text(self, line: str, content: str, indent: int) -> None:
        if self._list.add_item(content, indent, in_paragraph=bool(self._paragraph)):
            self._end_paragraph()
        elif self._list.continues(indent):
            self._list.add_text(line)
        else:
            self._end_list()
            self._paragraph.append(line)
        self._at += 1

    def _blank(self) -> None:
        self._end_paragraph()
        self._list.blank()
        self._at += 1

    def _end_open(self) -> None:
        self._end_paragraph()
        self._end_list()

    def _end_paragraph(self) -> None:
        if self._paragraph:
            self._writer.add(BlockKind.PARAGRAPH, self._render(join_lines(self._paragraph)))
            self._paragraph = []

    def _end_list(self) -> None:
        if self._list.is_open:
            self._writer.add(BlockKind.LIST, self._list.take(self._render))

    def _render(self, source: str) -> str:
        return render_inline(source, self._references)

    # ---- headings ----

    def _heading(self, level: int, text: str) -> None:
        self._end_open()
        self._writer.add_heading(level, self._render(_HEADING_END.sub("", text.strip())))
        self._at += 1

    def _underlined_heading(self, level: int) -> None:
        self._writer.add_heading(level, self._render(" ".join(self._paragraph)))
        self._paragraph = []
        self._at += 1

    # ---- code ----

    def _fenced_code(self, fence: str, indent: int) -> None:
        """Up to the closing fence, or to the end: CommonMark's reading of one that is missing."""
        self._end_open()
        self._at += 1
        code: list[str] = []
        while self._at < len(self._lines) and not _closes(self._lines[self._at], fence):
            code.append(_dedent(self._lines[self._at], indent))
            self._at += 1
        self._at += 1
        self._writer.add(BlockKind.CODE, "\n".join(code))

    def _indented(self, line: str) -> None:
        """Code, unless it continues a paragraph."""
        if self._paragraph:
            self._paragraph.append(line)
            self._at += 1
            return
        code: list[str] = []
        while not line.strip() or line.startswith(" " * _CODE_INDENT):
            code.append(line[_CODE_INDENT:])
            self._at += 1
            if self._at == len(self._lines):
                break
            line = self._lines[self._at].expandtabs(4)
        self._writer.add(BlockKind.CODE, "\n".join(code))

    # ---- tables ----

    def _is_table_head(self, line: str) -> bool:
        """Whether the line has cells and a delimiter row stands below it."""
        if "|" not in line or self._at + 1 >= len(self._lines):
            return False
        below = self._lines[self._at + 1].strip()
        return "-" in below and "|" in below and not below.strip("|:- \t")

    def _table(self) -> None:
        self._end_open()
        rows = [self._row(self._lines[self._at])]
        self._at += 2
        while self._at < len(self._lines) and "|" in self._lines[self._at]:
            rows.append(self._row(self._lines[self._at]))
            self._at += 1
        self._writer.add(BlockKind.TABLE, "\n".join(row for row in rows if row.strip("| ")))

    def _row(self, line: str) -> str:
        cells = _CELL_END.split(line.strip().removeprefix("|").removesuffix("|"))
        return " | ".join(self._render(cell.replace("\\|", "|")).replace("\n", " ") for cell in cells)

    # ---- HTML between the lines ----

    def _comment(self, content: str) -> None:
        """Drop a comment of one or more lines; what follows it on its last line stays. Without an end it is text."""
        if "-->" in content:
            self._lines[self._at] = content.partition("-->")[2]
        elif (end := self._line_below("-->")) is not None:
            self._end_open()
            self._at = end
            self._lines[end] = self._lines[end].partition("-->")[2]
        else:
            self._item_or_text(content, content, 0)

    def _html(self, tag: str) -> None:
        """A run of HTML up to a blank line, or, unread, an element whose content is no text."""
        self._end_open()
        if tag in _WITHOUT_TEXT:
            closing = f"</{tag}"
            is_closed = closing in self._lines[self._at].lower()
            end = self._at if is_closed else self._line_below(closing)
            self._at = len(self._lines) if end is None else end + 1
            return
        start = self._at
        while self._at < len(self._lines) and self._lines[self._at].strip():
            self._at += 1
        self._html_text(" ".join(self._lines[start : self._at]))

    def _html_text(self, source: str) -> None:
        """Headings among the tags keep their rank; all else is text."""
        at = 0
        while (heading := _HTML_HEADING.search(source, at)) is not None:
            close = _HTML_HEADING_END.search(source, heading.end())
            if close is None:
                break
            self._writer.add(BlockKind.PARAGRAPH, self._render(source[at : heading.start()]))
            self._writer.add_heading(int(heading[1]), self._render(source[heading.end() : close.start()]))
            at = close.end()
        self._writer.add(BlockKind.PARAGRAPH, self._render(source[at:]))

    def _line_below(self, mark: str) -> int | None:
        """The next line below that holds `mark`. What was searched for in vain is not searched for again: linear."""
        if mark in self._not_below:
            return None
        for index in range(self._at + 1, len(self._lines)):
            if mark in self._lines[index].lower():
                return index
        self._not_below.add(mark)
        return None


def _title_of(metadata: list[str]) -> str | None:
    for line in metadata:
        if (title := _TITLE.match(line)) is not None:
            return title[1].strip().strip("\"'") or None
    return None


def _underline_level(content: str) -> int:
    """1 or 2 for the line below a heading's text, else 0."""
    if len(content) < 2 or (content.strip("=") and content.strip("-")):
        return 0
    return 1 if content[0] == "=" else 2


def _is_rule(content: str) -> bool:
    marks = content.replace(" ", "")
    return len(marks) >= 3 and marks[0] in "*-_" and not marks.strip(marks[0])


def _closes(line: str, fence: str) -> bool:
    mark = line.strip()
    return len(mark) >= len(fence) and not mark.strip(fence[0])


def _dedent(line: str, indent: int) -> str:
    return line[min(indent, len(line) - len(line.lstrip())) :]
