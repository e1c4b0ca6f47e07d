"""The examples of the README and of the API's guide are run as they stand, against a real server."""

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.docs.pages import DOCS, README, read
from tests.servers import Server, clean_environment

SHOWN_URL = "http://127.0.0.1:8000"
SHOWN_COMMAND = "uv run ragstone"
PAGES_WITH_EXAMPLES = (README, DOCS / "api.md")
TIMEOUT_S = 90.0
DONE = "--- block done ---"

_PARTS = re.compile(
    r"<!-- test: curl -->\n```sh\n(?P<script>.*?)^```$|<!-- expect: (?P<expected>.+?) -->", re.M | re.S
)


@dataclass
class Example:
    """A block of commands, and what its output must hold."""

    script: str
    expected: list[str] = field(default_factory=list)


def examples(page: str) -> list[Example]:
    """The marked blocks in order; an `expect` belongs to the block before it."""
    found: list[Example] = []
    for part in _PARTS.finditer(page):
        if part["script"] is not None:
            found.append(Example(part["script"]))
        else:
            found[-1].expected.append(part["expected"])
    return found


@pytest.fixture(scope="module")
def fresh_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server on an empty data directory, where the README has it."""
    folder = tmp_path_factory.mktemp("tour")
    running = Server(folder / "ragstone-data", folder=folder)
    yield running
    running.stop()


def run_all(scripts: list[str], url: str, folder: Path) -> list[str]:
    """Run the blocks in one shell, as a reader would; the output of each."""
    whole = "\n".join(("set -euo pipefail", *(f"{script}\necho; echo '{DONE}'" for script in scripts)))
    whole = whole.replace(SHOWN_URL, url).replace(
        SHOWN_COMMAND, f"{shlex.quote(sys.executable)} -m ragstone.cli"
    )
    ran = subprocess.run(
        ["bash", "-c", whole],
        cwd=folder,
        env=clean_environment(COLUMNS="200"),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert ran.returncode == 0, f"{ran.stdout}\n{ran.stderr}"
    return ran.stdout.split(DONE)[:-1]


@pytest.mark.slow
@pytest.mark.skipif(
    not (shutil.which("curl") and shutil.which("bash")), reason="the tour needs curl and bash"
)
@pytest.mark.parametrize("page", PAGES_WITH_EXAMPLES, ids=lambda page: page.name)
def test_examples_work_as_they_stand(page: Path, fresh_server: Server) -> None:
    tour = examples(read(page))
    outputs = run_all([example.script for example in tour], fresh_server.url, fresh_server.data_dir.parent)
    for example, output in zip(tour, outputs, strict=True):
        for expected in example.expected:
            assert expected in output, example.script


@pytest.mark.parametrize("page", PAGES_WITH_EXAMPLES, ids=lambda page: page.name)
def test_every_example_says_what_must_come_out(page: Path) -> None:
    tour = examples(read(page))
    assert tour
    assert all(example.expected for example in tour)
