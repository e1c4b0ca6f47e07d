"""Writes the table of docs/troubleshooting.md that says what becomes of each failure of a model's server, from the values
that the tests check, or checks that it is up to date.

`python -m tools.fault_table` rewrites the table, `--check` only compares and exits 1 on a difference.
"""

import sys

from tests.faults.outcomes import ROWS, Outcome, Row
from tools.generated import DOCS, GeneratedTable

PAGE = DOCS / "troubleshooting.md"
BEGIN, END = "<!-- generated: fault outcomes -->", "<!-- end generated -->"
HEAD = (
    "| The model's server | When | JSON | Stream | With `strict: true` | Requests | Retryable |",
    "| --- | --- | --- | --- | --- | --- | --- |",
)


def fault_table() -> GeneratedTable:
    """A row a failure."""
    return GeneratedTable(PAGE, BEGIN, END, "the stated outcomes", (*HEAD, *map(_line, ROWS)))


def _line(row: Row) -> str:
    cells = (
        row.failure,
        f"{row.moment} the first token",
        _told(row.json),
        "the same" if row.stream == row.json else _told(row.stream),
        "no difference" if row.strict is None else _told(row.strict),
        str(row.requests),
        _retryable(row),
    )
    return f"| {' | '.join(cells)} |"


def _told(outcome: Outcome) -> str:
    if outcome.code is not None:
        is_event = outcome.status == 200
        return f"`error` event `{outcome.code}`" if is_event else f"{outcome.status} `{outcome.code}`"
    if outcome.degraded:
        legs = ", ".join(f'"{leg}"' for leg in outcome.degraded)
        return f"extractive answer, `degraded: [{legs}]`"
    kind = "answer" if outcome.reason is None else f"abstention, `{outcome.reason}`"
    return f"{kind}, `finish_reason: {outcome.finish_reason}`"


def _retryable(row: Row) -> str:
    failures = [each for each in (row.json, row.stream, row.strict) if each is not None and each.code]
    if not failures:
        return "–"
    return "yes" if all(failure.is_retryable for failure in failures) else "no"


if __name__ == "__main__":
    sys.exit(fault_table().main(sys.argv[1:]))
