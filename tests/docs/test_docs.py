"""The documentation agrees with the code: codes, settings, routes, commands, links, examples that are data."""

import json
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import pytest
import typer.main
from pydantic import BaseModel

from ragstone.api.main import create_app
from ragstone.api.schemas.admin import BackupReply
from ragstone.api.schemas.documents import DeleteReceipt, JobReply, UploadReply
from ragstone.api.schemas.error import ErrorReply
from ragstone.api.schemas.health import HealthReply
from ragstone.api.schemas.query import AnswerReply, SearchReply
from ragstone.chunking.structural import MAX_TOKENS, TARGET_TOKENS
from ragstone.cli.commands import app as command_line
from ragstone.config.settings import Settings, setting_names
from ragstone.core import errors
from ragstone.pipelines.evidence import ANSWER_FROM, NOTHING_BELOW
from ragstone.pipelines.fusion import ALPHA
from ragstone.pipelines.ranking import HEAD, MIXTURE
from ragstone.pipelines.support import SUPPORTED_FROM
from tests.docs.pages import DOCS, PAGES, README, ROOT, OpenTags, anchors, fences, headings, links, read

API = DOCS / "api.md"
TROUBLESHOOTING = DOCS / "troubleshooting.md"
EXTRACTIVE = "decisions/0007-extractive-answers-selection-gate-support.md"
DECISIONS = sorted((DOCS / "decisions").glob("*.md"))
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
UNFINISHED = re.compile(r"\b(?:TODO|FIXME|TBD|XXX)\b|@@|^TABLE:", re.M)


def named(path: Path) -> str:
    """What a test's id says."""
    return path.relative_to(ROOT).as_posix()


class TestTroubleshooting:
    def test_every_error_code_has_a_section_and_every_section_a_code(self) -> None:
        codes = [kind.code for kind in errors.catalogue() if kind.__module__ == errors.__name__]
        sections = [
            text.strip("`")
            for text in headings(read(TROUBLESHOOTING).partition("\n## Error codes\n")[2], level=3)
        ]
        assert sections == codes

    def test_every_section_says_the_status_of_its_error(self) -> None:
        page = read(TROUBLESHOOTING)
        for kind in errors.catalogue():
            section = page.partition(f"### `{kind.code}`")[2].partition("\n### ")[0]
            assert "What to do: " in section, kind.code
            if is_seen_over_http(kind):
                assert f"Status: {kind.status}" in section, kind.code
                assert ("retryable" in section) == kind.retryable, kind.code

    def test_every_error_code_that_the_pages_name_exists(self) -> None:
        known = {kind.code for kind in errors.catalogue()}
        for path in (API, DOCS / "configuration.md", DOCS / "deployment.md"):
            named_codes = re.findall(r"\b(?:4\d\d|5\d\d)(?: with)? `([a-z_]+)`", read(path))
            assert set(named_codes) <= known, path


def is_seen_over_http(kind: type[errors.RagstoneError]) -> bool:
    """Codes of ingestion stand in documents, those of start-up in a terminal."""
    return not issubclass(kind, errors.IngestError | errors.StartupError | errors.WorkerDied)


