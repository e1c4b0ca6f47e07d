"""A report as one page: no script, nothing that is fetched, every text of a user or a document escaped."""

import html
from collections.abc import Iterable, Sequence
from importlib import resources

from ragstone.evaluation.comparison import Comparison
from ragstone.evaluation.figures import FIGURES, label_of
from ragstone.evaluation.judging import Row
from ragstone.evaluation.plots import Axis, Span, decades, scale, spans
from ragstone.evaluation.report import Report
from ragstone.evaluation.summary import Run, Stage
from ragstone.evaluation.tables import (
    Entry,
    Table,
    entries,
    figures_table,
    milliseconds,
    sentences,
    stages_tables,
    visible,
)

MAX_ENTRIES = 2_000  # questions on the page, failures first; the JSON has all
MAX_TEXT = 2_000  # characters of an answer or a passage
POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def to_html(report: Report) -> str:
    """The whole page."""
    style = resources.files(__package__).joinpath("report.css").read_text("utf-8")
    found = entries(report)
    parts = [
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>Evaluation of {safe(report.questions_file)}</title><style>\n{style}</style></head><body><main>",
        f"<h1>Evaluation of {safe(report.questions_file)}</h1>",
        f'<p class="dim">{safe(report.made_at)}, Ragstone {safe(report.version)}</p>',
        *_summary(report, found),
        *_figures(report),
        *_stages(report),
        *_questions(report, found),
        "</main></body></html>\n",
    ]
    return "\n".join(parts)


def safe(text: str, most: int = MAX_TEXT) -> str:
    """As text of a page: escaped, without control characters, cut with an ellipsis."""
    cut = text if len(text) <= most else f"{text[: most - 1]}…"
    return html.escape(visible(cut))


def _summary(report: Report, found: Sequence[Entry]) -> Iterable[str]:
    failed = sum(entry.is_failure for entry in found)
    yield f'<p class="lead"><b>{failed:,}</b> of <b>{len(found):,}</b> questions have something to mend.</p>'
    yield f"<ul>{''.join(f'<li>{safe(sentence)}</li>' for sentence in sentences(report))}</ul>"
    if len(report.runs) > 1:
        keys = (
            f'<span class="key s{number}">{safe(run.label)}</span>' for number, run in enumerate(report.runs)
        )
        yield f'<p class="keys">{"".join(keys)}</p>'


def _figures(report: Report) -> Iterable[str]:
    yield "<section><h2>Figures</h2>"
    yield '<p class="dim">Means with their 95 % intervals, from 0 to 1.</p>'
    axis, ticks = Axis(0.0, 1.0), (0.0, 0.25, 0.5, 0.75, 1.0)
    k = report.runs[0].k if len({run.k for run in report.runs}) == 1 else "k"
    for name, figure in FIGURES.items():
        series = [_mean_span(run, name) for run in report.runs]
        if figure.is_share and any(series):
            label = label_of(name, k)
            values = " / ".join("–" if span is None else f"{span.value:.3f}" for span in series)
            drawn = spans(axis, series, ticks=ticks, says=f"{label}: {values}")
            yield _drawing(label, values, drawn, why=f"{figure.meaning}; {figure.better} is better")
    yield _drawing("", "", scale(axis, [(tick, f"{tick:g}") for tick in ticks]))
    if report.comparison is not None:
        yield from _differences(report.comparison)
    yield _table(figures_table(report))
    yield "</section>"


def _differences(comparison: Comparison) -> Iterable[str]:
    shares = [each for each in comparison.figures if FIGURES[each.name].is_share]
    if not shares:
        return
    end = max(0.05, *(abs(bound) for each in shares for bound in (each.low, each.high)))
    axis, ticks = Axis(-end, end), (-end, 0.0, end)
    yield f"<h3>Change: {safe(comparison.second)} minus {safe(comparison.first)}</h3>"
    yield '<p class="dim">Question by question, over those that have the figure in both.</p>'
    for each in shares:
        says = f"{each.label}: {each.difference:+.3f}, {each.verdict}"
        drawn = spans(axis, [Span(each.low, each.difference, each.high)], ticks=ticks, says=says, first=1)
        yield _drawing(each.label, f"{each.difference:+.3f} {each.verdict}", drawn)
    yield _drawing("", "", scale(axis, [(tick, f"{tick:+.2f}" if tick else "0") for tick in ticks]))


