"""How an evaluation looks in a terminal."""

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ragstone.cli.render import inert, shorten
from ragstone.evaluation import tables
from ragstone.evaluation.report import Report

MAX_FAILURES = 20


def print_report(console: Console, report: Report) -> None:
    """Figures, times, what to know besides, and the first failures."""
    for table in (tables.figures_table(report), *tables.stages_tables(report)):
        console.print(_table(table))
    for sentence in tables.sentences(report):
        console.print(inert(sentence), markup=False, highlight=False, soft_wrap=True)
    found = tables.entries(report)
    failed = [entry for entry in found if entry.is_failure]
    console.print(
        f"{len(failed):,} of {len(found):,} questions have something to mend.",
        highlight=False,
        soft_wrap=True,
    )
    for entry in failed[:MAX_FAILURES]:
        console.print(f"  {_shown(shorten(entry.question))}", style="bold", highlight=False, soft_wrap=True)
        for label, row in entry.rows.items():
            whose = f"{label}: " if len(report.runs) > 1 else ""
            if row.faults:
                console.print(
                    f"      {_shown(whose + '; '.join(row.faults))}", highlight=False, soft_wrap=True
                )
    if len(failed) > MAX_FAILURES:
        console.print(f"  and {len(failed) - MAX_FAILURES:,} more; --html and --json show all of them.")


def _table(table: tables.Table) -> Table:
    shown = Table(
        title=_shown(table.title), title_justify="left", box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0)
    )
    for number, column in enumerate(table.columns):
        shown.add_column(_shown(column), justify="right" if number else "left", overflow="fold")
    for row in table.rows:
        shown.add_row(*(_shown(cell) for cell in row))
    return shown


def _shown(text: str) -> str:
    return escape(inert(text))
