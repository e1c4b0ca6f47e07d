"""`ragstone eval` against a live server: two modes side by side, a run against an earlier one, and what is refused."""

import asyncio
import io
import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from rich.console import Console

from ragstone.cli.evaluate import Evaluation, Forms, run_evaluation
from ragstone.cli.evaluation_options import Change, checked_url, read_change
from ragstone.cli.evaluation_server import EvaluatedServer
from ragstone.cli.failure import WrongUsage
from ragstone.cli.progress import Count, shown_count
from ragstone.client import NotFound, UnexpectedReply
from ragstone.config.settings import Settings, load_settings
from ragstone.evaluation.report import Report, from_json
from ragstone.services import switching
from ragstone.testing.embedders import HashingEmbedder
from tests.canned import CannedServer
from tests.live import Live, live_server

pytestmark = pytest.mark.asyncio(loop_scope="module")

DOCUMENTS = {
    "refunds.md": "# Refunds\n\nRefunds are paid within fourteen days of the return.\n",
    "delivery.md": "# Delivery\n\nDelivery abroad takes six days by ship.\n",
    "warranty.md": "# Warranty\n\nThe warranty of a kettle is three years.\n",
}
QUESTIONS: list[dict[str, Any]] = [
    {
        "question": "Are refunds paid within fourteen days of the return?",
        "document": "refunds.md",
        "id": "source",
    },
    {
        "question": "How many days does delivery abroad take by ship?",
        "document": "Delivery",
        "answer": "six days",
    },
    {
        "question": "Is the warranty of a kettle three years?",
        "passage": "kettle is  three years",
        "answer": "two",
    },
    {"question": "Who won the football world cup?", "unanswerable": True},
    {"question": "Refunds of a kettle?", "document": ["gone.pdf", "warranty.md"]},
    {"question": "What does it fail with?", "answer": "x", "filter": {"field": "nothing", "eq": 1}},
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def live(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Live]:
    """A server with a few documents, which says where it is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(switching, "FLUSH_EVERY_S", 0.0)
        settings = load_settings(data_dir=tmp_path_factory.mktemp("live") / "data")
        async with live_server(settings, HashingEmbedder(dimension=256)) as live:
            live.container.directory.announce(live.url, command="ragstone serve")
            for name, text in DOCUMENTS.items():
                await live.api.ready(text.encode(), name)
            yield live


@pytest.fixture
def settings(live: Live) -> Settings:
    return load_settings(data_dir=live.container.directory.path)


def evaluation(folder: Path, change: Change | None = None, **given: Any) -> Evaluation:
    """Of QUESTIONS, with all forms of its report in the folder."""
    path = folder / "questions.jsonl"
    path.write_text("".join(json.dumps(question) + "\n" for question in QUESTIONS))
    wanted: dict[str, Any] = {
        "questions": path,
        "parameters": {"collection": "default", "top_k": 5, "mode": "hybrid"},
        "change": change,
        "forms": Forms(folder / "out.json", folder / "out.md", folder / "out.html"),
        "url": None,
        "key_file": None,
        "concurrency": 1,
    }
    return Evaluation(**wanted | given)


def report_in(folder: Path) -> Report:
    return from_json((folder / "out.json").read_bytes())


async def test_two_modes_are_compared_on_the_same_questions(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "200")

    answered = await run_evaluation(
        settings, evaluation(tmp_path, read_change(["mode=sparse"]), concurrency=2)
    )

    assert not answered  # one question is refused by the API
    report = report_in(tmp_path)
    hybrid, sparse = report.runs
    assert (hybrid.label, sparse.label) == ("mode=hybrid", "mode=sparse")
    assert sparse.parameters["mode"] == "sparse"
    assert [row.key for row in hybrid.rows] == [q.get("id", q["question"]) for q in QUESTIONS]
    assert hybrid.not_there == ("gone.pdf",)
    assert dict(hybrid.summary.errors) == {"invalid_filter": 1}
    by_source, by_title, by_passage, nothing, two, refused = hybrid.rows
    assert (by_source.figures["recall"], by_source.figures["citation_precision"], by_source.faults) == (
        1,
        1,
        (),
    )
    assert (by_title.expected[0].rank, by_title.figures["answer_holds"]) == (1, 1)
    assert by_passage.figures["passage_recall"] == 1
    assert by_passage.faults == ("the answer holds nothing of what is expected",)
    assert nothing.figures["false_answer"] == float(not nothing.abstained)
    assert two.figures["recall"] == 0.5
    assert (refused.figures["answer_holds"], refused.timings) == (0, {})
    assert {"embedding_ms", "search_ms", "total_ms"} <= hybrid.rows[0].timings.keys()
    assert report.comparison is not None
    assert report.comparison.questions == len(QUESTIONS)
    shown = capsys.readouterr().out
    assert "no clear difference" in shown
    assert "1 question failed (mode=hybrid), counted as misses: 1 invalid_filter." in shown
    assert "not in the collection (mode=sparse) by source, file name, title or id" in shown
    assert "mode=sparse" in (tmp_path / "out.html").read_text()
    assert "| recall@5 |" in (tmp_path / "out.md").read_text()


async def test_a_run_is_compared_with_an_earlier_one_which_comes_first(
    live: Live, settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await run_evaluation(settings, evaluation(tmp_path))
    (tmp_path / "out.json").rename(tmp_path / "earlier.json")
    alone = capsys.readouterr().out
    change = read_change([f"report={tmp_path / 'earlier.json'}"])

    await run_evaluation(settings, evaluation(tmp_path, change, url=live.url))

    assert "95 % interval" in alone
    report = report_in(tmp_path)
    assert [run.label for run in report.runs] == ["report=earlier.json", "this run"]
    assert report.main == 1
    assert report.comparison is not None
    assert {each.difference for each in report.comparison.figures} == {0.0}


COLLECTION_AND_LIST = json.dumps(
    {
        "name": "default",
        "description": "",
        "documents": 0,
        "created_at": "2026-01-01T00:00:00Z",
        "title": "",
        "metadata": {},
        "items": [],
        "next_cursor": None,
    }
).encode()
"""A reply that is both, and no answer."""


async def test_another_server_is_asked_without_the_key_of_the_data_directory(
    settings: Settings, tmp_path: Path
) -> None:
    """Here it answers no question: every one is an error, none is lost."""
    (settings.data_dir / "api-key").write_text("secret-of-this-directory")
    key = tmp_path / "key"
    key.write_text("key-of-the-other\n")
    try:
        async with CannedServer(COLLECTION_AND_LIST) as other:
            url = checked_url(other.base_url + "/")
            await run_evaluation(settings, evaluation(tmp_path, url=url))
            await run_evaluation(settings, evaluation(tmp_path, url=url, key_file=key))
            heard = b"".join(other.requests).lower()
    finally:
        (settings.data_dir / "api-key").unlink()

    assert b"secret-of-this-directory" not in heard
    assert b"bearer key-of-the-other" in heard
    assert dict(report_in(tmp_path).runs[0].summary.errors) == {"bad_reply": len(QUESTIONS)}


async def test_two_servers_are_compared(live: Live, settings: Settings, tmp_path: Path) -> None:
    async with CannedServer(COLLECTION_AND_LIST) as other:
        await run_evaluation(settings, evaluation(tmp_path, read_change([f"url={other.base_url}"])))

    here, there = report_in(tmp_path).runs
    assert (here.label, there.label) == (f"url={live.url}", f"url={other.base_url}")
    assert dict(there.summary.errors) == {"bad_reply": len(QUESTIONS)}
    assert here.rows[0].figures["recall"] == 1


async def test_interrupted_it_reports_what_there_is(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ask, third = EvaluatedServer.ask, asyncio.Event()

    async def hang_at_the_third(self: EvaluatedServer, body: Mapping[str, Any]) -> Mapping[str, Any]:
        if body["query"] == QUESTIONS[2]["question"]:
            third.set()
            await asyncio.sleep(600)
        return await ask(self, body)

    monkeypatch.setattr(EvaluatedServer, "ask", hang_at_the_third)
    running = asyncio.create_task(run_evaluation(settings, evaluation(tmp_path)))
    await third.wait()
    running.cancel()

    with pytest.raises(asyncio.CancelledError):
        await running

    assert "Interrupted: 2 of 6 questions were asked." in capsys.readouterr().out
    assert len(report_in(tmp_path).runs[0].rows) == 2


class TestRefusals:
    async def test_a_change_that_changes_nothing(self, settings: Settings, tmp_path: Path) -> None:
        with pytest.raises(WrongUsage, match="changes nothing"):
            await run_evaluation(settings, evaluation(tmp_path, read_change(["mode=hybrid"])))

    async def test_a_collection_that_is_not_there(self, settings: Settings, tmp_path: Path) -> None:
        parameters = {"collection": "none", "top_k": 5, "mode": "hybrid"}
        with pytest.raises(NotFound, match="collection_not_found"):
            await run_evaluation(settings, evaluation(tmp_path, parameters=parameters))

    async def test_a_server_of_something_else(self, settings: Settings, tmp_path: Path) -> None:
        async with CannedServer(b"[]") as other:
            with pytest.raises(UnexpectedReply, match="answers 200 with what is no reply of Ragstone's API"):
                await run_evaluation(settings, evaluation(tmp_path, url=other.base_url))

    async def test_an_error_of_something_between(self, settings: Settings, tmp_path: Path) -> None:
        async with CannedServer(b'{"error": "bad gateway"}', status="502 Bad Gateway") as other:
            with pytest.raises(UnexpectedReply, match="answers 502 with what is no error of Ragstone's API"):
                await run_evaluation(settings, evaluation(tmp_path, url=other.base_url))

    async def test_a_report_in_a_folder_that_is_not_there_is_refused_before_anything_is_asked(
        self, settings: Settings, tmp_path: Path
    ) -> None:
        forms = Forms(None, tmp_path / "none" / "out.md", None)
        with pytest.raises(WrongUsage, match="cannot be written"):
            await run_evaluation(settings, evaluation(tmp_path, forms=forms, url="http://127.0.0.1:9"))

    async def test_a_file_that_is_no_report(self, settings: Settings, tmp_path: Path) -> None:
        (tmp_path / "x.json").write_text("{}")
        with pytest.raises(WrongUsage, match=r"x\.json: it is no report"):
            await run_evaluation(
                settings, evaluation(tmp_path, read_change([f"report={tmp_path / 'x.json'}"]))
            )

    async def test_questions_that_are_wrong(self, settings: Settings, tmp_path: Path) -> None:
        wanted = evaluation(tmp_path)
        wanted.questions.write_text("{}")
        with pytest.raises(WrongUsage, match="line 1: member 'question' is missing") as caught:
            await run_evaluation(settings, wanted)
        assert caught.value.exit_status == 2

    @pytest.mark.parametrize(
        ("given", "why"),
        [
            (["mode"], "key=value is expected"),
            (["size=1"], "one of mode, top_k, "),
            (["mode=fast"], "one of hybrid, dense, sparse"),
            (["top_k=101"], "1 to 100"),
            (["top_k=٣"], "1 to 100"),
            (["model="], "a name is expected"),
            (["mode=dense", "mode=sparse"], "given twice"),
            (["url=ftp://x"], "a URL such as"),
            (["url=http://user:pass@x"], "--key-file"),
            (["url=http://[::1"], "Invalid IPv6"),
            (["report=none.json"], "no such file"),
            ([f"report={__file__}", "mode=dense"], "nothing else"),
        ],
    )
    async def test_comparisons_that_cannot_be_made(self, given: list[str], why: str) -> None:
        with pytest.raises(WrongUsage) as caught:
            read_change(given)
        assert why in str(caught.value)

    async def test_an_address_that_is_none(self) -> None:
        with pytest.raises(WrongUsage, match="a URL such as"):
            checked_url("127.0.0.1:8000")


class TestProgress:
    def console(self, *, terminal: bool) -> Console:
        return Console(file=io.StringIO(), force_terminal=terminal, width=80, _environ={"TERM": "xterm"})

    def shown(self, console: Console) -> str:
        with shown_count(console, Count(4)) as _:
            pass
        assert isinstance(console.file, io.StringIO)
        return console.file.getvalue()

    async def test_in_a_terminal_there_is_a_bar_and_elsewhere_nothing(self) -> None:
        assert "0 of 4 questions" in self.shown(self.console(terminal=True))
        assert self.shown(self.console(terminal=False)) == ""

    async def test_it_tells_counts_and_the_time_left(self) -> None:
        count = Count(4)
        count.started_at -= 20
        count.add(failed=True)
        count.add(failed=False)

        assert count.words() == "2 of 4 questions, 1 failed, 0:00:20 left"
