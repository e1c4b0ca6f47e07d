"""Lists of Markdown in work: items, their nesting and what continues them, until the list is known to be over."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

_ITEM = re.compile(r"(?P<marker>[-*+]|\d{1,9}[.)])(?:(?P<space> +)(?P<text>.*)|$)")
_WIDEST_NESTING = 8  # levels that are shown by indentation; deeper items stand with the eighth


@dataclass(slots=True)
class _Entry:
    """One line of the list as it will read: an item, or a further paragraph of one."""

    prefix: str
    lines: list[str] = field(default_factory=list)


class ListBuffer:
    """One list, nested ones included, as one block with a line for each item."""

    def __init__(self) -> None:
        self._entries: list[_Entry] = []
        self._content_indents: list[int] = []  # of the open items, outermost first
        self._after_blank = False

    @property
    def is_open(self) -> bool:
        """Whether an item was added since the last `take`."""
        return bool(self._entries)

    def add_item(self, content: str, indent: int, *, in_paragraph: bool = False) -> bool:
        """Add the line if it is an item. One that would interrupt a paragraph must have text and, if numbered, the
        number 1."""
        item = _ITEM.fullmatch(content)
        if item is None or (in_paragraph and (not item["text"] or item["marker"][:-1] not in ("", "1"))):
            return False
        while self._content_indents and indent < self._content_indents[-1]:
            self._content_indents.pop()
        marker = "-" if item["marker"] in "-*+" else item["marker"]
        level = min(len(self._content_indents), _WIDEST_NESTING)
        self._entries.append(_Entry(f"{'  ' * level}{marker} ", [item["text"] or ""]))
        self._content_indents.append(indent + len(item["marker"]) + min(len(item["space"] or " "), 4))
        self._after_blank = False
        return True

    def continues(self, indent: int) -> bool:
        """Whether a line of text with this indentation still belongs to the list."""
        return self.is_open and (not self._after_blank or indent >= 2)

    def add_text(self, line: str) -> None:
        """Add a line of text to the last item; after a blank line it is a paragraph of its own."""
        if self._after_blank:
            level = min(len(self._content_indents), _WIDEST_NESTING)
            self._entries.append(_Entry("  " * level))
            self._after_blank = False
        self._entries[-1].lines.append(line)

    def blank(self) -> None:
        """Note a blank line: it does not end a list, but what follows must be indented or an item."""
        self._after_blank = True

    def take(self, render: Callable[[str], str]) -> str:
        """The list's text; the buffer is empty afterwards."""
        shown = [(entry.prefix, render(join_lines(entry.lines))) for entry in self._entries]
        self._entries, self._content_indents, self._after_blank = [], [], False
        return "\n".join(prefix + text.replace("\n", " ") for prefix, text in shown if text)


def join_lines(lines: Sequence[str]) -> str:
    """Source lines of one paragraph, joined by spaces; a hard break (two spaces or a backslash at the end) stays."""
    pieces: list[str] = []
    for line in lines:
        is_hard = line.endswith(("  ", "\\"))
        pieces.append(line.rstrip("\\") if is_hard else line)
        pieces.append("\n" if is_hard else " ")
    return "".join(pieces[:-1])
