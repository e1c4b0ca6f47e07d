"""`eval`: a user's own questions to a server, one configuration or two side by side, and the report of it."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from ragstone import __version__
from ragstone.cli.client import Way, client_of, key_for, open_client
from ragstone.cli.evaluation_options import Change
from ragstone.cli.evaluation_server import EvaluatedServer
from ragstone.cli.failure import CommandFailed, WrongUsage
from ragstone.cli.progress import Count, shown_count
from ragstone.cli.render_evaluation import print_report
from ragstone.client import AsyncRagstone
from ragstone.config.settings import Settings
from ragstone.evaluation.comparison import compare
from ragstone.evaluation.judging import Row
from ragstone.evaluation.questions import BadQuestions, Question, read_questions
from ragstone.evaluation.report import BadReport, Report, from_json, to_json
from ragstone.evaluation.report_html import to_html
from ragstone.evaluation.report_markdown import to_markdown
from ragstone.evaluation.running import Answers, Side, ask_all
from ragstone.evaluation.summary import Run, summarise
from ragstone.storage.data_directory import owner_of

THIS_RUN = "this run"


@dataclass(frozen=True, slots=True)
class Forms:
    """Files that the report is written to."""

    json: Path | None
    markdown: Path | None
    html: Path | None

    def check(self) -> None:
        """Before hours of questions. Raises WrongUsage."""
        for path in (self.json, self.markdown, self.html):
            if path is not None and (path.is_dir() or not path.absolute().parent.is_dir()):
                raise WrongUsage(f"{path} cannot be written: a file in a folder that exists is expected")

    def write(self, report: Report) -> None:
        """Raises CommandFailed."""
        for path, form in ((self.json, to_json), (self.markdown, to_markdown), (self.html, to_html)):
            if path is None:
                continue
            content = form(report)
            try:
                path.write_bytes(content if isinstance(content, bytes) else content.encode())
            except OSError as error:
                raise CommandFailed(f"{path} cannot be written: {error.strerror}") from error


@dataclass(frozen=True, slots=True)
class Evaluation:
    """All that is asked for. `url` None: the server of the data directory, or the directory itself."""

    questions: Path
    parameters: Mapping[str, Any]
    change: Change | None
    forms: Forms
    url: str | None
    key_file: Path | None
    concurrency: int


async def run_evaluation(settings: Settings, wanted: Evaluation) -> bool:
    """Ask, write, print; interrupted, what there is by then. True where every question was answered or declined. Raises
    CommandFailed."""
    wanted.forms.check()
    questions = _questions(wanted.questions)
    earlier = _earlier(wanted.change)
    async with AsyncExitStack() as opened:
        sides = await _sides(opened, settings, wanted, questions)
        if len({side.label for side in sides}) < len(sides):
            raise WrongUsage(f"--compare changes nothing: both would be asked with {sides[0].label}")
        answers = Answers(len(sides))
        try:
            await _ask(questions, sides, answers, wanted.concurrency)
        finally:
            rows = answers.of_each_side()
            if all(rows):
                runs = [side.run(of_side) for side, of_side in zip(sides, rows, strict=True)]
                _tell(_report(wanted, len(questions), runs, earlier), wanted.forms)
    return all(row.error is None for of_side in rows for row in of_side)


async def _ask(
    questions: Sequence[Question], sides: Sequence["NamedSide"], answers: Answers, concurrency: int
) -> None:
    count = Count(len(questions) * len(sides))

    def tell(row: Row) -> None:
        count.add(failed=row.error is not None)

    with shown_count(Console(stderr=True), count):
        await ask_all(questions, [side.side for side in sides], answers, concurrency=concurrency, done=tell)


def _tell(report: Report, forms: Forms) -> None:
    """Printed also where it cannot be written. Raises CommandFailed."""
    try:
        forms.write(report)
    finally:
        print_report(Console(), report)


@dataclass(frozen=True, slots=True)
class NamedSide:
    """A side that is asked now, and what its run will be called."""

    label: str
    server: str
    side: Side
    not_there: tuple[str, ...]

    def run(self, rows: Sequence[Row]) -> Run:
        """What came of it."""
        summary = summarise(rows, k=self.side.parameters["top_k"])
        return Run(self.label, self.server, self.side.parameters, self.not_there, summary, tuple(rows))


async def _sides(
    opened: AsyncExitStack, settings: Settings, wanted: Evaluation, questions: Sequence[Question]
) -> list[NamedSide]:
    """One, or two where something is asked in two ways; both through one client unless their servers differ."""
    client = await opened.enter_async_context(_opened(settings, wanted.url, wanted.key_file))
    expected = dict.fromkeys(name for question in questions for name in question.documents)
    server = wanted.url or _address(settings)
    sides = [await _side(client, server, wanted, wanted.parameters, expected)]
    change = wanted.change
    if change is None or change.report is not None:
        return sides
    if change.url is not None:
        client = await opened.enter_async_context(_opened(settings, change.url, wanted.key_file))
        server = change.url
    return [
        *sides,
        await _side(client, server, wanted, {**wanted.parameters, **change.parameters}, expected),
    ]


async def _side(
    client: AsyncRagstone,
    server: str,
    wanted: Evaluation,
    parameters: Mapping[str, Any],
    expected: Collection[str],
) -> NamedSide:
    asked = EvaluatedServer(client, parameters["collection"])
    await asked.check()
    names = await asked.named(expected)
    return NamedSide(
        label=_label(wanted, parameters, server),
        server=server,
        side=Side(asked.ask, parameters, names),
        not_there=tuple(name for name in expected if name not in names),
    )


@asynccontextmanager
async def _opened(settings: Settings, url: str | None, key_file: Path | None) -> AsyncIterator[AsyncRagstone]:
    """The key of the data directory goes to no server but its own."""
    if url is None:
        async with open_client(settings) as client:
            yield client
        return
    async with client_of(Way(url, key_for(settings, url, key_file)), settings) as client:
        yield client


def _address(settings: Settings) -> str:
    owner = owner_of(settings.data_dir)
    return owner.url if owner is not None and owner.url is not None else str(settings.data_dir)


def _label(wanted: Evaluation, parameters: Mapping[str, Any], server: str) -> str:
    """What this side has that is compared."""
    change = wanted.change
    if change is None or change.report is not None:
        return THIS_RUN
    parts = [f"{name}={parameters.get(name, 'as configured')}" for name in change.parameters]
    if change.url is not None:
        parts.append(f"url={server}")
    return ", ".join(parts)


def _questions(path: Path) -> list[Question]:
    try:
        return read_questions(path)
    except BadQuestions as error:
        raise WrongUsage(str(error)) from error


def _earlier(change: Change | None) -> Run | None:
    """The run of the report that this one is compared with."""
    if change is None or change.report is None:
        return None
    try:
        report = from_json(change.report.read_bytes())
    except (OSError, BadReport) as error:
        raise WrongUsage(f"{change.report}: {error}") from error
    run = report.runs[report.main]
    return Run(
        f"report={change.report.name}", run.server, run.parameters, run.not_there, run.summary, run.rows
    )


def _report(wanted: Evaluation, questions: int, runs: Sequence[Run], earlier: Run | None) -> Report:
    """An earlier run comes first, so that `better` always speaks of what is new."""
    shown = tuple(runs) if earlier is None else (earlier, *runs)
    return Report(
        questions_file=wanted.questions.name,
        questions=questions,
        made_at=datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        version=__version__,
        runs=shown,
        comparison=compare(*shown) if len(shown) > 1 else None,
        main=0 if earlier is None else 1,
    )
