"""HTML: what a reader of the page would see, in blocks under their headings.

The page is parsed by Lexbor as a browser would; scripts do not run, nothing is fetched. The tree is walked without
recursion, so depth costs nothing.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from selectolax.lexbor import LexborHTMLParser, LexborNode, SelectolaxError

from ragstone.core.errors import ParseLimit
from ragstone.core.models import BlockKind, ParsedDocument
from ragstone.parsers.blocks import BlockWriter, collapse_lines
from ragstone.parsers.decoding import decode
from ragstone.parsers.html_source import declared_encoding, limit_depth, refuse_entities
from ragstone.parsers.html_tables import TableStack

HARD_BREAK = "\x0b"  # stands in collected text for a line that ends; decoding has left no other

_NEVER_SHOWN = frozenset(
    str.split(
        "script style noscript template head svg iframe object embed applet canvas audio video map datalist select textarea"
        " button annotation annotation-xml noframes rp -comment -doctype"
    )
)
_AROUND_CONTENT = frozenset(("nav", "footer", "aside"))
_ROLES_AROUND_CONTENT = frozenset(("navigation", "contentinfo", "complementary"))
_HIDDEN_STYLE = re.compile(r"display\s*+:\s*+none|visibility\s*+:\s*+hidden", re.IGNORECASE)
# What documentation tools put behind headings and beside code.
_TOOLS = frozenset(("headerlink", "mw-editsection", "heading-anchor", "anchorjs-link", "linenos"))
_HEADING_MARKS = "¶#\U0001f517 "
_BLOCKS = frozenset(
    str.split(
        "address article aside blockquote body caption center dd details dialog div dl dt fieldset figcaption figure footer"
        " form header hgroup hr html legend main nav p search section summary"
    )
)
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_LISTS = frozenset(("ul", "ol", "menu", "dir"))
_PREFORMATTED = frozenset(("pre", "listing", "xmp", "plaintext"))
LOWEST_LEVEL = 6  # of a heading
_WIDEST_NESTING = 8  # levels of a list that are shown by indentation


class HtmlParser:
    """Implements `Parser` for text/html."""

    def parse(self, content: bytes) -> ParsedDocument:
        """Raises NoText, ParseLimit, UnsafeXml."""
        decoded = decode(content, declared=declared_encoding(content))
        refuse_entities(decoded.text)
        encoding, tree = decoded.encoding, _tree(limit_depth(decoded.text))
        del decoded  # a large page would be in memory once more while its tree is read
        title = tree.css_first("head > title")
        writer = BlockWriter()
        _read(tree, writer, below=0)
        return writer.finish(title=title.text() if title is not None else None, encoding=encoding)


def read_page(page: str, writer: BlockWriter, *, below: int = 0) -> None:
    """Append a page that is part of a larger document. Its headings rank `below` levels lower. Raises ParseLimit."""
    _read(_tree(limit_depth(page)), writer, below)


def _tree(page: str) -> LexborHTMLParser:
    try:
        return LexborHTMLParser(page)
    except SelectolaxError as error:  # any text is HTML; only memory can fail
        raise ParseLimit("the page needs more memory than there is") from error


def _read(tree: LexborHTMLParser, writer: BlockWriter, below: int) -> None:
    """The page's main part, if it marks one that holds text; else all of it."""
    main, has_main = _main_part(tree)
    before = writer.characters
    _Walker(writer, below, skip_around=has_main).read(main)
    if writer.characters == before and has_main:
        _Walker(writer, below, skip_around=False).read(tree.body)


def _main_part(tree: LexborHTMLParser) -> tuple[LexborNode | None, bool]:
    main = tree.css_first("main, [role=main]")
    if main is not None:
        return main, True
    articles = tree.css("article")
    return (articles[0] if len(articles) == 1 else tree.body), bool(articles)


@dataclass(slots=True)
class _OpenList:
    """A list that is open, and the number of its next item; None if it has no numbers."""

    number: int | None


