"""The whole outcome, and its form as JSON, in which it can be compared with later runs."""

from dataclasses import dataclass
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from ragstone.evaluation.comparison import Comparison
from ragstone.evaluation.intervals import RESAMPLES
from ragstone.evaluation.summary import Run


class BadReport(Exception):
    """The file is no report that this version can read."""


@dataclass(frozen=True, slots=True)
class Report:
    """One run, or two that are compared, of a file with so many `questions`, of which a run that was interrupted has
    fewer; `main` is the place of the one that a later comparison is made with."""

    questions_file: str
    questions: int
    made_at: str
    version: str
    runs: tuple[Run, ...]
    comparison: Comparison | None = None
    main: int = 0
    resamples: int = RESAMPLES
    schema: Literal["ragstone-evaluation/1"] = "ragstone-evaluation/1"


_FORM = TypeAdapter(Report)


def to_json(report: Report) -> bytes:
    """UTF-8, indented."""
    return _FORM.dump_json(report, indent=2) + b"\n"


def from_json(content: bytes) -> Report:
    """Raises BadReport."""
    try:
        report = _FORM.validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise BadReport(f"it is no report of ragstone eval: {place}: {first['msg']}") from error
    if not 0 <= report.main < len(report.runs) or not all(
        type(run.parameters.get("top_k")) is int for run in report.runs
    ):
        raise BadReport("it is no report of ragstone eval: it has no run to compare with")
    return report
