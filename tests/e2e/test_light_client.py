"""What the client needs is what `pip install ragstone` installs, and the command says what else it needs."""

import json
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions, requires
from pathlib import Path

import pytest

from tests.docs.pages import ROOT
from tests.servers import clean_environment

LOADED = """
import json, sys
import ragstone.client
with ragstone.client.Ragstone() as client:
    loaded = {name.partition(".")[0] for name in sys.modules} - set(sys.stdlib_module_names)
print(json.dumps(sorted(loaded)))
"""

WITHOUT_SERVER = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name in ("typer", "fastapi"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Missing())
from ragstone.cli import main
main()
"""

OF_THE_SERVER = {
    "aiosqlite",
    "alembic",
    "fastapi",
    "lxml",
    "mcp",
    "numpy",
    "onnxruntime",
    "openai",
    "orjson",
    "prometheus_client",
    "pydantic_settings",
    "qdrant_client",
    "qdrant_edge",
    "regex",
    "rich",
    "sqlalchemy",
    "starlette",
    "tenacity",
    "tokenizers",
    "typer",
    "uvicorn",
    "uvloop",
}
OPTIONAL = {"h2", "hpack", "hyperframe", "sniffio", "brotli", "brotlicffi", "socksio", "zstandard"}
"""What httpx2 uses where it is there, as it is where the server is."""


def run_python(code: str, folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=folder,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Top-level modules from outside of Python that making a client loads."""
    ran = run_python(LOADED, tmp_path_factory.mktemp("light"))
    return set(json.loads(ran.stdout))


def test_the_client_loads_nothing_of_the_server(loaded: set[str]) -> None:
    assert "httpx2" in loaded
    assert not loaded & OF_THE_SERVER


def test_all_that_it_loads_is_installed_with_it(loaded: set[str]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    installed = with_requirements({_name(requirement) for requirement in project["dependencies"]})

    providers = packages_distributions()
    strangers = {
        module
        for module in loaded - OPTIONAL - {"ragstone"}
        if module in providers and not {_name(owner) for owner in providers[module]} & installed
    }
    assert strangers == set()


@pytest.mark.parametrize("arguments", [["serve"], ["ask", "?"], []])
def test_a_command_without_the_server_says_how_to_install_it(tmp_path: Path, arguments: list[str]) -> None:
    ran = run_python(WITHOUT_SERVER, tmp_path, *arguments)

    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr == (
        "ragstone: only the client is installed, and this command needs the server: pip install 'ragstone[server]'\n"
    )


def with_requirements(names: set[str]) -> set[str]:
    """The distributions and all that they need, extras left out."""
    found, pending = set[str](), list(names)
    while pending:
        name = pending.pop()
        if name in found:
            continue
        found.add(name)
        needed = [needed for needed in _requirements(name) if "extra ==" not in needed]
        pending += map(_name, needed)
    return found


def _requirements(name: str) -> list[str]:
    try:
        return requires(name) or []
    except ModuleNotFoundError:  # of another platform
        return []


def _name(requirement: str) -> str:
    found = re.match(r"[\w.-]+", requirement)
    assert found is not None
    return re.sub(r"[-_.]+", "-", found[0]).lower()
