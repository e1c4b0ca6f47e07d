"""A PDF's bookmarks as headings: where on its page each of them stands."""

import re
import unicodedata
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import islice

import pypdfium2 as pdfium

from ragstone.parsers.blocks import collapse_spaces
from ragstone.parsers.pdf_layout import Line
from ragstone.parsers.pdf_text import Box

_MOST_BOOKMARKS = 20_000
_MOST_ON_A_PAGE = 500
_LONGEST_TITLE = 500
_MOST_LINES = 4  # that one heading runs over
_DEEPEST = 6
_NUMBERING = re.compile(
    r"\s*(?:(?:chapter|section|appendix|part)\s+(?:\d+|[A-Z]|[IVXLC]+)(?:\.\d+)*[.:)]?"
    r"|\d+(?:\.\d+)*[.:)]?|(?:[A-Z]|[IVXLC]+)(?:(?:\.\d+)+[.:)]?|[.:)]))\s+",
    re.I,
)


@dataclass(frozen=True, slots=True)
class Bookmark:
    """A heading of `level` 1 to 6."""

    level: int
    title: str


def read_outline(pdf: pdfium.PdfDocument) -> Mapping[int, Sequence[Bookmark]]:
    """The bookmarks of each page that has any, pages counted from 1, in their order."""
    pages: dict[int, list[Bookmark]] = {}
    for entry in islice(pdf.get_toc(max_depth=_DEEPEST + 2), _MOST_BOOKMARKS):
        destination = entry.get_dest()
        index = destination.get_index() if destination is not None else None
        title = _title(entry)
        if index is not None and title:
            pages.setdefault(index + 1, []).append(Bookmark(min(entry.level + 1, _DEEPEST), title))
    return pages


def with_headings(lines: Sequence[Line], bookmarks: Sequence[Bookmark]) -> list[Line]:
    """The lines with those marked that are a bookmark's title. A bookmark that is not found becomes a line of its own:
    after the one before it on the page, or at the page's start."""
    if not bookmarks:
        return list(lines)
    keys = [_keys(line.text) for line in lines]
    replaced: dict[int, tuple[int, Line]] = {}  # where a heading begins: how many lines it takes, and itself
    inserted: dict[int, list[Line]] = {}
    taken: set[int] = set()
    after = 0
    for bookmark in bookmarks[:_MOST_ON_A_PAGE]:
        found = _find(bookmark.title, keys, taken=taken)
        if found is None:
            inserted.setdefault(after, []).append(_own_line(bookmark, lines, after))
            continue
        first, count = found
        replaced[first] = (count, _marked(lines[first : first + count], bookmark.level))
        taken.update(range(first, first + count))
        after = first + count
    return _merged(lines, replaced, inserted)


def _merged(
    lines: Sequence[Line], replaced: Mapping[int, tuple[int, Line]], inserted: Mapping[int, list[Line]]
) -> list[Line]:
    merged: list[Line] = []
    index = 0
    while index <= len(lines):
        count, heading = replaced.get(index, (1, None))
        for place in range(index, index + count):
            merged.extend(inserted.get(place, ()))
        merged.extend([heading] if heading is not None else lines[index : index + 1])
        index += count
    return merged


def _title(entry: pdfium.PdfBookmark) -> str:
    try:
        title = entry.get_title()
    except UnicodeDecodeError:
        return ""
    return collapse_spaces(title[:_LONGEST_TITLE].replace("\0", ""))


def _find(title: str, keys: Sequence[frozenset[str]], *, taken: Set[int]) -> tuple[int, int] | None:
    """The first line of the title and the number of its lines."""
    wanted = _keys(title)
    for first in range(len(keys)):
        count = 0 if first in taken else _lines_of(wanted, first, keys)
        if count and taken.isdisjoint(range(first, first + count)):
            return first, count
    return None


def _lines_of(wanted: frozenset[str], first: int, keys: Sequence[frozenset[str]]) -> int:
    """How many lines from `first` on make up one of the wanted titles; 0 if none do."""
    begun = keys[first]
    for count in range(1, _MOST_LINES + 1):
        if begun & wanted:
            return count
        begun = frozenset(text for text in begun if any(title.startswith(text) for title in wanted))
        if not begun or first + count >= len(keys):
            return 0
        begun = frozenset(text + following for text in begun for following in keys[first + count])
    return 0


def _keys(text: str) -> frozenset[str]:
    """What two writings of a title may share: letters and digits, with and without its number."""
    forms = (_key(text), _key(_NUMBERING.sub("", text, count=1)))
    return frozenset(form for form in forms if form)


def _key(text: str) -> str:
    return "".join(filter(str.isalnum, unicodedata.normalize("NFKC", text[: 2 * _LONGEST_TITLE]).casefold()))


def _marked(lines: Sequence[Line], level: int) -> Line:
    first = lines[0]
    text = " ".join(line.text for line in lines)
    return Line(text, first.box, first.first_word, is_rtl=first.is_rtl, heading=level)


def _own_line(bookmark: Bookmark, lines: Sequence[Line], index: int) -> Line:
    neighbour = lines[min(index, len(lines) - 1)].box if lines else Box(0, 0, 1, 1)
    return Line(bookmark.title, neighbour, 0, heading=bookmark.level)
