"""A table between two marks of a page, written from the code or compared with it."""

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"


@dataclass(frozen=True, slots=True)
class GeneratedTable:
    """Where a table stands, and its lines. `source` is what it is made from, for the message."""

    page: Path
    begin: str
    end: str
    source: str
    lines: tuple[str, ...]

    def main(self, arguments: Iterable[str]) -> int:
        """Rewrite the table, or with `--check` compare; exit status 1 on a difference."""
        page = self.page.read_text(encoding="utf-8")
        wanted = self._inserted(page)
        if "--check" not in arguments:
            self.page.write_text(wanted, encoding="utf-8")
            return 0
        if page == wanted:
            return 0
        sys.stderr.write(f"{self.page.name} differs from {self.source}; run: make docs\n")
        return 1

    def _inserted(self, page: str) -> str:
        before, begin, rest = page.partition(self.begin)
        _, end, after = rest.partition(self.end)
        if not (begin and end):
            raise SystemExit(f"{self.page.name} lacks the marks {self.begin} and {self.end}")
        table = "\n".join(self.lines)
        return f"{before}{self.begin}\n\n{table}\n\n{self.end}{after}"
