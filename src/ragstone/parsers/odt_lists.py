"""The lists that are open while OpenDocument text is read, and the numbers of their items."""

from dataclasses import dataclass

from ragstone.parsers.odt_styles import TEXT, OdtStyles
from ragstone.parsers.office_xml import Element, whole_number


@dataclass(slots=True)
class _OpenList:
    style: str
    next_number: int
    number: int = 0


class OdtLists:
    """Follows the starts and ends of lists and items."""

    def __init__(self, styles: OdtStyles):
        self._styles = styles
        self._open: list[_OpenList] = []
        self._left_off: dict[tuple[str, int], int] = {}
        self._marker = ""

    @property
    def level(self) -> int:
        """How deep the lists nest, from 1; 0 outside of any."""
        return len(self._open)

    def open_list(self, element: Element) -> None:
        """A list begins; inside another one it inherits the style."""
        inherited = self._open[-1].style if self._open else ""
        style = element.get(f"{TEXT}style-name") or inherited
        level = len(self._open) + 1
        start = self._styles.start(style, level)
        continues = element.get(f"{TEXT}continue-numbering") == "true" or element.get(f"{TEXT}continue-list")
        if continues:
            start = self._left_off.get((style, level), start)
        self._open.append(_OpenList(style, start))

    def close_list(self) -> None:
        """The innermost list ends."""
        closed = self._open.pop()
        self._left_off[closed.style, len(self._open) + 1] = closed.next_number
        self._marker = ""

    def open_item(self, element: Element) -> None:
        """An item begins; its first paragraph gets its marker."""
        if not self._open:
            return
        innermost = self._open[-1]
        innermost.number = whole_number(element.get(f"{TEXT}start-value"), innermost.next_number)
        innermost.next_number = innermost.number + 1
        self._marker = self._styles.marker(innermost.style, [one.number for one in self._open])

    def open_header(self) -> None:
        """What stands in a list without being an item has no marker."""
        self._marker = ""

    def take_marker(self) -> str:
        """What stands before the paragraph; the item's next ones are indented."""
        marker, self._marker = self._marker, " " * len(self._marker)
        return marker
