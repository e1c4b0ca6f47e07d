"""Log events, series, dashboard, alerts: what is documented is what the code has."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.docs.pages import DOCS, ROOT, anchors, headings, read
from tests.docs.promql import grouped_by, series_and_labels
from tests.live import live_server

SOURCE = ROOT / "src" / "ragstone"
ALERTS = ROOT / "deploy" / "prometheus" / "alerts.yml"
DASHBOARD = ROOT / "deploy" / "grafana" / "ragstone.json"
LEVELS = frozenset({"debug", "info", "warning", "error", "exception", "critical"})
OF_PROMETHEUS = frozenset({"up"})
TARGET_LABELS = frozenset({"instance", "job", "le"})
Known = dict[str, set[str]]


def events(path: Path) -> Iterator[ast.expr]:
    """The first words of each log call of a module, and of each line that a child process tells its owner."""
    for call in ast.walk(ast.parse(path.read_text())):
        if not isinstance(call, ast.Call):
            continue
        called = ast.unparse(call.func)
        if called in {"log.log", "tell_owner", "tell_failure"}:
            yield call.args[1]
        elif called == "tell" or (called.startswith("log.") and called.removeprefix("log.") in LEVELS):
            yield call.args[0]


def logged() -> list[ast.expr]:
    relay = SOURCE / "core" / "relay.py"  # passes on what others name
    return [event for path in SOURCE.rglob("*.py") if path != relay for event in events(path)]


def table(page: str, heading: str) -> list[list[str]]:
    """The cells of the table under a heading."""
    section = page.partition(f" {heading}\n")[2].partition("\n#")[0]
    rows = [line for line in section.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


class TestLogEvents:
    def test_an_event_is_a_constant(self) -> None:
        assert [ast.unparse(event) for event in logged() if not isinstance(event, ast.Constant)] == []

    def test_every_event_has_its_row_and_every_row_its_event(self) -> None:
        found = {str(event.value) for event in logged() if isinstance(event, ast.Constant)}
        rows = table(read(DOCS / "troubleshooting.md"), "Log events")

        assert len(found) > 40
        assert {row[0].strip("`") for row in rows} == found
        assert all(len(row) == 4 and all(row) for row in rows)


@pytest.fixture
async def known(tmp_path: Path) -> Known:
    """Series that a running server answers with, and the labels of their samples so far."""
    from ragstone.config.settings import load_settings
    from ragstone.testing.embedders import HashingEmbedder

    settings = load_settings(data_dir=tmp_path / "data")
    async with live_server(settings, HashingEmbedder(dimension=64)) as live:
        await live.api.ready_text("Refunds are paid.")
        await live.api.query("When are refunds paid?")
        text = (await live.http.get("/metrics")).text
    found: Known = {}
    for family in text_string_to_metric_families(text):
        for suffix in SUFFIXES[family.type]:
            labels = [set(sample.labels) for sample in family.samples if sample.name == family.name + suffix]
            found[family.name + suffix] = set().union(*labels)
    return found


SUFFIXES = {
    "counter": ("_total",),
    "gauge": ("",),
    "histogram": ("_bucket", "_sum", "_count"),
    "summary": ("_sum", "_count"),
    "info": ("_info",),
}


def documented() -> Known:
    rows = table(read(DOCS / "api.md"), "`GET /metrics`")
    return {row[0].strip("`"): set(re.findall(r"`(\w+)`", row[1])) for row in rows}


def expressions() -> list[str]:
    rules = [rule["expr"] for rule in RULES]
    panels = json.loads(read(DASHBOARD))["panels"]
    return [*rules, *(target["expr"] for panel in panels for target in panel.get("targets", ()))]


async def test_every_series_is_documented_with_its_labels(known: Known) -> None:
    ours: Known = {}
    for name, labels in known.items():
        if name.startswith("ragstone_") and not name.endswith("_created"):
            base = re.sub("_(bucket|sum|count)$", "", name)
            ours[base] = ours.get(base, set()) | (labels - {"le"})

    written = documented()
    assert set(written) == set(ours)
    assert {name: labels for name, labels in ours.items() if not labels <= written[name]} == {}


async def test_dashboard_and_alerts_name_series_and_labels_that_exist(known: Known) -> None:
    written = documented()
    for expression in expressions():
        names, asked = series_and_labels(expression)
        assert names, expression
        assert names <= known.keys() | OF_PROMETHEUS, expression
        labels_of_all: set[str] = set()
        for name in names:
            base = re.sub("_(bucket|sum|count)$", "", name)
            labels = known.get(name, set()) | written.get(base, set()) | TARGET_LABELS
            assert asked.get(name, set()) <= labels, expression
            labels_of_all |= labels
        assert grouped_by(expression) <= labels_of_all, expression


RULES = [rule for group in yaml.safe_load(read(ALERTS))["groups"] for rule in group["rules"]]


class TestAlerts:
    @pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule["alert"]))
    def test_its_runbook_is_its_own_section(self, rule: dict[str, Any]) -> None:
        page, _, fragment = rule["annotations"]["runbook_url"].partition("#")

        assert fragment == rule["alert"].lower()
        assert fragment in anchors(read(ROOT / page))
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
        assert rule["labels"]["severity"] in {"warning", "critical"}

    def test_every_section_has_its_alert(self) -> None:
        section = read(DOCS / "troubleshooting.md").partition("\n## Alerts\n")[2].partition("\n## ")[0]

        assert headings(section, level=3) == [rule["alert"] for rule in RULES]


class TestPromQL:
    """The reader of expressions itself."""

    @pytest.mark.parametrize(
        ("expression", "names", "asked", "grouped"),
        [
            ("up == 0", {"up"}, {}, set()),
            ('a{x="b c",y=~"d.*"} > 2e9', {"a"}, {"a": {"x", "y"}}, set()),
            (
                "sum by (p, q) (rate(a_total[5m])) / sum(b) and on (r) c",
                {"a_total", "b", "c"},
                {},
                {"p", "q", "r"},
            ),
            (
                'histogram_quantile(0.95, sum by (le) (rate(s_bucket{route="/x"}[$__rate_interval])))',
                {"s_bucket"},
                {"s_bucket": {"route"}},
                {"le"},
            ),
        ],
    )
    def test_names_and_labels_are_found(
        self, expression: str, names: set[str], asked: Known, grouped: set[str]
    ) -> None:
        assert series_and_labels(expression) == (names, asked)
        assert grouped_by(expression) == grouped


class TestDashboard:
    def test_panels_lie_side_by_side_and_have_expressions(self) -> None:
        panels = json.loads(read(DASHBOARD))["panels"]
        cells: set[tuple[int, int]] = set()
        for panel in panels:
            place = panel["gridPos"]
            own = {
                (place["x"] + right, place["y"] + down)
                for right in range(place["w"])
                for down in range(place["h"])
            }
            assert not own & cells, panel["title"]
            assert max(column for column, _ in own) < 24
            cells |= own
            assert panel["type"] == "row" or panel["targets"]