class _Walker:
    """Collects inline text until a block begins or ends, and hands it to where it belongs: a heading, a table's cell,
    a list's item or a paragraph."""

    def __init__(self, writer: BlockWriter, below: int, *, skip_around: bool):
        self._skipped = _NEVER_SHOWN | _AROUND_CONTENT if skip_around else _NEVER_SHOWN
        self._skipped_roles = _ROLES_AROUND_CONTENT if skip_around else frozenset[str]()
        self._writer = writer
        self._below = below
        self._tables = TableStack(self._writer.add)
        self._text: list[str] = []
        self._heading = 0
        self._preformatted = 0
        self._lists: list[_OpenList] = []
        self._list_lines: list[str] = []
        self._marker = ""

    def read(self, root: LexborNode | None) -> None:
        """Walk the tree below `root`, depth first, without recursion."""
        open_nodes: list[tuple[LexborNode, str]] = []
        node = root
        while node is not None or open_nodes:
            if node is None:
                node, tag = open_nodes.pop()
                self._leave(tag)
            elif (tag := node.tag or "") == "-text":
                self._text.append(node.text_content or "")
            elif self._is_shown(node, tag):
                self._enter(node, tag)
                open_nodes.append((node, tag))
                node = node.first_child
                continue
            node = node.next if open_nodes else None
        self._end_block()
        self._end_list()

    def _is_shown(self, node: LexborNode, tag: str) -> bool:
        if tag in self._skipped:
            return False
        attributes = node.attributes
        if not attributes:
            return True
        if "hidden" in attributes or (attributes.get("aria-hidden") or "").lower() == "true":
            return False
        if (
            _HIDDEN_STYLE.search(attributes.get("style") or "")
            or attributes.get("role") in self._skipped_roles
        ):
            return False
        classes = attributes.get("class")
        return not classes or _TOOLS.isdisjoint(classes.split())

    # ---- elements ----

    def _enter(self, node: LexborNode, tag: str) -> None:
        if tag in _BLOCKS:
            self._end_block()
        elif tag == "br":
            self._text.append(HARD_BREAK)
        elif tag == "img":
            self._text.append(f" {node.attributes.get('alt') or ''} ")
        elif (enter := _ENTER.get(tag)) is not None:
            self._end_block()
            enter(self, node, tag)

    def _leave(self, tag: str) -> None:
        if tag in _BLOCKS:
            self._end_block()
        elif (leave := _LEAVE.get(tag)) is not None:
            leave(self)

    def _enter_heading(self, node: LexborNode, tag: str) -> None:
        if not self._tables.collects and not self._heading:
            self._end_list()
            self._heading = _HEADINGS[tag]

    def _leave_heading(self) -> None:
        if not self._heading:
            self._end_block()
            return
        level, self._heading = self._heading, 0
        self._writer.add_heading(
            min(level + self._below, LOWEST_LEVEL), self._take_text().strip(_HEADING_MARKS + "\n")
        )

    def _enter_preformatted(self, node: LexborNode, tag: str) -> None:
        self._preformatted += 1

    def _leave_preformatted(self) -> None:
        self._preformatted -= 1
        code = "".join(self._text).replace(HARD_BREAK, "\n").strip("\n")
        if self._preformatted or self._heading or (self._tables.collects and "\n" not in code):
            self._end_block()
            return
        self._text = []
        self._tables.become_layout()
        self._end_list()
        self._writer.add(BlockKind.CODE, code)

    def _enter_list(self, node: LexborNode, tag: str) -> None:
        self._lists.append(_OpenList(_first_number(node) if tag == "ol" else None))

    def _leave_list(self) -> None:
        self._end_block()
        self._lists.pop()
        if not self._lists:
            self._end_list()

    def _enter_item(self, node: LexborNode, tag: str) -> None:
        self._marker = "- "
        if self._lists and (number := self._lists[-1].number) is not None:
            self._marker = f"{number}. "
            self._lists[-1].number = number + 1

    def _enter_table(self, node: LexborNode, tag: str) -> None:
        if not self._heading:
            self._end_list()
            self._tables.open_table()

    def _leave_table(self) -> None:
        self._end_block()
        if not self._heading:
            self._tables.close_table()

    def _enter_row(self, node: LexborNode, tag: str) -> None:
        self._tables.close_row()

    def _leave_row(self) -> None:
        self._end_block()
        self._tables.close_row()

    def _enter_cell(self, node: LexborNode, tag: str) -> None:
        self._tables.open_cell()

    # ---- text ----

    def _take_text(self) -> str:
        """The collected text with its white space as a browser would show it."""
        text = "".join(self._text)
        self._text = []
        return collapse_lines(text, HARD_BREAK)

    def _end_block(self) -> None:
        if self._heading or self._preformatted:
            self._text.append("\n")
            return
        text = self._take_text()
        if not text:
            return
        if self._tables.collects:
            self._tables.add(text)
        elif self._lists:
            level = min(len(self._lists), _WIDEST_NESTING) - 1
            self._list_lines.append("  " * level + self._marker + text.replace("\n", " "))
            self._marker = " " * len(self._marker)
        else:
            self._writer.add(BlockKind.PARAGRAPH, text)

    def _end_list(self) -> None:
        """Write the items so far; what comes next is a block of its own, even if the list goes on after it."""
        if self._list_lines:
            self._writer.add(BlockKind.LIST, "\n".join(self._list_lines))
            self._list_lines = []


_ENTER: dict[str, Callable[[_Walker, LexborNode, str], None]] = {
    **dict.fromkeys(_HEADINGS, _Walker._enter_heading),
    **dict.fromkeys(_PREFORMATTED, _Walker._enter_preformatted),
    **dict.fromkeys(_LISTS, _Walker._enter_list),
    "li": _Walker._enter_item,
    "table": _Walker._enter_table,
    "tr": _Walker._enter_row,
    "td": _Walker._enter_cell,
    "th": _Walker._enter_cell,
}
_LEAVE: dict[str, Callable[[_Walker], None]] = {
    **dict.fromkeys(_HEADINGS, _Walker._leave_heading),
    **dict.fromkeys(_PREFORMATTED, _Walker._leave_preformatted),
    **dict.fromkeys(_LISTS, _Walker._leave_list),
    "li": _Walker._end_block,
    "table": _Walker._leave_table,
    "tr": _Walker._leave_row,
    "td": _Walker._end_block,
    "th": _Walker._end_block,
}


def _first_number(node: LexborNode) -> int:
    """Where a numbered list begins."""
    start = node.attributes.get("start") or ""
    return int(start) if start.isascii() and start.isdigit() and len(start) < 10 else 1
