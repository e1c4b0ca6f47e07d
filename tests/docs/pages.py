"""Reading the documentation as data: pages, their headings, links and fenced blocks."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
README = ROOT / "README.md"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
_HEADING = re.compile(r"^(#{1,6}) (.+)$", re.M)
_LINK = re.compile(r"\[[^\]\n]*\]\(([^)\s]+)\)")


def read(path: Path) -> str:
    """A page's text."""
    return path.read_text(encoding="utf-8")


def fences(page: str, language: str) -> list[str]:
    """The texts of all fenced blocks in a language."""
    return [text for found, text in _FENCE.findall(page) if found == language]


def prose(page: str) -> str:
    """The page without its fenced blocks."""
    return _FENCE.sub("", page)


def headings(page: str, level: int | None = None) -> list[str]:
    """Headings as they are written, of all levels or of one."""
    return [text for marks, text in _HEADING.findall(prose(page)) if level is None or len(marks) == level]


def anchors(page: str) -> set[str]:
    """Fragments that links may name, as GitHub makes them from headings."""
    return {_slug(text) for text in headings(page)}


def links(page: str) -> Iterator[str]:
    """Targets of links within the project."""
    for target in _LINK.findall(prose(page)):
        if not target.startswith(("http://", "https://", "mailto:")):
            yield target


class OpenTags(HTMLParser):
    """Elements that were opened and not closed, and names of all elements seen."""

    VOID = frozenset(("meta", "link", "br", "hr", "img", "input"))

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Remember it."""
        self.seen.add(tag)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """It must close the innermost one."""
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag, f"</{tag}> closes another element"


def _slug(heading: str) -> str:
    kept = re.sub(r"[^\w\- ]", "", heading.strip().lower())
    return kept.replace(" ", "-")