class TestConfiguration:
    def test_settings_table_is_what_the_code_generates(self) -> None:
        checked = subprocess.run(
            [sys.executable, "-m", "tools.settings_table", "--check"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert checked.returncode == 0, checked.stderr

    def test_every_setting_that_the_pages_name_exists(self) -> None:
        for path in PAGES:
            found = set(re.findall(r"\bRAGSTONE_[A-Z_]+\b", read(path))) - {"RAGSTONE_"}
            assert found <= set(setting_names()), path


class TestApi:
    def test_every_route_has_a_section_and_every_section_a_route(self) -> None:
        paths = create_app(Settings()).openapi()["paths"]
        routes = {f"`{method.upper()} {path}`" for path, methods in paths.items() for method in methods}
        told = [*headings(read(API), level=3), *headings(read(DOCS / "openai.md"), level=3)]
        assert set(told) == routes
        assert len(told) == len(routes)

    def test_every_body_that_the_page_shows_is_json(self) -> None:
        bodies = re.findall(r"-d '(\{.*?\})'", read(API))
        assert bodies
        for body in bodies:
            assert isinstance(json.loads(body), dict)

    @pytest.mark.parametrize(
        ("heading", "model"),
        [
            ("### `POST /query`", AnswerReply),
            ("### `POST /search`", SearchReply),
            ("### `POST /documents`", UploadReply),
            ("### `DELETE /documents/{document_id}`", DeleteReceipt),
            ("### `GET /jobs/{job_id}`", JobReply),
            ("### `GET /health`", HealthReply),
            ("### `POST /admin/backups`", BackupReply),
            ("## Errors", ErrorReply),
        ],
    )
    def test_replies_that_the_page_shows_have_the_members_of_today(
        self, heading: str, model: type[BaseModel]
    ) -> None:
        section = read(API).partition(f"{heading}\n")[2]
        shown = json.loads(fences(section, "json")[0])
        assert model.model_validate(shown).model_dump(mode="json") == shown


class TestCommandLine:
    def test_every_command_stands_in_the_readme(self) -> None:
        group = typer.main.get_group(command_line)
        shown = set(re.findall(r"^\| `ragstone ([\w-]+)", read(README), re.M))
        assert shown == set(group.commands)


def short(weight: float) -> str:
    """`.4` for 0.4."""
    return f"{weight:g}".removeprefix("0")


class TestNumbers:
    @pytest.mark.parametrize(
        ("page", "number"),
        [
            ("guide/citations.html", f"at least {SUPPORTED_FROM:.2f}"),
            ("quality.md", f"a support of {SUPPORTED_FROM:.2f}"),
            ("architecture.md", f"{ALPHA:.2f} times `g` times the cosine plus {1 - ALPHA:.2f} times"),
            ("decisions/0006-scores-are-fused-not-ranks.md", f"α = {ALPHA:.2f}"),
            (EXTRACTIVE, f"Below .{NOTHING_BELOW * 100:.0f} "),
            (EXTRACTIVE, f"below .{ANSWER_FROM * 100:.0f} "),
            (
                "decisions/0004-our-own-chunker.md",
                f"aims at {TARGET_TOKENS} word pieces and never exceeds the {MAX_TOKENS}",
            ),
            (
                "architecture.md",
                f"S = g · ({short(MIXTURE.chunk)} · cos + {short(MIXTURE.sentence)} · M) + {short(MIXTURE.lexical)} · B"
                f" + {short(MIXTURE.lexical_sentence)} · F + {short(MIXTURE.proximity)} · X − {short(MIXTURE.foreign)} · L,",
            ),
            ("architecture.md", f"S + {short(MIXTURE.feedback)} · g · R"),
            ("architecture.md", f"Each leg returns {HEAD} hits"),
            ("configuration.md", f"at most {Settings().request_timeout.total_seconds():g} seconds"),
        ],
    )
    def test_figure_in_the_text_is_the_one_in_the_code(self, page: str, number: str) -> None:
        assert number in read(DOCS / page)


class TestDecisions:
    def test_records_are_numbered_without_gaps(self) -> None:
        numbers = [int(path.name[:4]) for path in DECISIONS]
        assert numbers == list(range(1, len(numbers) + 1))

    @pytest.mark.parametrize("path", DECISIONS, ids=named)
    def test_record_has_its_number_and_its_parts(self, path: Path) -> None:
        page = read(path)
        assert page.startswith(f"# {path.name[:4]} ")
        assert headings(page, level=2) == ["Context", "Decision", "Consequences", "What else was considered"]

    def test_every_record_stands_in_the_overview(self) -> None:
        listed = {
            Path(target).name for target in links(read(DOCS / "architecture.md")) if "decisions/" in target
        }
        assert listed == {path.name for path in DECISIONS}


@pytest.mark.parametrize("path", PAGES, ids=named)
class TestEveryPage:
    def test_links_within_the_project_lead_somewhere(self, path: Path) -> None:
        for target in links(read(path)):
            name, _, fragment = target.partition("#")
            found = (path.parent / unquote(name)).resolve() if name else path
            assert found.exists(), target
            assert not fragment or fragment in anchors(read(found)), target

    def test_json_examples_parse(self, path: Path) -> None:
        for text in fences(read(path), "json"):
            json.loads(text)

    def test_nothing_is_left_unfinished(self, path: Path) -> None:
        assert UNFINISHED.search(read(path)) is None


class TestGuide:
    def test_html_page_is_well_formed_and_has_headings_a_list_and_a_table(self) -> None:
        parser = OpenTags()
        parser.feed(read(DOCS / "guide" / "citations.html"))
        parser.close()
        assert parser.open == []
        assert {"h1", "h2", "ol", "table", "title"} <= parser.seen

    def test_glossary_explains_each_term_in_a_sentence_and_is_sorted(self) -> None:
        paragraphs = read(DOCS / "guide" / "glossary.txt").strip().split("\n\n")[2:]
        explained = [re.match(r"(?:An? |The )?(.+?) is ", paragraph) for paragraph in paragraphs]
        terms = [found[1] for found in explained if found is not None]
        assert len(terms) == len(paragraphs) >= 25
        assert terms == sorted(terms, key=str.casefold)


class TestWorkflows:
    @pytest.mark.parametrize("path", WORKFLOWS, ids=named)
    def test_workflow_may_only_read_and_runs_targets_that_exist(self, path: Path) -> None:
        workflow = read(path)
        targets = re.findall(r"^([a-z]+):.*## ", read(ROOT / "Makefile"), re.M)
        assert "permissions:\n  contents: read\n" in workflow
        assert set(re.findall(r"run: make (\w+)", workflow)) <= set(targets)

    def test_workflows_together_run_what_check_runs(self) -> None:
        steps = re.search(r"^check: (.+?) ##", read(ROOT / "Makefile"), re.M)
        assert steps is not None
        workflows = "".join(map(read, WORKFLOWS))
        ran = set(re.findall(r"run: make (\w+)", workflows)) - {"image"}  # which asks for docker
        assert {"test" if target == "coverage" else target for target in ran} == set(steps[1].split())

    @pytest.mark.parametrize("path", WORKFLOWS, ids=named)
    def test_actions_are_pinned_by_hash_and_say_their_version(self, path: Path) -> None:
        for action in re.findall(r"uses: (.+)", read(path)):
            assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v[\d.]+", action), action

    def test_the_same_uv_and_the_same_qdrant_everywhere(self) -> None:
        files = [*map(read, WORKFLOWS), read(ROOT / "Dockerfile"), read(ROOT / "docker-compose.yml")]
        found = "".join(files)
        assert len(set(re.findall(r"(?:uv==|UV_VERSION=)([\d.]+)", found))) == 1
        assert len(set(re.findall(r"qdrant/qdrant:v([\d.]+)", found))) == 1
