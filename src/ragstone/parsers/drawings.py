"""The words in drawings of office documents: charts as tables of their numbers, diagrams as lists."""

from collections.abc import Iterator

from ragstone.core.models import BlockKind
from ragstone.parsers.blocks import collapse_spaces
from ragstone.parsers.flow import BETWEEN_CELLS, Piece
from ragstone.parsers.office_xml import Element, OfficePackage, whole_number

DRAWING = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
CHART = "{http://schemas.openxmlformats.org/drawingml/2006/chart}"
DIAGRAM = "{http://schemas.openxmlformats.org/drawingml/2006/diagram}"
_MOST_POINTS = 100_000  # a sheet's rows fit in; a chart's index is a number that anybody may write there
_NUMBERS = (f"{CHART}val", f"{CHART}yVal")
_CATEGORIES = (f"{CHART}cat", f"{CHART}xVal")


class Drawings:
    """The drawings of a document, each of which is read once, however often it is shown."""

    def __init__(self, package: OfficePackage):
        self._package = package
        self._read: set[str] = set()

    def pieces(self, part: str, relationship_id: str) -> list[Piece]:
        """What the drawing says that a part refers to by this id; empty if there is none."""
        relationship = self._package.relationships(part).get(relationship_id)
        if relationship is None or relationship.target in self._read:
            return []
        self._read.add(relationship.target)
        if not self._package.has(relationship.target):
            return []
        root = self._package.root(relationship.target)
        return chart_pieces(root) if root.tag == f"{CHART}chartSpace" else diagram_pieces(root)


def chart_pieces(root: Element) -> list[Piece]:
    """Its title, and a table with a row for each category and a column for each series."""
    title = root.find(f"{CHART}chart/{CHART}title")
    pieces = [] if title is None else [Piece(BlockKind.PARAGRAPH, _words(title) or _cached_text(title))]
    return [*pieces, Piece(BlockKind.TABLE, "\n".join(_rows(root)))]


def diagram_pieces(root: Element) -> list[Piece]:
    """An item for each of its shapes that has text."""
    return [
        Piece(BlockKind.LIST, text, marker="- ")
        for point in root.iter(f"{DIAGRAM}t")
        if (text := _words(point))
    ]


def _rows(root: Element) -> Iterator[str]:
    categories: dict[int, str] = {}
    names: list[str] = []
    columns: list[dict[int, str]] = []
    for series in root.iter(f"{CHART}ser"):
        for index, text in _points(series, _CATEGORIES):
            categories.setdefault(index, text)
        name = series.find(f"{CHART}tx")
        names.append("" if name is None else _cached_text(name))
        columns.append(dict(_points(series, _NUMBERS)))
    if any(names):
        yield BETWEEN_CELLS.join(["", *names]).strip()
    for index in sorted(categories.keys() | {index for column in columns for index in column}):
        cells = [categories.get(index, ""), *(column.get(index, "") for column in columns)]
        yield BETWEEN_CELLS.join(cells).strip()


def _points(series: Element, tags: tuple[str, ...]) -> Iterator[tuple[int, str]]:
    """Index and text of what was computed when the document was saved."""
    for tag in tags:
        for point in series.iterfind(f"{tag}//{CHART}pt"):
            index = whole_number(point.get("idx"))
            if 0 <= index < _MOST_POINTS:
                yield index, collapse_spaces(point.findtext(f"{CHART}v") or "")


def _cached_text(parent: Element) -> str:
    return collapse_spaces(" ".join(value.text or "" for value in parent.iter(f"{CHART}v")))


def _words(parent: Element) -> str:
    """Runs as they are, paragraphs parted by a space."""
    paragraphs = ("".join(_runs(paragraph)) for paragraph in parent.iter(f"{DRAWING}p"))
    return collapse_spaces(" ".join(paragraphs))


def _runs(paragraph: Element) -> Iterator[str]:
    for element in paragraph.iter(f"{DRAWING}t", f"{DRAWING}br"):
        yield element.text or "" if element.tag == f"{DRAWING}t" else " "
