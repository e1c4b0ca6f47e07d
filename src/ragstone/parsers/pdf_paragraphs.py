"""The lines of a page as paragraphs, lists, tables and headings."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from ragstone.core.models import BlockKind
from ragstone.parsers.pdf_groups import columns_of, groups_of, tables_apart
from ragstone.parsers.pdf_layout import Line

BETWEEN_CELLS = " | "

_INDENT = 0.7  # heights of a line
_SMALL_PRINT = 0.92  # of the page's usual size
_BULLET = re.compile(r"[•◦▪‣∙●○■□▶➢✓*]\s+\S")
_ITEM = re.compile(r"[•◦▪‣·∙●○■□▶➢✓*–—-]\s+\S|\(?(?:\d{1,2}|[a-z]|[ivx]{1,4})[.)]\s+\S")
_END = 20  # characters in which a sentence's end is looked for
_SENTENCE_END = re.compile(r"[.!?…:;。！？؟۔][\"'”’»)\]\d*†‡]*\Z")
# Between these a line break is no space.
_UNSPACED = re.compile("[\u3000-\u30ff\u3400-\u9fff\uf900-\ufaff\uff00-\uff60]")


@dataclass(slots=True)
class Paragraph:
    """A block of one page. `begins_column`: it is the first of its page or column, so that it may continue another."""

    kind: BlockKind
    text: str
    level: int = 0
    begins_column: bool = False
    is_hyphenated: bool = False
    is_small: bool = False

    @property
    def text_as_it_ends(self) -> str:
        """With the hyphen, if nothing came after it."""
        return self.text + "-" if self.is_hyphenated else self.text

    @property
    def is_open(self) -> bool:
        """Whether it breaks off within a sentence."""
        return self.kind is BlockKind.PARAGRAPH and (self.is_hyphenated or not _ends_sentence(self.text))

    def is_continued_by(self, following: "Paragraph") -> bool:
        """Whether the first of another column or page clearly goes on with it."""
        return (
            following.begins_column
            and following.kind is BlockKind.PARAGRAPH
            and self.is_open
            and following.text[0].islower()
        )

    def continue_with(self, following: "Paragraph") -> None:
        """Take over its text."""
        self.text = join(self.text, following.text, is_hyphenated=self.is_hyphenated)
        self.is_hyphenated = following.is_hyphenated


def paragraphs(lines: Sequence[Line]) -> tuple[list[Paragraph], list[Paragraph]]:
    """The page's blocks in order, and the small print below its columns that would interrupt them."""
    usual = _usual_height(lines)
    body: list[Paragraph] = []
    notes: list[Paragraph] = []
    for column in columns_of(lines):
        blocks = [block for group in groups_of(column) for block in _blocks(group, usual)]
        if not blocks:
            continue
        blocks[0].begins_column = True
        main = len(blocks)
        while main and blocks[main - 1].is_small:
            main -= 1
        if main:
            body.extend(_with_lists(blocks[:main]))
            notes.extend(blocks[main:])
        else:
            body.extend(_with_lists(blocks))
    return body, notes


def join(text: str, following: str, *, is_hyphenated: bool, on_new_line: bool = False) -> str:
    """Two lines as one text. A hyphen goes only if the word goes on in lower case."""
    if is_hyphenated:
        return text + following if following[:1].islower() else f"{text}-{following}"
    if on_new_line:
        return f"{text}\n{following}"
    if _UNSPACED.match(text[-1:]) and _UNSPACED.match(following[:1]):
        return text + following
    return f"{text} {following}"


def _usual_height(lines: Sequence[Line]) -> float:
    """The height that most characters have."""
    heights = sorted((line.box.height, len(line.text)) for line in lines)
    half = sum(length for _, length in heights) / 2
    for height, length in heights:
        half -= length
        if half <= 0:
            return height
    return 0.0


