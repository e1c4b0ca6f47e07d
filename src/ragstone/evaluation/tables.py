"""What every form of a report shows: the same tables, sentences and order of questions."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ragstone.evaluation.comparison import Comparison, Difference
from ragstone.evaluation.figures import FIGURES
from ragstone.evaluation.judging import Row
from ragstone.evaluation.report import Report
from ragstone.evaluation.summary import Run

MAX_NAMED = 10  # documents or questions that a sentence names
SIGNED = "+"
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


@dataclass(frozen=True, slots=True)
class Table:
    """Cells are text, not yet made safe for any form."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """A question with its row in each run that has it, by the run's label."""

    key: str
    question: str
    rows: Mapping[str, Row]

    @property
    def is_failure(self) -> bool:
        """Whether anything is to be mended in any run."""
        return any(row.faults for row in self.rows.values())


def figures_table(report: Report) -> Table:
    """Quality."""
    if report.comparison is not None:
        rows = [_compared(each, _number) for each in report.comparison.figures]
        return Table("Figures", _compared_columns(report.comparison, "figure"), tuple(rows))
    (run,) = report.runs
    return Table(
        "Figures",
        ("figure", "questions", "value", "95 % interval"),
        tuple(
            (
                each.label,
                f"{each.questions:,}",
                _number(each.name, each.value),
                f"{_number(each.name, each.low)} to {_number(each.name, each.high)}",
            )
            for each in run.summary.means
        ),
    )


def stages_tables(report: Report) -> list[Table]:
    """Milliseconds: of each run, and the means of both compared."""
    tables = [
        Table(
            f"Milliseconds by stage: {run.label}" if len(report.runs) > 1 else "Milliseconds by stage",
            ("stage", "questions", "p50", "p95", "mean"),
            tuple(
                (
                    stage.name.removesuffix("_ms"),
                    f"{stage.questions:,}",
                    *(_milliseconds(stage.name, value) for value in (stage.p50, stage.p95, stage.mean)),
                )
                for stage in run.summary.stages
            ),
        )
        for run in report.runs
    ]
    if report.comparison is not None:
        rows = tuple(_compared(each, _milliseconds) for each in report.comparison.stages)
        tables.append(
            Table("Mean milliseconds compared", _compared_columns(report.comparison, "stage"), rows)
        )
    return [table for table in tables if table.rows]


def sentences(report: Report) -> list[str]:
    """What was asked, and all that a reader of the tables must know besides."""
    told = [_described(run, report) for run in report.runs]
    if (asked := len(report.runs[-1].rows)) < report.questions:  # the last is of today
        told.append(f"Interrupted: {asked:,} of {counted(report.questions, 'question')} were asked.")
    for run in report.runs:
        whose = f" ({run.label})" if len(report.runs) > 1 else ""
        if run.summary.errors:
            counts = ", ".join(f"{count:,} {code}" for code, count in run.summary.errors.items())
            total = sum(run.summary.errors.values())
            told.append(f"{counted(total, 'question')} failed{whose}, counted as misses: {counts}.")
        if run.not_there:
            told.append(
                f"{counted(len(run.not_there), 'expected document')} not in the collection{whose} by source, file "
                f"name, title or id, counted as misses: {_named(run.not_there)}."
            )
    if report.comparison is not None:
        told += _mismatches(report.comparison)
    return told


def entries(report: Report) -> list[Entry]:
    """Failures first: errors, then most faults, then the order of the file."""
    by_key: dict[str, dict[str, Row]] = {}
    for run in report.runs:
        for row in run.rows:
            by_key.setdefault(row.key, {})[run.label] = row
    found = [Entry(key, next(iter(rows.values())).question, rows) for key, rows in by_key.items()]
    return sorted(
        found,
        key=lambda entry: (
            all(row.error is None for row in entry.rows.values()),
            -sum(len(row.faults) for row in entry.rows.values()),
        ),
    )


def _compared_columns(comparison: Comparison, what: str) -> tuple[str, ...]:
    return (
        what,
        "n",
        comparison.first,
        comparison.second,
        "change",
        "95 % interval",
        "verdict",
    )


def _compared(each: Difference, shown: Callable[..., str]) -> tuple[str, ...]:
    return (
        each.label.removesuffix("_ms"),
        f"{each.questions:,}",
        shown(each.name, each.first),
        shown(each.name, each.second),
        shown(each.name, each.difference, SIGNED),
        f"{shown(each.name, each.low, SIGNED)} to {shown(each.name, each.high, SIGNED)}",
        each.verdict.value,
    )


def _number(name: str, value: float, sign: str = "") -> str:
    figure = FIGURES[name]
    return f"{value:{sign}.3f}" if figure.is_share else f"{value:{sign}.1f}"


def _milliseconds(_: str, value: float, sign: str = "") -> str:
    return milliseconds(value, sign)


def milliseconds(value: float, sign: str = "") -> str:
    """Two places where one would hide much."""
    return f"{value:{sign},.2f}" if abs(value) < 10 else f"{value:{sign},.1f}"


def _described(run: Run, report: Report) -> str:
    given = ", ".join(f"{name} {value}" for name, value in run.parameters.items())
    label = f"{run.label}: " if len(report.runs) > 1 else ""
    return f"{label}{counted(run.summary.questions, 'question')} to {run.server}; {given}."


def _mismatches(comparison: Comparison) -> list[str]:
    told = []
    for keys, why in (
        (comparison.only_first, f"only in {comparison.first}"),
        (comparison.only_second, f"only in {comparison.second}"),
        (comparison.changed, "the same id with another text"),
    ):
        if keys:
            told.append(f"Not compared, {why}: {counted(len(keys), 'question')} ({_named(keys)}).")
    return told


def _named(names: Sequence[str]) -> str:
    shown = ", ".join(shorten(name, 80) for name in names[:MAX_NAMED])
    return shown if len(names) <= MAX_NAMED else f"{shown} and {len(names) - MAX_NAMED:,} more"


def visible(text: str) -> str:
    """Without control characters; line ends and tabs are kept."""
    return _CONTROLS.sub("\N{REPLACEMENT CHARACTER}", text.replace("\r\n", "\n"))


def counted(count: int, thing: str) -> str:
    """With the plural where it is one."""
    return f"{count:,} {thing}" if count == 1 else f"{count:,} {thing}s"


def shorten(text: str, most: int) -> str:
    """On one line, cut with an ellipsis."""
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 1]}…"
