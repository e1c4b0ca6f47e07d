"""A report as Markdown, for a pull request or a wiki."""

import re
from collections.abc import Sequence

from ragstone.evaluation.report import Report
from ragstone.evaluation.tables import (
    Entry,
    Table,
    entries,
    figures_table,
    sentences,
    shorten,
    stages_tables,
    visible,
)

MAX_FAILURES = 100
MAX_TEXT = 300
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~&!$])")


def to_markdown(report: Report) -> str:
    """Ends with a line end."""
    parts = [
        f"# Evaluation of {plain(report.questions_file)}",
        f"{report.made_at}, Ragstone {report.version}.",
    ]
    parts += ["\n".join(f"- {plain(sentence)}" for sentence in sentences(report))]
    parts += [_section(table) for table in (figures_table(report), *stages_tables(report))]
    parts.append(_failures(report))
    return "\n\n".join(parts) + "\n"


def plain(text: str) -> str:
    """One line that no reader of Markdown takes for anything but text."""
    return _SPECIAL.sub(r"\\\1", shorten(visible(text), MAX_TEXT))


def _section(table: Table) -> str:
    return f"## {plain(table.title)}\n\n{_table(table.columns, table.rows)}"


def _failures(report: Report) -> str:
    found = entries(report)
    failed = [entry for entry in found if entry.is_failure]
    heading = f"## To be mended: {len(failed):,} of {len(found):,} questions"
    if not failed:
        return heading
    rows = [(entry.question, *_faults(entry, report)) for entry in failed[:MAX_FAILURES]]
    table = _table(("question", *(run.label for run in report.runs)), rows)
    more = len(failed) - MAX_FAILURES
    return f"{heading}\n\n{table}" + (f"\n\nAnd {more:,} more." if more > 0 else "")


def _faults(entry: Entry, report: Report) -> list[str]:
    """A cell for each run."""
    rows = [entry.rows.get(run.label) for run in report.runs]
    return ["not asked" if row is None else "; ".join(row.faults) for row in rows]


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    cells = [[plain(cell) for cell in line] for line in (columns, *rows)]
    cells.insert(1, ["---"] * len(columns))
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)
