"""Text frames and tables of slides as pieces of the document's flow."""

from collections.abc import Iterable, Iterator, Sequence

from ragstone.core.models import BlockKind
from ragstone.parsers.blocks import collapse_lines
from ragstone.parsers.drawings import DRAWING
from ragstone.parsers.flow import Piece, TableRows
from ragstone.parsers.numerals import letters, roman
from ragstone.parsers.office_xml import COMPATIBILITY, Element, whole_number
from ragstone.parsers.pptx_layouts import bullet_in

_PARAGRAPH, _TEXT, _BREAK, _FIELD = (f"{DRAWING}{name}" for name in ("p", "t", "br", "fld"))
_MATH_TEXT = "{http://schemas.openxmlformats.org/officeDocument/2006/math}t"
_FALLBACK = f"{COMPATIBILITY}Fallback"
_DEEPEST_LEVEL = 8
_OFF = frozenset(("0", "false"))


class Counter:
    """Counts the numbered items of a text frame."""

    def __init__(self) -> None:
        self._counts: list[tuple[str, int] | None] = [None] * (_DEEPEST_LEVEL + 1)

    def marker(self, bullet: str, level: int, start: int) -> str:
        """What stands before the next paragraph of this level."""
        self._counts[level + 1 :] = [None] * (_DEEPEST_LEVEL - level)
        if bullet in ("", "-"):
            self._counts[level] = None
            return f"{bullet} ".lstrip()
        before = self._counts[level]
        count = before[1] + 1 if before is not None and before[0] == bullet else start
        self._counts[level] = bullet, count
        return f"{_in_numerals(bullet, count)}. "


def frame_pieces(frame: Element | None, styles: Sequence[Element]) -> Iterator[Piece]:
    """A text frame's paragraphs. `styles` say, nearest first, which levels have bullets."""
    counter = Counter()
    for paragraph in frame.iterchildren(_PARAGRAPH) if frame is not None else ():
        text = paragraph_text(paragraph)
        if not text:
            continue
        properties = paragraph.find(f"{DRAWING}pPr")
        level = min(max(whole_number(_attribute(properties, "lvl")), 0), _DEEPEST_LEVEL)
        marker = counter.marker(_bullet(properties, level, styles), level, _start(properties))
        yield Piece(BlockKind.LIST if marker else BlockKind.PARAGRAPH, text, level, marker)


def frame_text(frame: Element | None) -> str:
    """All paragraphs on one line."""
    paragraphs = frame.iterchildren(_PARAGRAPH) if frame is not None else ()
    return " ".join(text for paragraph in paragraphs if (text := paragraph_text(paragraph))).replace(
        "\n", " "
    )


def paragraph_text(paragraph: Element) -> str:
    """Its runs and fields, without the number of the slide."""
    parts: list[str] = []
    for element in paragraph.iter(_TEXT, _BREAK, _MATH_TEXT):
        if element.tag == _BREAK:
            parts.append("\n")
        elif not _is_left_out(element):
            parts.append(element.text or "")
    return collapse_lines("".join(parts).replace("\u00ad", "").replace("\v", "\n"), "\n")


def table_pieces(table: Element) -> list[Piece]:
    """A line for each row; what a merged cell covers is empty."""
    rows = TableRows()
    for row in table.iterchildren(f"{DRAWING}tr"):
        for cell in row.iterchildren(f"{DRAWING}tc"):
            is_covered = _is_on(cell, "hMerge") or _is_on(cell, "vMerge")
            rows.add_cell([] if is_covered else list(frame_pieces(cell.find(f"{DRAWING}txBody"), [])))
        rows.close_row()
    return rows.pieces()


def _is_left_out(element: Element) -> bool:
    ancestors: Iterable[Element] = element.iterancestors(_FIELD, _FALLBACK)
    return any(
        ancestor.get("type") == "slidenum" if ancestor.tag == _FIELD else ancestor.getprevious() is not None
        for ancestor in ancestors
    )


def _bullet(properties: Element | None, level: int, styles: Sequence[Element]) -> str:
    in_styles = (style.find(f"{DRAWING}lvl{level + 1}pPr") for style in styles)
    said = (bullet_in(one) for one in (properties, *in_styles))
    return next((bullet for bullet in said if bullet is not None), "")


def _start(properties: Element | None) -> int:
    numbered = properties.find(f"{DRAWING}buAutoNum") if properties is not None else None
    return whole_number(_attribute(numbered, "startAt"), 1)


def _attribute(element: Element | None, name: str) -> str | None:
    return None if element is None else element.get(name)


def _is_on(element: Element, name: str) -> bool:
    return element.get(name, "0") not in _OFF


def _in_numerals(kind: str, number: int) -> str:
    if kind.startswith("alpha"):
        return letters(number) if kind.startswith("alphaLc") else letters(number).upper()
    if kind.startswith("roman"):
        return roman(number) if kind.startswith("romanLc") else roman(number).upper()
    return str(number)
