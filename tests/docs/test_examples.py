"""The examples of all pages are run as they stand: those that ask a server, those that start one, and the rest."""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ragstone.api.main import create_app
from ragstone.config.settings import Settings
from tests.docs.examples import Example, examples
from tests.docs.pages import DOCS, PAGES, ROOT, read
from tests.e2e.nginx import free_port
from tests.servers import Server, clean_environment, listening_at

SHOWN_URL = "http://127.0.0.1:8000"
COMMAND = f"{shlex.quote(sys.executable)} -m ragstone.cli"
TIMEOUT_S = 90.0
DONE = "--- block done ---"
API = DOCS / "api.md"
TOURS = [page for page in PAGES if any(example.is_step for example in examples(read(page)))]
SERVERS = [
    pytest.param(example, id=f"{page.relative_to(ROOT).as_posix()}-{number}")
    for page in PAGES
    for number, example in enumerate(examples(read(page)))
    if example.is_server and example.not_run is None
]
needs_a_shell = pytest.mark.skipif(
    not (shutil.which("curl") and shutil.which("bash")), reason="the examples need curl and bash"
)


@pytest.fixture(scope="module")
def fresh_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server on an empty data directory, where the README has it."""
    folder = tmp_path_factory.mktemp("tour")
    running = Server(folder / "ragstone-data", folder=folder)
    yield running
    running.stop()


@needs_a_shell
@pytest.mark.parametrize("page", TOURS, ids=lambda page: page.name)
def test_examples_work_as_they_stand(page: Path, fresh_server: Server) -> None:
    folder = fresh_server.data_dir.parent
    steps = [example for example in examples(read(page)) if example.is_step]
    in_shell = [example for example in steps if not example.is_python]
    in_python = [example for example in steps if example.is_python]
    compare(in_shell, run_in_shell(in_shell, fresh_server.url, folder))
    compare(in_python, run_in_python(in_python, fresh_server.url, folder))


@needs_a_shell
@pytest.mark.parametrize("example", SERVERS)
def test_servers_start_as_the_pages_say(example: Example, tmp_path: Path) -> None:
    started = subprocess.Popen(
        ["bash", "-c", on_this_machine(as_run(example.script), tmp_path)],
        cwd=tmp_path,
        env=clean_environment(RAGSTONE_PORT="0"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert started.stderr is not None
        assert any(map(listening_at, started.stderr)), "it did not start"
    finally:
        os.killpg(started.pid, signal.SIGKILL)
        started.communicate(timeout=TIMEOUT_S)


def test_every_example_says_what_must_come_out() -> None:
    for page in TOURS:
        for example in examples(read(page)):
            assert example.expected or not example.is_step, example.script


def test_every_route_is_shown_with_curl_and_in_python() -> None:
    """Those of OpenAI's dialect are shown with its SDK, on a page of their own."""
    sections = re.split(r"^### ", read(API), flags=re.M)
    for path, methods in create_app(Settings()).openapi()["paths"].items():
        for method in methods if not path.startswith("/v1/") else ():
            heading = f"`{method.upper()} {path}`\n"
            shown = examples(next(section for section in sections if section.startswith(heading)))
            address = re.sub(r"\\\{\w+\\\}", r"[^/\\s]+", re.escape(path)) + r"(?=[\s\"'?,)])"
            asked = "" if method in ("get", "post") else f"-X {method.upper()} .*?"
            in_curl = f"curl .*?{asked}{re.escape(SHOWN_URL)}{address}"
            in_python = rf"api\.(?:{method}\(f?|stream\(\"{method.upper()}\", f?)\"{address}"
            assert any(re.search(in_curl, example.script) for example in shown), heading
            assert any(
                example.is_python and re.search(in_python, example.script) for example in shown
            ), heading


def as_run(script: str) -> str:
    """A script of the pages with the command of this installation."""
    return re.sub(r"(?<![\w/\[.-])(?:uv run )?ragstone(?= [a-z])", COMMAND, script)


def on_this_machine(script: str, folder: Path) -> str:
    """The same with folders of its own, loopback for the world, and ports that are free."""
    for shown in ("/var/", "/srv/", "/tmp/drill"):
        script = script.replace(shown, f"{folder}{shown}")
    script = re.sub(r"\bRAGSTONE_PORT=\d+", "RAGSTONE_PORT=0", script)
    return script.replace("0.0.0.0", "127.0.0.1").replace("9009", str(free_port()))


def run_in_shell(steps: list[Example], url: str, folder: Path) -> list[str]:
    """Run the blocks in one shell, as a reader would; the output of each."""
    scripts = (f"{as_run(step.script)}\necho; echo '{DONE}'" for step in steps)
    return outputs(["bash", "-c"], "\n".join(("set -euo pipefail", *scripts)), url, folder)


def run_in_python(steps: list[Example], url: str, folder: Path) -> list[str]:
    """Run the blocks as one program; the output of each."""
    scripts = (f"{step.script}\nprint('\\n{DONE}')" for step in steps)
    return outputs([sys.executable, "-c"], "\n".join(scripts), url, folder)


def outputs(command: list[str], program: str, url: str, folder: Path) -> list[str]:
    """What each block wrote; a block that fails fails the test."""
    ran = subprocess.run(
        [*command, on_this_machine(program.replace(SHOWN_URL, url), folder)],
        cwd=folder,
        env=clean_environment(COLUMNS="200"),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert ran.returncode == 0, f"{ran.stdout}\n{ran.stderr}"
    return ran.stdout.split(DONE)[:-1]


def compare(steps: list[Example], written: list[str]) -> None:
    """Each block wrote all that its page says."""
    for step, output in zip(steps, written, strict=True):
        for expected in step.expected:
            assert expected in output, f"{step.script}\n{output}"
