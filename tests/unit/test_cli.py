"""The `ragstone` command without a server: it opens the data directory itself."""

import hashlib
import json
import os
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

import ragstone
from ragstone import vector_opening
from ragstone.cli import commands, main
from ragstone.cli.demo import demo_settings
from ragstone.config.settings import setting_names
from ragstone.storage.data_directory import DataDirectory

REFUNDS = "# Refunds\n\nRefunds are paid within fourteen days of the return.\n"
QUESTION = "Refunds are paid within fourteen days of the return?"


def hashing(*, precision: str) -> object:
    """A quick encoder in place of the packaged one."""
    from ragstone.testing.embedders import HashingEmbedder

    return HashingEmbedder(dimension=256)


@pytest.fixture(autouse=True)
def _own_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in setting_names():
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setitem(vector_opening.EMBEDDERS, "minilm", "tests.unit.test_cli:hashing")
    monkeypatch.chdir(tmp_path)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(commands.app, list(arguments))


def run_main(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> object:
    """As the installed script runs it; returns the exit status."""
    monkeypatch.setattr(sys, "argv", ["ragstone", *arguments])
    with pytest.raises(SystemExit) as end:
        main()
    return end.value.code or 0


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "refunds.md").write_text(REFUNDS)
    (folder / "deep" / "er" / "cats.txt").write_text("Cats sleep most of the day.")
    (folder / ".hidden.txt").write_text("not this")
    (folder / ".git").mkdir()
    (folder / ".git" / "config.txt").write_text("nor this")
    (folder / "link.txt").symlink_to(folder / "refunds.md")
    return folder


class TestBasics:
    def test_the_version(self) -> None:
        assert run("--version").output.strip() == ragstone.__version__

    def test_help_lists_every_command(self) -> None:
        shown = run("--help").output

        for name in (
            "demo",
            "serve",
            "ingest",
            "ask",
            "search",
            "eval",
            "doctor",
            "backup",
            "restore",
            "fake-llm",
            "openapi",
        ):
            assert name in shown

    def test_the_openapi_document_is_printed(self) -> None:
        assert json.loads(run("openapi").output)["info"]["title"] == "Ragstone"


