"""What a run prints: Markdown tables, and the same rows as JSON."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Table:
    """A titled table; cells are text, or numbers shown to three places."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    notes: Sequence[str] = ()

    def markdown(self) -> str:
        """The title as heading, the table, the notes as list."""
        lines = [f"### {self.title}", "", _line(self.columns), _line(["---"] * len(self.columns))]
        lines += [_line([_cell(value) for value in row]) for row in self.rows]
        if self.notes:
            lines += ["", *(f"- {note}" for note in self.notes)]
        return "\n".join(lines) + "\n"


@dataclass(slots=True)
class Report:
    """Prints each table as soon as it is known."""

    tables: list[Table] = field(default_factory=list)

    def add(self, table: Table) -> None:
        """Print it now, keep it for `save`."""
        self.tables.append(table)
        print(table.markdown(), flush=True)

    def save(self, path: Path | None) -> None:
        """All tables as JSON: title → list of {column: cell}."""
        if path is None:
            return
        content = {
            table.title: [dict(zip(table.columns, row, strict=True)) for row in table.rows]
            for table in self.tables
        }
        path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def verdict(value: float, target: float, *, at_least: bool = False) -> str:
    """`met` or `not met`; a value that is not a number meets nothing."""
    return "met" if (value >= target if at_least else value <= target) else "not met"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(value: Any) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)
