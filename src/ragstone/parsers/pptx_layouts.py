"""What placeholders of a slide inherit from its layout and its master: their places, and whether they have bullets."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from ragstone.parsers.drawings import DRAWING
from ragstone.parsers.office_xml import Element, OfficePackage, whole_number

SLIDE = "{http://schemas.openxmlformats.org/presentationml/2006/main}"
TITLES = frozenset(("title", "ctrTitle"))
BODIES = frozenset(("body", "obj", "tbl", "chart", "dgm", "media", "clipArt", "pic"))
_KIND_IN_MASTER = {**dict.fromkeys(TITLES, "title"), **dict.fromkeys(BODIES | {"subTitle"}, "body")}
_STYLE_IN_MASTER = {"title": "titleStyle", "body": "bodyStyle"}
_NO_BULLET = f"{DRAWING}buNone"
_NUMBERED = f"{DRAWING}buAutoNum"
_BULLETS = frozenset((f"{DRAWING}buChar", f"{DRAWING}buBlip", _NUMBERED))


class Box(NamedTuple):
    """Where a shape stands, in English Metric Units."""

    left: int
    top: int
    height: int


class Placeholder(NamedTuple):
    """Which part of its layout a shape fills."""

    kind: str
    number: str


@dataclass(slots=True)
class Layout:
    """The placeholders of a layout, or of a master, and what that one is based on."""

    shapes: dict[Placeholder, Element] = field(default_factory=dict)
    styles: Element | None = None
    master: "Layout | None" = None

    def inherited(self, placeholder: Placeholder) -> Iterator[Element]:
        """The shapes that a placeholder takes from what it does not say itself, nearest first."""
        shape = self._by_number(placeholder.number) or self._by_kind(placeholder.kind)
        if shape is not None:
            yield shape[1]
        if self.master is not None:
            kind = shape[0].kind if shape is not None else placeholder.kind
            found = self.master._by_kind(_KIND_IN_MASTER.get(kind, kind))
            if found is not None:
                yield found[1]

    def list_style(self, kind: str) -> Element | None:
        """The master's style for placeholders of this kind."""
        styles = self.master.styles if self.master is not None else self.styles
        name = _STYLE_IN_MASTER.get(_KIND_IN_MASTER.get(kind, ""), "otherStyle")
        return styles.find(f"{SLIDE}{name}") if styles is not None else None

    def _by_number(self, number: str) -> tuple[Placeholder, Element] | None:
        return next((one for one in self.shapes.items() if number and one[0].number == number), None)

    def _by_kind(self, kind: str) -> tuple[Placeholder, Element] | None:
        return next((one for one in self.shapes.items() if one[0].kind == kind), None)


class Layouts:
    """The layouts of a presentation, each read once."""

    def __init__(self, package: OfficePackage):
        self._package = package
        self._layouts: dict[str, Layout] = {}

    def of(self, slide: str) -> Layout:
        """The layout of a slide."""
        return self._read(self._package.related(slide, "slideLayout"), above="slideMaster")

    def _read(self, part: str | None, *, above: str | None) -> Layout:
        if part is None:
            return Layout()
        if part not in self._layouts:
            root = self._package.root(part)
            shapes = {
                placeholder: shape
                for shape in root.iter(f"{SLIDE}sp")
                if (placeholder := placeholder_of(shape)) is not None
            }
            master = self._read(self._package.related(part, above), above=None) if above else None
            self._layouts[part] = Layout(shapes, root.find(f"{SLIDE}txStyles"), master)
        return self._layouts[part]


def placeholder_of(shape: Element) -> Placeholder | None:
    """The placeholder that the shape is; None for a shape of its own."""
    element = shape.find(f"./*/{SLIDE}nvPr/{SLIDE}ph")
    return None if element is None else Placeholder(element.get("type", "obj"), element.get("idx", ""))


def box_of(shape: Element) -> Box | None:
    """Where the shape says that it stands."""
    frame = shape.find(f"{SLIDE}xfrm")
    for name in ("spPr", "grpSpPr"):
        frame = shape.find(f"{SLIDE}{name}/{DRAWING}xfrm") if frame is None else frame
    offset, extent = (
        frame.find(f"{DRAWING}{name}") if frame is not None else None for name in ("off", "ext")
    )
    if offset is None:
        return None
    height = whole_number(extent.get("cy")) if extent is not None else 0
    return Box(whole_number(offset.get("x")), whole_number(offset.get("y")), height)


def bullet_in(properties: Element | None) -> str | None:
    """ "-" for a bullet, the kind of number for a numbered item, "" for neither; None if that is not said."""
    for element in properties.iterchildren("*") if properties is not None else ():
        if element.tag == _NUMBERED:
            return str(element.get("type", "arabicPeriod"))
        if element.tag in _BULLETS:
            return "-"
        if element.tag == _NO_BULLET:
            return ""
    return None