class TestIngest:
    def test_folders_are_walked_and_what_is_there_already_is_not_done_again(self, docs: Path) -> None:
        """Hidden files and links are left out."""
        result = run("ingest", str(docs))

        assert result.exit_code == 0, result.output
        assert "2 of 2 files are searchable: 2 new, 0 changed, 0 unchanged; 0 failed" in result.output
        assert "Left out: 2 hidden, 1 links." in result.output
        assert "0 new, 0 changed, 2 unchanged" in run("ingest", str(docs)).output

    def test_failures_are_summed_up_and_the_rest_goes_in(self, docs: Path) -> None:
        (docs / "talk.wav").write_bytes(b"RIFF\x24\x08\x00\x00WAVEfmt ")
        (docs / "empty.txt").write_text("")

        result = run("ingest", str(docs))

        assert result.exit_code == 1
        assert "2 of 4 files are searchable" in result.output
        assert "2 failed" in result.output
        assert "unsupported_media_type" in result.output
        assert "no_text" in result.output

    def test_json_is_the_whole_outcome_and_nothing_else(self, docs: Path) -> None:
        (docs / "empty.txt").write_text("")

        result = run("ingest", str(docs), "--json")

        assert result.exit_code == 1
        outcome = json.loads(result.stdout)
        assert {name: outcome[name] for name in ("files", "searchable", "new", "failed", "stopped")} == {
            "files": 3,
            "searchable": 2,
            "new": 2,
            "failed": 1,
            "stopped": None,
        }
        (failure,) = outcome["failures"]
        assert (failure["source"], failure["code"]) == ((docs / "empty.txt").as_posix(), "no_text")

    def test_the_data_directory_is_left_out(self, tmp_path: Path) -> None:
        (tmp_path / "a.txt").write_text("Cats sleep most of the day.")

        assert "1 of 1 files are searchable" in run("ingest", ".").output
        assert "1 of 1 files are searchable" in run("ingest", ".").output

    def test_an_empty_folder_is_all_done(self, tmp_path: Path) -> None:
        (tmp_path / "empty").mkdir()

        result = run("ingest", "empty")

        assert result.exit_code == 0
        assert "0 of 0 files are searchable" in result.output

    def test_a_path_that_does_not_exist_is_refused(self) -> None:
        assert run("ingest", "nowhere").exit_code == 2

    def test_an_unknown_collection_ends_it_at_once(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], docs: Path
    ) -> None:
        assert run_main(monkeypatch, "ingest", str(docs), "--collection", "nowhere") == 1

        shown = capsys.readouterr()
        assert "0 of 2 files are searchable" in shown.out
        assert "collection_not_found" in shown.err


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A data directory that is only asked, shared by the module."""
    folder = tmp_path_factory.mktemp("filled")
    (folder / "refunds.md").write_text(REFUNDS)
    (folder / "cats.txt").write_text("Cats sleep most of the day.")
    (folder / "markup.md").write_text(
        "# [red]Title[/red]\n\nThe [bold]zebra[/bold] runs [link=x]fast[/link].\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(vector_opening.EMBEDDERS, "minilm", "tests.unit.test_cli:hashing")
        assert run("ingest", str(folder), "--data-dir", str(folder / "data")).exit_code == 0
    return str(folder / "data")


class TestAsk:
    def test_an_answer_is_shown_with_its_citation_and_times(self, filled: str) -> None:
        result = run("ask", QUESTION, "--data-dir", filled)

        assert result.exit_code == 0, result.output
        assert "Refunds are paid within fourteen days of the return. [1]" in result.output
        assert "“Refunds are paid within fourteen days of the return.”" in result.output
        assert "verified" in result.output
        assert "total" in result.output

    def test_an_abstention_says_so(self, filled: str) -> None:
        assert "abstained: " in run("ask", "Who won the football world cup?", "--data-dir", filled).output

    def test_json_is_the_reply_as_it_is(self, filled: str) -> None:
        asked = run("ask", QUESTION, "--json", "--data-dir", filled)
        found = run("search", "cats", "--json", "-k", "1", "--data-dir", filled)

        assert json.loads(asked.output)["grounded"] == "full"
        assert json.loads(found.output)["results"][0]["n"] == 1

    def test_passages_are_shown_with_their_scores(self, filled: str) -> None:
        result = run("search", "cats sleep", "--data-dir", filled)

        assert "1. cats.txt" in result.output
        assert "dense" in result.output
        assert "Cats sleep most of the day." in result.output

    def test_markup_in_documents_is_shown_as_it_is(self, filled: str) -> None:
        shown = run("search", "zebra runs fast", "-k", "1", "--data-dir", filled).output

        assert "[bold]zebra[/bold]" in shown
        assert "[red]Title[/red]" in shown


class TestOptions:
    @pytest.fixture
    def sent(self, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, object]]:
        """What the API is asked for."""
        bodies: list[dict[str, object]] = []

        async def keep(settings: object, question: str, options: dict[str, object], **how: bool) -> None:
            bodies.append({"query": question, **options, **how})

        monkeypatch.setattr("ragstone.cli.ask.run_ask", keep)
        return bodies

    def test_those_not_given_are_not_sent(self, sent: list[dict[str, object]]) -> None:
        assert run("ask", "x").exit_code == 0

        assert sent == [{"query": "x", "as_json": False, "show_sources": False}]

    def test_those_given_are_sent(self, sent: list[dict[str, object]]) -> None:
        run("ask", "x", "-c", "c", "-k", "3", "--provider", "p", "--model", "m", "--json", "--show-sources")

        asked = {"query": "x", "collection": "c", "top_k": 3, "provider": "p", "model": "m"}
        assert sent == [{**asked, "as_json": True, "show_sources": True}]


class TestEval:
    def test_it_asks_the_directory_and_writes_its_reports(self, filled: str, tmp_path: Path) -> None:
        questions = tmp_path / "questions.jsonl"
        questions.write_text(json.dumps({"question": QUESTION, "document": "refunds.md"}))
        forms = [f"--{form}={tmp_path / form}" for form in ("json", "markdown", "html")]

        result = run("eval", str(questions), "-k", "3", *forms, "--data-dir", filled)

        assert result.exit_code == 0, result.output
        assert "recall@3" in result.output
        assert "0 of 1 questions have something to mend." in result.output
        (only,) = json.loads((tmp_path / "json").read_bytes())["runs"]
        assert only["parameters"] == {"collection": "default", "top_k": 3, "mode": "hybrid"}
        assert only["rows"][0]["figures"]["recall"] == 1.0
        assert (tmp_path / "html").read_text().startswith("<!doctype html>")

    def test_the_directory_is_opened_once_for_two_ways_of_asking(self, filled: str, tmp_path: Path) -> None:
        questions = tmp_path / "questions.jsonl"
        questions.write_text(json.dumps({"question": QUESTION, "document": "refunds.md"}))

        result = run("eval", str(questions), "--compare", "mode=sparse", "--data-dir", filled)

        assert result.exit_code == 0, result.output
        assert "mode=sparse: 1 question to " in result.output

    def test_wrong_lines_are_one_message_and_exit_2(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        (tmp_path / "q").write_text("{}\n[]")

        assert run_main(monkeypatch, "eval", str(tmp_path / "q")) == 2

        lines = capsys.readouterr().err.splitlines()
        assert lines[0] == f"ragstone: {tmp_path / 'q'}: 2 lines are wrong"
        assert len(lines) == 3
        assert not (tmp_path / "ragstone-data").exists()

    @pytest.mark.parametrize(
        "arguments", [["none.jsonl"], ["."], ["q", "--mode", "x"], ["q", "--concurrency", "0"]]
    )
    def test_what_cannot_be_is_refused_as_usage(self, tmp_path: Path, arguments: list[str]) -> None:
        (tmp_path / "q").write_text('{"question": "a"}')

        assert run("eval", *arguments).exit_code == 2


class TestServerGone:
    def test_a_server_that_does_not_answer_is_one_sentence(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        held = DataDirectory.open(tmp_path / "ragstone-data", command="ragstone serve")
        held.announce("http://127.0.0.1:9", command="ragstone serve")
        try:
            assert run_main(monkeypatch, "ask", "x") == 1
        finally:
            held.close()

        assert capsys.readouterr().err.strip() == "ragstone: the server at http://127.0.0.1:9 does not answer"


class TestDoctor:
    def test_a_directory_that_does_not_exist_is_said_and_not_made(self, tmp_path: Path) -> None:
        result = run("doctor")

        assert result.exit_code == 1
        assert "does not exist yet" in result.output
        assert not (tmp_path / "ragstone-data").exists()

    def test_a_healthy_directory_agrees(self, filled: str) -> None:
        result = run("doctor", "--data-dir", filled)

        assert result.exit_code == 0
        assert "all agree" in result.output

    def test_a_lost_original_is_a_verdict_and_exit_1(self, docs: Path, tmp_path: Path) -> None:
        run("ingest", str(docs))
        for blob in (tmp_path / "ragstone-data" / "blobs").glob("??/*"):
            blob.unlink()

        result = run("doctor")

        assert result.exit_code == 1
        assert "disagree" in result.output

    def test_repair_extracts_a_lost_text_again(self, docs: Path, tmp_path: Path) -> None:
        (docs / "page.html").write_text("<h1>Owls</h1><p>Owls hoot at night.</p>")
        run("ingest", str(docs))
        text = b"Owls\n\nOwls hoot at night."
        sha256 = hashlib.sha256(text).hexdigest()
        (tmp_path / "ragstone-data" / "blobs" / sha256[:2] / sha256[2:]).unlink()

        result = run("doctor", "--repair")

        assert result.exit_code == 0, result.output
        assert "1 versions indexed again" in result.output
        assert "all agree" in result.output


class TestRefusals:
    def test_a_second_opener_is_refused_with_a_sentence_that_names_the_first(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        held = DataDirectory.open(tmp_path / "ragstone-data", command="ragstone ingest")
        try:
            for command in (("ask", "x"), ("doctor",), ("ingest", str(tmp_path))):
                assert run_main(monkeypatch, *command) == 1
                message = capsys.readouterr().err
                assert "is in use by 'ragstone ingest'" in message
                assert str(os.getpid()) in message
                assert message.count("\n") == 1
        finally:
            held.close()

    @pytest.mark.parametrize(
        ("given", "meant"), [("RAGSTONE_PROT", "RAGSTONE_PORT"), ("RAGSTONE_LOG_LEVEL", "LOG_LEVEL")]
    )
    def test_an_unknown_setting_is_one_sentence(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], given: str, meant: str
    ) -> None:
        monkeypatch.setenv(given, "1")

        assert run_main(monkeypatch, "ask", "x") == 1

        assert capsys.readouterr().err.strip().endswith(f"the nearest known one is {meant}")

    @pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1"])
    def test_an_address_of_another_machine_is_one_sentence(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], host: str
    ) -> None:
        assert run_main(monkeypatch, "serve", "--host", host) == 1

        assert "cannot be listened on" in capsys.readouterr().err

    def test_a_directory_that_cannot_be_made_is_one_sentence(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        (tmp_path / "file").write_text("")

        assert run_main(monkeypatch, "ask", "x", "--data-dir", str(tmp_path / "file" / "data")) == 1

        assert "cannot be used" in capsys.readouterr().err

    def test_an_error_of_the_api_is_one_sentence(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert run_main(monkeypatch, "ask", " ") == 1

        assert "invalid_request" in capsys.readouterr().err

    def test_another_encoder_over_existing_data_is_refused(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], filled: str
    ) -> None:
        monkeypatch.setitem(vector_opening.EMBEDDERS, "minilm", "tests.unit.test_cli:other")

        assert run_main(monkeypatch, "ask", "x", "--data-dir", filled) == 1

        assert "ragstone serve --reindex" in capsys.readouterr().err


def other(*, precision: str) -> object:
    """Vectors of another size."""
    from ragstone.testing.embedders import HashingEmbedder

    return HashingEmbedder(dimension=32)


class TestDemo:
    def test_it_ingests_the_documentation_answers_abstains_and_leaves_nothing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        scratch = tmp_path / "scratch"
        scratch.mkdir()
        monkeypatch.setattr("tempfile.tempdir", str(scratch))

        result = run("demo")

        assert result.exit_code == 0, result.output
        assert result.output.count("?") >= 4
        assert "abstained: " in result.output
        assert "uv run ragstone serve" in result.output
        assert list(scratch.iterdir()) == []
        assert not (tmp_path / "ragstone-data").exists()

    @pytest.mark.parametrize(
        "environment",
        [
            {"OPENAI_API_KEY": "k"},
            {
                "OPENAI_BASE_URL": "http://127.0.0.1:9/v1",
                "OPENAI_MODEL": "m",
                "RAGSTONE_LLM_PROVIDER": "openai",
            },
            {"RAGSTONE_AISUITE_MODELS": "nobody:m", "RAGSTONE_EMBEDDING_PROVIDER": "openai"},
            {"RAGSTONE_RERANK_URL": "http://rerank.example", "RAGSTONE_RERANK_PROVIDER": "cohere"},
        ],
    )
    def test_it_asks_no_model_whatever_the_environment_holds(
        self, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]
    ) -> None:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)

        settings = demo_settings(Path("anywhere"))

        assert settings.llm_options() == {"extractive": {}}
        assert settings.receivers() == ()

    def test_without_its_documents_it_says_so(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        from ragstone.cli import demo
        from ragstone.core.errors import StartupError

        monkeypatch.setattr(ragstone, "__file__", str(tmp_path / "lib" / "ragstone" / "__init__.py"))

        with pytest.raises(StartupError):
            demo.documentation()
