"""What importing costs and does: the command line stays light, the application opens nothing."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers import clean_environment

HEAVY = [
    "onnxruntime",
    "tokenizers",
    "qdrant_edge",
    "numpy",
    "sqlalchemy",
    "fastapi",
    "openai",
    "alembic",
    "uvicorn",
    "starlette",
    "prometheus_client",
    "aisuite",
    "opentelemetry.sdk",
    "mcp",
]

HELP = """
import json, sys
sys.argv = ["ragstone", *{arguments!r}]
from ragstone.cli import main
try:
    main()
except SystemExit:
    pass
print("MODULES", json.dumps(sorted(sys.modules)))
"""

WATCH = """
import json, sys
seen = []
def watch(event, arguments):
    opens = event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+")
    if opens or event.split(".")[0] in ("socket", "subprocess", "sqlite3") or event in ("os.mkdir", "os.fork"):
        seen.append([event, str(arguments)[:200]])
sys.dont_write_bytecode = True
sys.addaudithook(watch)
import ragstone.api.main
seen = [item for item in seen if "__new__" not in item[0] and "gethostname" not in item[0]]
print(json.dumps({"seen": seen, "app": "app" in vars(ragstone.api.main)}))
"""


def run_python(code: str, folder: Path, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env=clean_environment(**environment),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["serve", "--help"],
        ["ask", "--help"],
        ["mcp", "--help"],
        ["eval", "--help"],
        ["fake-llm", "--help"],
        [],
    ],
)
def test_help_loads_no_encoder_no_store_no_framework(tmp_path: Path, arguments: list[str]) -> None:
    shown = run_python(HELP.format(arguments=arguments), tmp_path)

    modules = set(json.loads(shown.partition("MODULES ")[2]))
    assert not modules & set(HEAVY)


def test_importing_the_application_opens_and_makes_nothing(tmp_path: Path) -> None:
    report = json.loads(
        run_python(WATCH, tmp_path, RAGSTONE_NONSENSE="would be refused if settings were read")
    )

    assert report == {"seen": [], "app": False}
    assert list(tmp_path.iterdir()) == []


def test_the_application_is_made_on_first_access_and_once(tmp_path: Path) -> None:
    code = "import ragstone.api.main as m; app = m.app; assert m.app is app; print(app.title)"

    assert run_python(code, tmp_path).strip() == "Ragstone"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("sdk", ["opentelemetry.sdk", "mcp"])
def test_the_application_loads_no_sdk_that_nobody_asked_for(tmp_path: Path, sdk: str) -> None:
    code = f"import sys, ragstone.api.main as m; m.app; print({sdk!r} in sys.modules)"

    assert run_python(code, tmp_path).strip() == "False"


def test_a_bridge_to_a_server_loads_no_sdk(tmp_path: Path) -> None:
    code = "import sys, ragstone.cli.mcp; print({'mcp', 'fastapi', 'onnxruntime'} & set(sys.modules))"

    assert run_python(code, tmp_path).strip() == "set()"


def test_another_name_is_an_attribute_error(tmp_path: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError):
        run_python("import ragstone.api.main as m; m.application", tmp_path)


def test_the_version_is_the_packages() -> None:
    from importlib.metadata import version

    import ragstone

    assert ragstone.__version__ == version("ragstone")