def _blocks(group: Sequence[Line], usual_height: float) -> Iterator[Paragraph]:
    is_small = median(line.box.height for line in group) < _SMALL_PRINT * usual_height
    if group[0].heading:
        yield Paragraph(BlockKind.HEADING, group[0].text, level=group[0].heading)
        return
    for part, is_table in tables_apart(group):
        if is_table:
            rows = "\n".join(BETWEEN_CELLS.join(line.cells) for line in part)
            yield Paragraph(BlockKind.TABLE, rows)
        else:
            yield from _prose(part, is_small=is_small)


def _prose(lines: Sequence[Line], *, is_small: bool) -> Iterator[Paragraph]:
    left = min(line.box.left for line in lines)
    right = max(line.box.right for line in lines)
    keeps_lines = _is_verse(lines, left, right)
    current = Paragraph(BlockKind.PARAGRAPH, lines[0].text, is_small=is_small)
    current.is_hyphenated = lines[0].is_hyphenated
    for index in range(1, len(lines)):
        before, after = lines[index - 1], lines[index]
        breaks_early = _breaks_early(before, after, left, right)
        if _begins_paragraph(lines, index, left, breaks_early=breaks_early):
            yield _ended(current, before)
            current = Paragraph(BlockKind.PARAGRAPH, after.text, is_small=is_small)
        else:
            current.text = join(
                current.text,
                after.text,
                is_hyphenated=before.is_hyphenated,
                on_new_line=breaks_early or keeps_lines,
            )
    yield _ended(current, lines[-1])


def _is_verse(lines: Sequence[Line], left: float, right: float) -> bool:
    """Whether so many lines break early, within sentences, that their ends mean something: addresses, code, verse."""
    pairs = list(pairwise(lines))
    early = [pair for pair in pairs if _breaks_early(*pair, left, right) and not _ends_sentence(pair[0].text)]
    return 3 * len(early) >= len(pairs) > 1


def _ends_sentence(text: str) -> bool:
    return _SENTENCE_END.search(text[-_END:]) is not None


def _ended(paragraph: Paragraph, line: Line) -> Paragraph:
    paragraph.is_hyphenated = line.is_hyphenated
    return paragraph


def _breaks_early(before: Line, after: Line, left: float, right: float) -> bool:
    """Whether the next word had found room in the line: its end was meant."""
    if before.is_hyphenated:
        return False
    room = before.box.left - left if before.is_rtl else right - before.box.right
    return room > after.first_word + 0.6 * before.box.height


def _begins_paragraph(lines: Sequence[Line], index: int, left: float, *, breaks_early: bool) -> bool:
    before, after = lines[index - 1], lines[index]
    if before.is_hyphenated:
        return False
    ends = _ends_sentence(before.text)
    if _BULLET.match(after.text) is not None or (breaks_early and ends):
        return True
    if _ITEM.match(after.text) is not None and (breaks_early or ends or _ITEM.match(before.text) is not None):
        return True
    indent = _INDENT * before.box.height
    is_indented = indent < after.box.left - before.box.left < 6 * indent and before.box.left - left < indent
    hangs = index + 1 < len(lines) and lines[index + 1].box.left - left > indent
    return is_indented and not hangs and not after.is_rtl and _ITEM.match(before.text) is None


def _with_lists(blocks: Sequence[Paragraph]) -> Iterator[Paragraph]:
    """Items that follow each other become one list."""
    items: list[Paragraph] = []
    for block in blocks:
        if block.kind is BlockKind.PARAGRAPH and _ITEM.match(block.text) is not None:
            items.append(block)
            continue
        yield from _list(items)
        items = []
        yield block
    yield from _list(items)


def _list(items: Sequence[Paragraph]) -> Sequence[Paragraph]:
    if len(items) < 2:
        return items
    text = "\n".join(item.text.replace("\n", " ") for item in items)
    return [Paragraph(BlockKind.LIST, text, begins_column=items[0].begins_column)]