def _stages(report: Report) -> Iterable[str]:
    """Boxes of the middle half, lines from the 5th to the 95th of 100."""
    by_name = [{stage.name: stage for stage in run.summary.stages} for run in report.runs]
    names = dict.fromkeys(name for stages in by_name for name in stages)
    if not names:
        return
    yield '<section><h2>Time by stage</h2><p class="dim">Milliseconds: median, middle half, and 5 to 95 %.</p>'
    every = [stage for stages in by_name for stage in stages.values()]
    places = decades(max(min(stage.p5 for stage in every), 0.01), max(max(stage.p95 for stage in every), 0.1))
    axis = Axis(places[0], places[-1], is_logarithmic=True)
    for name in names:
        series = [_stage_span(stages.get(name)) for stages in by_name]
        label = name.removesuffix("_ms")
        values = " / ".join("–" if span is None else milliseconds(span.value) for span in series)
        yield _drawing(label, values, spans(axis, series, ticks=places, says=f"{label}: median {values} ms"))
    yield _drawing("", "", scale(axis, [(place, f"{place:g}") for place in places]))
    yield from (_table(table, with_title=True) for table in stages_tables(report))
    yield "</section>"


def _questions(report: Report, found: Sequence[Entry]) -> Iterable[str]:
    yield "<section><h2>Questions</h2>"
    if len(found) > MAX_ENTRIES:
        yield f'<p class="dim">The first {MAX_ENTRIES:,} of {len(found):,}; the JSON report has all.</p>'
    for entry in found[:MAX_ENTRIES]:
        yield _entry(entry, report)
    yield "</section>"


def _entry(entry: Entry, report: Report) -> str:
    several = len(report.runs) > 1
    said = [
        f'<span class="fault">{safe(f"{label}: " if several else "")}{safe("; ".join(row.faults))}</span>'
        for label, row in entry.rows.items()
        if row.faults
    ]
    mark = "bad" if said else "good"
    rows = "".join(_row(row, label if several else "") for label, row in entry.rows.items())
    return (
        f'<details class="{mark}"><summary><b dir="auto">{safe(entry.question, 400)}</b>{"".join(said)}</summary>'
        f"{rows}</details>"
    )


def _row(row: Row, label: str) -> str:
    facts = [("", f"<h4>{safe(label)}</h4>")] if label else []
    if row.error is not None:
        facts.append(("error", safe(f"{row.error.code}: {row.error.message}")))
    if row.answer is not None:
        facts.append(("abstained" if row.abstained else "answer", safe(row.answer) or "–"))
    if row.is_answerable is False:
        facts.append(("expected", "no answer"))
    if row.answers:
        facts.append(("accepted", " or ".join(safe(answer) for answer in row.answers)))
    for each in row.expected:
        place = "not retrieved" if each.rank is None else f"rank {each.rank}"
        facts.append((f"expected {each.kind}", f"{safe(each.name)} <i>({place})</i>"))
    if row.found:
        found = "".join(f"<li>{safe(each.title)}</li>" for each in row.found)
        facts.append(("retrieved", f"<ol>{found}</ol>"))
    if row.citations:
        facts.append(("citations", _citations(row)))
    times = " · ".join(
        f"{name.removesuffix('_ms')} {milliseconds(value)}" for name, value in row.timings.items()
    )
    facts += [("ms", safe(times))] if times else []
    return "".join(
        f'<div class="fact"><span>{safe(name)}</span><div dir="auto">{content}</div></div>'
        for name, content in facts
    )


def _citations(row: Row) -> str:
    verdicts = {True: "right", False: "elsewhere", None: "not judged"}
    told = [
        f"[{each.n}] {safe(each.title)} <i>({verdicts[each.is_right]}, "
        f"{'verified' if each.is_verified else 'not verified'})</i>"
        for each in row.citations
    ]
    return "<br>".join(told)


def _table(table: Table, *, with_title: bool = False) -> str:
    title = f"<caption>{safe(table.title)}</caption>" if with_title else ""
    head = "".join(f'<th scope="col">{safe(column)}</th>' for column in table.columns)
    rows = "".join(
        f'<tr><th scope="row">{safe(row[0])}</th>{"".join(f"<td>{safe(cell)}</td>" for cell in row[1:])}</tr>'
        for row in table.rows
    )
    return (
        f'<div class="wide"><table>{title}<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
    )


def _drawing(label: str, values: str, drawn: str, *, why: str = "") -> str:
    told = f"<small>{safe(why)}</small>" if why else ""
    return f'<div class="plot"><span>{safe(label)}{told}</span><div>{drawn}</div><span>{safe(values)}</span></div>'


def _mean_span(run: Run, name: str) -> Span | None:
    found = [each for each in run.summary.means if each.name == name]
    return Span(found[0].low, found[0].value, found[0].high) if found else None


def _stage_span(stage: Stage | None) -> Span | None:
    return None if stage is None else Span(stage.p5, stage.p50, stage.p95, (stage.p25, stage.p75))
