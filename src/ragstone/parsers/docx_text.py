"""The text of one paragraph of Word: what is shown of its runs, fields, changes and formulas."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from ragstone.parsers.docx_styles import WORD, Styles, is_on, value_of
from ragstone.parsers.office_xml import COMPATIBILITY, RELATIONSHIP, Element

_MATH = "{http://schemas.openxmlformats.org/officeDocument/2006/math}"
_CHART = "{http://schemas.openxmlformats.org/drawingml/2006/chart}chart"
_DIAGRAM = "{http://schemas.openxmlformats.org/drawingml/2006/diagram}relIds"
FALLBACK = f"{COMPATIBILITY}Fallback"
TEXT_BOX = f"{WORD}txbxContent"

_PRIVATE_USE = range(0xE000, 0xF900)  # in symbol fonts: no characters that mean the same elsewhere
_NOT_SHOWN = frozenset(
    (
        *(
            f"{WORD}{name}"
            for name in ("pPr", "rPr", "sdtPr", "del", "moveFrom", "rt", "object", "instrText")
        ),
        TEXT_BOX,
    )
)
_FIXED = {
    f"{WORD}tab": "\t",
    f"{WORD}ptab": "\t",
    f"{WORD}br": "\n",
    f"{WORD}cr": "\n",
    f"{WORD}noBreakHyphen": "-",
    f"{_MATH}den": "/",
    f"{_MATH}sup": "^",
    f"{_MATH}sub": "_",
}
_RUN = f"{WORD}r"
_TEXTS = frozenset((f"{WORD}t", f"{_MATH}t"))
_SYMBOL = f"{WORD}sym"
_FIELD = f"{WORD}fldChar"
_NOTES = {f"{WORD}footnoteReference": "footnotes", f"{WORD}endnoteReference": "endnotes"}
_DRAWINGS = {_CHART: f"{RELATIONSHIP}id", _DIAGRAM: f"{RELATIONSHIP}dm"}
_TAKEN = (*_TEXTS, *_FIXED, *_NOTES, *_DRAWINGS, _SYMBOL, _FIELD)
# Where none of these is in a paragraph, all of it is shown; then lxml finds what is taken, four times as fast.
_TABS = f"{WORD}tabs"  # holds elements that are called like the tabs of the text
_NEEDS_CARE = (
    *(_NOT_SHOWN - {f"{WORD}pPr", f"{WORD}rPr", f"{WORD}instrText"}),
    FALLBACK,
    f"{WORD}vanish",
    _TABS,
)


@dataclass(slots=True)
class ParagraphText:
    """What a paragraph shows, and what it refers to: notes as (kind, id), drawings by their relationships."""

    parts: list[str] = field(default_factory=list)
    notes: list[tuple[str, str]] = field(default_factory=list)
    drawings: list[str] = field(default_factory=list)
    open_fields: list[bool] = field(default_factory=list)  # whether the field's result has begun

    @property
    def text(self) -> str:
        """As it stands, white space included."""
        return "".join(self.parts).replace("\u00ad", "")

    def take(self, element: Element) -> None:
        """Add what this element of the paragraph shows."""
        tag = element.tag
        if tag == _FIELD:
            self._take_field(element.get(f"{WORD}fldCharType"))
        elif not all(self.open_fields):
            return
        elif tag in _TEXTS:
            self.parts.append(element.text or "")
        elif tag in _FIXED:
            self.parts.append(_FIXED[tag])
        elif tag == _SYMBOL:
            self.parts.append(_symbol(element))
        elif tag in _NOTES:
            self.notes.append((_NOTES[tag], element.get(f"{WORD}id", "")))
        elif tag in _DRAWINGS:
            self.drawings.append(element.get(_DRAWINGS[tag], ""))

    def _take_field(self, kind: str | None) -> None:
        """Between a field's beginning and its separator stands its code, which is not shown."""
        if kind == "begin":
            self.open_fields.append(False)
        elif self.open_fields and kind == "separate":
            self.open_fields[-1] = True
        elif self.open_fields and kind == "end":
            self.open_fields.pop()


def read_paragraph(paragraph: Element, styles: Styles) -> ParagraphText:
    """All that the paragraph shows, without the text boxes that are fixed to it."""
    found = ParagraphText()
    for element in _elements(paragraph, styles):
        found.take(element)
    return found


def is_contents_line(paragraph: Element) -> bool:
    """Whether a field made the line, or it leads to a heading: a table of contents repeats what follows it."""
    codes = (element.text or "" for element in paragraph.iter(f"{WORD}instrText"))
    anchors = (element.get(f"{WORD}anchor", "") for element in paragraph.iter(f"{WORD}hyperlink"))
    return any("PAGEREF" in code for code in codes) or any(anchor.startswith("_Toc") for anchor in anchors)


def _elements(paragraph: Element, styles: Styles) -> Iterator[Element]:
    if not styles.hide_anything and next(paragraph.iter(*_NEEDS_CARE), None) is None:
        return paragraph.iter(*_TAKEN)  # type: ignore[no-any-return]
    is_hidden = bool(styles.is_hidden(styles.of(paragraph.find(f"{WORD}pPr"))))
    return _shown(paragraph, styles, is_hidden=is_hidden)


def _shown(parent: Element, styles: Styles, *, is_hidden: bool) -> Iterator[Element]:
    """Elements in order. XML nests 256 levels at most, or it was refused."""
    for child in parent.iterchildren("*"):
        tag = child.tag
        if (
            tag in _NOT_SHOWN
            or is_replaced(child)
            or (tag == _RUN and _is_hidden(child, styles, by_paragraph=is_hidden))
        ):
            continue
        yield child
        if len(child):
            yield from _shown(child, styles, is_hidden=is_hidden)


def is_replaced(element: Element) -> bool:
    """Whether the element repeats, for old programs, what stands before it."""
    return element.tag == FALLBACK and element.getprevious() is not None


def _is_hidden(run: Element, styles: Styles, *, by_paragraph: bool) -> bool:
    properties = run.find(f"{WORD}rPr")
    if properties is None:
        return by_paragraph
    direct = is_on(properties, "vanish")
    if direct is not None:
        return direct
    style_id = value_of(properties, "rStyle")
    by_style = styles.is_hidden(style_id) if style_id else None
    return by_paragraph if by_style is None else by_style


def _symbol(element: Element) -> str:
    try:
        code = int(element.get(f"{WORD}char", ""), 16)
        return "" if code in _PRIVATE_USE else chr(code)
    except (ValueError, OverflowError):
        return ""
