"""Draws every Mermaid diagram of the pages with Mermaid itself and exits 1 if one cannot be parsed."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import mermaidx

ROOT = Path(__file__).parents[1]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))

_DIAGRAM = re.compile(r"^```mermaid\n(.*?)^```$", re.M | re.S)


def findings() -> Iterator[str]:
    """What Mermaid says of each diagram that it cannot draw, with its page and line."""
    for path in PAGES:
        page = path.read_text(encoding="utf-8")
        for found in _DIAGRAM.finditer(page):
            try:
                mermaidx.render(found[1]).svg()
            except RuntimeError as error:
                line = page.count("\n", 0, found.start()) + 1
                yield f"{path.relative_to(ROOT)}:{line}: {error}"


if __name__ == "__main__":
    sys.exit("\n".join(findings()) or 0)
