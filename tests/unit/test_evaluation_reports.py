"""Reports: JSON that can be read again, Markdown and HTML that show texts as texts."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest

from ragstone.evaluation.comparison import compare
from ragstone.evaluation.judging import judge, judge_failure
from ragstone.evaluation.plots import Axis, decades
from ragstone.evaluation.questions import Question
from ragstone.evaluation.replies import Citation, QuestionFailed, Reply, Source
from ragstone.evaluation.report import BadReport, Report, from_json, to_json
from ragstone.evaluation.report_html import POLICY, safe, to_html
from ragstone.evaluation.report_markdown import plain, to_markdown
from ragstone.evaluation.summary import Run, summarise
from ragstone.evaluation.tables import sentences

EVIL = "<script>alert('x')</script>\"' onload=\x00\x1b[31m"
TIMES = {"search_ms": 0.0, "total_ms": 12.5}


def run(label: str = "this run", *, name: str = "good") -> Run:
    """An answered question, one that failed, and one with hostile texts, in the file's order."""
    questions = [
        Question("Good?", documents=("a.md",), is_answerable=True),
        Question("Failed?", id="f", answers=("x",), is_answerable=True),
        Question(f"Evil {EVIL}", id="e", documents=(EVIL,), passages=(EVIL,), answers=(EVIL,)),
    ]
    source = Source(1, "A", "A1", f"Title {EVIL}", f"Text {EVIL}")
    citation = Citation(1, "A", "A1", source.title, "quote", is_verified=True)
    reply = Reply(f"Answer {EVIL}", name, False, (source,), (citation,), TIMES)
    names = {"a.md": {"A"}}
    rows = (
        judge(questions[0], reply, names, k=5),
        judge_failure(questions[1], QuestionFailed("unavailable", f"full {EVIL}")),
        judge(questions[2], reply, names, k=5),
    )
    return Run(label, "http://127.0.0.1:8000", {"top_k": 5}, (EVIL,), summarise(rows, k=5), rows)


def report(*runs: Run) -> Report:
    shown = runs or (run(),)
    return Report(
        questions_file=f"{EVIL}.jsonl",
        questions=3,
        made_at="2026-01-01T00:00:00Z",
        version="0.3.0",
        runs=shown,
        comparison=compare(*shown) if len(shown) > 1 else None,
    )


class Page(HTMLParser):
    """Tags, their attributes, and the text between them; whether all were closed."""

    VOID = frozenset({"meta", "br", "line", "rect", "circle"})

    def __init__(self, page: str):
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


class TestJson:
    @pytest.mark.parametrize("written", [report(), report(run("a"), run("b"))], ids=["one", "two"])
    def test_what_is_written_can_be_read(self, written: Report) -> None:
        assert from_json(to_json(written)) == written

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"[]",
            b"{}",
            b"\xff",
            to_json(report()).replace(b"ragstone-evaluation/1", b"ragstone-evaluation/9"),
            to_json(replace(report(), runs=())),
            to_json(replace(report(), main=3)),
            to_json(report()).replace(b'"top_k"', b'"top"'),
            to_json(report()).replace(b'"top_k": 5', b'"top_k": "x"'),
        ],
        ids=[
            "empty",
            "list",
            "object",
            "binary",
            "version",
            "no run",
            "no main run",
            "no top_k",
            "no number",
        ],
    )
    def test_anything_else_is_refused(self, content: bytes) -> None:
        with pytest.raises(BadReport, match="no report of ragstone eval"):
            from_json(content)


class TestHtml:
    @pytest.fixture(params=[1, 2], ids=["one", "two"])
    def page(self, request: pytest.FixtureRequest) -> str:
        return to_html(report() if request.param == 1 else report(run("a"), run("b")))

    def test_texts_are_texts(self, page: str) -> None:
        found = Page(page)

        assert found.open == []
        assert "script" not in {tag for tag, _ in found.tags}
        assert not {name for _, attributes in found.tags for name in attributes if name.startswith("on")}
        assert "<script>alert('x')</script>" in found.text
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", page)

    def test_it_needs_nothing_from_elsewhere(self, page: str) -> None:
        found = Page(page)

        assert not {"link", "img", "iframe", "a"} & {tag for tag, _ in found.tags}
        assert not {"src", "href", "xlink:href"} & {
            name for _, attributes in found.tags for name in attributes
        }
        assert "url(" not in page
        assert "@import" not in page
        assert ("meta", {"http-equiv": "Content-Security-Policy", "content": POLICY}) in found.tags

    def test_failures_stand_first(self, page: str) -> None:
        shown = re.findall(r'<details class="(\w+)"><summary><b dir="auto">(\w+)', page)

        assert shown == [("bad", "Failed"), ("bad", "Evil"), ("good", "Good")]

    def test_every_figure_is_drawn_and_said(self, page: str) -> None:
        drawn: list[dict[str, Any]] = [attributes for tag, attributes in Page(page).tags if tag == "svg"]

        said = [str(attributes["aria-label"]) for attributes in drawn if "aria-label" in attributes]
        assert any(text.startswith("recall@5: ") for text in said)
        assert any(text.startswith("search: median ") for text in said)

    def test_a_long_text_is_cut(self) -> None:
        assert len(safe("&" * 10_000)) < 11_000


class TestMarkdown:
    def test_texts_are_texts(self) -> None:
        page = to_markdown(report(run("a"), run("b")))

        assert not re.search(r"(?<!\\)<", page)
        assert "\\<script\\>" in page
        assert {line.count(" | ") for line in page.splitlines() if line.startswith("| Failed")} == {2}

    def test_a_cell_is_one_line_without_bars(self) -> None:
        assert plain("a\n|b*") == r"a \|b\*"


def test_an_interrupted_run_says_how_far_it_came() -> None:
    told = sentences(replace(report(), questions=9))

    assert "Interrupted: 3 of 9 questions were asked." in told
    assert not [sentence for sentence in sentences(report()) if "Interrupted" in sentence]


class TestPlots:
    def test_places_lie_within_the_drawing(self) -> None:
        axis = Axis(0.0, 1.0)

        assert (axis.place(-5), axis.place(0.5), axis.place(5)) == (2.0, 50.0, 98.0)

    def test_equal_steps_are_equal_factors_on_a_logarithmic_axis(self) -> None:
        axis = Axis(1, 100, is_logarithmic=True)

        assert axis.place(10) == pytest.approx(50.0)
        assert axis.place(0) == 2.0

    def test_decades_enclose_both_ends(self) -> None:
        assert decades(0.3, 42) == pytest.approx([0.1, 1, 10, 100])
        assert decades(1, 1) == pytest.approx([1, 10])
