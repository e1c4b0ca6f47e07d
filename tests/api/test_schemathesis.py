"""Requests made from the OpenAPI document, valid ones and broken ones, each reply judged by every check there is."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from anyio.from_thread import start_blocking_portal
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema
from schemathesis.engine.recorder import ScenarioRecorder

from ragstone.config.settings import load_settings
from ragstone.testing.embedders import HashingEmbedder
from tests.docs.pages import ROOT
from tests.live import live_server

pytestmark = [pytest.mark.slow, pytest.mark.timeout(420)]

KEY = "0123456789-abcdefghij"
LEAST_REQUESTS = 2_000
EXAMPLES = 30  # of each operation and each way to break it


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    """Of a server that asks for a key, in a thread of its own; one document lies in it."""
    settings = load_settings(data_dir=tmp_path / "data", api_keys=f"tests:{KEY}", log_requests=False)
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(live_server(settings, HashingEmbedder(64))) as live,
    ):
        yield live.url


def run_checks(url: str, backups: Path) -> tuple[int, list[str]]:
    """How many requests were made, and what was found. Backups go where nothing is lost."""
    config = SchemathesisConfig.from_path(ROOT / "schemathesis.toml")
    project = config.projects.default
    project.update(headers={"Authorization": f"Bearer {KEY}"})
    project.generation.update(max_examples=EXAMPLES, deterministic=True, database="none")
    schema = schemathesis.openapi.from_url(f"{url}/openapi.json", config=config)

    @schema.hook
    def map_body(context: Any, body: Any) -> Any:
        where = body.get("directory") if isinstance(body, dict) else None
        return {**body, "directory": f"{backups}{where}"} if str(where).startswith("/") else body

    requests, found = 0, list[str]()
    for event in from_schema(schema).execute():
        if isinstance(event, events.ScenarioFinished):
            requests += len(event.recorder.interactions)
            found += _failures(event.recorder)
        elif isinstance(event, events.NonFatalError | events.FatalError):
            found.append(repr(event))

    return requests, found


def _failures(recorder: ScenarioRecorder) -> list[str]:
    checks = [check for checks in recorder.checks.values() for check in checks]
    return [
        f"{recorder.label}: {check.name}: {check.failure_info.failure.message}\n{check.failure_info.code_sample}"
        for check in checks
        if check.failure_info is not None
    ]


def test_no_request_of_the_openapi_document_finds_a_fault(url: str, tmp_path: Path) -> None:
    requests, found = run_checks(url, tmp_path / "backups")

    assert "\n\n".join(found) == ""
    assert requests >= LEAST_REQUESTS
